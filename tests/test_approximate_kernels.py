"""Sparse and low-rank kernels against dense ones, and their bounds against what they leave out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from mfcore import approximate_kernels, flows, kernel_products, kernels, sampling
from mfcore.hypersurface import Dwork, fubini_study_volume, omega_volume

KAPPA = fubini_study_volume(Dwork()) / omega_volume(Dwork())


@pytest.fixture(scope="module")
def sample():
    return sampling.random_points_in_patch(jax.random.key(1), Dwork(), 400).sample


@pytest.fixture(scope="module")
def fresh():
    return sampling.random_points_in_patch(jax.random.key(2), Dwork(), 90).sample


def narrow(distance):
    return jnp.exp(-((8 * distance) ** 2))


def matrix_of(kernel):
    return np.asarray(kernel @ jnp.eye(kernel.shape[1]))


def test_within_reach_keeps_just_the_near_pairs(sample, fresh):
    x, y = fresh.z.at[3].set(sample.z[11]), sample.z
    distance = np.asarray(kernels.distance_matrix(x, y))
    expected = np.where(distance <= 0.4, np.exp(-((8 * distance) ** 2)), 0)
    assert 1 < np.count_nonzero(expected) / 90 < 100
    sparse = approximate_kernels.within_reach(narrow, x, y, 0.4)
    assert_allclose(matrix_of(sparse), expected, rtol=1e-12)
    assert len(sparse.value) == np.count_nonzero(expected)
    assert np.abs(matrix_of(sparse) - np.exp(-((8 * distance) ** 2))).max() < np.exp(-((8 * 0.4) ** 2))


def test_repeated_points_are_their_own_neighbours(sample):
    x = jnp.concatenate([sample.z[:5], sample.z[:2] * 1j])
    same = np.eye(7)
    same[[0, 1, 5, 6], [5, 6, 0, 1]] = 1
    assert_allclose(matrix_of(approximate_kernels.within_reach(narrow, x, x, 1e-7)), same, atol=1e-12)


def test_sparse_coupling_bounds_it_as_a_matrix(sample):
    sparse = approximate_kernels.within_reach(narrow, sample.z, sample.z, 0.4)
    factor, spread = sparse.coupling()
    assert_array_equal(factor, 0)
    assert_allclose(spread, matrix_of(sparse).sum(axis=1))
    assert np.linalg.eigvalsh(np.diag(spread) - matrix_of(sparse))[0] > -1e-12


def test_delta_is_that_of_the_dense_kernel_and_the_identity_on_train_points(sample, fresh):
    expected = kernels.delta(kernels.distance_matrix(fresh.z, sample.z))
    assert_array_equal(matrix_of(approximate_kernels.delta(fresh.z, sample.z)), expected)
    assert_array_equal(matrix_of(approximate_kernels.delta(sample.z, sample.z)), np.eye(400))


@pytest.fixture(scope="module", params=["gaussian", pytest.param("relu", marks=pytest.mark.slow)])
def smooth(request, sample, fresh):
    if request.param == "relu":
        pairs = [kernel_products.relu_ntk(x, sample.z, 5.716, 80.52) for x in (sample.z, fresh.z)]
    else:
        pairs = [
            kernel_products.of_distance(kernel_products.gaussian, x, sample.z, 2.0)
            for x in (sample.z, fresh.z)
        ]
    return pairs, approximate_kernels.low_rank(jax.random.key(3), pairs[0], 60)


def test_low_rank_is_the_projection_on_its_landmarks(smooth):
    (kernel, to_fresh), landmarks = smooth
    matrix, m = np.asarray(kernel.dense()), np.asarray(landmarks.point)
    projected = matrix[:, m] @ np.linalg.solve(matrix[np.ix_(m, m)], matrix[m])
    size = matrix.max()
    assert_allclose(matrix_of(landmarks.among_train()), projected, atol=1e-8 * size)
    cross = np.asarray(to_fresh.dense())
    expected = cross[:, m] @ np.linalg.solve(matrix[np.ix_(m, m)], matrix[m])
    assert_allclose(matrix_of(landmarks.with_train(to_fresh)), expected, atol=1e-8 * size)


def test_what_low_rank_leaves_out_is_positive_and_within_its_bound(smooth):
    (kernel, _), landmarks = smooth
    rest = np.asarray(kernel.dense()) - matrix_of(landmarks.among_train())
    assert np.linalg.eigvalsh(rest)[0] > -1e-9 * kernel.dense().max()
    assert_allclose(landmarks.left_out, np.diag(rest).max(), rtol=1e-6)
    assert 0.5 * landmarks.left_out < np.abs(rest).max() <= landmarks.left_out * (1 + 1e-6)


def test_pivots_are_better_than_chance(smooth):
    (kernel, _), landmarks = smooth
    matrix = np.asarray(kernel.dense())
    chance = []
    for seed in range(5):
        m = np.random.default_rng(seed).choice(400, 60, replace=False)
        chance.append(np.diag(matrix - matrix[:, m] @ np.linalg.solve(matrix[np.ix_(m, m)], matrix[m])).max())
    assert landmarks.left_out < 0.95 * min(chance)


def test_low_rank_coupling_bounds_it_as_a_matrix(smooth):
    _, landmarks = smooth
    low = landmarks.among_train()
    factor, spread = low.coupling()
    assert factor.shape[1] < 60
    rest = matrix_of(low) - np.asarray(factor @ factor.T)
    eigenvalues = np.linalg.eigvalsh(rest)
    assert_allclose(eigenvalues[-1], spread[0], rtol=1e-5)
    assert np.all(spread == spread[0])


@pytest.mark.slow
def test_the_flow_is_that_of_the_same_kernel_stored(smooth, sample):
    _, landmarks = smooth
    low, start = landmarks.among_train(), sampling.fubini_study_pullback(sample)
    options = {"largest_change": 0.05, "max_steps": 20}
    ours = flows.kernel_flow(low, start, sample.omega, KAPPA, **options)
    stored = flows.kernel_flow(jnp.asarray(matrix_of(low)), start, sample.omega, KAPPA, **options)
    moved = float(jnp.abs(stored.metric - start).max())
    assert_allclose(ours.metric, stored.metric, atol=0.03 * moved)


@pytest.mark.slow
def test_a_sparse_flow_is_that_of_the_same_kernel_stored(sample):
    sparse = approximate_kernels.within_reach(narrow, sample.z, sample.z, 0.4)
    start = sampling.fubini_study_pullback(sample)
    ours = flows.kernel_flow(sparse, start, sample.omega, KAPPA)
    stored = flows.kernel_flow(jnp.asarray(matrix_of(sparse)), start, sample.omega, KAPPA)
    assert ours.status == stored.status == "reached its goal"
    assert_allclose(ours.metric, stored.metric, atol=0.01 * float(jnp.abs(stored.metric - start).max()))


def test_what_cannot_be_done_is_refused(sample):
    with pytest.raises(ValueError, match="reach 2"):
        approximate_kernels.within_reach(narrow, sample.z, sample.z, 2.0)
    kernel = kernel_products.of_distance(kernel_products.gaussian, sample.z, sample.z, 0.1)
    with pytest.raises(ValueError, match="directions above rounding"):
        approximate_kernels.low_rank(jax.random.key(0), kernel, 390)
    with pytest.raises(ValueError, match=r"need rows and columns at the same points"):
        approximate_kernels.low_rank(jax.random.key(0), kernel.at(np.arange(10), slice(None)), 5)
