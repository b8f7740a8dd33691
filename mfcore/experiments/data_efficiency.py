"""Gain on fresh points against the number of train points: networks, and fixed kernels at the small numbers.

Networks take the same number of steps whatever the number of points, and are judged at the epoch that is best
on validation points. Kernels are those of `large_scale`, stopped at several train gains.
"""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

from mfcore import linearised, networks, sampling, training
from mfcore.experiments.large_scale import trial as kernel_trial
from mfcore.hypersurface import Dwork
from mfcore.kaehler_networks import PotentialMetric, smooth_relu
from mfcore.runner import Experiment, Params, Values, independent

QUINTIC = Dwork()
KAPPA = training.exact_kappa(QUINTIC)
RATE, BATCH = 2e-2, 512
NETWORK = {"model": "network", "width": 64, "epochs": 16, "epoch": 50_000, "fresh": 5_000, "dtype": "float32"}


def trial(params: Params) -> Values:
    """Gain of the sigma loss on fresh points."""
    if params["model"] != "network":
        asked = {"kernel": params["model"], **{k: params[k] for k in ("points", "seed", "until")}}
        found = kernel_trial(asked)
        return {k: found[k] for k in ("weighted_gain", "train_gain", "not_positive", "how_it_ended")}
    keys = jax.random.split(jax.random.key(params["seed"]), 5)
    sizes = (params["points"], params["fresh"], params["fresh"])
    dtype = jnp.dtype(params["dtype"])
    drawn, validation, fresh = (
        training.frame_points(sampling.random_points(key, QUINTIC, n), KAPPA, dtype)
        for key, n in zip(keys[:3], sizes, strict=True)
    )
    # Every epoch has as many points: few of them come often.
    points = training.taken(drawn, jnp.arange(max(params["epoch"], params["points"])) % params["points"])
    net = networks.MLP(keys[3], (25, *[params["width"]] * 3, 1), activation=smooth_relu, sigma_b=0.1)
    start = training.in_precision(PotentialMetric(net, 0.3), dtype)
    batch = min(BATCH, params["epoch"] // 4)
    options = {"method": _method(params["epochs"], len(points.weight), batch), "batch_size": batch}
    run = training.train(start, points, validation, keys[4], epochs=params["epochs"], **options)
    best, model = int(np.argmin(run.sigma)) + 1, run.model
    if best < params["epochs"]:  # the same run again, up to there
        model = training.train(start, points, validation, keys[4], epochs=best, **options).model
    before = float(training.held_out(linearised.tangent_metric(start), fresh))
    return {
        "weighted_gain": before / float(training.held_out(model, fresh)),
        "gain_at_the_end": before / float(training.held_out(run.model, fresh)),
        "train_gain": before / float(training.held_out(run.model, drawn)),
        "best_epoch": best,
        "not_positive": float(jnp.mean(fresh.least_eigenvalue(model) <= 0)),
    }


@cache  # compiled once for all trials of a process
def _method(epochs: int, count: int, batch: int) -> training.Method:
    return training.descent(training.adam(RATE, epochs, count, batch))


def _plan() -> list[Params]:
    seeds = range(3)
    counts = (100, 300, 1_000, 3_000, 10_000, 100_000)
    trained = [NETWORK | {"points": n, "seed": seed} for n in counts for seed in seeds]
    kernels = [
        {"model": name, "points": n, "seed": seed, "until": until}
        for n in (100, 300)
        for name in ("relu", "wide", "narrow")
        for until in (2.0, 5.0, 20.0)
        for seed in seeds
    ]
    return [*trained, *kernels]


_SAMPLE = NETWORK | {"width": 6, "epochs": 3, "epoch": 200, "fresh": 90, "dtype": "float64"}
_SAMPLE = _SAMPLE | {"points": 40, "seed": 0}

EXPERIMENT = Experiment(
    name="data_efficiency",
    about="Gain on fresh points against the number of train points, for networks and fixed kernels",
    cost="about 8 minutes on 2 cores",
    trial=trial,
    chains=independent(*_plan(), _SAMPLE),
    sample=_SAMPLE,
)
