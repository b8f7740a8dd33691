r"""A network metric whose kernel is frozen: the metric-NTK of a network, at its start or after training.

The tangent model is linear in its parameters w: the entries of its correction to g_FS are J(theta) w, with J
the Jacobian of the network's own at fixed theta. Under descent from w = 0 these follow the kernel flow
with the full metric-NTK J J^T of all components, which no matrix has to hold. With fewer features, J is
replaced by J F^T, the kernel by J F^T F J^T. Paper (2.12), conclusions.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree
from tqdm import tqdm

from mfcore._typing import Array, Float
from mfcore.energies import PointwiseLoss, squared
from mfcore.kaehler_networks import PotentialMetric
from mfcore.network_jacobians import rows
from mfcore.training import FramePoints, held_out, mean_loss

SOLVER = optax.lbfgs()


class TangentMetric(eqx.Module):
    """g_FS + the derivative of a potential model's correction by its parameters, along w or F^T w."""

    network: PotentialMetric
    w: Array  # of all parameters, or of the features
    features: Float[Array, "features params"] | None = None  # F, the parameters as `ravel_pytree` orders them

    def entries(self, jet: Float[Array, "channels features"]) -> Float[Array, " entries"]:
        """J w at one point, as the numbers of which `mfcore.kaehler_networks.hermitian` makes a matrix."""
        at, fixed = eqx.partition(self.network, eqx.is_inexact_array)
        _, unravel = ravel_pytree(at)
        along = unravel(self.w if self.features is None else self.w @ self.features)
        return jax.jvp(lambda theta: eqx.combine(theta, fixed).entries(jet), (at,), (along,))[1]


class Path(NamedTuple):
    """A fit, some of its steps: model by model the loss on its points, and sigma on two other sets."""

    at: Float[np.ndarray, " kept"]  # steps done, or the time of a flow
    loss: Float[np.ndarray, " kept"]
    validation: Float[np.ndarray, " kept"]
    fresh: Float[np.ndarray, " kept"]
    model: TangentMetric  # the last

    def chosen(self) -> int:
        """Where the path is best on the validation points, which are not those that judge it."""
        return int(np.argmin(self.validation))


def tangent_metric(
    network: PotentialMetric, features: Float[Array, "features params"] | None = None
) -> TangentMetric:
    """The tangent model of a network at w = 0, which is g_FS."""
    theta, _ = ravel_pytree(eqx.filter(network, eqx.is_inexact_array))
    return TangentMetric(network, jnp.zeros_like(theta if features is None else features[:, 0]), features)


@eqx.filter_jit
def principal_features(
    network: PotentialMetric, points: FramePoints
) -> tuple[Float[Array, " rank"], Float[Array, "rank params"]]:
    """J = U S V^T over all components at these points: S, falling, and V^T, the directions it measures."""
    unit = jnp.eye((round(points.jet.shape[1] ** 0.5) - 1) ** 2, dtype=points.jet.dtype)
    by_entry = jax.vmap(lambda one: rows(network, points.jet, lambda entries: entries @ one)[1])(unit)
    jacobian = by_entry.reshape(-1, by_entry.shape[-1])
    _, size, directions = jnp.linalg.svd(jacobian, full_matrices=False)
    return size, directions


def fit(
    model: TangentMetric,
    points: FramePoints,
    validation: FramePoints,
    fresh: FramePoints,
    *,
    steps: int,
    every: int = 10,
    loss: PointwiseLoss = squared,
) -> Path:
    """Minimise the mean loss over the points by L-BFGS, and look at the path every so many steps.

    Every step stays in the span of the gradients seen, so that the correction is one that the frozen kernel
    can make of the points.
    """
    if steps < 1 or every < 1:
        raise ValueError(f"{steps} steps, a look every {every}: need at least 1 of each")
    w = jnp.asarray(model.w, float)  # the solver works in double precision, whatever the model does
    # Counters start with the weak type of a Python number; as arrays the first step compiles for all.
    state = jax.tree.map(lambda x: jnp.array(x, x.dtype), SOLVER.init(w))
    seen = [(0, *_seen(model, points, validation, fresh, loss))]
    for done in tqdm(range(1, steps + 1), desc="frozen kernel", leave=False):
        w, state = _step(w, state, model, points, loss)
        if done % every == 0 or done == steps:
            model = _at(model, w)
            seen.append((done, *_seen(model, points, validation, fresh, loss)))
    return Path(*np.array(seen).T, model)  # pyright: ignore[reportCallIssue]


def _at(model: TangentMetric, w: Array) -> TangentMetric:
    return eqx.tree_at(lambda m: m.w, model, w.astype(model.w.dtype))


# Network and points come as arguments: closed over they would be constants, compiled anew for each fit.
@eqx.filter_jit
def _step(w: Array, state: Any, model: TangentMetric, points: FramePoints, loss: PointwiseLoss) -> Any:
    def of(w: Array) -> Array:
        return mean_loss(_at(model, w), points, loss).astype(w.dtype)

    value, gradient = optax.value_and_grad_from_state(of)(w, state=state)
    change, state = SOLVER.update(gradient, state, w, value=value, grad=gradient, value_fn=of)
    return optax.apply_updates(w, change), state


def flow(
    model: TangentMetric,
    points: FramePoints,
    validation: FramePoints,
    fresh: FramePoints,
    *,
    until: float,
    steps: int = 60,
) -> Path:
    """The kernel flow of the squared loss from g_FS, to a time that counts in units of the kernel's size.

    dw/dt = -J_r^T r / s with r = sqrt(W / B) (eta - 1), W the weights; s, the mean of the diagonal of
    B J_r J_r^T at the start, makes kernels of different trace comparable. Linearly implicit Euler steps,
    whose lengths grow by a constant factor from 1e-2 on: of first order, and stable for stiff kernels.
    """
    if steps < 2 or until <= 0:
        raise ValueError(f"{steps} steps until time {until}: need at least 2 steps and a positive time")
    times = np.concatenate([[0.0], np.geomspace(1e-2, until, steps)])
    jacobian = _residual_rows(model, points)[1]
    size = jnp.sum(jacobian**2)
    seen = [(0.0, *_seen(model, points, validation, fresh, squared))]
    for before, after in zip(tqdm(times[:-1], desc="kernel flow", leave=False), times[1:], strict=True):
        model = _implicit_step(model, points, jnp.asarray((after - before) / size, model.w.dtype))
        seen.append((after, *_seen(model, points, validation, fresh, squared)))
    return Path(*np.array(seen).T, model)  # pyright: ignore[reportCallIssue]


@eqx.filter_jit
def _residual_rows(model: TangentMetric, points: FramePoints) -> tuple[Array, Array]:
    """r, and dr/dw row by row."""
    scale = jnp.sqrt(points.weight / len(points.weight))

    def residuals(entries: Array) -> Array:
        return scale * (points.ratio_of(entries) - 1)

    entries = jax.vmap(model.entries)(points.jet)
    r, back = jax.vjp(residuals, entries)
    slope = back(jnp.ones_like(r))[0]
    _, by_theta = rows(model.network, points.jet, lambda entries: jnp.sum(slope * entries, axis=1))
    return r, by_theta if model.features is None else by_theta @ model.features.T


@eqx.filter_jit
def _implicit_step(model: TangentMetric, points: FramePoints, dt: Array) -> TangentMetric:
    r, jacobian = _residual_rows(model, points)
    kernel = jnp.eye(len(r), dtype=r.dtype) + dt * jacobian @ jacobian.T
    change = dt * jacobian.T @ jnp.linalg.solve(kernel, r)
    return _at(model, model.w - change)


@eqx.filter_jit
def _seen(
    model: TangentMetric,
    points: FramePoints,
    validation: FramePoints,
    fresh: FramePoints,
    loss: PointwiseLoss,
) -> tuple[Array, Array, Array]:
    return mean_loss(model, points, loss), held_out(model, validation), held_out(model, fresh)
