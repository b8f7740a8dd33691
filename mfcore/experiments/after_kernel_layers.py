"""Does a frozen kernel gain because the network's own function is among its features?

The last layer is linear: along its own weights, the tangent model of a trained network returns to that
network. Scaling a hidden layer does nearly the same. So the kernel holds the answer among its features. Here
it loses these directions, or the last layer, or all else; or the answer stands beside an untaught kernel.
Networks are those of `after_kernel`.
"""

from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from mfcore import linearised, networks, sampling, training
from mfcore._typing import Array, Float
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
    network = untaught = training.in_precision(PotentialMetric(net, 0.3), dtype)
    if params["stop"]:
        lengths = {"epochs": params["stop"], "batch_size": batch}
        method = _method(params["epochs"], params["train"], batch)
        few = training.taken(drawn, slice(0, 2))  # held-out losses are not asked for on the way
        network = training.train(network, drawn, few, draws[3], method=method, **lengths).model
    points = training.taken(apart, slice(0, params["points"]))
    _, directions = linearised.principal_features(
        network, training.taken(drawn, slice(0, params["teachers"]))
    )
    models = {
        name: linearised.tangent_metric(network, features)
        for name, features in kernels_of(network, directions).items()
        if params["stop"] or name in ("whole", "last layer alone")
    }
    if params["stop"]:
        models["own function beside an untaught kernel"] = beside(network, untaught)
    values = {"start": float(training.held_out(linearised.tangent_metric(network), fresh))}
    for name, model in models.items():
        path = linearised.fit(model, points, validation, fresh, steps=params["steps"])
        values |= {f"{name} validation": path.validation, f"{name} fresh": path.fresh}
    return values


class Beside(linearised.TangentMetric):
    """A tangent model with the function of another network as one more feature, the first of w."""

    other: PotentialMetric | None = None
    strength: float = eqx.field(static=True, default=1.0)

    def entries(self, jet: Float[Array, "channels features"]) -> Float[Array, " entries"]:
        """What the one feature and the tangent of the network add to g_FS."""
        if self.other is None:
            raise ValueError("no other network: give one, or take `linearised.TangentMetric`")
        tangent = linearised.TangentMetric(self.network, self.w[1:])
        return self.w[0] * self.strength * self.other.entries(jet) + tangent.entries(jet)


def beside(taught: PotentialMetric, untaught: PotentialMetric) -> Beside:
    """The untaught kernel and the taught function, as strong as it is in the taught network's kernel."""
    model = linearised.tangent_metric(untaught)
    strength = float(1 / jnp.linalg.norm(taught.phi.weights[-1]))
    return Beside(untaught, jnp.concatenate([model.w[:1], model.w]), None, taught, strength)


def kernels_of(network: PotentialMetric, directions: jax.Array) -> dict[str, jax.Array]:
    """The features of each kernel, from the `principal_features` of the whole one."""
    scalings = jnp.stack([_scaling(network, k) for k in range(len(network.phi.weights))])
    own = scalings[-1:] / jnp.linalg.norm(scalings[-1])
    every, _ = jnp.linalg.qr(scalings.T)
    nodes = np.flatnonzero(ravel_pytree(with_last(_zero(network), jnp.ones_like(network.phi.weights[-1])))[0])
    last = jnp.eye(directions.shape[1], dtype=directions.dtype)[nodes]
    return {
        "whole": directions,
        "without own function": directions - directions @ own.T @ own,
        "without scalings of layers": directions - directions @ every @ every.T,
        "without last layer": directions.at[:, nodes].set(0.0),
        "last layer alone": jnp.zeros_like(directions).at[: len(nodes)].set(last),
        "last layer without own function": jnp.zeros_like(directions)
        .at[: len(nodes)]
        .set(last - last @ own.T @ own),
    }


def _scaling(network: PotentialMetric, layer: int) -> jax.Array:
    """The direction that scales a layer; of the last its weights only, for its bias moves no metric."""
    zero, phi = _zero(network), network.phi
    if layer == len(phi.weights) - 1:
        return ravel_pytree(with_last(zero, phi.weights[-1]))[0]
    weights = [w if k == layer else jnp.zeros_like(w) for k, w in enumerate(phi.weights)]
    biases = [b if k == layer else jnp.zeros_like(b) for k, b in enumerate(phi.biases)]
    return ravel_pytree(jax.tree.unflatten(jax.tree.structure(network), [*weights, *biases]))[0]


def _zero(network: PotentialMetric) -> PotentialMetric:
    return jax.tree.map(jnp.zeros_like, network)


def with_last(network: PotentialMetric, w: jax.Array) -> PotentialMetric:
    """The network with these weights in its last layer."""
    leaves = [*network.phi.weights[:-1], w, *network.phi.biases]
    return jax.tree.unflatten(jax.tree.structure(network), leaves)


@cache  # compiled once for all trials of a process
def _method(epochs: int, count: int, batch: int) -> training.Method:
    return training.descent(training.adam(RATE, epochs, count, batch))


def _plan() -> list[Params]:
    common = {"width": 64, "train": 50_000, "epochs": 50, "fresh": 2_000, "teachers": 150, "steps": 200}
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
    about="The gain of a learned, frozen kernel with and without the directions that hold the network itself",
    cost="about 10 minutes on 2 cores",
    trial=trial,
    chains=independent(*_plan(), _SAMPLE),
    sample=_SAMPLE,
)
