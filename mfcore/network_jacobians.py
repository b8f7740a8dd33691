r"""Derivatives of a potential model by its parameters, a row for each point, for one reverse pass over all.

A perceptron's derivative by a weight W_mn is sum_c delta_cm a_cn, with a_cn what enters the layer and
delta_cm the derivative by what leaves it, summed here over the channels c of the jet. One reverse pass over a
batch gives the delta of all its points; the rows follow as small products. Reverse passes point by point cost
five times as much.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from mfcore._typing import Array, Float
from mfcore.kaehler_networks import Jet, PotentialMetric, activated, linear

Entries = Float[Array, "points entries"]


def tapped(
    model: PotentialMetric, jet: Float[Array, "channels features"], taps: list[Jet]
) -> tuple[Float[Array, " entries"], list[Float[Array, "channels nodes"]]]:
    """`PotentialMetric.entries` with ``taps`` added to what leaves each layer, and what enters each layer."""
    channels, entering = tuple(jet), []
    for number, tap in enumerate(taps):
        if number:
            channels = activated(model.phi.activation, channels)
        entering.append(jnp.stack(channels))
        channels = tuple(x + t for x, t in zip(linear(model.phi, number, channels), tap, strict=True))
    return model.mixed(channels), entering


def rows(
    model: PotentialMetric,
    jets: Float[Array, "points channels features"],
    value: Callable[[Entries], Float[Array, " points"]],
) -> tuple[Float[Array, " points"], Float[Array, "points params"]]:
    """The values at all points, and their derivatives by the parameters in the order of ``ravel_pytree``.

    ``value`` makes one number for each point of the entries of that point; it must not mix points.
    """
    points, channels, _ = jets.shape
    taps = [tuple(jnp.zeros((points, len(b)), jets.dtype) for _ in range(channels)) for b in model.phi.biases]

    def total(taps: list[Jet]) -> tuple[Array, tuple[Array, list[Array]]]:
        entries, entering = jax.vmap(lambda jet, taps: tapped(model, jet, taps))(jets, taps)
        values = value(entries)
        return jnp.sum(values), (values, entering)

    leaving, (values, entering) = jax.grad(total, has_aux=True)(taps)
    by_weights, by_biases = [], []
    for number, (delta, enters) in enumerate(zip(leaving, entering, strict=True)):
        # The parameterisation acts linearly on the parameters: its transpose takes derivatives back.
        _, back = jax.vjp(
            lambda w, b, n=number: model.phi.applied(n, w, b),
            model.phi.weights[number],
            model.phi.biases[number],
        )
        by_w, by_b = jax.vmap(lambda w, b, back=back: back((w, b)))(
            jnp.einsum("pcm,pcn->pmn", jnp.stack(delta, axis=1), enters), delta[0]
        )
        by_weights.append(by_w.reshape(points, -1))
        by_biases.append(by_b)
    return values, jnp.concatenate([*by_weights, *by_biases], axis=1)
