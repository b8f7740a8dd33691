"""Frozen kernels: the tangent model against differences, and its gradient against the metric-NTK itself."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from mfcore import kaehler_networks, linearised, sampling, training
from mfcore.hypersurface import Dwork
from mfcore.networks import MLP

QUINTIC = Dwork(5)


@pytest.fixture(scope="module")
def points():
    sample = sampling.random_points(jax.random.key(1), QUINTIC, 40)
    return training.frame_points(sample, training.exact_kappa(QUINTIC))


@pytest.fixture(scope="module")
def network():
    net = MLP(jax.random.key(0), (25, 6, 5, 1), activation=kaehler_networks.smooth_relu)
    return kaehler_networks.PotentialMetric(net, 0.3)


def test_tangent_model_is_the_derivative_of_the_network(points, network):
    theta, unravel = ravel_pytree(network)
    w = jax.random.normal(jax.random.key(3), theta.shape)
    model = linearised.TangentMetric(network, unravel(w))
    for jet in points.jet[:5]:
        step = 1e-6
        ahead, behind = (unravel(theta + s * step * w).entries(jet) for s in (1, -1))
        np.testing.assert_allclose(model.entries(jet), (ahead - behind) / (2 * step), atol=1e-8)


def test_it_starts_at_fubini_study(points, network):
    np.testing.assert_allclose(points.ratio(linearised.tangent_metric(network)), points.eta, rtol=1e-12)


def test_descent_moves_the_metric_by_the_metric_ntk_of_all_components(points, network):
    """J (-J^T dL/dg) = -Theta dL/dg, with Theta from the dense Jacobian of all nine components."""
    model = linearised.tangent_metric(network)
    theta, unravel = ravel_pytree(network)
    few = points.jet[:8]
    jacobian = jax.vmap(lambda jet: jax.jacrev(lambda t: unravel(t).entries(jet))(theta))(few)
    rows = jacobian.reshape(-1, len(theta))
    push = jax.random.normal(jax.random.key(5), (len(rows),))  # dL/dg

    def loss(direction):
        moved = eqx.tree_at(lambda m: m.direction, model, direction)
        return jnp.vdot(push, jax.vmap(moved.entries)(few).ravel())

    downhill = jax.tree.map(jnp.negative, jax.grad(loss)(model.direction))
    moved = eqx.tree_at(lambda m: m.direction, model, downhill)
    expected = -rows @ rows.T @ push
    np.testing.assert_allclose(jax.vmap(moved.entries)(few).ravel(), expected, rtol=1e-9, atol=1e-9)


def test_a_fit_lowers_the_loss_and_stays_in_the_span_of_the_kernel(points, network):
    model = linearised.tangent_metric(network)
    fitted, losses, sigmas = linearised.fit(model, points, points, steps=12)
    assert losses[-1] < 0.3 * losses[0]
    assert sigmas.shape == (12,)
    theta, unravel = ravel_pytree(network)
    jacobian = jax.vmap(lambda jet: jax.jacrev(lambda t: unravel(t).entries(jet))(theta))(points.jet)
    w, _ = ravel_pytree(fitted.direction)
    basis = np.linalg.qr(jacobian.reshape(-1, len(theta)).T)[0]
    np.testing.assert_allclose(basis @ (basis.T @ w), w, atol=1e-10 * np.linalg.norm(w))
    with pytest.raises(ValueError, match="0 steps"):
        linearised.fit(model, points, points, steps=0)
