"""The parts of a frozen kernel: what is removed is the network's own function, or a layer, nothing else."""

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from mfcore import linearised, training
from mfcore.experiments.after_kernel_layers import KAPPA, QUINTIC, Beside, beside, kernels_of, with_last
from mfcore.kaehler_networks import PotentialMetric, smooth_relu
from mfcore.networks import MLP


def potential(seed):
    return PotentialMetric(MLP(jax.random.key(seed), (25, 5, 4, 1), activation=smooth_relu), 0.3)


@pytest.fixture(scope="module")
def points():
    return training.frame_points(drawn.points(QUINTIC, 40, 1), KAPPA)


@pytest.mark.slow
def test_parts_of_the_kernel(points):
    network = potential(0)
    zero = jax.tree.map(jnp.zeros_like, network)
    own, _ = ravel_pytree(with_last(zero, network.phi.weights[-1]))
    # Along its own last weights, the tangent model is the network.
    moved = linearised.TangentMetric(network, own)
    np.testing.assert_allclose(drawn.ratio(points, moved), drawn.ratio(points, network), rtol=1e-12)

    _, directions = linearised.principal_features(network, training.taken(points, slice(0, 4)))
    parts = kernels_of(network, directions)
    np.testing.assert_array_equal(parts["whole"], directions)
    left = parts["without own function"]
    np.testing.assert_allclose(left @ own, 0, atol=1e-12)
    lost = directions - left
    np.testing.assert_allclose(lost, np.outer(lost @ own, own) / (own @ own), atol=1e-12)
    last, _ = ravel_pytree(with_last(zero, jnp.ones((1, 4))))
    np.testing.assert_allclose(parts["without last layer"], directions * (1 - last), atol=0)
    np.testing.assert_array_equal(jnp.sum(parts["last layer alone"], axis=0), last)
    np.testing.assert_allclose(parts["last layer without own function"] @ own, 0, atol=1e-12)
    # Three layers, three scalings.
    lost = directions - parts["without scalings of layers"]
    assert np.linalg.matrix_rank(lost, tol=1e-9) == 3
    weights = [network.phi.weights[0], *(jnp.zeros_like(w) for w in network.phi.weights[1:])]
    biases = [network.phi.biases[0], *(jnp.zeros_like(b) for b in network.phi.biases[1:])]
    first, _ = ravel_pytree(jax.tree.unflatten(jax.tree.structure(network), [*weights, *biases]))
    np.testing.assert_allclose(parts["without scalings of layers"] @ first, 0, atol=1e-12)


@pytest.mark.slow
def test_the_taught_function_beside_an_untaught_kernel(points):
    taught, untaught = potential(0), potential(5)
    model = beside(taught, untaught)
    np.testing.assert_allclose(drawn.ratio(points, model), points.eta, rtol=1e-12)
    once = Beside(untaught, model.w.at[0].set(1 / model.strength), None, taught, model.strength)
    np.testing.assert_allclose(drawn.ratio(points, once), drawn.ratio(points, taught), rtol=1e-12)
    w = jax.random.normal(jax.random.key(3), model.w.shape).at[0].set(0.0)
    other = linearised.TangentMetric(untaught, w[1:])
    same = Beside(untaught, w, None, taught, model.strength)
    np.testing.assert_allclose(drawn.ratio(points, same), drawn.ratio(points, other), rtol=1e-12)
