"""What the symmetries of the quintic are worth: the same network, data and method, with and without them.

Adam, then Gauss-Newton, as in `mfcore.experiments.long_training`, with a shorter schedule.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from mfcore import linearised, networks, sampling, symmetric_inputs, training
from mfcore.gauss_newton import Settings, gauss_newton
from mfcore.hypersurface import Dwork
from mfcore.kaehler_networks import PotentialMetric, smooth_relu
from mfcore.runner import Experiment, Params, Values, independent

QUINTIC = Dwork()
KAPPA = training.exact_kappa(QUINTIC)
POINTS = {"symmetric": symmetric_inputs.frame_points, "all": training.frame_points}
GAUSS_NEWTON = Settings(damping=1e-6, kept=0.95, double=True)


def trial(params: Params) -> Values:
    """Sigma on fresh points and wall time after every epoch, positivity, and where Gauss-Newton begins."""
    keys = jax.random.split(jax.random.key(params["seed"]), 5)
    points, fresh = (
        POINTS[params["inputs"]](sampling.random_points(key, QUINTIC, n), KAPPA, jnp.dtype(params["dtype"]))
        for key, n in zip(keys, (params["train"], params["fresh"]), strict=False)
    )
    net = networks.MLP(keys[2], (25, *[params["width"]] * 3, 1), activation=smooth_relu, sigma_b=0.1)
    start = training.in_precision(PotentialMetric(net, 0.3), jnp.dtype(params["dtype"]))
    steps = params["then_epochs"] * (params["train"] // params["then_batch"])
    falling = optax.linear_schedule(0.5, 0.0, steps // 2, steps - steps // 2)
    adam = training.adam(2e-2, params["epochs"], params["train"], params["batch"])
    first = training.train(
        start,
        points,
        fresh,
        keys[3],
        method=training.descent(adam),
        epochs=params["epochs"],
        batch_size=params["batch"],
    )
    then = training.train(
        first.model,
        points,
        fresh,
        keys[4],
        method=gauss_newton(falling, GAUSS_NEWTON),
        epochs=params["then_epochs"],
        batch_size=params["then_batch"],
    )
    return {
        "start": float(training.held_out(linearised.tangent_metric(start), fresh)),
        "sigma": np.concatenate([first.sigma, then.sigma]),
        "seconds": np.concatenate([first.seconds, first.seconds[-1] + then.seconds]),
        "least_eigenvalue": float(jnp.min(fresh.least_eigenvalue(then.model))),
    }


_COMMON = {"width": 64, "train": 100_000, "fresh": 10_000, "batch": 512, "dtype": "float32"} | {
    "epochs": 4,
    "then_epochs": 1,
    "then_batch": 1024,
}
_SAMPLE = {"inputs": "symmetric", "seed": 0, "width": 6, "train": 200, "fresh": 90, "batch": 50} | {
    "dtype": "float64",
    "epochs": 2,
    "then_epochs": 2,
    "then_batch": 40,
}

EXPERIMENT = Experiment(
    name="symmetric_training",
    about="Sigma of a potential model against wall time, with the symmetries of the quintic built in or not",
    cost="about 7 minutes on 2 cores; 1 worker, for its times",
    trial=trial,
    # Batches larger than the network: with smaller ones so little damping lets a small network blow up.
    sample=(
        steady := _SAMPLE
        | {"width": 3, "train": 400, "batch": 100, "epochs": 6, "then_batch": 200, "then_epochs": 1}
    ),
    chains=independent(
        *({"inputs": "symmetric", "seed": seed} | _COMMON for seed in range(3)),
        {"inputs": "all", "seed": 0} | _COMMON,
        steady,
    ),
    varying=("seconds",),
)
