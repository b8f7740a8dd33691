"""Kernel flows from 10^3 to 10^5 points of one chart, without clustering, and what they gain on fresh points.

Each kernel comes in the form that suits it: whole, in blocks; sparse; or of low rank. The start is the
normalised Fubini-Study metric. Paper section 3.2: "about 5" at a thousand and at a hundred thousand points.
"""

import resource
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

from mfcore import energies, flows, sampling
from mfcore.approximate_kernels import delta, low_rank, within_reach
from mfcore.flow_steps import KernelOperator
from mfcore.hypersurface import Dwork, fubini_study_volume, omega_volume
from mfcore.kernel_products import KernelProduct, gaussian, of_distance, relu_ntk
from mfcore.runner import Experiment, Params, Values, independent
from mfcore.sampling import Sample

QUINTIC = Dwork()
KAPPA = fubini_study_volume(QUINTIC) / omega_volume(QUINTIC)
FRESH = 4000
SIGMA_W, SIGMA_B = 5.716, 80.52  # Table 1
NARROW, WIDE = 30.0, 2.0  # of exp(-(sigma d)^2): Table 1's, and one that reaches many neighbours
DROPPED = 1e-8  # value at which the narrow Gaussian is cut off
RANK = 800
SCALE = 10_000  # points from which on the cost is recorded
ROWS = 50  # of each product that are held against the whole kernel in double precision

# Few solver iterations a step where a product is a sum over all pairs.
OPTIONS = {
    "delta": {},
    "narrow": {},
    "wide": {"largest_change": 0.2, "iterations": 2, "max_steps": 200},
    "relu": {"largest_change": 0.5, "iterations": 2, "max_steps": 400},
    "relu, low rank": {"largest_change": 0.5, "iterations": 2, "max_steps": 400},
}


def trial(params: Params) -> Values:
    """One flow to the train gain ``until``: gains on its train points and on fresh ones, and what it cost."""
    name = params["kernel"]
    train, fresh = (
        sampling.random_points_in_patch(jax.random.key(seed), QUINTIC, count).sample
        for seed, count in ((params["seed"], params["points"]), (1000 + params["seed"], FRESH))
    )
    begin = time.process_time()
    kernel, to_fresh, left_out = _kernels(name, train, fresh)
    built = time.process_time()
    start, fresh_start = sampling.fubini_study_pullback(train), sampling.fubini_study_pullback(fresh)
    flow = flows.kernel_flow(kernel, start, train.omega, KAPPA, goal=1 / params["until"], **OPTIONS[name])
    ended = time.process_time()
    predicted = flows.predict(to_fresh, fresh_start, flow)
    before, after = _loss(fresh_start, fresh), _loss(predicted.metric, fresh)
    weight = np.asarray(fresh.weight)
    return {
        "train_gain": flow.loss[0] / flow.loss[-1],
        "fresh_gain": before.mean() / after.mean(),
        "fresh_error": _error_of_ratio(before, after, np.asarray(fresh.line)),
        "weighted_gain": np.sum(weight * before) / np.sum(weight * after),
        "not_positive": float(jnp.mean(~predicted.positive)),
        "steps": len(flow.loss) - 1,
        "how_it_ended": flow.status,
        "left_out": left_out,
        **_under_the_whole_kernel(name, flow, start, train),
        **(_cost(built - begin, ended - built) if params["points"] >= SCALE else {}),
    }


def whole(name: str, x: Sample, y: Sample, dtype: type = np.complex64) -> KernelProduct:
    """The kernel of a smooth name in blocks, with nothing left out."""
    rows, columns = x.z.astype(dtype), y.z.astype(dtype)
    if name.startswith("relu"):
        return relu_ntk(rows, columns, SIGMA_W, SIGMA_B)
    return of_distance(gaussian, rows, columns, {"narrow": NARROW, "wide": WIDE}[name])


def _kernels(name: str, train: Sample, fresh: Sample) -> tuple[KernelOperator, KernelOperator, float]:
    """The kernel of the train points, that of the fresh with them, and a bound of any entry left out."""
    if name == "delta":
        return delta(train.z, train.z), delta(fresh.z, train.z), 0.0
    if name == "narrow":
        reach = np.log(1 / DROPPED) ** 0.5 / NARROW
        near, far = (
            within_reach(lambda d: gaussian(d**2, jnp.array(NARROW)), x.z, train.z, reach)
            for x in (train, fresh)
        )
        return near, far, DROPPED
    if name == "relu, low rank":
        exact = whole(name, train, train, np.complex128)
        landmarks = low_rank(jax.random.key(0), exact, min(RANK, len(train.z) // 2))
        to_fresh = landmarks.with_train(whole(name, fresh, train, np.complex128))
        return landmarks.among_train(), to_fresh, landmarks.left_out
    return whole(name, train, train), whole(name, fresh, train), 0.0


def _under_the_whole_kernel(name: str, flow: flows.Flow, start: jax.Array, train: Sample) -> Values:
    """The same corrections, spread by the whole kernel in double precision, at some of the train points."""
    if name == "delta":
        return {"metric_error": 0.0}
    rows = np.linspace(0, len(start) - 1, min(ROWS, len(start))).astype(int)
    some = train.take(jnp.asarray(rows))
    exact = flows.predict(whole(name, some, train, np.complex128), start[rows], flow).metric
    moved = jnp.linalg.norm(exact - start[rows], axis=(1, 2))
    error = jnp.linalg.norm(exact - flow.metric[rows], axis=(1, 2))
    before, whole_after, after = (_loss(g, some).mean() for g in (start[rows], exact, flow.metric[rows]))
    return {
        "metric_error": float(jnp.sqrt(jnp.mean(error**2) / jnp.mean(moved**2))),
        "gain_there": before / after,
        "whole_gain_there": before / whole_after,
    }


def _loss(g: jax.Array, sample: Sample) -> np.ndarray:
    return np.asarray(jax.vmap(energies.departure, in_axes=(0, 0, None))(g, sample.omega, KAPPA))


def _cost(building: float, flowing: float) -> Values:
    """Processor time, which other processes do not change, and the most memory this one has held so far."""
    unit = 1e-9 if sys.platform == "darwin" else 1.024e-6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return {"building_seconds": building, "flowing_seconds": flowing, "peak_gigabytes": peak}


def _error_of_ratio(before: np.ndarray, after: np.ndarray, line: np.ndarray) -> float:
    """Standard error of mean(before) / mean(after), to first order, points grouped by line."""
    pull = (before - before.mean() / after.mean() * after) / after.mean()
    return float(np.sqrt(np.sum(np.bincount(line, pull) ** 2)) / len(pull))


def _plan() -> list[Params]:
    seeds = {1_000: 3, 10_000: 2, 100_000: 1}
    untils = {
        "delta": [5.0, 1e12],
        "narrow": [1e12],
        "relu, low rank": [5.0],
        "relu": [5.0],
        "wide": [5.0, 20.0],
    }
    plan = [
        {"kernel": name, "points": points, "seed": seed, "until": until}
        for points, count in seeds.items()
        for name, until_each in untils.items()
        for until in until_each
        for seed in range(count)
        # Hundreds of sums over 10^10 pairs are left to those who have a GPU.
        if points < 100_000 or (name, until) not in {("relu", 5.0), ("wide", 20.0)}
    ]
    return plan + [
        {"kernel": "relu, low rank", "points": points, "seed": seed, "until": 20.0}
        for points in (1_000, 10_000)
        for seed in range(seeds[points])
    ]


EXPERIMENT = Experiment(
    name="large_scale",
    about="Kernel flows at 10^3, 10^4 and 10^5 points without clustering: gains on train and fresh points",
    cost="about an hour of one core",
    trial=trial,
    chains=independent(*_plan()),
    sample={"kernel": "delta", "points": 1_000, "seed": 2, "until": 1e12},
    varying=("building_seconds", "flowing_seconds", "peak_gigabytes"),
)
