"""Infinitely wide networks against closed forms by hand, neural-tangents, finite differences, and draws."""

from importlib.util import find_spec

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.linalg import expm

from mfcore import infinite_networks

needs_library = pytest.mark.skipif(
    find_spec("neural_tangents") is None, reason="neural-tangents is not installed"
)

LAYERS = {"weight_std": 1.7, "bias_std": 0.6, "output_std": 0.8}
embed = jax.vmap(infinite_networks.torus_embedding)


@pytest.fixture
def train():
    return embed(jax.random.uniform(jax.random.key(1), (5, 2), maxval=2 * np.pi))


@pytest.fixture
def points():
    return embed(jax.random.uniform(jax.random.key(2), (4, 2), maxval=2 * np.pi))


@pytest.fixture
def target():
    return jax.random.normal(jax.random.key(3), (5, 3))


def by_hand(parameters, x):
    (weight, bias), _, (out, _) = parameters
    hidden = LAYERS["weight_std"] / 2 * x @ weight + LAYERS["bias_std"] * bias
    return LAYERS["output_std"] / weight.shape[1] ** 0.5 * jax.scipy.special.erf(hidden) @ out


def kernels_by_hand(x, y):
    """Gaussian integrals of the error function and its derivative, for one hidden layer."""
    (w, b, o) = LAYERS.values()
    cross = w**2 / 4 * x @ y.T + b**2
    at_x, at_y = (np.array([w**2 / 4 * p @ p + b**2 for p in side]) for side in (x, y))
    product = (1 + 2 * at_x)[:, None] * (1 + 2 * at_y)
    nngp = o**2 * 2 / np.pi * np.arcsin(2 * cross / np.sqrt(product))
    return nngp + o**2 * 4 / np.pi * cross / np.sqrt(product - 4 * cross**2), nngp


def test_torus_embedding_is_periodic_and_by_hand():
    x = jnp.array([0.3, 1.1])
    assert_allclose(
        infinite_networks.torus_embedding(x), [np.cos(0.3), np.cos(1.1), np.sin(0.3), np.sin(1.1)], rtol=1e-15
    )
    moved = infinite_networks.torus_embedding(x + 2 * np.pi * jnp.array([1, -2]))
    assert_allclose(moved, infinite_networks.torus_embedding(x), atol=1e-14)


@needs_library
def test_network_is_the_formula(key, points):
    network = infinite_networks.dense_network(7, **LAYERS)
    parameters = network.initialise(key)
    assert_allclose(network.apply(parameters, points), by_hand(parameters, points), rtol=1e-12)


@needs_library
def test_hidden_layers_features_and_outputs_are_as_asked(key):
    network = infinite_networks.dense_network(6, features=2, outputs=1, hidden_layers=2, **LAYERS)
    parameters = network.initialise(key)
    shapes = [a.shape for a in jax.tree.leaves(parameters) if a.shape[0] > 1]
    assert shapes == [(2, 6), (6, 6), (6, 1)]
    assert network.apply(parameters, jnp.ones((3, 2))).shape == (3, 1)


@pytest.mark.parametrize(("width", "layers"), [(0, 1), (4, 0)])
def test_a_network_without_neurons_is_refused(width, layers):
    with pytest.raises(ValueError, match="at least one"):
        infinite_networks.dense_network(width, hidden_layers=layers, **LAYERS)


@needs_library
def test_infinite_kernels_are_the_gaussian_integrals(points, train):
    network = infinite_networks.dense_network(3, **LAYERS)
    ntk, nngp = infinite_networks.infinite_kernels(network, points, train)
    expected_ntk, expected_nngp = kernels_by_hand(np.asarray(points), np.asarray(train))
    assert_allclose(ntk, expected_ntk, rtol=1e-12)
    assert_allclose(nngp, expected_nngp, rtol=1e-12)


@pytest.mark.slow
@needs_library
def test_empirical_ntk_is_the_sum_over_parameters(key, points, train):
    network = infinite_networks.dense_network(7, **LAYERS)
    parameters = network.initialise(key)
    at_x, at_y = (
        jax.tree.leaves(jax.jacrev(by_hand)(parameters, side)) for side in (points, train)
    )  # arrays (points, outputs, ...)
    expected = sum(
        jnp.einsum("xai,ybi->xyab", a.reshape(4, 3, -1), b.reshape(5, 3, -1))
        for a, b in zip(at_x, at_y, strict=True)
    )
    found = infinite_networks.empirical_ntk(network.apply, parameters, points, train)
    assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.slow
@needs_library
def test_mean_and_covariance_of_draws_are_the_infinite_kernels(points):
    """With one hidden layer both are unbiased at any width; different outputs do not correlate."""
    network = infinite_networks.dense_network(8, **LAYERS)

    def of_net(key):
        parameters = network.initialise(key)
        outputs = network.apply(parameters, points)
        kernel = infinite_networks.empirical_ntk(network.apply, parameters, points, points)
        return kernel, jnp.einsum("xa,yb->xyab", outputs, outputs)

    values = jax.jit(jax.vmap(of_net))(jax.random.split(jax.random.key(7), 4000))
    expected = infinite_networks.infinite_kernels(network, points, points)
    for value, kernel in zip(values, expected, strict=True):
        error = np.std(value, axis=0) / 4000**0.5
        assert error.max() < 0.05 * kernel.max()
        assert np.max(abs(np.mean(value, axis=0) - kernel[..., None, None] * np.eye(3)) / error) < 4.5


@needs_library
def test_linearisation_is_tangent_and_affine_with_a_constant_kernel(points):
    network = infinite_networks.dense_network(7, **LAYERS)
    parameters, direction = (network.initialise(jax.random.key(seed)) for seed in (4, 5))
    linear = infinite_networks.linearised(network.apply, parameters)

    def moved(size):
        return jax.tree.map(lambda a, b: a + size * b, parameters, direction)

    def error(size):
        return jnp.linalg.norm(network.apply(moved(size), points) - linear(moved(size), points))

    assert 90 < error(1e-2) / error(1e-3) < 110  # what is dropped is of second order
    middle = (linear(moved(0.0), points) + linear(moved(2.0), points)) / 2
    assert_allclose(linear(moved(1.0), points), middle, rtol=1e-10)
    there = infinite_networks.empirical_ntk(linear, moved(1.0), points, points)
    here = infinite_networks.empirical_ntk(network.apply, parameters, points, points)
    own = infinite_networks.empirical_ntk(network.apply, moved(1.0), points, points)
    assert_allclose(there, here, rtol=1e-10, atol=1e-13)
    assert jnp.linalg.norm(own - here) > 0.1 * jnp.linalg.norm(here)


@pytest.mark.slow
@needs_library
def test_parameters_of_the_linear_network_follow_the_flow_with_its_kernel(key, points, train, target):
    network = infinite_networks.dense_network(6, **LAYERS)
    parameters = network.initialise(key)
    linear = infinite_networks.linearised(network.apply, parameters)
    times = jnp.array([0.0, 0.5, 3.0])
    path = infinite_networks.gradient_flow(linear, parameters, train, target, times)
    everywhere = jnp.concatenate([train, points])
    found = jax.vmap(lambda p: linear(p, everywhere))(path)
    kernel = infinite_networks.empirical_ntk(network.apply, parameters, everywhere, train)
    matrix = kernel.transpose(0, 2, 1, 3).reshape(27, 15)  # components mix: they share an index with points
    start = network.apply(parameters, everywhere).reshape(27, 1)
    expected = infinite_networks.frozen_flow(
        matrix, matrix[:15], start, start[:15], target.reshape(15, 1), times
    )
    assert_allclose(found.reshape(3, 27, 1), expected, atol=2e-6)
    assert jnp.max(abs(found[2] - found[0])) > 0.1


@pytest.mark.slow
def test_gradient_flow_is_many_small_steps_and_the_error_falls_with_the_tolerance(key, train, target):
    weight, bias, out = (jax.random.normal(key, shape) for shape in ((4, 6), (6,), (6, 3)))
    parameters = [(weight, bias), (), (out, None)]  # as neural-tangents orders them

    def outputs_at(tolerance):
        path = infinite_networks.gradient_flow(
            by_hand, parameters, train, target, jnp.array([0.0, 1.0]), tolerance
        )
        return by_hand(jax.tree.map(lambda a: a[-1], path), train)

    def loss(parameters):
        return jnp.sum((by_hand(parameters, train) - target) ** 2) / 2

    def descended(steps):
        def step(_, p):
            return jax.tree.map(lambda a, b: a - b / steps, p, jax.grad(loss)(p))

        return by_hand(jax.jit(lambda p: jax.lax.fori_loop(0, steps, step, p))(parameters), train)

    # Euler's error is of first order: two step sizes extrapolate to none.
    extrapolated = 2 * descended(4000) - descended(2000)
    fine, coarse = outputs_at(1e-9), outputs_at(1e-3)
    assert_allclose(fine, extrapolated, atol=1e-6)
    assert jnp.max(abs(coarse - extrapolated)) > 3e-6


def test_frozen_flow_drifts_where_the_train_points_never_move():
    """A kernel that vanishes on the train points, not off them: a constant force, so a straight line."""
    kernel = jnp.array([[0.0, 0.0], [0.0, 0.0], [0.5, 2.0]])
    start, target = jnp.array([[1.0], [2.0], [3.0]]), jnp.array([[0.0], [1.5]])
    found = infinite_networks.frozen_flow(
        kernel, kernel[:2], start, start[:2], target, jnp.array([0.0, 1.0, 4.0])
    )
    assert_allclose(found[:, :, 0], [[1, 2, 3], [1, 2, 1.5], [1, 2, -3]], rtol=1e-14)


def test_frozen_flow_is_the_matrix_exponential():
    random = np.random.default_rng(0)
    factor = random.normal(size=(6, 2))  # rank two: some modes never move
    kernel = jnp.asarray(factor @ factor.T)
    start, target = (jnp.asarray(random.normal(size=(n, 2))) for n in (6, 4))
    times = jnp.array([0.0, 0.7, 2.5])
    found = infinite_networks.frozen_flow(kernel[:, :4], kernel[:4, :4], start, start[:4], target, times)
    for t, path in zip(times, found, strict=True):
        # The linear system for all points at once, with the train points' residual inside.
        generator = np.zeros((6, 6))
        generator[:, :4] = -kernel[:, :4]
        held = np.concatenate([target, np.zeros((2, 2))])
        expected = held + expm(generator * float(t)) @ (start - held)
        assert_allclose(path, expected, atol=1e-12)


@pytest.mark.slow
@needs_library
def test_moments_are_those_of_neural_tangents(points, train, target):
    network = infinite_networks.dense_network(4, hidden_layers=2, **LAYERS)
    times = jnp.array([0.0, 0.3, 5.0])
    ours = infinite_networks.flow_of_moments(network, points, train, target, times)
    library = infinite_networks.flow_of_moments_by_library(network, points, train, target, times)
    assert_allclose(ours.mean, library.mean, atol=1e-12)
    assert_allclose(ours.covariance, library.covariance, atol=1e-12)
    assert jnp.max(abs(ours.mean[2])) > 0.1


@pytest.mark.slow
@needs_library
def test_moments_are_those_of_random_starts_under_the_frozen_flow(points, train, target):
    """Starts drawn from the Gaussian process of K, each moved by the frozen flow."""
    network = infinite_networks.dense_network(4, **LAYERS)
    everywhere = jnp.concatenate([train, points])
    times = jnp.array([0.0, 0.5, 2.0])
    theta, nngp = infinite_networks.infinite_kernels(network, everywhere, everywhere)
    root = np.linalg.cholesky(nngp + 1e-12 * np.eye(9))
    starts = jnp.asarray(np.einsum("xy,nya->nxa", root, np.random.default_rng(1).normal(size=(4000, 9, 3))))

    def path(start):
        return infinite_networks.frozen_flow(theta[:, :5], theta[:5, :5], start, start[:5], target, times)

    paths = jax.vmap(path)(starts)
    moments = infinite_networks.flow_of_moments(network, everywhere, train, target, times)
    error = np.std(paths, axis=0) / 4000**0.5
    assert np.max(abs(paths.mean(axis=0) - moments.mean) / error) < 4.5
    off = np.asarray(paths - moments.mean)
    products = np.einsum("ntxa,ntya->ntxy", off, off) / 3
    error = products.std(axis=0) / 4000**0.5
    assert np.max(abs(products.mean(axis=0) - moments.covariance) / error) < 4.5


@needs_library
def test_at_late_times_the_flow_interpolates_without_scatter(train, target):
    network = infinite_networks.dense_network(4, **LAYERS)
    moments = infinite_networks.flow_of_moments(network, train, train, target, jnp.array([1e4]))
    assert_allclose(moments.mean[0], target, atol=1e-8)
    assert_allclose(moments.covariance[0], 0, atol=1e-8)
