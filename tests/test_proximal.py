"""Multipliers of an implicit step against SciPy's bounded minimiser and against linear algebra."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize

from mfcore import energies, proximal


def problem(n=12, seed=0):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(n, n))
    return a @ a.T / n + 0.1 * np.eye(n), 2 * rng.normal(size=n)


def solve(m, excess, loss, shared=None):
    bound = np.abs(m).sum(axis=1)
    shared = jnp.zeros((len(excess), 1)) if shared is None else jnp.asarray(shared)
    m, excess = jnp.asarray(m), jnp.asarray(excess)
    return proximal.end_multipliers(
        lambda s: m @ s, jnp.asarray(bound), shared, excess, jnp.zeros_like(excess), loss.dual_proximal
    )


def in_a_box(m, excess):
    """The minimiser of s m s / 2 - s excess in [-1, 1]^n, with some entries at the walls and some not."""
    s = minimize(
        lambda s: s @ m @ s / 2 - s @ excess,
        np.zeros(12),
        jac=lambda s: m @ s - excess,
        bounds=[(-1, 1)] * 12,
        method="L-BFGS-B",
        options={"ftol": 1e-15, "gtol": 1e-10},
    ).x
    assert 0 < np.sum(np.abs(s) > 0.999) < 12
    return s


def test_sigma_loss_is_a_quadratic_program_in_a_box():
    m, excess = problem()
    assert_allclose(solve(m, excess, energies.absolute), in_a_box(m, excess), atol=2e-3)


@pytest.mark.parametrize("size", [0.5, 300])
def test_a_shared_part_of_any_size_is_solved_with_the_rest(size):
    m, excess = problem(seed=2)
    shared = size * np.random.default_rng(5).normal(size=(12, 2))
    for loss, solved in (
        (energies.absolute, in_a_box),
        (energies.squared, lambda m, excess: np.linalg.solve(np.eye(12) + 2 * m, 2 * excess)),
    ):
        expected = solved(m + shared @ shared.T, excess)
        # A tenth less of it, or more, would be seen where it is not so large that s must be normal to it.
        assert np.abs(expected - solved(m, excess)).max() > 0.1
        if size < 1:
            assert np.abs(expected - solved(m + 0.9 * shared @ shared.T, excess)).max() > 0.008
        assert_allclose(solve(m, excess, loss, shared), expected, atol=2e-3)


def test_squared_loss_is_a_linear_system():
    m, excess = problem(seed=1)
    expected = np.linalg.solve(np.eye(12) + 2 * m, 2 * excess)
    assert_allclose(solve(m, excess, energies.squared), expected, atol=2e-3)


def test_a_diagonal_problem_is_solved_exactly():
    m, excess = np.diag([1.0, 2.0, 4.0]), np.array([0.5, -5.0, 1.0])
    assert_allclose(solve(m, excess, energies.absolute), [0.5, -1, 0.25], rtol=1e-15)


def test_it_ends_after_the_iterations_asked():
    """From zero the first iterate is the proximal map of excess / bound, whatever the rest."""
    m, excess = problem()
    bound = np.abs(m).sum(axis=1)
    once = proximal.end_multipliers(
        lambda s: jnp.asarray(m) @ s,
        *(jnp.asarray(bound), jnp.zeros((12, 1)), jnp.asarray(excess), jnp.zeros(12)),
        energies.absolute.dual_proximal,
        iterations=1,
    )
    assert_allclose(once, np.clip(excess / bound, -1, 1))
    assert np.abs(once - solve(m, excess, energies.absolute)).max() > 0.05


def test_it_compiles_and_ends_where_the_bound_is_zero():
    still = jax.jit(lambda e: solve(np.zeros((2, 2)), e, energies.absolute))(jnp.array([1.0, -2.0]))
    assert_allclose(still, [1, -1])
