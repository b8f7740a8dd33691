"""Kernels against neural-tangents, Monte Carlo over networks, and the distance of single pairs."""

from importlib.util import find_spec

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from mfcore import kernels
from mfcore.projective import geodesic_distance


def points(key, n):
    real, imag = jax.random.normal(key, (2, n, 5))
    return real + 1j * imag


def all_pairs(x, y, sigma_w, sigma_b):
    row = jax.vmap(kernels.relu_ntk, in_axes=(None, 0, None, None))
    return jax.vmap(row, in_axes=(0, None, None, None))(x, y, sigma_w, sigma_b)


def test_gaussian_and_laplace_by_hand():
    d = jnp.array([0.0, 0.5, 1.0])
    assert_allclose(kernels.gaussian(d, 0.5), np.exp([0, -0.5, -2]))
    assert_allclose(kernels.laplace(d, 0.5), np.exp([0, -1, -2]))


def test_each_reading_of_the_printed_gaussian_is_what_its_name_says():
    d, sigma = jnp.linspace(0, 1.5, 7), 3.0
    expected = {
        "exp(-d/(2 sigma)), as printed": np.exp(-d / (2 * sigma)),
        "exp(-d^2/(2 sigma))": np.exp(-(d**2) / (2 * sigma)),
        "exp(-d^2/(2 sigma^2))": np.exp(-(d**2) / (2 * sigma**2)),
        "exp(-sigma d)": np.exp(-sigma * d),
        "exp(-(sigma d)^2)": np.exp(-((sigma * d) ** 2)),
    }
    assert set(expected) == set(kernels.GAUSSIAN_READINGS)
    for name, reading in kernels.GAUSSIAN_READINGS.items():
        assert_allclose(reading(d, sigma), expected[name], rtol=1e-14, err_msg=name)


def test_delta_marks_the_nearest_train_point_alone():
    d = jnp.array([[0.3, 0.1, 0.2], [0.5, 0.6, 0.4], [0.2, 0.2, 0.9]])
    assert_array_equal(kernels.delta(d), [[0, 1, 0], [0, 0, 1], [1, 0, 0]])


def test_distance_matrix_is_the_distance_of_each_pair(key, monkeypatch):
    monkeypatch.setattr(kernels, "BLOCK", 400)  # several blocks, the last one short
    x, y = points(key, 17), points(jax.random.key(1), 9)
    d = kernels.distance_matrix(x, y)
    for i in range(17):
        for j in range(9):
            assert_allclose(d[i, j], geodesic_distance(x[i], y[j]), rtol=1e-14)


def test_a_wide_gaussian_of_the_distance_is_not_positive_and_a_narrow_one_is(key):
    z = points(key, 300)
    d = kernels.distance_matrix(z, z)
    assert np.linalg.eigvalsh(kernels.gaussian(d, 1.0)).min() < -0.1
    assert np.linalg.eigvalsh(kernels.gaussian(d, 0.1)).min() > 0.1


@pytest.mark.parametrize("length", [0.0, -1.0, float("nan")])
def test_a_length_that_is_not_positive_is_refused(length):
    for kernel in (kernels.gaussian, kernels.laplace):
        with pytest.raises(ValueError, match="positive"):
            kernel(jnp.array([1.0]), length)


def test_features_are_real_then_imaginary_parts():
    assert_array_equal(kernels.real_features(jnp.array([1 + 2j, 3 - 4j])), [1, 3, 2, -4])


@pytest.mark.parametrize(("sigma_w", "sigma_b"), [(5.716, 80.52), (1.4, 0.1), (1.0, 0.0)])
def test_closed_relu_ntk_is_that_of_neural_tangents(key, sigma_w, sigma_b):
    if find_spec("neural_tangents") is None:
        pytest.skip("neural-tangents is not installed")
    x = jax.vmap(kernels.real_features)(points(key, 30))
    y = jax.vmap(kernels.real_features)(points(jax.random.key(1), 20))
    library = kernels.relu_ntk_by_library(x, y, sigma_w, sigma_b)
    assert_allclose(all_pairs(x, y, sigma_w, sigma_b), library, rtol=1e-12)


def test_relu_ntk_matrix_is_the_kernel_of_each_pair(key):
    x, y = points(key, 4), points(jax.random.key(1), 3)
    matrix = kernels.relu_ntk_matrix(x, y, 1.2, 0.7)
    for i, j in np.ndindex(4, 3):
        pair = [kernels.real_features(z) for z in (x[i], y[j])]
        assert_allclose(matrix[i, j], kernels.relu_ntk(*pair, 1.2, 0.7), rtol=1e-12)


def test_closed_relu_ntk_at_coincidence_is_exact(key):
    """At x = y the angle vanishes: Theta = sigma_w^2 q + sigma_b^2, q = sigma_w^2 |x|^2 / n + sigma_b^2."""
    x = kernels.real_features(points(key, 1)[0])
    q = 1.3**2 * jnp.sum(x**2) / 10 + 80.0**2
    assert_allclose(kernels.relu_ntk(x, x, 1.3, 80.0), 1.3**2 * q + 80.0**2, rtol=1e-14)


@pytest.mark.slow
def test_closed_relu_ntk_is_the_mean_over_networks(key):
    """The NTK of finite networks, averaged over draws: unbiased at any width."""
    sigma_w, sigma_b, width, draws = 1.3, 0.4, 64, 4000
    x, y = jax.vmap(kernels.real_features)(points(jax.random.key(5), 2))

    def network(parameters, x):
        w, b, v, c = parameters
        hidden = jax.nn.relu(sigma_w / 10**0.5 * w @ x + sigma_b * b)
        return sigma_w / width**0.5 * v @ hidden + sigma_b * c

    def empirical(key):
        k = jax.random.split(key, 4)
        shapes = ((width, 10), (width,), (width,), ())
        parameters = [jax.random.normal(k, s) for k, s in zip(k, shapes, strict=True)]
        at_x, at_y = (jax.grad(network)(parameters, point) for point in (x, y))
        return sum(jnp.sum(a * b) for a, b in zip(at_x, at_y, strict=True))

    values = np.asarray(jax.vmap(empirical)(jax.random.split(key, draws)))
    error = values.std() / draws**0.5
    expected = kernels.relu_ntk(x, y, sigma_w, sigma_b)
    assert error < 0.01 * expected
    assert abs(values.mean() - expected) < 4 * error
