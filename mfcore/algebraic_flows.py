r"""Flows of the Kaehler potential within the algebraic metrics of one degree (Galerkin).

phi = (1/k) log F with F = sum c_a f_a. The velocity v(eta) of a flow (`mfcore.kaehler_flows.OF_RATIO`) is
projected on the functions f_a / F, least squares over points with the weight of mu_J = eta mu_CY, up to a
constant; the projection is dc/dt. A flow ends where the projection vanishes. Paper appendix B.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import diffrax
import jax
import jax.numpy as jnp

from mfcore._typing import Array, Float
from mfcore.algebraic_metrics import AlgebraicMetric
from mfcore.energies import sigma
from mfcore.reference_metrics import Problem, problem_of
from mfcore.training import FramePoints


class Path(NamedTuple):
    """The metric at the end, and sigma and the ultra-local energy over the points at the times asked for."""

    metric: AlgebraicMetric
    sigma: Float[Array, " times"]
    energy: Float[Array, " times"]


def follow(
    points: FramePoints,
    degree: int,
    k: int,
    velocity: Callable[[Array], Array],
    times: Float[Array, " times"],
    *,
    tolerance: float = 1e-9,
) -> Path:
    """The flow from Fubini-Study, with what it passes at the given times, of which the first is 0."""
    if len(times) < 2 or times[0] != 0 or not jnp.all(jnp.diff(times) > 0):
        raise ValueError(f"times {times}: need 0, then later ones in rising order")
    problem = problem_of(points, k)
    x = _passed(problem, velocity, times, tolerance)
    eta = jax.vmap(problem.ratios)(x)
    return Path(
        AlgebraicMetric(problem.coefficients(x[-1]), degree, k),
        jax.vmap(lambda eta: sigma(eta, problem.weight))(eta),
        jnp.mean(problem.weight * (eta - 1) ** 2, axis=1),
    )


@partial(jax.jit, static_argnums=1)
def _passed(problem: Problem, velocity: Callable, times: Array, tolerance: Array | float) -> Array:
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(lambda _, x, problem: _projected(problem, velocity, x)),
        diffrax.Tsit5(),
        times[0],
        times[-1],
        None,
        jnp.zeros(problem.jets.shape[2]),
        problem,
        saveat=diffrax.SaveAt(ts=times),
        stepsize_controller=diffrax.PIDController(rtol=tolerance, atol=tolerance),
        max_steps=100_000,
    )
    assert solution.ys is not None
    return solution.ys


def _projected(problem: Problem, velocity: Callable, x: Float[Array, " directions"]) -> Array:
    """dx/dt, least squares over the points with weight mu_J."""
    eta = problem.ratios(x)
    weight = jnp.sqrt(problem.weight * eta)[:, None]
    f = problem.base[:, :1] + problem.jets[:, 0] @ x[:, None]
    columns = jnp.concatenate([problem.jets[:, 0] / (problem.k * f), jnp.ones_like(f)], axis=1)
    q, r = jnp.linalg.qr(weight * columns)
    return jax.scipy.linalg.solve_triangular(r, q.T @ (weight[:, 0] * velocity(eta)))[:-1]
