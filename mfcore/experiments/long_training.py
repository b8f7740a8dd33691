"""How far a small network gets, and how fast: sigma against wall time, by Adam alone and with Gauss-Newton.

To be run with one worker and nothing else on the machine: it measures times. Trials are the first thing in
their process only if asked for one by one, so the peak memory is that of the largest trial so far.
"""

import resource
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax

from mfcore import linearised, networks, sampling, training
from mfcore.gauss_newton import Settings, gauss_newton
from mfcore.hypersurface import Dwork
from mfcore.kaehler_networks import PotentialMetric, smooth_relu
from mfcore.runner import Experiment, Params, Values, independent

QUINTIC = Dwork()
KAPPA = training.exact_kappa(QUINTIC)
RATE = 2e-2


def trial(params: Params) -> Values:
    """Sigma on fresh points and wall time after every epoch, and where the steps of Gauss-Newton begin."""
    keys = jax.random.split(jax.random.key(params["seed"]), 5)
    dtype, batch = jnp.dtype(params["dtype"]), params["batch"]
    points, fresh = (
        training.frame_points(sampling.random_points(key, QUINTIC, n), KAPPA, dtype)
        for key, n in zip(keys, (params["train"], params["fresh"]), strict=False)
    )
    net = networks.MLP(keys[2], (25, *[params["width"]] * 3, 1), activation=smooth_relu, sigma_b=0.1)
    start = training.in_precision(PotentialMetric(net, 0.3), dtype)
    adam = training.descent(training.adam(RATE, params["epochs"], params["train"], batch))
    lengths = {"epochs": params["epochs"], "batch_size": batch}
    runs = [training.train(start, points, fresh, keys[3], method=adam, **lengths)]
    if params["then"]:
        batch = params["then"]["batch"]
        steps = params["then"]["epochs"] * (params["train"] // batch)
        method = gauss_newton(
            optax.linear_schedule(params["then"]["rate"], 0.0, steps // 2, steps - steps // 2),
            Settings(*(params["then"][k] for k in Settings._fields)),
        )
        lengths = {"epochs": params["then"]["epochs"], "batch_size": batch}
        runs.append(training.train(runs[0].model, points, fresh, keys[4], method=method, **lengths))
    unit = 1e-9 if sys.platform == "darwin" else 1.024e-6
    model = runs[-1].model
    return {
        "start": float(training.held_out(linearised.tangent_metric(start), fresh)),
        "sigma": np.concatenate([run.sigma for run in runs]),
        "seconds": np.concatenate(
            [runs[0].seconds, *(runs[0].seconds[-1] + run.seconds for run in runs[1:])]
        ),
        "least_eigenvalue": float(jnp.min(fresh.least_eigenvalue(model))),
        "peak_gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit,
    }


def _plan() -> list[Params]:
    common = {"width": 64, "train": 100_000, "fresh": 10_000, "batch": 512, "dtype": "float32", "seed": 0}
    then = {"epochs": 8, "batch": 1024, "rate": 0.5, "damping": 1e-6, "kept": 0.95, "double": True}
    return [common | {"epochs": 8, "then": then}, common | {"epochs": 40, "then": None}]


_SAMPLE = {"width": 6, "train": 200, "fresh": 90, "batch": 50, "dtype": "float64", "seed": 0, "epochs": 2} | {
    "then": {"epochs": 2, "batch": 40, "rate": 0.5, "damping": 1e-2, "kept": 0.9, "double": True}
}

EXPERIMENT = Experiment(
    name="long_training",
    about="Sigma of a potential model against wall time, by Adam and by Gauss-Newton; run it alone",
    cost="about 10 minutes on 2 quiet cores",
    trial=trial,
    chains=independent(*_plan(), _SAMPLE),
    sample=_SAMPLE,
    varying=("seconds", "peak_gigabytes"),
)
