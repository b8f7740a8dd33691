r"""The arrows of Figure 1 on a torus: finite networks, linearised ones, the frozen kernel, the local flow.

One start metric and one force dl/dg_ij, a functional of the metric; each link moves the metric by
dg_ij(x)/dt = -int dx' Theta_ijkl(x, x') force_kl(x') with its own Theta (paper 2.8, 2.12, 2.14, 2.30).
Networks are `PeriodicCosineNetwork`, one for each independent component, so that all limits are the periodic
Gaussian. The components are taken in an orthonormal basis of the symmetric matrices (off the diagonal,
network / sqrt 2): then independent networks do not mix components, and delta_ik delta_jl acts on symmetric
matrices as the identity. All fields on a grid, modes above `highest` cut off. The measure is dx.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mfcore import torus
from mfcore._typing import Array, Complex, Float, PRNGKeyArray
from mfcore.cosine_networks import PeriodicCosineNetwork, periodic_cosine_network
from mfcore.geometric_flows import integrate
from mfcore.positive_matrices import affine_invariant_distance

Field = Float[Array, "..."]
Force = Callable[[Field], Field]


def independent_networks(key: PRNGKeyArray, dim: int, width: int, length: float) -> PeriodicCosineNetwork:
    """A network for each independent component (2.19), stacked along the first axis of every array."""
    keys = jax.random.split(key, dim * (dim + 1) // 2)
    networks = eqx.filter_vmap(lambda k: periodic_cosine_network(k, dim, width, length))(keys)
    return eqx.tree_at(lambda n: n.amplitude, networks, jnp.full(len(keys), networks.amplitude))


def neurons(networks: PeriodicCosineNetwork, first: int, width: int) -> PeriodicCosineNetwork:
    """Networks made of `width` neurons of wider ones, from `first` on. Disjoint choices are independent."""
    most = networks.a.shape[-1]
    if not 0 <= first < first + width <= most:
        raise ValueError(f"neurons {first} to {first + width} of networks that have {most}")
    chosen = slice(first, first + width)
    arrays = [networks.a[..., chosen], networks.k[..., chosen, :], networks.b[..., chosen]]
    return eqx.tree_at(lambda n: [n.a, n.k, n.b], networks, arrays)


def on_grid(network: PeriodicCosineNetwork, side: int, highest: int) -> Field:
    """The network at all points of the grid, modes above `highest` cut off.

    Frequencies are integers, so that a network of any width is a Fourier series: its neurons are sorted into
    modes, and one fast Fourier transform replaces width times points cosines.
    """
    if not highest < side / 2:
        raise ValueError(f"highest mode {highest} on a grid of side {side}: it must be below side / 2")
    width, dim = network.k.shape
    phase = jnp.exp(1j * network.b) * network.a * network.amplitude / width**0.5
    kept = jnp.where(jnp.all(jnp.abs(network.k) <= highest, axis=1), phase, 0)
    place = tuple(network.k[:, axis] % side for axis in range(dim))
    modes: Complex[Array, "..."] = jnp.zeros((side,) * dim, complex).at[place].add(kept)
    return (jnp.fft.ifftn(modes) * side**dim).real


def metric_on_grid(networks: PeriodicCosineNetwork, side: int, highest: int) -> Field:
    """The symmetric matrix of `independent_networks`: [*grid, dim, dim]."""
    values = jax.vmap(lambda network: on_grid(network, side, highest))(networks)
    return jnp.tensordot(values, _basis(networks.k.shape[-1]), axes=(0, 0))


def network_flow(
    networks: PeriodicCosineNetwork, start: Field, force: Force, duration: float, *, steps: int, highest: int
) -> Field:
    """Gradient descent in the parameters a and b: the flow (2.8), its kernel moving. The metric at the end.

    The metric is start + network - network at the start, so that every width starts from one metric.
    """
    return _descend(networks, start, force, duration, steps, highest, linearised=False)


def linearised_flow(
    networks: PeriodicCosineNetwork, start: Field, force: Force, duration: float, *, steps: int, highest: int
) -> Field:
    """The same for the linearised networks (2.10), whose kernel stays as it was at the start (2.11)."""
    return _descend(networks, start, force, duration, steps, highest, linearised=True)


def frozen_flow(
    start: Field, force: Force, length: Array | float, duration: float, *, steps: int, highest: int
) -> Field:
    """The flow of infinite width (2.30), dg/dt = -Gaussian * force; with length 0 the local one (2.31)."""
    dim = start.shape[-1]

    def velocity(g: Field) -> Field:
        return -torus.truncate(torus.smear(force(g), dim, length), dim, highest)

    return integrate(velocity, start, duration, steps=steps)


def distance(g: Field, h: Field) -> Float[Array, ""]:
    """Root mean square over the grid of the affine-invariant distance of two metrics."""
    dim = g.shape[-1]
    return jnp.sqrt(jnp.mean(torus.pointwise(affine_invariant_distance, dim)(g, h) ** 2))


def _descend(
    networks: PeriodicCosineNetwork,
    start: Field,
    force: Force,
    duration: float,
    steps: int,
    highest: int,
    *,
    linearised: bool,
) -> Field:
    side, dim = start.shape[0], start.shape[-1]
    cell = (2 * jnp.pi / side) ** dim
    at_start = [networks.a, networks.b]

    def output(parameters: list[Array]) -> Field:
        moved = eqx.tree_at(lambda n: [n.a, n.b], networks, parameters)
        return metric_on_grid(moved, side, highest)

    def metric(parameters: list[Array]) -> Field:
        if linearised:
            step = [p - q for p, q in zip(parameters, at_start, strict=True)]
            return start + jax.jvp(output, (at_start,), (step,))[1]
        return start + output(parameters) - output(at_start)

    def velocity(parameters: list[Array]) -> list[Array]:
        g, pull = jax.vjp(metric, parameters)
        return jax.tree.map(jnp.negative, pull(cell * force(g))[0])

    return metric(integrate(velocity, at_start, duration, steps=steps))


def _basis(dim: int) -> Float[np.ndarray, "components dim dim"]:
    """An orthonormal basis of the symmetric matrices: E_ii, and (E_ij + E_ji) / sqrt 2."""
    unit = np.eye(dim)
    pairs = [(i, j) for i in range(dim) for j in range(i, dim)]
    both = np.array([np.outer(unit[i], unit[j]) for i, j in pairs])
    both = both + np.swapaxes(both, 1, 2)
    return both / np.linalg.norm(both, axis=(1, 2), keepdims=True)
