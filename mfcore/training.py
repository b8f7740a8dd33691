r"""Training of networks that are Calabi-Yau metrics: data in orthonormal frames, epochs, checkpoints.

At each point the local coordinates are turned into a frame in which g_FS is the unit matrix; then eta =
det(1 + alpha d dbar phi) eta_FS, with numbers of order one, which single precision can hold. A run is
deterministic under its key. With a checkpoint it can be killed at any moment and goes on to the same end, bit
for bit.
"""

import contextlib
import io
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from tqdm import tqdm

from mfcore import provenance
from mfcore._typing import Array, Complex, Float, PRNGKeyArray
from mfcore.energies import PointwiseLoss, absolute
from mfcore.hypersurface import Dwork, fubini_study_volume, omega_volume
from mfcore.kaehler_networks import determinant, hermitian, invariants, invariants_jet
from mfcore.sampling import Sample, fubini_study_pullback


class FramePoints(NamedTuple):
    """What a potential model needs at each point.

    ``jet`` are `invariants_jet` in a frame orthonormal for g_FS; ``eta`` the ratio of the Fubini-Study metric
    there; ``weight`` the density of |Omega|^2 against the points, with mean 1.
    """

    jet: Float[Array, "points channels features"]
    eta: Float[Array, " points"]
    weight: Float[Array, " points"]

    def ratio(self, model: Any) -> Float[Array, " points"]:
        """eta of a `PotentialMetric` at the points."""
        return self.ratio_of(jax.vmap(model.entries)(self.jet))

    def ratio_of(self, entries: Float[Array, "points entries"]) -> Float[Array, " points"]:
        """eta from what is added to the unit matrix, in the order of `mfcore.kaehler_networks.hermitian`."""
        return self.eta * jax.vmap(determinant)(_unit(entries) + entries)

    def least_eigenvalue(self, model: Any) -> Float[Array, " points"]:
        """Of the metric, against g_FS: positive where the metric is."""
        entries = jax.vmap(model.entries)(self.jet)
        return jnp.linalg.eigvalsh(jax.vmap(hermitian)(_unit(entries) + entries))[:, 0]


def _unit(entries: Float[Array, "points entries"]) -> Float[Array, " entries"]:
    size = round(entries.shape[1] ** 0.5)
    return jnp.concatenate([jnp.ones(size), jnp.zeros(size**2 - size)]).astype(entries.dtype)


class ChartPoints(NamedTuple):
    """What a component model needs at each point: in the coordinates of its chart, for it knows no other.

    ``inputs`` are the `invariants`, ``background`` the Fubini-Study metric, ``scale`` 1 / (kappa |Omega|^2).
    """

    inputs: Float[Array, "points features"]
    background: Complex[Array, "points dim dim"]
    scale: Float[Array, " points"]
    weight: Float[Array, " points"]

    def ratio(self, model: Any) -> Float[Array, " points"]:
        """eta of a `ComponentMetric` at the points."""
        g = jax.vmap(model.from_inputs)(self.inputs, self.background)
        return self.scale * jnp.linalg.det(g).real


Points: TypeAlias = FramePoints | ChartPoints
Model: TypeAlias = Any  # whatever the points know the ratio of


class Run(NamedTuple):
    """A trained model; after each epoch its mean training loss, its held-out sigma and the time it took."""

    model: Any
    loss: Float[np.ndarray, " epochs"]
    sigma: Float[np.ndarray, " epochs"]
    seconds: Float[np.ndarray, " epochs"]


def frame_points(sample: Sample, kappa: float, dtype: Any = jnp.float64) -> FramePoints:
    """The data of a sample for a `PotentialMetric`; kappa is the mean of det g_FS / |Omega|^2."""
    return _cast(_frame_points(sample, jnp.asarray(kappa)), dtype)


@jax.jit
def _frame_points(sample: Sample, kappa: Array) -> FramePoints:
    frame = jnp.linalg.inv(jnp.linalg.cholesky(fubini_study_pullback(sample)))
    # In blocks: the derivatives of 25 features as complex matrices are large beside what is kept.
    jets = jax.lax.map(
        lambda x: invariants_jet(x[0], x[1] @ x[2]), (sample.z, frame, sample.jacobian), batch_size=2000
    )
    return FramePoints(jets, 1 / (sample.weight * kappa), sample.weight / jnp.mean(sample.weight))


def chart_points(sample: Sample, kappa: float, dtype: Any = jnp.float64) -> ChartPoints:
    """The data of a sample for a `ComponentMetric`; kappa is the mean of det g_FS / |Omega|^2."""
    scale = 1 / (kappa * jnp.abs(sample.omega) ** 2)
    background, weight = fubini_study_pullback(sample), sample.weight / jnp.mean(sample.weight)
    return _cast(ChartPoints(jax.vmap(invariants)(sample.z), background, scale, weight), dtype)


def _cast(points: Any, dtype: Any) -> Any:
    def cast(x: Array) -> Array:
        return x.astype(jnp.result_type(dtype, 1j) if jnp.iscomplexobj(x) else dtype)

    return jax.tree.map(cast, points)


def in_precision(model: Any, dtype: Any) -> Any:
    """The model with its parameters, all real, in this precision; points take ``dtype`` when made."""
    return jax.tree.map(lambda x: x.astype(dtype) if eqx.is_inexact_array(x) else x, model)


def exact_kappa(variety: Dwork) -> float:
    """The mean of det g / |Omega|^2 over |Omega|^2 for any metric in the class of g_FS; Fermat members."""
    return fubini_study_volume(variety) / omega_volume(variety)


def taken(points: Any, index: Any) -> Any:
    """The points of this index."""
    return jax.tree.map(lambda x: x[index], points)


@eqx.filter_jit
def held_out(model: Model, points: Points) -> Float[Array, ""]:
    """The sigma loss on these points."""
    eta = jax.lax.map(lambda p: jax.tree.map(lambda x: x[None], p).ratio(model)[0], points, batch_size=2000)
    return jnp.sum(points.weight * jnp.abs(1 - eta)) / jnp.sum(points.weight)


def mean_loss(model: Model, points: Points, loss: PointwiseLoss = absolute) -> Float[Array, ""]:
    """The mean of l(eta) over |Omega|^2, which training lowers."""
    return jnp.mean(points.weight * loss.value(points.ratio(model)))


class Method(NamedTuple):
    """A way to train, batch by batch."""

    start: Callable[[Any], Any]  # from the parameters to what the method remembers
    step: Callable[[Any, Any, Any, Points], tuple]  # (parameters, memory, fixed part of the model, batch)
    identity: Callable[[Any], Any]  # from parameters to numbers that tell this method from others


def descent(optimiser: optax.GradientTransformation, loss: PointwiseLoss = absolute) -> Method:
    """Descent along the gradient of the mean loss, by any Optax optimiser."""

    def step(trained: Any, memory: Any, fixed: Any, points: Points) -> tuple:
        value, gradient = jax.value_and_grad(
            lambda trained: mean_loss(eqx.combine(trained, fixed), points, loss)
        )(trained)
        change, memory = optimiser.update(gradient, memory, trained)
        return optax.apply_updates(trained, change), memory, value

    def identity(trained: Any) -> tuple:
        first_change = optimiser.update(trained, optimiser.init(trained), trained)[0]
        return first_change, loss.value(jnp.linspace(0, 3, 13))

    return Method(optimiser.init, step, identity)


def adam(rate: float, epochs: int, n_points: int, batch_size: int) -> optax.GradientTransformation:
    """Adam with a rate that falls along a cosine to zero at the last step."""
    return optax.adam(optax.cosine_decay_schedule(rate, epochs * (n_points // batch_size)))


def train(
    model: Model,
    points: Points,
    fresh: Points,
    key: PRNGKeyArray,
    *,
    method: Method,
    epochs: int,
    batch_size: int = 512,
    checkpoint: Path | None = None,
) -> Run:
    """Train in batches, the points in a new order every epoch; `descent`, or `mfcore.gauss_newton`.

    The points left over where ``batch_size`` does not divide their number sit out that epoch, others each
    time. With ``checkpoint`` (a file) every epoch is kept, and a run found there goes on.
    """
    if not 1 <= batch_size <= len(points.weight) or epochs < 1:
        raise ValueError(
            f"batches of {batch_size} from {len(points.weight)} points, {epochs} epochs: need a size from 1 "
            "to the number of points, and at least 1 epoch"
        )
    trained, fixed = eqx.partition(model, eqx.is_inexact_array)
    state = (trained, method.start(trained))
    numbers = (state, points, method.identity(trained))
    history, identity = np.zeros((0, 3)), _identity(key, numbers, epochs, batch_size)
    if checkpoint is not None and checkpoint.exists():
        state, history = _restored(checkpoint, state, identity)
    watch = _Clock(history[-1, 2] if len(history) else 0.0)
    with tqdm(total=epochs, initial=len(history), desc="training", leave=False) as bar:
        for epoch in range(len(history), epochs):
            order = _order(jax.random.fold_in(key, epoch), len(points.weight), batch_size)
            state, mean = _epoch(state, fixed, points, order, method)
            with watch.paused():
                sigma = float(held_out(eqx.combine(state[0], fixed), fresh))
            history = np.vstack([history, [float(mean), sigma, watch.seconds()]])
            if checkpoint is not None:
                _keep(checkpoint, state, history, identity)
            bar.set_postfix(sigma=f"{sigma:.2e}")
            bar.update()
    return Run(eqx.combine(state[0], fixed), *history.T)


@partial(jax.jit, static_argnums=(1, 2))
def _order(key: PRNGKeyArray, n_points: int, batch_size: int) -> Array:
    batches = n_points // batch_size
    return jax.random.permutation(key, n_points)[: batches * batch_size].reshape(batches, batch_size)


@eqx.filter_jit
def _epoch(state: tuple, fixed: Any, points: Points, order: Array, method: Method) -> tuple[tuple, Array]:
    def step(state: tuple, index: Array) -> tuple[tuple, Array]:
        trained, memory, value = method.step(*state, fixed, taken(points, index))  # pyright: ignore
        return (trained, memory), value

    state, values = jax.lax.scan(step, state, order)
    return state, jnp.mean(values)


class _Clock:
    """Wall time of training alone, over all parts of a run that was cut."""

    def __init__(self, before: float) -> None:
        self.total, self.start = before, time.perf_counter()

    def seconds(self) -> float:
        return self.total + time.perf_counter() - self.start

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        self.total = self.seconds()
        yield
        self.start = time.perf_counter()


def _identity(key: PRNGKeyArray, numbers: Any, epochs: int, batch_size: int) -> str:
    """What must be the same for a run to go on: start, data, first step and loss, order and length."""
    words = [epochs, batch_size, provenance.sha256(jax.random.key_data(key))]
    words += [provenance.sha256(leaf) for leaf in jax.tree.leaves(numbers)]
    return provenance.sha256(np.frombuffer(" ".join(map(str, words)).encode(), np.uint8))


def _keep(path: Path, state: Any, history: np.ndarray, identity: str) -> None:
    leaves = {f"leaf/{i}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(state))}
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, history=history, identity=np.array(identity), **leaves)
    provenance.write_bytes(path, file.getvalue())


def _restored(path: Path, state: Any, identity: str) -> tuple[Any, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        if str(file["identity"]) != identity:
            raise ValueError(
                f"{path} is of another run (other start, data, method, key, batches or epochs); "
                "remove it, or name another file"
            )
        leaves = [jnp.asarray(file[f"leaf/{i}"]) for i in range(len(jax.tree.leaves(state)))]
        return jax.tree.unflatten(jax.tree.structure(state), leaves), file["history"]
