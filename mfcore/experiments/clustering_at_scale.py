"""Clustering of section 3.1 at 10^5 points as printed, and what neglecting other clusters costs a flow."""

import resource
import sys

import jax
import jax.numpy as jnp
import numpy as np

from mfcore import clustering, energies, flows, hypersurface, kernels, provenance, sampling
from mfcore.hypersurface import Dwork
from mfcore.projective import chordal_embedding
from mfcore.runner import Experiment, Params, Values, independent

QUINTIC = Dwork(5)
KEY = 3  # the same points in every trial; the trials differ in their order, and in what is done with them
MEASURED = 2000  # points on which a clustering is judged
RELU = {"sigma_w": 5.716, "sigma_b": 80.52}  # Table 1
LENGTHS = (0.05, 0.1, 0.2, 0.4)
TEST = 500  # points that no flow is trained on
STEPS = 200


def trial(params: Params) -> Values:
    """One clustering, ``task`` "cluster", or one flow on clusters, ``task`` "flow"."""
    return {"cluster": _cluster, "flow": _flow}[str(params["task"])](params)


def kernel_of(name: str, x: jax.Array, y: jax.Array, distance: jax.Array) -> jax.Array:
    """The kernels compared: "relu" at Table 1's values, "printed" (3.5), and Gaussians by their length."""
    if name == "relu":
        return kernels.relu_ntk_matrix(x, y, **RELU)
    return kernels.laplace(distance, 60.0) if name == "printed" else kernels.gaussian(distance, float(name))


def _cluster(params: Params) -> Values:
    # ``order`` shuffles the points; ``batch`` points at a time, or all at once by ``method``.
    size, count = int(params["points"]), int(params["clusters"])
    z = np.asarray(sampling.random_points_in_patch(jax.random.key(KEY), QUINTIC, size).sample.z)
    order = np.random.default_rng(int(params["order"])).permutation(size)
    labels = np.empty(size, dtype=np.int64)
    with provenance.Stopwatch() as watch:
        labels[order] = _labels(str(params["method"]), z[order], count, int(params["batch"]))
    some = np.arange(0, size, max(1, size // MEASURED))
    own = np.unique(labels[some], return_inverse=True)[1]
    place = jnp.asarray(z[some])
    distance = kernels.distance_matrix(place, place)
    score = clustering.block_diagonality(np.asarray(distance), own)
    lost = {
        f"lost {name}": clustering.lost_mass(np.asarray(kernel_of(name, place, place, distance)), own)
        for name in (*map(str, LENGTHS), "printed", "relu")
    }
    sizes = np.bincount(labels)
    return {
        "clustering_seconds": watch.seconds,
        "peak_gb": _peak_memory(),
        "b": score.score,
        "b_deviation": score.standard_deviation,
        "largest": int(sizes.max()),
        "smallest": int(sizes.min()),
        "pairs_kept": float(np.sum(sizes.astype(float) ** 2)) / size**2,
        "labels": labels.astype(np.int16),
        **lost,
    }


def _flow(params: Params) -> Values:
    # The flow with the kernel set to 0 between points of different clusters; test points are in that of the
    # nearest train point.
    size, name, method = int(params["points"]), str(params["kernel"]), str(params["method"])
    sample = sampling.random_points_in_patch(jax.random.key(KEY), QUINTIC, size + TEST).sample
    train, test = sample.take(jnp.arange(size)), sample.take(jnp.arange(size, size + TEST))
    labels = _labels(method, np.asarray(train.z), int(params["clusters"]), size // 5)
    distance, far = kernels.distance_matrix(train.z, train.z), kernels.distance_matrix(test.z, train.z)
    own = labels[np.asarray(far).argmin(axis=1)]
    between = kernel_of(name, train.z, train.z, distance) * (labels[:, None] == labels)
    to_test = kernel_of(name, test.z, train.z, far) * (own[:, None] == labels)
    kappa = hypersurface.fubini_study_volume(QUINTIC) / hypersurface.omega_volume(QUINTIC)
    start, start_test = (sampling.fubini_study_pullback(s) for s in (train, test))
    flow = flows.kernel_flow(between, start, train.omega, kappa, max_steps=STEPS)
    predicted = flows.predict(to_test, start_test, flow)
    departure = jax.vmap(energies.departure, in_axes=(0, 0, None))
    before = departure(start_test, test.omega, kappa)
    after = departure(predicted.metric, test.omega, kappa)
    ratio = np.asarray(before - energies.ratio_of_means(before, after) * after)
    return {
        "train_gain": float(flow.loss[0] / flow.loss[-1]),
        "test_gain": float(energies.ratio_of_means(before, after)),
        # Of the ratio of means, by linearisation.
        "test_gain_error": float(ratio.std() / len(ratio) ** 0.5 / jnp.mean(after)),
        "positive": float(jnp.mean(predicted.positive)),
        "steps": len(flow.loss) - 1,
        "status": flow.status,
    }


def _labels(method: str, z: np.ndarray, count: int, batch: int) -> np.ndarray:
    if method == "none":
        return np.zeros(len(z), dtype=np.int64)
    if method == "by lot":
        return np.random.default_rng(0).permutation(np.arange(len(z)) % count)
    if method == "ward":
        return clustering.ward_clustering(np.asarray(jax.vmap(chordal_embedding)(jnp.asarray(z))), count)
    if method == "in batches":
        return clustering.batch_clustering(z, _distance, count, batch)
    return clustering.full_clustering(np.asarray(_distance(z, z)), count, method)


def _distance(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    # By real matrix products, ten times as fast as `kernels.distance_matrix`; the rounding of arccos, 1e-8,
    # is seen by no mean or largest distance of clusters.
    x, y = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in (x, y))
    rows = np.hstack([np.real(x), np.imag(x)])
    cosine = (rows @ np.hstack([np.real(y), np.imag(y)]).T) ** 2
    cosine += (rows @ np.hstack([np.imag(y), -np.real(y)]).T) ** 2
    np.sqrt(cosine, out=cosine)
    return np.arccos(np.minimum(cosine, 1, out=cosine), out=cosine)


def _peak_memory() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def _one(method: str, clusters: int, points: int = 2000, order: int = 0, batch: int = 0) -> Params:
    return {
        "task": "cluster",
        "method": method,
        "points": points,
        "clusters": clusters,
        "order": order,
        "batch": batch or points,
    }


def _gain(kernel: str, method: str, clusters: int) -> Params:
    return {"task": "flow", "kernel": kernel, "method": method, "points": 2000, "clusters": clusters}


SAMPLE = _one("in batches", 5, points=300, batch=100)

EXPERIMENT = Experiment(
    name="clustering_at_scale",
    about="clustering of 10^5 points as printed, its order dependence, and flows that neglect other clusters",
    cost="about 12 minutes on 2 cores",
    trial=trial,
    chains=independent(
        SAMPLE,
        *(_one("in batches", 20, points=100_000, order=order, batch=10_000) for order in range(3)),
        *(
            _one(method, clusters, batch=400 if method == "in batches" else 0)
            for method in ("in batches", "average", "complete", "single", "ward", "by lot")
            for clusters in (2, 5, 20, 80)
        ),
        *(
            _gain(kernel, method, clusters)
            for kernel in ("0.1", "0.2", "0.4", "relu")
            for method, clusters in (
                ("none", 1),
                ("in batches", 20),
                ("average", 20),
                ("ward", 20),
                ("by lot", 20),
            )
        ),
    ),
    sample=SAMPLE,
    varying=("clustering_seconds", "peak_gb"),
)
