"""Does the frozen kernel gain because the network's own function is among its features?

The last layer is linear: moving along its own weights, the tangent model of a trained network returns to that
network. So its kernel holds the answer as one feature among thousands. Here the kernel loses that direction,
or the whole last layer, or all else. Networks and points are those of `after_kernel`.
"""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from mfcore import linearised, networks, sampling, training
from mfcore.hypersurface import Dwork
from mfcore.kaehler_networks import PotentialMetric, smooth_relu
from mfcore.runner import Experiment, Params, Values, independent

QUINTIC = Dwork()
KAPPA = training.exact_kappa(QUINTIC)
RATE, BATCH = 2e-2, 512


def trial(params: Params) -> Values:
    """Sigma along the fit of each kernel."""
    dtype, seed, batch = jnp.dtype(params["dtype"]), params["seed"], min(BATCH, params["train"] // 4)
    draws = jax.random.split(jax.random.key(seed), 5)
    counts = (5 * params["points"], params["fresh"] // 2, params["fresh"])
    keys = (draws[0], *(jax.random.fold_in(draws[1], k) for k in range(3)))
    drawn, apart, validation, fresh = (
        training.frame_points(sampling.random_points(key, QUINTIC, n), KAPPA, dtype)
        for key, n in zip(keys, (params["train"], *counts), strict=True)
    )
    net = networks.MLP(draws[2], (25, *[params["width"]] * 3, 1), activation=smooth_relu, sigma_b=0.1)
    network = training.in_precision(PotentialMetric(net, 0.3), dtype)
    if params["stop"]:
        lengths = {"epochs": params["stop"], "batch_size": batch}
        method = _method(params["epochs"], params["train"], batch)
        few = training.taken(drawn, slice(0, 2))  # held-out losses are not asked for on the way
        network = training.train(network, drawn, few, draws[3], method=method, **lengths).model
    points = training.taken(apart, slice(0, params["points"]))
    _, directions = linearised.principal_features(
        network, training.taken(drawn, slice(0, params["teachers"]))
    )
    values = {"start": float(training.held_out(linearised.tangent_metric(network), fresh))}
    for name, features in kernels_of(network, directions).items():
        model = linearised.tangent_metric(network, features)
        path = linearised.fit(model, points, validation, fresh, steps=params["steps"])
        values |= {f"{name} validation": path.validation, f"{name} fresh": path.fresh}
    return values


def kernels_of(network: PotentialMetric, directions: jax.Array) -> dict[str, jax.Array]:
    """The features of each kernel, from the `principal_features` of the whole one."""

    def among(parameters: PotentialMetric) -> jax.Array:
        return ravel_pytree(parameters)[0].astype(directions.dtype)

    nothing = jax.tree.map(jnp.zeros_like, network)
    last_weights, ones = network.phi.weights[-1], jnp.ones_like(network.phi.weights[-1])
    own = among(with_last(nothing, last_weights, network.phi.biases[-1]))
    last = among(with_last(nothing, ones, jnp.ones_like(network.phi.biases[-1])))
    own = own / jnp.linalg.norm(own)
    return {
        "whole": directions,
        "without its own function": directions - (directions @ own)[:, None] * own,
        "without the last layer": directions * (1 - last),
        "the last layer alone": jnp.zeros_like(directions)
        .at[: int(last.sum())]
        .set(jnp.eye(len(last), dtype=last.dtype)[np.flatnonzero(last)]),
    }


def with_last(network: PotentialMetric, w: jax.Array, b: jax.Array) -> PotentialMetric:
    """The network with this last layer."""
    phi = network.phi
    places = [*phi.weights[:-1], w], [*phi.biases[:-1], b]
    leaves = jax.tree.leaves(places)
    return jax.tree.unflatten(jax.tree.structure(network), leaves)


@cache  # compiled once for all trials of a process
def _method(epochs: int, count: int, batch: int) -> training.Method:
    return training.descent(training.adam(RATE, epochs, count, batch))


def _plan() -> list[Params]:
    common = {"width": 64, "train": 50_000, "epochs": 50, "fresh": 2_000, "teachers": 150, "steps": 100}
    common |= {"points": 1_000, "dtype": "float32"}
    return [common | {"seed": seed, "stop": stop} for stop in (50, 0) for seed in range(3)]


_SAMPLE = {"width": 6, "train": 200, "epochs": 2, "fresh": 90, "teachers": 5, "steps": 3} | {
    "points": 30,
    "dtype": "float64",
    "seed": 0,
    "stop": 1,
}

EXPERIMENT = Experiment(
    name="after_kernel_layers",
    about="The gain of a learned, frozen kernel without the directions that hold the network itself",
    cost="about 8 minutes on 2 cores",
    trial=trial,
    chains=independent(*_plan(), _SAMPLE),
    sample=_SAMPLE,
)
