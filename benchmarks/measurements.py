"""What is measured: each function runs in a process of its own and returns plain numbers."""

import time
from collections.abc import Callable
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import companion
from mfcore.hypersurface import Dwork
from mfcore.projective import chordal_embedding, geodesic_distance
from mfcore.sampling import Sample, fubini_study_pullback, random_points, random_points_in_patch

POINTS = 100_000
TRAIN = 1_000
WIDE = 2.0  # sigma of the Gaussian exp(-(sigma d)^2) of the products
PRODUCT_ROWS = 100  # of a product that are compared
REPEATS = 3
BATCHES = 20  # of 512 points in an epoch of training

Numbers = dict[str, Any]


def sampling_mfcore() -> Numbers:
    """Compiled once, then the best of a few samples with fresh keys."""
    cold, _ = _seconds(lambda: jax.block_until_ready(random_points(jax.random.key(0), Dwork(), POINTS)))
    times = []
    for seed in range(1, REPEATS + 1):
        seconds, sample = _seconds(
            lambda seed=seed: jax.block_until_ready(random_points(jax.random.key(seed), Dwork(), POINTS))
        )
        times.append(seconds)
    return {"seconds": min(times), "compile": cold - min(times), "residual": _residual(np.asarray(sample.z))}


def sampling_companion() -> Numbers:
    """The best of a few samples with fresh seeds."""
    times = []
    for seed in range(REPEATS):
        seconds, record = _seconds(lambda seed=seed: companion.random_points(seed, 5, POINTS))
        times.append(seconds)
    return {"seconds": min(times), "residual": _residual(record.z)}


def sampling_agreement() -> Numbers:
    """The largest difference of the two records on the same lines, points matched within each line."""
    sample = random_points(jax.random.key(0), Dwork(), 10_000)
    z = np.asarray(sample.z).reshape(-1, 5, 5)
    z = z / np.linalg.norm(z, axis=2, keepdims=True)
    # A line is known by two of its points; p and q are two others, off the variety.
    other = companion.points_of_lines(z[:, 0] + z[:, 1], z[:, 0] - 1j * z[:, 1])
    pairs = jax.vmap(jax.vmap(jax.vmap(geodesic_distance, (None, 0)), (0, None)))
    distance = np.asarray(pairs(sample.z.reshape(-1, 5, 5), jnp.asarray(other.z).reshape(-1, 5, 5)))
    partner = distance.argmin(axis=2)
    if not np.array_equal(np.sort(partner, axis=1), np.broadcast_to(np.arange(5), partner.shape)):
        return {"difference": float("inf")}
    index = (partner + 5 * np.arange(len(partner))[:, None]).ravel()
    return {"difference": max(_difference(a, b[index]) for a, b in zip(sample, other, strict=True))}


def neighbours_mfcore() -> Numbers:
    """Nearest neighbours, and their exact geodesic distances."""
    from mfcore.neighbours import nearest_in_set

    z, embedded = _patch_points()
    seconds, found = _seconds(lambda: nearest_in_set(embedded))
    distance = jax.vmap(geodesic_distance)(z, z[found.index])
    return {"seconds": seconds, "mean": float(distance.mean()), "index": _digest(found.index)}


def neighbours_brute_force() -> Numbers:
    """scikit-learn's NearestNeighbors(algorithm="brute") in float64 on the same embedded points."""
    from sklearn.neighbors import NearestNeighbors

    z, embedded = _patch_points()
    model = NearestNeighbors(n_neighbors=2, algorithm="brute", n_jobs=-1)
    seconds, (_, index) = _seconds(lambda: model.fit(embedded).kneighbors(embedded))
    distance = jax.vmap(geodesic_distance)(z, z[index[:, 1]])
    return {"seconds": seconds, "mean": float(distance.mean()), "index": _digest(index[:, 1])}


def neighbours_data_only() -> Numbers:
    """The points alone, for what the process of a search holds before it searches."""
    _patch_points()
    return {"seconds": 0.0}


def flow_structured() -> Numbers:
    """dg/dt of the kernel flow from the N x N kernel."""
    from mfcore.flows import velocity

    kernel, g, omega, kappa = _flow_start()
    step = jax.jit(lambda g: velocity(kernel, g, omega, kappa))
    jax.block_until_ready(step(g))
    times = [_seconds(lambda: jax.block_until_ready(step(g)))[0] for _ in range(REPEATS)]
    return {"seconds": min(times), "value": _value(step(g))}


def flow_dense() -> Numbers:
    """The same from the whole tensor Theta_ijkl(x, x') of 81 N^2 entries, stored and contracted."""
    from mfcore.energies import absolute, loss_gradient, volume_ratio

    kernel, g, omega, kappa = _flow_start()
    same = jnp.eye(9)
    tensor = (kernel[:, None, :, None] * same[None, :, None, :]).reshape(9 * TRAIN, 9 * TRAIN)
    tensor = jax.block_until_ready(tensor.astype(complex))

    @jax.jit
    def step(tensor: jax.Array, g: jax.Array) -> jax.Array:
        eta = jax.vmap(volume_ratio)(g, omega) / kappa
        gradient = jax.vmap(lambda g, eta: loss_gradient(g, eta, absolute))(g, eta)
        return -(tensor @ gradient.reshape(-1)).reshape(g.shape)

    jax.block_until_ready(step(tensor, g))
    times = [_seconds(lambda: jax.block_until_ready(step(tensor, g)))[0] for _ in range(REPEATS)]
    return {"seconds": min(times), "value": _value(step(tensor, g))}


def product_mfcore() -> Numbers:
    """The whole kernel at all points applied to 9 components, in single precision, by mfcore."""
    from mfcore.kernel_products import gaussian, of_distance

    z, v = _product_input()
    kernel = of_distance(gaussian, z, z, WIDE)
    jax.block_until_ready(kernel @ v)
    times = [_seconds(lambda: jax.block_until_ready(kernel @ v))[0] for _ in range(2)]
    return {"seconds": min(times), "value": np.asarray(kernel @ v)[:PRODUCT_ROWS].tolist()}


def product_numpy() -> Numbers:
    """The same tiles of the same kernel by NumPy: BLAS products, numpy.exp and numpy.arcsin.

    A tenth of the rows is measured, and its time taken ten times.
    """
    from mfcore.kernel_products import COLUMNS, ROWS

    z, v = (np.asarray(a) for a in _product_input())
    w, rows = (z / np.linalg.norm(z, axis=1, keepdims=True)), POINTS // 10
    seconds, value = _seconds(lambda: _numpy_product(w[:rows], w, v.astype(np.float32), ROWS, COLUMNS))
    return {"seconds": 10 * seconds, "value": value[:PRODUCT_ROWS].tolist()}


def _numpy_product(x: np.ndarray, y: np.ndarray, v: np.ndarray, rows: int, columns: int) -> np.ndarray:
    total = np.zeros((len(x), v.shape[1]), np.float32)
    for i in range(0, len(x), rows):
        for j in range(0, len(y), columns):
            cosine = np.abs(x[i : i + rows] @ y[j : j + columns].conj().T)
            sine = np.sqrt(np.maximum(1 - cosine**2, 0))
            kernel = np.exp(np.float32(-(WIDE**2)) * np.arcsin(sine) ** 2)
            total[i : i + rows] += kernel @ v[j : j + columns]
    return total


def _product_input() -> tuple[jax.Array, jax.Array]:
    z = random_points_in_patch(jax.random.key(0), Dwork(), POINTS).sample.z
    return z.astype(jnp.complex64), jax.random.normal(jax.random.key(1), (POINTS, 9), jnp.float32)


def flow_matrix_free() -> Numbers:
    """The flow of the squared loss to a tenth of it, with products in blocks; compiling is in the time."""
    from mfcore.energies import squared
    from mfcore.flows import kernel_flow
    from mfcore.kernel_products import gaussian, of_distance

    sample, start, kappa = _library_start()
    kernel = of_distance(gaussian, sample.z, sample.z, WIDE)
    seconds, flow = _seconds(
        lambda: kernel_flow(kernel, start, sample.omega, kappa, loss=squared, goal=0.1, largest_change=0.02)
    )
    return {"seconds": seconds, "time": flow.time, "value": _value(flow.metric)}


def flow_of_library() -> Numbers:
    """The same flow for the same time by neural_tangents.predict.gradient_descent; compiling in the time."""
    from mfcore.energies import volume_ratio
    from mfcore.kernels import distance_matrix, relu_ntk_by_library

    until = flow_matrix_free()["time"]
    sample, start, kappa = _library_start()
    # mfcore brings the library in without TensorFlow, which it asks for and does not need.
    relu_ntk_by_library(jnp.ones((1, 2)), jnp.ones((1, 2)), 1.0, 1.0)
    from neural_tangents import predict

    def metric(f: jax.Array) -> jax.Array:
        # Frobenius-orthonormal coordinates, in which the kernel is the identity on 9 components.
        off = jax.lax.complex(f[3:6], f[6:]) / 2**0.5
        upper = jnp.zeros((3, 3), complex).at[jnp.triu_indices(3, 1)].set(off)
        return jnp.diag(f[:3]) + upper + upper.conj().T

    def loss(f: jax.Array, _: jax.Array) -> jax.Array:
        eta = jax.vmap(volume_ratio)(jax.vmap(metric)(f), sample.omega) / kappa
        return jnp.sum((eta - 1) ** 2)

    rows, columns = jnp.triu_indices(3, 1)
    off = start[:, rows, columns] * 2**0.5
    f = jnp.concatenate([jnp.diagonal(start, axis1=1, axis2=2).real, off.real, off.imag], axis=1)

    def run() -> jax.Array:
        matrix = jnp.exp(-((WIDE * distance_matrix(sample.z, sample.z)) ** 2))
        flow: Any = predict.gradient_descent(cast("Any", loss), matrix, f)
        return jax.block_until_ready(jax.vmap(metric)(flow(until, f)))

    seconds, g = _seconds(run)
    return {"seconds": seconds, "value": _value(g)}


def training_mfcore() -> Numbers:
    """A step of Adam on 512 points, derivatives carried through the layers."""
    from mfcore.training import frame_points

    return _training(frame_points)


def training_ambient() -> Numbers:
    """The same step, derivatives nested over the homogeneous coordinates."""
    from benchmarks.nested import AmbientPoints, nested_points

    return _training(lambda *data: nested_points(AmbientPoints, *data))


def training_local() -> Numbers:
    """The same step, derivatives nested over the local coordinates."""
    from benchmarks.nested import LocalPoints, nested_points

    return _training(lambda *data: nested_points(LocalPoints, *data))


def _training(points_of: Callable[..., Any]) -> Numbers:
    from mfcore import networks, training
    from mfcore.kaehler_networks import PotentialMetric, smooth_relu

    single = jnp.float32
    points = points_of(
        random_points(jax.random.key(0), Dwork(), BATCHES * 512), training.exact_kappa(Dwork()), single
    )
    net = networks.MLP(jax.random.key(1), (25, 64, 64, 64, 1), activation=smooth_relu, sigma_b=0.1)
    model = training.in_precision(PotentialMetric(net, 0.3), single)
    epochs = REPEATS + 1
    method = training.descent(training.adam(2e-2, epochs, BATCHES * 512, 512))
    few = training.taken(points, slice(0, 100))
    run = training.train(model, points, few, jax.random.key(2), method=method, epochs=epochs)
    times = np.diff(run.seconds)  # the first epoch compiles
    return {"seconds": float(times.min()) / BATCHES, "value": run.loss.tolist()}


def _library_start() -> tuple[Sample, jax.Array, float]:
    from mfcore.hypersurface import fubini_study_volume, omega_volume

    sample = random_points_in_patch(jax.random.key(0), Dwork(), TRAIN).sample
    kappa = fubini_study_volume(Dwork()) / omega_volume(Dwork())
    return sample, fubini_study_pullback(sample), kappa


def _flow_start() -> tuple[jax.Array, jax.Array, jax.Array, float]:
    from mfcore.kernels import distance_matrix, laplace

    sample = random_points_in_patch(jax.random.key(0), Dwork(), TRAIN).sample
    return laplace(distance_matrix(sample.z, sample.z), 0.1), fubini_study_pullback(sample), sample.omega, 1.0


def _patch_points() -> tuple[jax.Array, np.ndarray]:
    sample: Sample = random_points_in_patch(jax.random.key(0), Dwork(), POINTS).sample
    return sample.z, np.asarray(jax.vmap(chordal_embedding)(sample.z))


def _seconds(action: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result


def _residual(z: np.ndarray) -> float:
    return float(np.abs(np.sum(z**5, axis=1)).max())


def _difference(a: Any, b: np.ndarray) -> float:
    return float(np.abs(np.asarray(a) - b).max())


def _digest(index: np.ndarray) -> str:
    from mfcore.provenance import sha256

    return sha256(np.asarray(index, dtype=np.int64))


def _value(g: jax.Array) -> list[float]:
    return np.asarray(g[:20]).view(float).ravel().tolist()


MEASUREMENTS = {
    name: function
    for name, function in list(globals().items())
    if name.startswith(("sampling_", "neighbours_", "flow_", "product_", "training_"))
}
