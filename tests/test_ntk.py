"""The metric-NTK against finite differences, a linear model, a dense sum, and neural-tangents."""

import sys
import types
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from numpy.testing import assert_allclose, assert_array_equal

from mfcore import networks, ntk


def metric(module, x):
    return module(x)


def linear(params, x):
    """g(x) = sum_I theta_I f_I(x) S_I, with f = (1, x_0, x_1)."""
    return jnp.einsum("p,p,pij->ij", params["theta"], features(x), params["fixed"])


def features(x):
    return jnp.array([1.0, x[0], x[1]])


SYMMETRIC = np.array([[[1, 0], [0, 0]], [[0, 1], [1, 0]], [[2, 1], [1, 3]]])


@pytest.fixture
def torus(key):
    return networks.TorusMetric(key, 2, (6, 5), scale=1.0)


@pytest.fixture
def points():
    return jax.random.uniform(jax.random.key(1), (7, 2), maxval=2 * jnp.pi)


@pytest.mark.slow
def test_jacobian_by_finite_differences(torus, points):
    theta, unravel = ravel_pytree(torus)
    jacobian = ntk.parameter_jacobian(metric, torus, points[0])
    assert jacobian.shape == (2, 2, len(theta))
    steps = 1e-5 * jnp.eye(len(theta))
    moved = [jax.vmap(lambda s, sign=sign: unravel(theta + sign * s)(points[0]))(steps) for sign in (1, -1)]
    assert_allclose(jacobian, np.moveaxis((moved[0] - moved[1]) / 2e-5, 0, -1), atol=1e-10)


def test_kernel_of_a_linear_model_by_hand():
    """Theta_ijkl(x, y) = sum_I f_I(x) f_I(y) S_I,ij S_I,kl, whatever theta is; what is no float is fixed."""
    params = {"theta": jnp.array([0.3, -2.0, 1.0]), "fixed": jnp.asarray(SYMMETRIC)}
    x, y = jnp.array([0.5, -1.0]), jnp.array([2.0, 3.0])
    expected = sum(
        f * np.multiply.outer(s, s) for f, s in zip((1, 0.5 * 2, -1.0 * 3), SYMMETRIC, strict=True)
    )
    assert_allclose(ntk.metric_ntk(linear, params, x, y), expected, rtol=1e-14)


def test_gram_tensor_is_the_kernel_of_each_pair(torus, points):
    tensor = ntk.gram_tensor(metric, torus, points[:3], points[3:])
    assert tensor.shape == (3, 4, 2, 2, 2, 2)
    for a, b in np.ndindex(3, 4):
        assert_allclose(
            tensor[a, b], ntk.metric_ntk(metric, torus, points[a], points[3 + b]), rtol=1e-12, atol=1e-14
        )


def test_gram_matrix_orders_rows_by_point_then_component(torus, points):
    tensor = ntk.gram_tensor(metric, torus, points[:3], points[3:])
    matrix = ntk.gram_matrix(tensor)
    assert matrix.shape == (12, 16)
    for a, i, j, b, k, m in np.ndindex(3, 2, 2, 4, 2, 2):
        assert matrix[4 * a + 2 * i + j, 4 * b + 2 * k + m] == tensor[a, b, i, j, k, m]


def test_symmetries_and_positivity(torus, points):
    tensor = np.asarray(ntk.gram_tensor(metric, torus, points, points))
    assert_array_equal(tensor, tensor.swapaxes(2, 3))
    assert_allclose(tensor, tensor.transpose(1, 0, 4, 5, 2, 3), atol=1e-14)
    assert abs(tensor - tensor.transpose(0, 1, 4, 5, 2, 3)).max() > 1e-3  # pairs go with their points
    eigenvalues = np.linalg.eigvalsh(ntk.gram_matrix(jnp.asarray(tensor)))
    assert eigenvalues.min() > -1e-13 * eigenvalues.max()


def test_velocity_is_the_dense_sum_over_the_batch(torus, points):
    targets, batch = points[:3], points[2:]
    derivatives = jax.random.normal(jax.random.key(2), (5, 2, 2))
    weights = jnp.array([0.1, 2.0, 1.0, 0.5, -1.0])
    tensor = ntk.gram_tensor(metric, torus, targets, batch)
    expected = -np.einsum("abijkl,bkl,b->aij", tensor, derivatives, weights)
    assert_allclose(
        ntk.flow_velocity(metric, torus, targets, batch, derivatives, weights), expected, rtol=1e-12
    )


def test_velocity_is_what_gradient_descent_does(torus, points):
    """One small step of the parameters, loss and all differentiated as a whole."""
    targets, batch, rate = points[:3], points[2:], 1e-6

    def pointwise(g):
        return jnp.linalg.det(g) ** 2 + jnp.sin(g[0, 1])

    def loss(module):
        return jnp.sum(jax.vmap(lambda x: pointwise(module(x)))(batch))

    step = jax.tree.map(lambda g: -rate * g, eqx.filter_grad(loss)(torus))
    change = (jax.vmap(eqx.apply_updates(torus, step))(targets) - jax.vmap(torus)(targets)) / rate
    derivatives = jax.vmap(partial(ntk.loss_derivative, pointwise))(jax.vmap(torus)(batch))
    velocity = ntk.flow_velocity(metric, torus, targets, batch, derivatives, jnp.ones(5))
    assert_allclose(velocity, change, rtol=1e-4, atol=1e-4)
    assert abs(velocity).max() > 1


@pytest.mark.slow
def test_points_may_carry_their_chart(key):
    sphere = networks.SphereMetric(key, (6,))
    x = jax.random.normal(jax.random.key(1), (4, 2))
    pole = jnp.array([1.0, -1.0, 1.0, -1.0])

    def in_chart(module, point):
        return module(*point)

    tensor = ntk.gram_tensor(in_chart, sphere, (x, pole), (x, pole))
    pair = ntk.metric_ntk(in_chart, sphere, (x[1], pole[1]), (x[2], pole[2]))
    assert_allclose(tensor[1, 2], pair, rtol=1e-12)
    derivatives = jax.random.normal(key, (4, 2, 2))
    velocity = ntk.flow_velocity(in_chart, sphere, (x, pole), (x, pole), derivatives, jnp.ones(4))
    assert_allclose(velocity, -np.einsum("abijkl,bkl->aij", tensor, derivatives), rtol=1e-12)


@pytest.mark.slow
def test_each_index_pair_transforms_at_its_own_point(key):
    """One network in two charts: no formula of `transform` enters the kernels compared."""
    sphere = networks.SphereMetric(key, (6,))
    x, y = jnp.array([0.3, 1.1]), jnp.array([-0.8, 0.4])

    def in_chart(pole):
        return lambda module, x: module(x, pole)

    at_x, at_y = (ntk.parameter_jacobian(in_chart(1.0), sphere, point) for point in (x, y))
    x_south = networks.other_chart(x)
    new = jnp.einsum("ijp,klp->ijkl", ntk.parameter_jacobian(in_chart(-1.0), sphere, x_south), at_y)
    old = jnp.einsum("ijp,klp->ijkl", at_x, at_y)
    jacobian = jax.jacfwd(networks.other_chart)(x_south)
    assert_allclose(ntk.transform(old, jacobian, jnp.eye(2)), new, rtol=1e-12)
    by_all_four = ntk.transform(old, jacobian, jacobian)
    assert abs(by_all_four - new).max() > 0.1 * abs(new).max()
    random = jax.random.normal(key, (4, 2, 2))
    expected = np.einsum(
        "ai,bj,ck,dl,ab,cd->ijkl", random[0], random[0], random[1], random[1], random[2], random[3]
    )
    product = jnp.einsum("ab,cd->abcd", random[2], random[3])
    assert_allclose(ntk.transform(product, random[0], random[1]), expected, rtol=1e-12)


def test_loss_derivative_is_symmetric_and_pairs_with_symmetric_changes():
    """l = det g: G = det g g^(-1); l = g_01 alone: 1/2 at both places, though only one is written."""
    g = jnp.array([[2.0, 0.3], [0.3, 1.0]])
    assert_allclose(ntk.loss_derivative(jnp.linalg.det, g), np.linalg.det(g) * np.linalg.inv(g), rtol=1e-14)
    assert_array_equal(ntk.loss_derivative(lambda g: g[0, 1], g), [[0, 0.5], [0.5, 0]])


@pytest.mark.parametrize("parameterisation", ["ntk", "standard"])
def test_against_neural_tangents(key, points, parameterisation):
    name = "neural_tangents.experimental"  # only this part needs TensorFlow
    sys.modules.setdefault(name, types.ModuleType(name))
    nt = pytest.importorskip("neural_tangents")
    torus = networks.TorusMetric(key, 2, (6, 5), scale=1.0, parameterisation=parameterisation)
    trained, fixed = eqx.partition(torus, eqx.is_inexact_array)
    kernel_fn = nt.empirical_ntk_fn(
        lambda params, xs: jax.vmap(eqx.combine(params, fixed))(xs).reshape(len(xs), 4),
        trace_axes=(),
        vmap_axes=0,
        implementation=nt.NtkImplementation.JACOBIAN_CONTRACTION,
    )
    library = kernel_fn(points[:3], points[3:], trained)
    ours = ntk.gram_tensor(metric, torus, points[:3], points[3:])
    assert_allclose(ours.reshape(3, 4, 4, 4), library, rtol=1e-10, atol=1e-13)
