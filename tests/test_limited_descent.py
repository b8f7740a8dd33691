"""Normalised and clipped descent, against updates worked out in NumPy."""

import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from mfcore import flows
from mfcore.limited_descent import limited_descent


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(4, 2, 2)) + 1j * rng.normal(size=(4, 2, 2))
    start = a @ a.conj().swapaxes(1, 2) + np.eye(2)
    b = rng.normal(size=(4, 4))
    return b @ b.T, start, np.exp(1j * rng.normal(size=4)), 2.0


def gradient(start, omega, kappa):
    eta = np.linalg.det(start).real / abs(omega) ** 2 / kappa
    return (np.sign(eta - 1) * eta)[:, None, None] * np.linalg.inv(start)


def run(problem, scheme, rate, limit=0.1, steps=1):
    kernel, start, omega, kappa = problem
    arrays = (jnp.asarray(a) for a in (kernel, start, omega))
    return limited_descent(*arrays, kappa, scheme=scheme, rate=rate, largest_change=limit, steps=steps)


def test_a_normalised_update_has_its_largest_entry_at_the_rate(problem):
    kernel, start, *rest = problem
    update = np.einsum("ab,bij->aij", kernel, gradient(start, *rest))
    flow = run(problem, "normalised", 0.01)
    assert_allclose(flow.metric, start - 0.01 * update / np.abs(update).max(), rtol=1e-12)


def test_a_clipped_update_is_the_plain_one_where_that_is_small_and_else_of_the_largest_change(problem):
    kernel, start, *rest = problem
    update = np.einsum("ab,bij->aij", kernel, gradient(start, *rest))
    assert_allclose(run(problem, "clipped", 1e-5).metric, start - 1e-5 * update, rtol=1e-12)
    moved = np.asarray(run(problem, "clipped", 100.0).metric) - start
    # |g^(-1/2) dg g^(-1/2)|^2 = tr(g^(-1) dg g^(-1) dg)
    relative = np.linalg.inv(start) @ moved
    assert_allclose(np.sqrt(np.trace(relative @ relative, axis1=1, axis2=2).real).max(), 0.1, rtol=1e-10)
    assert_allclose(moved / moved[0, 0, 0], update / update[0, 0, 0], rtol=1e-10)


def test_the_corrections_give_the_metric_and_the_history_its_losses(problem):
    kernel, start, omega, kappa = problem
    flow = run(problem, "clipped", 1.0, steps=5)
    assert_allclose(
        flows.predict(jnp.asarray(kernel), jnp.asarray(start), flow).metric, flow.metric, rtol=1e-12
    )
    eta = np.linalg.det(flow.metric).real / abs(omega) ** 2 / kappa
    assert_allclose(flow.loss[-1], np.abs(eta - 1).mean(), rtol=1e-12)
    assert flow.status == "took its 5 steps"
    assert len(flow.loss) == 6


def test_it_stops_where_a_metric_leaves_the_cone_and_refuses_unknown_schemes(problem):
    flow = run(problem, "normalised", 100.0, steps=5)
    assert flow.status == "left the positive cone after 1 steps"
    assert not np.linalg.eigvalsh(flow.metric).min() > 0
    with pytest.raises(ValueError, match="need one of"):
        run(problem, "cautious", 1.0)
