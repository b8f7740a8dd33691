"""A network's kernel, frozen after some epochs of training, and what it gains from other points.

Each trial trains one potential model for ``stop`` epochs, freezes its metric-NTK, and fits the tangent model
from the Fubini-Study metric on ``points`` points that the network has not seen. Paper, conclusions; v2.
"""

import jax
import jax.numpy as jnp

from mfcore import linearised, networks, sampling, training
from mfcore.hypersurface import Dwork
from mfcore.kaehler_networks import PotentialMetric, smooth_relu
from mfcore.runner import Experiment, Params, Values, independent

QUINTIC = Dwork()
KAPPA = training.exact_kappa(QUINTIC)
TRAIN, FRESH, BATCH, RATE = 50_000, 3_000, 512, 2e-2


def trial(params: Params) -> Values:
    """Sigma of Fubini-Study, of the network, and of the frozen kernel after each step, on fresh points."""
    keys = jax.random.split(jax.random.key(params["seed"]), 5)
    sizes = (TRAIN, FRESH, params["points"])
    drawn, fresh, apart = (
        sampling.random_points(k, QUINTIC, n) for k, n in zip(keys[:3], sizes, strict=True)
    )
    net = networks.MLP(keys[3], (25, *[params["width"]] * 3, 1), activation=smooth_relu, sigma_b=0.1)
    network = PotentialMetric(net, 0.3)
    if params["stop"]:
        points, judges = (training.frame_points(s, KAPPA, jnp.float32) for s in (drawn, fresh))
        optimiser = training.adam(RATE, params["stop"], TRAIN, BATCH)
        options = {"optimiser": optimiser, "epochs": params["stop"], "batch_size": BATCH}
        small = training.in_precision(network, jnp.float32)
        network = training.in_precision(
            training.train(small, points, judges, keys[4], **options).model, jnp.float64
        )
    points, judges = (training.frame_points(s, KAPPA) for s in (apart, fresh))
    model = linearised.tangent_metric(network)
    _, losses, sigmas = linearised.fit(model, points, judges, steps=params["steps"])
    return {
        "start": float(training.held_out(model, judges)),
        "network": float(training.held_out(network, judges)),
        "losses": losses,
        "sigmas": sigmas,
    }


def _plan() -> list[Params]:
    common = {"width": 64, "points": 1_000, "steps": 100}
    stops = [common | {"seed": seed, "stop": stop} for seed in range(5) for stop in (0, 1, 2, 5, 10, 20)]
    return [*stops, {"width": 8, "points": 50, "steps": 5, "seed": 0, "stop": 0}]


EXPERIMENT = Experiment(
    name="frozen_kernels",
    about="Gain of a network's kernel, frozen before, during and after training, from points of its own",
    cost="about 30 minutes on 2 cores",
    trial=trial,
    chains=independent(*_plan()),
    sample=_plan()[-1],
)
