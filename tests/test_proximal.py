"""Multipliers of an implicit step against SciPy's bounded minimiser and against linear algebra."""

import jax
import jax.numpy as jnp
import numpy as np
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


def test_a_large_shared_part_changes_the_answer_and_costs_no_accuracy():
    m, excess = problem(seed=2)
    shared = 300 * np.random.default_rng(5).normal(size=(12, 2))
    expected = in_a_box(m + shared @ shared.T, excess)
    assert np.abs(expected - in_a_box(m, excess)).max() > 0.1
    assert_allclose(solve(m, excess, energies.absolute, shared), expected, atol=2e-3)
    expected = np.linalg.solve(np.eye(12) + 2 * (m + shared @ shared.T), 2 * excess)
    assert_allclose(solve(m, excess, energies.squared, shared), expected, atol=2e-3)


def test_squared_loss_is_a_linear_system():
    m, excess = problem(seed=1)
    expected = np.linalg.solve(np.eye(12) + 2 * m, 2 * excess)
    assert_allclose(solve(m, excess, energies.squared), expected, atol=2e-3)


def test_a_diagonal_problem_is_solved_exactly():
    m, excess = np.diag([1.0, 2.0, 4.0]), np.array([0.5, -5.0, 1.0])
    assert_allclose(solve(m, excess, energies.absolute), [0.5, -1, 0.25], rtol=1e-15)


def test_it_compiles_and_ends_where_the_bound_is_zero():
    still = jax.jit(lambda e: solve(np.zeros((2, 2)), e, energies.absolute))(jnp.array([1.0, -2.0]))
    assert_allclose(still, [1, -1])
