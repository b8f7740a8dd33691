"""Gradient descent under a fixed kernel with updates that are normalised or clipped (paper section 3.2).

The paper mentions both without a formula. Here all points of training share one factor, so that an update is
still a step along the flow, and the metric elsewhere follows from the corrections as in `mfcore.flows`.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from mfcore._typing import Array, Complex, Float
from mfcore.energies import PointwiseLoss, absolute, loss_gradient
from mfcore.flow_steps import eta_at, smear
from mfcore.flows import Flow

SCHEMES = ("normalised", "clipped")


def limited_descent(
    kernel: Float[Array, "train train"],
    start: Complex[Array, "train dim dim"],
    omega: Complex[Array, " train"],
    kappa: float,
    *,
    scheme: str,
    rate: float,
    largest_change: float,
    steps: int,
    loss: PointwiseLoss = absolute,
) -> Flow:
    """Explicit steps that end where a metric leaves the positive cone.

    "normalised": the largest entry of each update is ``rate``, whatever the gradient. "clipped": the step of
    size ``rate`` along the sum over points (2.3), shortened where it would change a metric by more than
    ``largest_change``, as |g^(-1/2) dg g^(-1/2)|.
    """
    if scheme not in SCHEMES:
        raise ValueError(f"scheme {scheme!r}: need one of {SCHEMES}")
    g, correction, time, least = start, jnp.zeros_like(start), 0.0, jnp.inf
    history = [float(_mean_loss(g, omega, kappa, loss))]
    for _ in range(steps):
        g, moved, h, smallest = _step(kernel, g, omega, kappa, rate, largest_change, scheme, loss)
        correction, time, least = correction + moved, time + float(h), min(least, float(smallest))
        history.append(float(_mean_loss(g, omega, kappa, loss)))
        if not least > 0:
            break
    kept = "took its" if least > 0 else "left the positive cone after"
    return Flow(correction, g, np.array(history), time, least, f"{kept} {len(history) - 1} steps")


@partial(jax.jit, static_argnames=("scheme", "loss"))
def _step(
    kernel: Array,
    g: Array,
    omega: Array,
    kappa: Array | float,
    rate: Array | float,
    largest_change: Array | float,
    scheme: str,
    loss: PointwiseLoss,
) -> tuple[Array, Array, Array, Array]:
    eta = eta_at(g, omega, kappa)
    gradient = jax.vmap(lambda g, eta: loss_gradient(g, eta, loss))(g, eta)
    update = smear(kernel, gradient)
    if scheme == "normalised":
        h = rate / jnp.abs(update).max()
    else:
        root = jnp.linalg.inv(jnp.linalg.cholesky(g))
        change = jnp.linalg.norm(root @ update @ root.conj().mT, axis=(1, 2)).max()
        h = jnp.minimum(rate, largest_change / change)
    g = g - h * update
    return g, h * gradient, h, jnp.linalg.eigvalsh(g).min()


@partial(jax.jit, static_argnames="loss")
def _mean_loss(g: Array, omega: Array, kappa: Array | float, loss: PointwiseLoss) -> Array:
    return jnp.mean(loss.value(eta_at(g, omega, kappa)))
