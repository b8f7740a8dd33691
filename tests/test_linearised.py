"""Frozen kernels: the tangent model against differences, and its gradient against the metric-NTK itself."""

import drawn
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from mfcore import energies, kaehler_networks, linearised, training
from mfcore.hypersurface import Dwork
from mfcore.networks import MLP

QUINTIC = Dwork(5)


@pytest.fixture(scope="module")
def points():
    sample = drawn.points(QUINTIC, 40, 1)
    return training.frame_points(sample, training.exact_kappa(QUINTIC))


@pytest.fixture(scope="module")
def network():
    net = MLP(jax.random.key(0), (25, 6, 5, 1), activation=kaehler_networks.smooth_relu)
    return kaehler_networks.PotentialMetric(net, 0.3)


def whole_jacobian(network, points):
    theta, unravel = ravel_pytree(network)
    jacobian = jax.jit(jax.vmap(lambda jet: jax.jacrev(lambda t: unravel(t).entries(jet))(theta)))(points.jet)
    return jacobian.reshape(-1, len(theta))


def test_tangent_model_is_the_derivative_of_the_network(points, network):
    theta, unravel = ravel_pytree(network)
    w = jax.random.normal(jax.random.key(3), theta.shape)
    model = linearised.TangentMetric(network, w)
    jets, step = points.jet[:5], 1e-6
    at = jax.jit(lambda theta: jax.vmap(unravel(theta).entries)(jets))
    ahead, behind = (at(theta + s * step * w) for s in (1, -1))
    found = jax.jit(jax.vmap(model.entries))(jets)
    np.testing.assert_allclose(found, (ahead - behind) / (2 * step), atol=1e-8)


def test_it_starts_at_fubini_study(points, network):
    found = drawn.ratio(points, linearised.tangent_metric(network))
    np.testing.assert_allclose(found, points.eta, rtol=1e-12)


def test_descent_moves_the_metric_by_the_metric_ntk_of_all_components(points, network):
    """J (-J^T dL/dg) = -Theta dL/dg, with Theta from the dense Jacobian of all nine components."""
    model = linearised.tangent_metric(network)
    few = training.taken(points, slice(0, 8))
    jacobian = whole_jacobian(network, few)
    push = jax.random.normal(jax.random.key(5), (len(jacobian),))  # dL/dg

    @jax.jit
    def entries(w):
        return jax.vmap(eqx.tree_at(lambda m: m.w, model, w).entries)(few.jet).ravel()

    gradient = jax.jit(jax.grad(lambda w: jnp.vdot(push, entries(w))))
    expected = -jacobian @ jacobian.T @ push
    np.testing.assert_allclose(entries(-gradient(model.w)), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.slow
def test_a_fit_lowers_the_loss_and_stays_in_the_span_of_the_kernel(points, network):
    model = linearised.tangent_metric(network)
    path = linearised.fit(model, points, points, points, steps=12, every=5)
    assert path.loss[-1] < 0.3 * path.loss[0]
    np.testing.assert_array_equal(path.at, [0, 5, 10, 12])
    basis = np.linalg.qr(whole_jacobian(network, points).T)[0]
    w = np.asarray(path.model.w)
    np.testing.assert_allclose(basis @ (basis.T @ w), w, atol=1e-10 * np.linalg.norm(w))
    with pytest.raises(ValueError, match="0 steps"):
        linearised.fit(model, points, points, points, steps=0)


@pytest.mark.slow
def test_flow_is_gradient_descent_in_small_steps(points, network):
    """The same time by thousands of explicit steps; the error halves with the length of the implicit ones."""
    model = linearised.tangent_metric(network)

    def loss(w):
        return training.mean_loss(eqx.tree_at(lambda m: m.w, model, w), points, energies.squared)

    # The kernel's size: B times the squared norm of dr/dw, from the dense Jacobian and det' by autodiff.
    entries = jax.vmap(model.entries)(points.jet)
    slope = jax.grad(lambda e: jnp.sum(points.ratio_of(e)))(entries)
    by_w = jnp.einsum("pi,piw->pw", slope, whole_jacobian(network, points).reshape(len(entries), 9, -1))
    size = jnp.mean(points.weight * jnp.sum(by_w**2, axis=1))
    until, steps = 3.0, 4000
    w = model.w
    descend = jax.jit(lambda w: w - until / steps / size * jax.grad(loss)(w) / 2)  # the loss is |r|^2
    for _ in range(steps):
        w = descend(w)
    errors = []
    for count in (40, 80):
        path = linearised.flow(model, points, points, points, until=until, steps=count)
        errors.append(float(jnp.linalg.norm(path.model.w - w) / jnp.linalg.norm(w)))
    assert errors[1] < 0.02
    assert 1.7 < errors[0] / errors[1] < 2.4
    assert path.at[-1] == until
    with pytest.raises(ValueError, match="positive time"):
        linearised.flow(model, points, points, points, until=0.0)


@pytest.mark.slow
def test_flow_does_not_see_the_trace(points, network):
    """A network with alpha three times as large has nine times the kernel, and the same normalised flow."""
    larger = kaehler_networks.PotentialMetric(network.phi, 0.9)
    paths = [
        linearised.flow(linearised.tangent_metric(net), points, points, points, until=10.0, steps=10)
        for net in (network, larger)
    ]
    np.testing.assert_allclose(paths[0].fresh, paths[1].fresh, rtol=1e-9)


@pytest.mark.slow
def test_principal_features_measure_the_kernel(points, network):
    few = training.taken(points, slice(0, 4))
    size, directions = linearised.principal_features(network, few)
    jacobian = whole_jacobian(network, few)
    kernel = np.linalg.eigvalsh(jacobian @ jacobian.T)[::-1]
    np.testing.assert_allclose(size**2, kernel, rtol=1e-8, atol=1e-10 * kernel[0])
    np.testing.assert_allclose(directions @ directions.T, np.eye(len(size)), atol=1e-10)
    # All features together are the whole kernel; one of them moves the metric along that direction only.
    every = linearised.tangent_metric(network, directions)
    assert every.w.shape == size.shape
    one = linearised.TangentMetric(network, jnp.array([2.0]), directions[:1])
    np.testing.assert_allclose(
        jax.vmap(one.entries)(few.jet).ravel(), 2 * jacobian @ directions[0], rtol=1e-9, atol=1e-10
    )
    paths = [
        linearised.flow(model, few, few, few, until=20.0, steps=8)
        for model in (linearised.tangent_metric(network), every)
    ]
    np.testing.assert_allclose(paths[0].loss, paths[1].loss, rtol=1e-7)


def test_the_choice_of_a_step_is_made_on_validation_points():
    path = linearised.Path(np.arange(3.0), np.ones(3), np.array([3.0, 1, 2]), np.array([3.0, 2, 1]), None)
    assert path.chosen() == 1
