r"""A network metric whose kernel is frozen: the metric-NTK of a network, at its start or after training.

The tangent model is linear in its parameters w: the entries of its correction to g_FS are J(theta) w, with J
the Jacobian of the network's own at fixed theta. Under descent from w = 0 these follow the kernel flow
with the full metric-NTK J J^T of all components, which no matrix has to hold. Paper (2.12), conclusions.
"""

from collections.abc import Callable
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

    def of(direction: Any) -> Array:
        return mean_loss(eqx.tree_at(lambda m: m.direction, model, direction), points, loss)

    solver = optax.lbfgs()
    direction: Any = model.direction
    state = solver.init(direction)
    step = _step_of(of, solver)
    losses, sigmas = [], []
    for _ in tqdm(range(steps), desc="frozen kernel", leave=False):
        direction, state, value = step(direction, state)
        losses.append(float(value))
        moved = eqx.tree_at(lambda m: m.direction, model, direction)
        sigmas.append(float(held_out(moved, fresh)))
    return eqx.tree_at(lambda m: m.direction, model, direction), np.array(losses), np.array(sigmas)


def _step_of(of: Callable, solver: optax.GradientTransformationExtraArgs) -> Callable:
    value_and_gradient = optax.value_and_grad_from_state(of)

    @jax.jit
    def step(direction: Any, state: Any) -> tuple[Any, Any, Any]:
        value, gradient = value_and_gradient(direction, state=state)
        change, state = solver.update(gradient, state, direction, value=value, grad=gradient, value_fn=of)
        return optax.apply_updates(direction, change), state, value

    return step
