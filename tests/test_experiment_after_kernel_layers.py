"""The parts of a frozen kernel: what is removed is the network's own function, or a layer, nothing else."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from mfcore import linearised, sampling, training
from mfcore.experiments.after_kernel_layers import KAPPA, QUINTIC, kernels_of, with_last
from mfcore.kaehler_networks import PotentialMetric, smooth_relu
from mfcore.networks import MLP


def test_parts_of_the_kernel():
    network = PotentialMetric(MLP(jax.random.key(0), (25, 5, 4, 1), activation=smooth_relu), 0.3)
    points = training.frame_points(sampling.random_points(jax.random.key(1), QUINTIC, 20), KAPPA)
    zero = jax.tree.map(jnp.zeros_like, network)
    own, _ = ravel_pytree(with_last(zero, network.phi.weights[-1], network.phi.biases[-1]))
    # Moving along its own last layer, the tangent model is the network.
    moved = linearised.TangentMetric(network, own)
    np.testing.assert_allclose(points.ratio(moved), points.ratio(network), rtol=1e-12)

    _, directions = linearised.principal_features(network, training.taken(points, slice(0, 4)))
    parts = kernels_of(network, directions)
    np.testing.assert_array_equal(parts["whole"], directions)
    left = parts["without its own function"]
    np.testing.assert_allclose(left @ own, 0, atol=1e-12)
    lost = directions - left
    np.testing.assert_allclose(lost, np.outer(lost @ own, own) / (own @ own), atol=1e-12)
    last, _ = ravel_pytree(with_last(zero, jnp.ones((1, 4)), jnp.ones(1)))
    np.testing.assert_allclose(parts["without the last layer"], directions * (1 - last), atol=0)
    alone = parts["the last layer alone"]
    assert int(jnp.sum(jnp.abs(alone))) == int(last.sum()) == 5
    np.testing.assert_array_equal(jnp.sum(alone, axis=0), last)
