r"""Ricci flow on a torus: Hamilton's, DeTurck's, Perelman's, and the conformal one with its non-local kin.

Hamilton: dg/dt = -2 Ric. DeTurck: dg/dt = -2 Ric + L_W g with W^k = g^ij Gamma^k_ij (flat background), which
is parabolic. Perelman: dg/dt = -2 (Ric + nabla nabla phi) at fixed e^-phi dV, whose forward problem is
ill-posed; `perelman_solution` makes its solutions from well-posed ones: DeTurck's flow forward, the conjugate
heat equation backward, then a diffeomorphism. All in Diffrax, float64. Paper section 2.4.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import diffrax
import jax
import jax.numpy as jnp

from mfcore import torus
from mfcore._typing import Array, Float, PyTree

State = PyTree[Array]


class PerelmanSolution(NamedTuple):
    """A solution of Perelman's flow on 0 <= t <= duration.

    ``density`` is m of e^-phi dV = m dx, the same at all times; ``start`` and ``metric`` are g at times 0 and
    ``duration``; ``hamilton`` and ``deturck`` are the other two flows of the same start at the end, all three
    one metric in different coordinates: ``diffeomorphism`` is where each grid point of ``metric`` lies in
    those of ``deturck``. ``functional`` is F along the way, at ``times``, in DeTurck's coordinates.
    """

    density: Float[Array, "..."]
    start: Float[Array, "..."]
    metric: Float[Array, "..."]
    hamilton: Float[Array, "..."]
    deturck: Float[Array, "..."]
    diffeomorphism: Float[Array, "..."]
    times: Float[Array, " times"]
    functional: Float[Array, " times"]


def integrate(
    velocity: Callable[[State], State],
    start: State,
    duration: float,
    *,
    steps: int,
    method: diffrax.AbstractSolver | None = None,
) -> State:
    """The state at the end of a flow, by equal steps (Tsitouras' method of order 5 unless told otherwise)."""
    if not (duration > 0 and steps >= 1):
        raise ValueError(
            f"duration {duration!r}, steps {steps!r}: need a positive time and at least one step"
        )
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(lambda _, y, __: velocity(y)),
        method or diffrax.Tsit5(),
        0.0,
        duration,
        duration / steps,
        start,
        max_steps=steps + 1,
    )
    return jax.tree.map(lambda y: y[-1], solution.ys)


def hamilton_velocity(g: Float[Array, "..."], dim: int) -> Float[Array, "..."]:
    """-2 R_ij (2.39)."""
    return -2 * torus.ricci(g, dim)


def deturck_field(g: Float[Array, "..."], dim: int) -> Float[Array, "..."]:
    """W^k = g^ij Gamma^k_ij: how far the coordinates are from harmonic ones."""
    return jnp.einsum("...ij,...kij->...k", jnp.linalg.inv(g), torus.christoffel(g, dim))


def lie_derivative(w: Float[Array, "..."], g: Float[Array, "..."], dim: int) -> Float[Array, "..."]:
    """(L_W g)_ij = W^k d_k g_ij + g_kj d_i W^k + g_ik d_j W^k."""
    transport = jnp.einsum("...k,...kij->...ij", w, torus.gradient(g, dim))
    turn = jnp.einsum("...ik,...kj->...ij", torus.gradient(w, dim), g)
    return transport + turn + jnp.swapaxes(turn, -1, -2)


def deturck_velocity(g: Float[Array, "..."], dim: int) -> Float[Array, "..."]:
    """-2 R_ij + (L_W g)_ij: Ricci flow in moving coordinates in which it is a heat flow."""
    return hamilton_velocity(g, dim) + lie_derivative(deturck_field(g, dim), g, dim)


def conformal_velocity(v: Float[Array, "..."], length: Array | float = 0.0) -> Float[Array, "..."]:
    """dv/dt of g = v delta on T^2: Laplacian log v, smeared by a Gaussian of that length; 0 is Ricci flow.

    R_ij = -(Laplacian log v) delta_ij / 2 there, so that a smeared flow of the components stays conformal.
    """
    laplacian = jnp.trace(torus.second_derivatives(jnp.log(v), 2), axis1=2, axis2=3)
    return torus.smear(laplacian, 2, length)


def perelman_solution(
    start: Float[Array, "..."],
    end_weight: Float[Array, "..."],
    duration: float,
    *,
    dim: int,
    steps: int,
    highest: int,
) -> PerelmanSolution:
    r"""A solution of Perelman's flow from a start metric, with e^-phi = `end_weight` at the end.

    1. DeTurck's flow forward. 2. u = e^-phi backward from the end: du/dt = -Laplacian u + R u + W.du, the
    conjugate heat equation in DeTurck's coordinates, well-posed in this direction. 3. The diffeomorphism
    dPhi/dt = -(W + grad phi)(Phi), forward, and g(t) = Phi* g_DeTurck(t). All in Runge-Kutta steps of order
    4, those of 2 and 3 twice and four times as long, so that each finds its predecessor at the times it
    needs; hence `steps` must be a multiple of 4. Modes above `highest` are cut off.
    """
    if steps < 4 or steps % 4 or not duration > 0:
        raise ValueError(
            f"steps {steps!r}, duration {duration!r}: need a positive multiple of 4, positive time"
        )
    if not bool(jnp.all(end_weight > 0)):
        raise ValueError("end_weight, e^-phi at the end, must be positive everywhere")
    return _perelman_solution(start, end_weight, jnp.asarray(duration), dim, steps, highest)


@partial(jax.jit, static_argnames=("dim", "steps", "highest"))
def _perelman_solution(
    start: Array, end_weight: Array, duration: Array, dim: int, steps: int, highest: int
) -> PerelmanSolution:
    cut = partial(torus.truncate, dim=dim, highest=highest)
    time_step = duration / steps
    metrics = _rk4(lambda g, _: cut(deturck_velocity(g, dim)), start, time_step, steps, inputs=None)
    backward = metrics[::-1]
    weights = _rk4(
        lambda u, g: cut(_conjugate_heat(u, g, dim)), end_weight, 2 * time_step, steps // 2, inputs=backward
    )[::-1]
    even = metrics[::2]
    points = torus.grid(start.shape[0], dim)

    def moved_by(fields: Array) -> Array:
        """Where the flow of a vector field, given at every second step, takes the grid."""
        return _rk4(lambda y, w: torus.evaluate(w, y), points, 4 * time_step, steps // 4, inputs=fields)[-1]

    drift = jax.vmap(lambda g: -deturck_field(g, dim))(even)
    moved = moved_by(drift - jax.vmap(lambda g, u: _gradient_of_phi(g, u, dim))(even, weights))
    volume = jnp.sqrt(jnp.linalg.det(start))
    energy = jax.vmap(lambda g, u: _functional(g, u, dim))(even, weights)
    return PerelmanSolution(
        density=weights[0] * volume,
        start=start,
        metric=pulled_back(metrics[-1], moved),
        hamilton=pulled_back(metrics[-1], moved_by(drift)),
        deturck=metrics[-1],
        diffeomorphism=moved,
        times=jnp.linspace(0, duration, steps // 2 + 1),
        functional=energy,
    )


def pulled_back(g: Float[Array, "..."], diffeomorphism: Float[Array, "..."]) -> Float[Array, "..."]:
    """(Phi* g)_ij = g_kl(Phi) d_i Phi^k d_j Phi^l, for Phi given by the images of the grid's points."""
    dim = diffeomorphism.shape[-1]
    points = torus.grid(g.shape[0], dim)
    # Phi itself is not periodic; Phi - x is.
    jacobian = torus.gradient(diffeomorphism - points, dim) + jnp.eye(dim)
    return jnp.einsum("...kl,...ik,...jl->...ij", torus.evaluate(g, diffeomorphism), jacobian, jacobian)


def _conjugate_heat(u: Array, g: Array, dim: int) -> Array:
    """-du/dt = Laplacian u - R u - W.du, for time running backward."""
    inverse = jnp.linalg.inv(g)
    laplacian = jnp.einsum("...ij,...ij->...", inverse, torus.hessian(u, g, dim))
    scalar = jnp.einsum("...ij,...ij->...", inverse, torus.ricci(g, dim))
    drift = jnp.einsum("...k,...k->...", deturck_field(g, dim), torus.gradient(u, dim))
    return laplacian - scalar * u - drift


def _gradient_of_phi(g: Array, u: Array, dim: int) -> Array:
    """g^ij d_j phi, phi = -log u."""
    return -jnp.einsum("...ij,...j->...i", jnp.linalg.inv(g), torus.gradient(jnp.log(u), dim))


def _functional(g: Array, u: Array, dim: int) -> Array:
    """F in any coordinates, from the metric and u = e^-phi."""
    inverse = jnp.linalg.inv(g)
    dphi = torus.gradient(jnp.log(u), dim)
    scalar = jnp.einsum("...ij,...ij->...", inverse, torus.ricci(g, dim))
    square = jnp.einsum("...ij,...i,...j->...", inverse, dphi, dphi)
    return torus.integral((scalar + square) * u * jnp.sqrt(jnp.linalg.det(g)), dim)


def _rk4(
    velocity: Callable[[Array, Any], Array],
    start: Array,
    dt: Array,
    steps: int,
    inputs: Array | None,
) -> Array:
    """States at all steps, the start first. `inputs` are given at each step and half step."""
    # The four stages of a step in one loop, so that the velocity is compiled once: (place, weight, input).
    stages = (jnp.array([0, 1 / 2, 1 / 2, 1]), jnp.array([1, 2, 2, 1]) / 6, jnp.array([0, 1, 1, 2]))

    def step(y: Array, i: Array) -> tuple[Array, Array]:
        def stage(
            carry: tuple[Array, Array], s: tuple[Array, Array, Array]
        ) -> tuple[tuple[Array, Array], None]:
            k, total = carry
            place, weight, offset = s
            k = velocity(y + place * dt * k, None if inputs is None else inputs[2 * i + offset])
            return (k, total + weight * k), None

        (_, slope), _ = jax.lax.scan(stage, (jnp.zeros_like(y), jnp.zeros_like(y)), stages)
        return y + dt * slope, y + dt * slope

    _, states = jax.lax.scan(step, start, jnp.arange(steps))
    return jnp.concatenate([start[None], states])
