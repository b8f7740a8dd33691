"""Oracles: the networks' own values and kernels by autodiff, exact linear flows, the limit of width."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from mfcore import cosine_networks, flow_chain, torus

SIDE, HIGHEST = 12, 4


@pytest.fixture
def start():
    x = torus.grid(SIDE, 2)
    c = 0.1 * jnp.cos(x[..., 0] + x[..., 1])
    return jnp.eye(2) + jnp.stack([jnp.stack([c, 0.5 * c], -1), jnp.stack([0.5 * c, -c], -1)], -2)


@pytest.fixture
def pull_to_flat():
    """The force of the loss |g - delta|^2 / 2, under which every mode decays by itself."""
    return lambda g: g - jnp.eye(2)


@pytest.mark.slow
def test_fourier_sums_are_the_network_at_every_point(key):
    network = cosine_networks.periodic_cosine_network(key, 2, 40, 0.5)
    direct = torus.pointwise(network, 2)(torus.grid(SIDE, 2))
    assert np.abs(network.k).max() < SIDE // 2
    assert_allclose(flow_chain.on_grid(network, SIDE, SIDE // 2 - 1), direct, atol=1e-13)
    assert_allclose(flow_chain.on_grid(network, SIDE, 2), torus.truncate(direct, 2, 2), atol=1e-13)
    assert np.abs(torus.truncate(direct, 2, 2) - direct).max() > 0.1


@pytest.mark.slow
def test_kernel_acts_on_symmetric_matrices_without_mixing(key):
    # Theta_ijkl = (delta_ik delta_jl + delta_il delta_jk) / 2 Theta: off the diagonal as fast as on it.
    networks = flow_chain.independent_networks(key, 2, 4000, 0.8)

    def kernel(at, other):
        def metric(parameters):
            moved = eqx.tree_at(lambda n: [n.a, n.b], networks, parameters)
            return flow_chain.metric_on_grid(moved, SIDE, 5)

        jacobian = jax.jacrev(lambda p: jnp.stack([metric(p)[at], metric(p)[other]]))(
            [networks.a, networks.b]
        )
        flat = jnp.concatenate([j.reshape(2, 2, 2, -1) for j in jacobian], axis=-1)
        return jnp.einsum("ijI,klI->ijkl", flat[0], flat[1])

    found = kernel((0, 0), (1, 2))
    limit = cosine_networks.periodic_gaussian(*(torus.grid(SIDE, 2)[p] for p in ((0, 0), (1, 2))), 0.8)
    delta = np.eye(2)
    identity = (np.einsum("ik,jl->ijkl", delta, delta) + np.einsum("il,jk->ijkl", delta, delta)) / 2
    assert np.abs(np.asarray(found)[identity == 0]).max() < 1e-15
    assert_allclose(found, limit * identity, atol=0.1 * float(limit))


def test_frozen_flow_damps_each_mode_at_its_own_rate(start, pull_to_flat):
    end = flow_chain.frozen_flow(start, pull_to_flat, 0.7, 0.9, steps=30, highest=HIGHEST)
    decay = np.exp(-0.9 * np.exp(-(0.7**2) * 2 / 2))
    assert_allclose(end - jnp.eye(2), decay * (start - jnp.eye(2)), atol=1e-9)
    local = flow_chain.frozen_flow(start, pull_to_flat, 0.0, 0.9, steps=30, highest=HIGHEST)
    assert_allclose(local - jnp.eye(2), np.exp(-0.9) * (start - jnp.eye(2)), atol=1e-9)


@pytest.mark.slow
def test_linearised_flow_is_the_flow_of_the_kernel_at_the_start(key, start, pull_to_flat):
    networks = flow_chain.independent_networks(key, 2, 30, 0.8)
    found = flow_chain.linearised_flow(networks, start, pull_to_flat, 0.5, steps=40, highest=HIGHEST)

    def output(parameters):
        moved = eqx.tree_at(lambda n: [n.a, n.b], networks, parameters)
        return flow_chain.metric_on_grid(moved, SIDE, HIGHEST).ravel()

    jacobian = jax.jacrev(output)([networks.a, networks.b])
    jacobian = jnp.concatenate([j.reshape(4 * SIDE**2, -1) for j in jacobian], axis=1)
    gram = (2 * np.pi / SIDE) ** 2 * jacobian @ jacobian.T
    values, vectors = np.linalg.eigh(gram)
    difference = np.asarray(start - jnp.eye(2)).ravel()
    exact = vectors @ (np.exp(-0.5 * values) * (vectors.T @ difference))
    assert_allclose((found - jnp.eye(2)).ravel(), exact, atol=1e-8)
    assert np.abs(exact - difference).max() > 1e-2


@pytest.mark.slow
def test_wide_networks_tend_to_the_frozen_flow_and_to_their_linearisation(key, start):
    def force(g):
        return g @ g - jnp.linalg.inv(g)

    frozen = flow_chain.frozen_flow(start, force, 0.6, 0.5, steps=10, highest=HIGHEST)
    moved = flow_chain.distance(start, frozen)

    def distances(width):
        @jax.jit
        @jax.vmap
        def run(seed):
            networks = flow_chain.independent_networks(seed, 2, width, 0.6)
            finite, linear = (
                flow(networks, start, force, 0.5, steps=10, highest=HIGHEST)
                for flow in (flow_chain.network_flow, flow_chain.linearised_flow)
            )
            return jnp.stack([flow_chain.distance(finite, end) / moved for end in (frozen, linear)])

        return np.sqrt(np.mean(run(jax.random.split(key, 24)) ** 2, axis=0))

    narrow, wide = distances(400), distances(6400)
    # theory: width^-1/2 and width^-1, that is 4 and 16 times
    assert 3 < narrow[0] / wide[0] < 5.3
    assert 10 < narrow[1] / wide[1] < 25
    assert wide[0] < 0.2


@pytest.mark.slow
def test_neurons_are_those_of_the_wider_network(key):
    wide = flow_chain.independent_networks(key, 2, 12, 0.5)
    parts = [flow_chain.neurons(wide, first, 6) for first in (0, 6)]
    # half the neurons, each with 1 / sqrt 6 in the place of 1 / sqrt 12
    whole = flow_chain.metric_on_grid(wide, 32, 15)
    found = sum(flow_chain.metric_on_grid(part, 32, 15) for part in parts) / 2**0.5
    assert_allclose(found, whole, atol=1e-13)
    with pytest.raises(ValueError, match="networks that have 12"):
        flow_chain.neurons(wide, 8, 6)


def test_modes_the_grid_cannot_hold_are_refused(key):
    network = cosine_networks.periodic_cosine_network(key, 2, 5, 0.5)
    with pytest.raises(ValueError, match="below side / 2"):
        flow_chain.on_grid(network, 8, 4)
