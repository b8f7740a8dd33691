r"""Training by Gauss-Newton steps on batches: natural gradient through the metric-NTK.

With residuals r_b = sqrt(w_b / B) (eta_b - 1) and their Jacobian J by the parameters, a damped Gauss-Newton
step is J^T (J J^T + lambda)^(-1) r. The matrix J J^T = r' Theta r' is the metric-NTK of the batch, contracted
with the derivatives of the loss: preconditioned by it, the flow of the residuals becomes local on the batch.
Between batches a part of the last step is kept where the new batch does not speak against it (the method
SPRING, Goldshlager, Abrahamsen and Lin 2024).
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree

from mfcore._typing import Array, Float
from mfcore.kaehler_networks import PotentialMetric
from mfcore.network_jacobians import rows
from mfcore.training import FramePoints, Method


class Settings(NamedTuple):
    """Damping relative to the mean of the kernel's diagonal, and how much of the last step is kept.

    In single precision the kernel's own rounding is near 1e-7 of its largest eigenvalue: damping below 1e-4
    needs ``double``, the kernel in double precision, whatever the model's.
    """

    damping: float = 1e-3
    kept: float = 0.95
    double: bool = False


DEFAULT = Settings()


def residual_jacobian(
    model: PotentialMetric, points: FramePoints
) -> tuple[Float[Array, " points"], Float[Array, "points params"]]:
    """r_b = sqrt(w_b / B) (eta_b - 1), whose sum of squares is the mean squared loss, and dr_b / d theta."""
    scale = jnp.sqrt(points.weight / len(points.weight))
    return rows(model, points.jet, lambda entries: scale * (points.ratio_of(entries) - 1))


def step(
    model: PotentialMetric,
    last: Float[Array, " params"],
    points: FramePoints,
    rate: Float[Array, ""] | float,
    settings: Settings = DEFAULT,
) -> tuple[PotentialMetric, Float[Array, " params"], Float[Array, ""]]:
    """One step on one batch: the new model, its step per unit of ``rate``, and the batch's loss before."""
    trained, fixed = eqx.partition(model, eqx.is_inexact_array)
    theta, unravel = ravel_pytree(trained)
    r, jacobian = residual_jacobian(model, points)
    ahead = settings.kept * last
    precise = jacobian.astype(float) if settings.double else jacobian
    kernel = precise @ precise.T
    damping = settings.damping * jnp.trace(kernel) / len(r)
    factor = jax.scipy.linalg.cho_factor(kernel + damping * jnp.eye(len(r), dtype=kernel.dtype))
    dual = jax.scipy.linalg.cho_solve(factor, (r - jacobian @ ahead).astype(kernel.dtype))
    change = ahead + jacobian.T @ dual.astype(r.dtype)
    return eqx.combine(unravel(theta - rate * change), fixed), change, jnp.sum(r**2)


def gauss_newton(rate: optax.Schedule, settings: Settings = DEFAULT) -> Method:
    """The method for `mfcore.training.train`; ``rate`` is a schedule, from the number of the step."""

    def start(trained: Any) -> tuple[Array, Array]:
        return jnp.zeros_like(ravel_pytree(trained)[0]), jnp.zeros((), jnp.int32)

    def one(trained: Any, memory: tuple[Array, Array], fixed: Any, points: Any) -> Any:
        last, count = memory
        now = jnp.asarray(rate(count), last.dtype)
        model, last, loss = step(eqx.combine(trained, fixed), last, points, now, settings)
        return eqx.filter(model, eqx.is_inexact_array), (last, count + 1), loss

    return Method(start, one, lambda _: (*settings, rate(jnp.zeros(())), rate(jnp.array(100.0))))
