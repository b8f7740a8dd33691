r"""Training by Gauss-Newton steps on batches: natural gradient through the metric-NTK.

With residuals r_b = sqrt(w_b / B) (eta_b - 1) and their Jacobian J by the parameters, a damped Gauss-Newton
step is J^T (J J^T + lambda)^(-1) r. The matrix J J^T = r' Theta r' is the metric-NTK of the batch, contracted
with the derivatives of the loss: preconditioned by it, the flow of the residuals becomes local on the batch.
Between batches a part of the last step is kept where the new batch does not speak against it (the method
SPRING, Goldshlager, Abrahamsen and Lin 2024).
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from mfcore._typing import Array, Float
from mfcore.training import Model, Points


class Settings(NamedTuple):
    """Damping relative to the mean of the kernel's diagonal, and how much of the last step is kept."""

    damping: float = 1e-3
    kept: float = 0.95


DEFAULT = Settings()


def residuals(model: Model, points: Points) -> Float[Array, " points"]:
    """sqrt(w / B) (eta - 1), whose sum of squares is the mean squared loss of the batch."""
    return jnp.sqrt(points.weight / len(points.weight)) * (points.ratio(model) - 1)


def residual_jacobian(model: Model, points: Points) -> Float[Array, "points params"]:
    """dr_b / d theta, the parameters in the order of `ravel_pytree`; one reverse pass a point."""
    trained, fixed = eqx.partition(model, eqx.is_inexact_array)
    theta, unravel = ravel_pytree(trained)

    def of_point(theta: Array, point: Points) -> Array:
        one = jax.tree.map(lambda x: x[None], point)
        return residuals(eqx.combine(unravel(theta), fixed), one)[0]

    rows = jax.vmap(jax.grad(of_point), (None, 0))(theta, points)
    return rows / len(points.weight) ** 0.5


@eqx.filter_jit
def step(
    model: Model,
    last: Float[Array, " params"],
    points: Points,
    rate: Float[Array, ""] | float,
    settings: Settings = DEFAULT,
) -> tuple[Model, Float[Array, " params"], Float[Array, ""]]:
    """One step on one batch: the new model, its step per unit of ``rate``, and the batch's loss before."""
    trained, fixed = eqx.partition(model, eqx.is_inexact_array)
    theta, unravel = ravel_pytree(trained)
    r, jacobian = residuals(model, points), residual_jacobian(model, points)
    kernel = jacobian @ jacobian.T
    damping = settings.damping * jnp.trace(kernel) / len(r)
    ahead = settings.kept * last
    factor = jax.scipy.linalg.cho_factor(kernel + damping * jnp.eye(len(r)))
    change = ahead + jacobian.T @ jax.scipy.linalg.cho_solve(factor, r - jacobian @ ahead)
    return eqx.combine(unravel(theta - rate * change), fixed), change, jnp.sum(r**2)
