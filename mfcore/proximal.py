r"""The derivative of a convex loss at the end of an implicit step.

A step that takes l' at its end, and the response M of the unknown to l' at its beginning, needs the
multipliers s in dl(excess - M s): the answer of a small convex problem, however sharp the kinks of l. Wide
kernels make M = U U^T + R with a large part U U^T of low rank; it is treated exactly.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mfcore._typing import Array, Float, Int

ITERATIONS = 40
NEWTON_STEPS = 12
ACCURACY = 1e-3  # of the largest multiplier

DualProximal = Callable[[Array, Array], Array]


class Coupling(NamedTuple):
    r"""A symmetric kernel as F F^T + E with diag(spread) - E positive semidefinite; ``factor`` is F.

    Then M_ab = Theta_ab tr(D_a D_b) = sum_c D_ac Theta_ab D_bc, over the real components c of D, is U U^T + R
    with U = (F D_c)_c, and sum_c D_c (diag(spread) - E) D_c shows that spread_a |D_a|^2 dominates R: one
    bound of the kernel serves every step.
    """

    factor: Float[Array, "points modes"]
    spread: Float[Array, " points"]


def end_multipliers(
    rest: Callable[[Array], Array],
    bound: Float[Array, " points"],
    shared: Float[Array, "points modes"],
    excess: Float[Array, " points"],
    guess: Float[Array, " points"],
    dual_proximal: DualProximal,
    iterations: Int[Array, ""] | int = ITERATIONS,
) -> Float[Array, " points"]:
    """The s that minimises s^T M s / 2 - s excess + l*(s), M = R + U U^T, by accelerated proximal steps.

    ``rest`` is s -> R s, R symmetric; ``bound`` the diagonal of a matrix that dominates R, such as the row
    sums of |R|; ``shared`` is U; ``dual_proximal`` maps x, p to argmin_s l*(s) + p (s - x)^2 / 2. For U = 0
    and R = bound diagonal the first iterate is exact. It ends at `ACCURACY` or after ``iterations``: the
    caller checks what the step gains.
    """
    # Any larger diagonal dominates too; this floor keeps a vanishing rest, R = 0, from dividing by zero.
    scale = jnp.maximum(bound, 1e-6 * jnp.sum(shared**2, axis=1) + jnp.finfo(bound.dtype).tiny)

    def iterate(state: tuple) -> tuple:
        s, ahead, modes, momentum, _, count = state
        centre = ahead + (excess - rest(ahead)) / scale
        new, modes = _with_shared_part(centre, scale, shared, modes, dual_proximal)
        # Momentum is dropped where it points uphill, which keeps the iteration from swinging.
        uphill = jnp.sum((ahead - new) * scale * (new - s)) > 0
        longer = jnp.where(uphill, 1.0, (1 + jnp.sqrt(1 + 4 * momentum**2)) / 2)
        ahead = new + jnp.where(uphill, 0.0, (momentum - 1) / longer) * (new - s)
        return new, ahead, modes, longer, jnp.abs(new - s).max() / jnp.abs(new).max(), count + 1

    start = (guess, guess, shared.T @ guess, jnp.array(1.0), jnp.array(jnp.inf), 0)
    return jax.lax.while_loop(lambda t: (t[4] > ACCURACY) & (t[5] < iterations), iterate, start)[0]


def _with_shared_part(
    centre: Array, scale: Array, shared: Array, modes: Array, dual_proximal: DualProximal
) -> tuple[Array, Array]:
    """argmin_s l*(s) + sum scale (s - centre)^2 / 2 + |U^T s|^2 / 2, through its few unknowns y = U^T s.

    s(y) = dual_proximal(centre - U y / scale, scale), and y - U^T s(y) = 0 by damped Newton steps: the left
    side is the gradient of a convex function of y.
    """

    def at(y: Array) -> tuple[Array, Array, Array]:
        s, slope = jax.jvp(
            lambda x: dual_proximal(x, scale), (centre - shared @ y / scale,), (jnp.ones_like(centre),)
        )
        return s, slope, y - shared.T @ s

    def newton(state: tuple) -> tuple:
        y, (_, slope, miss), damping, count = state
        matrix = jnp.eye(len(y)) + shared.T @ ((slope / scale)[:, None] * shared)
        trial = y - damping * jnp.linalg.solve(matrix, miss)
        there = at(trial)
        better = jnp.linalg.norm(there[2]) < jnp.linalg.norm(miss)
        y, here = jax.tree.map(lambda a, b: jnp.where(better, a, b), (trial, there), (y, state[1]))
        return y, here, jnp.where(better, 1.0, damping / 4), count + 1

    def unfinished(state: tuple) -> Array:
        size = jnp.abs(state[0]).max() + jnp.finfo(centre.dtype).tiny
        return (jnp.abs(state[1][2]).max() > 1e-9 * size) & (state[3] < NEWTON_STEPS)

    y, (s, _, _), _, _ = jax.lax.while_loop(unfinished, newton, (modes, at(modes), jnp.array(1.0), 0))
    return s, y
