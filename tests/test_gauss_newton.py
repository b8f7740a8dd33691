"""Gauss-Newton steps: their Jacobian against autodiff of the whole, and the exact step on a small problem."""

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

from mfcore import gauss_newton, kaehler_networks, training
from mfcore.hypersurface import Dwork
from mfcore.networks import MLP

QUINTIC = Dwork(5)


@pytest.fixture(scope="module")
def points():
    sample = drawn.points(QUINTIC, 40, 1)
    return training.frame_points(sample, training.exact_kappa(QUINTIC))


@pytest.fixture(scope="module")
def model():
    net = MLP(jax.random.key(0), (25, 6, 1), activation=kaehler_networks.smooth_relu)
    return kaehler_networks.PotentialMetric(net, 0.3)


def test_jacobian_is_that_of_the_residuals(points, model):
    theta, unravel = ravel_pytree(model)

    def residuals(theta):
        return jnp.sqrt(points.weight / len(points.weight)) * (points.ratio(unravel(theta)) - 1)

    r, jacobian = gauss_newton.residual_jacobian(model, points)
    np.testing.assert_allclose(r, jax.jit(residuals)(theta), rtol=1e-12)
    np.testing.assert_allclose(jacobian, jax.jit(jax.jacfwd(residuals))(theta), rtol=1e-9, atol=1e-14)


def test_step_is_the_damped_least_squares_solution(points, model):
    """(J^T J + lambda) step = J^T r, the normal equations that the kernel form is another way to solve."""
    settings = gauss_newton.Settings(damping=1e-2, kept=0.0)
    theta, _ = ravel_pytree(model)
    moved, change, loss = gauss_newton.step(model, jnp.zeros_like(theta), points, 0.5, settings)
    r, jacobian = gauss_newton.residual_jacobian(model, points)
    damping = 1e-2 * jnp.sum(jacobian**2) / len(r)
    expected = jnp.linalg.solve(jacobian.T @ jacobian + damping * jnp.eye(len(theta)), jacobian.T @ r)
    np.testing.assert_allclose(change, expected, rtol=1e-6, atol=1e-10)
    np.testing.assert_allclose(ravel_pytree(moved)[0], theta - 0.5 * expected, rtol=1e-6, atol=1e-10)
    np.testing.assert_allclose(loss, jnp.sum(r**2), rtol=1e-12)


@pytest.mark.slow
def test_what_the_batch_does_not_see_of_the_last_step_is_kept(points, model):
    """Along the null space of J the last step goes on, shrunk; elsewhere the batch decides."""
    theta, _ = ravel_pytree(model)
    few = training.taken(points, slice(0, 10))
    r, jacobian = gauss_newton.residual_jacobian(model, few)
    last = jax.random.normal(jax.random.key(4), theta.shape)
    _, change, _ = gauss_newton.step(model, last, few, 1.0, gauss_newton.Settings(1e-12, 0.9))
    null = jnp.eye(len(theta)) - jnp.linalg.pinv(jacobian) @ jacobian
    np.testing.assert_allclose(null @ change, 0.9 * null @ last, atol=1e-6)
    np.testing.assert_allclose(jacobian @ change, r, atol=1e-6)


@pytest.mark.slow
def test_training_by_gauss_newton_gains_and_a_killed_run_goes_on(points, model, tmp_path, monkeypatch):
    method = gauss_newton.gauss_newton(optax.linear_schedule(0.5, 0.0, 24), gauss_newton.Settings(1e-2, 0.9))

    def run(checkpoint=None, method=method):
        key = jax.random.key(3)
        options = {"method": method, "epochs": 8, "batch_size": 20, "checkpoint": checkpoint}
        return training.train(model, points, points, key, **options)

    whole = run()
    assert whole.sigma[-1] < 0.3 * float(training.held_out(model, points))
    keep, kept = training._keep, []

    def killed_after_three(*arguments):
        keep(*arguments)
        kept.append(1)
        if len(kept) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(training, "_keep", killed_after_three)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run.npz")
    monkeypatch.undo()
    resumed = run(tmp_path / "run.npz")
    for ours, theirs in zip(*(jax.tree.leaves(r.model) for r in (whole, resumed)), strict=True):
        assert jnp.array_equal(ours, theirs)
    other = gauss_newton.gauss_newton(optax.constant_schedule(0.5), gauss_newton.Settings(1e-3, 0.9))
    with pytest.raises(ValueError, match="is of another run"):
        run(tmp_path / "run.npz", other)
