r"""The derivative of a convex loss at the end of an implicit step.

A step that takes l' at its end, and the response M of the unknown to l' at its beginning, needs the
multipliers s in dl(excess - M s): the unique answer of a small convex problem, however sharp the kinks of l.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from mfcore._typing import Array, Float

ITERATIONS = 60
ACCURACY = 1e-4  # of the largest multiplier


def end_multipliers(
    response: Callable[[Array], Array],
    bound: Float[Array, " points"],
    excess: Float[Array, " points"],
    guess: Float[Array, " points"],
    dual_proximal: Callable[[Array, Array], Array],
) -> Float[Array, " points"]:
    """The s that minimises s^T M s / 2 - s excess + l*(s), by accelerated proximal steps, a size a point.

    ``response`` is s -> M s, M symmetric; ``bound`` the diagonal of a matrix that dominates M, such as the row
    sums of |M|; ``dual_proximal`` maps x, p to argmin_s l*(s) + p (s - x)^2 / 2. For M diagonal and bound = M
    the first iterate is exact. It ends at `ACCURACY` or after `ITERATIONS`: the caller checks what it gains.
    """
    scale = jnp.maximum(bound, jnp.finfo(bound.dtype).tiny)

    def iterate(state: tuple) -> tuple:
        s, ahead, momentum, _, count = state
        new = dual_proximal(ahead + (excess - response(ahead)) / scale, scale)
        # Momentum is dropped where it points uphill, which keeps the iteration from swinging.
        uphill = jnp.sum((ahead - new) * scale * (new - s)) > 0
        longer = jnp.where(uphill, 1.0, (1 + jnp.sqrt(1 + 4 * momentum**2)) / 2)
        ahead = new + jnp.where(uphill, 0.0, (momentum - 1) / longer) * (new - s)
        return new, ahead, longer, jnp.abs(new - s).max() / jnp.abs(new).max(), count + 1

    start = (guess, guess, jnp.array(1.0), jnp.array(jnp.inf), 0)
    return jax.lax.while_loop(lambda t: (t[3] > ACCURACY) & (t[4] < ITERATIONS), iterate, start)[0]
