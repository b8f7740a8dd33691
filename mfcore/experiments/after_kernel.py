"""A network's kernel, frozen before, during or after training, and what it gains from points of its own.

Each trial trains one potential model up to an epoch, freezes its metric-NTK, and starts again from the
Fubini-Study metric on points that the network has not seen, with the kernel fixed: by the kernel flow and by
L-BFGS. Controls: the kernel's leading features alone, its directions with another kernel's spectrum, and a
network taught on another part of the quintic or on another quintic. Paper, conclusions; v2.
"""

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mfcore import linearised, networks, sampling, training
from mfcore.hypersurface import Dwork
from mfcore.kaehler_networks import PotentialMetric, smooth_relu
from mfcore.runner import Experiment, Params, Values, independent
from mfcore.sampling import Sample

QUINTIC = Dwork()
KAPPA = training.exact_kappa(QUINTIC)
RATE, BATCH = 2e-2, 512
TAUGHT_ON_PSI = 0.5  # the other member of the family
PAPER = {
    "width": 64,
    "train": 50_000,
    "epochs": 50,
    "fresh": 2_000,
    "teachers": 150,
    "steps": 100,
    "leading": [30, 100, 300, 1000],
    "dtype": "float32",
}
UNTIL = 1e6  # time of the flow, in units of the kernel's size
STOPS = (0, 1, 2, 5, 10, 50)


def trial(params: Params) -> Values:
    """Sigma of Fubini-Study, of the network, and of the frozen kernel along each of its fits."""
    draws = jax.random.split(jax.random.key(params["seed"]), 5)
    dtype, apart_in_half = jnp.dtype(params["dtype"]), params["taught_on"] == "one half"
    variety = Dwork(psi=TAUGHT_ON_PSI) if params["taught_on"] == "psi" else QUINTIC
    drawn = _drawn(draws[0], variety, params["train"], half="first" if apart_in_half else "both")
    half = "second" if apart_in_half else "both"
    taught_points = training.frame_points(drawn, _kappa(variety, draws[4]), dtype)
    counts = (max(params["points"]), params["fresh"] // 3, params["fresh"])
    apart, validation, fresh = (
        training.frame_points(_drawn(jax.random.fold_in(draws[1], k), QUINTIC, n, half=half), KAPPA, dtype)
        for k, n in enumerate(counts)
    )
    start = _network(draws[2], params["width"], dtype)
    taught = _taught(start, taught_points, draws[3], params, params["stop"])
    values = {
        "start": float(training.held_out(linearised.tangent_metric(taught), fresh)),
        "network": float(training.held_out(taught, fresh)),
        "network_positive": float(jnp.mean(fresh.least_eigenvalue(taught) > 0)),
    }
    for n in params["points"]:
        points = training.taken(apart, slice(0, n))
        path = linearised.fit(
            linearised.tangent_metric(taught), points, validation, fresh, steps=params["steps"]
        )
        values |= _told(f"fit {n}", path)
        values[f"fit {n} positive"] = float(jnp.mean(fresh.least_eigenvalue(path.model) > 0))
    if params["flow"]:
        points = training.taken(apart, slice(0, params["flow"]))
        model = linearised.tangent_metric(taught)
        path = linearised.flow(model, points, validation, fresh, until=UNTIL, steps=params["flow_steps"])
        values |= _told("flow", path)
    if params["features"]:
        points = training.taken(apart, slice(0, params["features"]))
        teachers = training.taken(taught_points, slice(0, params["teachers"]))
        size, directions = linearised.principal_features(taught, teachers)
        values["spectrum"] = size**2  # pyright: ignore[reportArgumentType]
        end = params["epochs"] if params["stop"] == 0 else 0
        other = _taught(start, taught_points, draws[3], params, end)
        theirs, _ = linearised.principal_features(other, teachers)
        # Features left out are zeros, so that one compiled fit serves all.
        chosen = {
            f"leading {k}": jnp.where(jnp.arange(len(size)) < k, 1.0, 0.0)
            for k in (*params["leading"], len(size))
        }
        # The same directions, each as strong as the one of its rank in the other kernel.
        chosen["swapped spectrum"] = theirs / jnp.maximum(size, 1e-6 * size[0])
        for name, strength in chosen.items():
            model = linearised.tangent_metric(taught, strength[:, None].astype(dtype) * directions)
            path = linearised.fit(model, points, validation, fresh, steps=params["steps"])
            values |= _told(name, path)
    return values


def _network(key: Any, width: int, dtype: Any) -> PotentialMetric:
    net = networks.MLP(key, (25, width, width, width, 1), activation=smooth_relu, sigma_b=0.1)
    return training.in_precision(PotentialMetric(net, 0.3), dtype)


def _taught(
    network: PotentialMetric, points: training.FramePoints, key: Any, params: Params, stop: int
) -> PotentialMetric:
    if not stop:
        return network
    # The schedule is that of the whole training: a network stopped early is one seen on its way.
    batch = min(BATCH, params["train"] // 4)
    method = _method(params["epochs"], params["train"], batch)
    few = training.taken(points, slice(0, 2))  # held-out losses are not asked for on the way
    return training.train(network, points, few, key, method=method, epochs=stop, batch_size=batch).model


@cache  # compiled once for all trials of a process
def _method(epochs: int, count: int, batch: int) -> training.Method:
    return training.descent(training.adam(RATE, epochs, count, batch))


def _drawn(key: Any, variety: Dwork, count: int, half: str) -> Sample:
    """Points of the variety; of the half |z_0| < |z_1|, or of the other, only."""
    if half == "both":
        return sampling.random_points(key, variety, count)
    sample = sampling.random_points(key, variety, 2 * count + 1000)
    first = np.asarray(jnp.abs(sample.z[:, 0]) < jnp.abs(sample.z[:, 1]))
    index = np.flatnonzero(first if half == "first" else ~first)[:count]
    if len(index) < count:
        raise ValueError(f"{len(index)} of {len(first)} points in the {half} half: need {count}")
    return jax.tree.map(lambda x: x[index], sample)


def _kappa(variety: Dwork, key: Any) -> float:
    if not variety.psi:
        return KAPPA
    weight = sampling.random_points(key, variety, 200_000).weight
    return float(1 / jnp.mean(weight))


def _told(name: str, path: linearised.Path) -> Values:
    return {
        f"{name} at": path.at,
        f"{name} loss": path.loss,
        f"{name} validation": path.validation,
        f"{name} fresh": path.fresh,
    }


def _plan() -> list[Params]:
    """Kernels of the first and the last epoch also from more points, by features, and taught elsewhere."""
    common = PAPER | {"taught_on": "the quintic", "flow": 500, "flow_steps": 25, "features": 0}
    ends, places = (STOPS[0], STOPS[-1]), ("one half", "psi")
    trials = []
    for seed in range(5):
        for stop in STOPS:
            points = [200, 1000, 5000] if stop in ends else [200, 1000]
            features = 1000 if stop in ends and seed < 3 else 0
            trials.append(common | {"seed": seed, "stop": stop, "points": points, "features": features})
    for seed in range(3):
        # At the start nothing has been taught: only the place of the points matters.
        for place, stop in ((places[0], ends[0]), (places[0], ends[1]), (places[1], ends[1])):
            own = {"taught_on": place, "seed": seed, "stop": stop, "points": [1000], "flow": 0}
            trials.append(common | own)
    return trials


_SAMPLE = PAPER | {
    "width": 6,
    "train": 200,
    "epochs": 2,
    "fresh": 90,
    "teachers": 5,
    "steps": 3,
    "leading": [10],
    "dtype": "float64",
    "taught_on": "one half",
    "flow": 30,
    "flow_steps": 4,
    "features": 30,
    "seed": 0,
    "stop": 1,
    "points": [30],
}

EXPERIMENT = Experiment(
    name="after_kernel",
    about="What a network's kernel, frozen along its training, gains from points of its own; with controls",
    cost="about 35 minutes on 2 cores",
    trial=trial,
    chains=independent(*_plan(), _SAMPLE),
    sample=_SAMPLE,
)
