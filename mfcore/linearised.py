r"""A network metric whose kernel is frozen: the metric-NTK of a network, at its start or after training.

The tangent model is linear in its parameters w: the entries of its correction to g_FS are J(theta) w, with J
the Jacobian of the network's own at fixed theta. Under descent from w = 0 these follow the kernel flow
with the full metric-NTK J J^T of all components, which no matrix has to hold. Paper (2.12), conclusions.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from tqdm import tqdm

from mfcore._typing import Array, Float
from mfcore.energies import PointwiseLoss, squared
from mfcore.kaehler_networks import PotentialMetric
from mfcore.training import FramePoints, held_out, mean_loss

SOLVER = optax.lbfgs()


class TangentMetric(eqx.Module):
    """g_FS + the derivative of a potential model's correction by its parameters, along ``direction``."""

    network: PotentialMetric
    direction: PotentialMetric  # the parameters w, in a tree like the network's

    def entries(self, jet: Float[Array, "channels features"]) -> Float[Array, " entries"]:
        """J w at one point, as the numbers of which `mfcore.kaehler_networks.hermitian` makes a matrix."""
        at, fixed = eqx.partition(self.network, eqx.is_inexact_array)
        along, _ = eqx.partition(self.direction, eqx.is_inexact_array)
        return jax.jvp(lambda theta: eqx.combine(theta, fixed).entries(jet), (at,), (along,))[1]


def tangent_metric(network: PotentialMetric) -> TangentMetric:
    """The tangent model of a network at w = 0, which is g_FS."""
    zero = jax.tree.map(lambda x: jnp.zeros_like(x) if eqx.is_inexact_array(x) else x, network)
    return TangentMetric(network, zero)


def fit(
    model: TangentMetric,
    points: FramePoints,
    fresh: FramePoints,
    *,
    steps: int,
    loss: PointwiseLoss = squared,
) -> tuple[TangentMetric, Float[np.ndarray, " steps"], Float[np.ndarray, " steps"]]:
    """Minimise the mean loss over the points by L-BFGS; losses before each step, sigma on ``fresh`` after it.

    Every step stays in the span of the gradients seen, so that the correction is one that the frozen kernel
    can make of the points.
    """
    if steps < 1:
        raise ValueError(f"{steps} steps: need at least 1")

    direction: Any = model.direction
    state = SOLVER.init(direction)
    losses, sigmas = [], []
    for _ in tqdm(range(steps), desc="frozen kernel", leave=False):
        direction, state, value = _step(direction, state, model, points, loss)
        losses.append(float(value))
        model = eqx.tree_at(lambda m: m.direction, model, direction)
        sigmas.append(float(held_out(model, fresh)))
    return model, np.array(losses), np.array(sigmas)


# Network and points come as arguments: closed over they would be constants, compiled anew for each fit.
@eqx.filter_jit
def _step(direction: Any, state: Any, model: TangentMetric, points: FramePoints, loss: PointwiseLoss) -> Any:
    def of(direction: Any) -> Array:
        return mean_loss(eqx.tree_at(lambda m: m.direction, model, direction), points, loss)

    value, gradient = optax.value_and_grad_from_state(of)(direction, state=state)
    change, state = SOLVER.update(gradient, state, direction, value=value, grad=gradient, value_fn=of)
    return optax.apply_updates(direction, change), state, value
