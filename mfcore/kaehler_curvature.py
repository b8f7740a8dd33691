r"""Curvature of a Kaehler metric on a hypersurface, from its potential: Riemann, Ricci, the Euler density.

The potential is a function K(z, zbar), holomorphic in both arguments, so that complex differentiation finds
every mixed derivative. R_{a bbar c dbar} = -d_c dbar_d g_{a bbar} + g^(e fbar) d_c g_{a fbar} dbar_d
g_{e bbar}; the Ricci tensor R_{c dbar} = g^(a bbar) R_{a bbar c dbar} = -d dbar log det g is paper (B.3).
Indices are stored in this order. Needs float64.
"""

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mfcore._typing import Array, Complex, Float, Int
from mfcore.hypersurface import Dwork

Potential = Callable[[Array, Array], Array]
NEWTON = 3  # steps, each of which doubles the order to which the eliminated coordinate is known


class Curvature(NamedTuple):
    """The metric g_{a bbar} and R_{a bbar c dbar} in the local coordinates of a point."""

    metric: Complex[Array, "dim dim"]
    riemann: Complex[Array, "dim dim dim dim"]


def curvature(
    potential: Potential,
    variety: Dwork,
    z: Complex[Array, " hom"],
    patch: Int[Array, ""],
    eliminated: Int[Array, ""],
) -> Curvature:
    """Metric and Riemann tensor at a point of the variety, scaled so that z[patch] = 1."""
    free = free_coordinates(variety.degree, patch, eliminated)
    slope, bend = _second_order(variety, z, free, eliminated)

    def local(x: Array, y: Array) -> Array:
        lift = z + slope @ x + (bend @ x) @ x / 2
        conjugate = z.conj() + slope.conj() @ y + (bend.conj() @ y) @ y / 2
        return potential(lift, conjugate)

    # From one chain of derivatives: each on its own would be traced, compiled and evaluated once more.
    metric = jax.jacfwd(jax.jacfwd(local, 0, holomorphic=True), 1, holomorphic=True)  # g[a, bbar]
    by_x = _with_value(metric, 0)
    (ddbar_g, dbar_g), (d_g, g) = _with_value(by_x, 1)(jnp.zeros_like(z[free]), jnp.zeros_like(z[free]))
    inverse = jnp.linalg.inv(g)  # [fbar, e]
    return Curvature(g, jnp.einsum("afc,fe,ebd->abcd", d_g, inverse, dbar_g) - ddbar_g)


def _with_value(f: Callable, argnum: int) -> Callable:
    """The holomorphic derivative of f, its index last, and f itself."""
    return jax.jacfwd(lambda x, y: (f(x, y),) * 2, argnum, has_aux=True, holomorphic=True)


def _second_order(
    variety: Dwork, base: Array, free: Array, eliminated: Array
) -> tuple[Complex[Array, "hom dim"], Complex[Array, "hom dim dim"]]:
    """First and second derivatives of `lifted`: no mixed derivative of a curvature needs more."""
    slope = jax.jacfwd(lambda x: lifted(variety, base, free, eliminated, x), holomorphic=True)
    return slope(base[free]), jax.jacfwd(slope, holomorphic=True)(base[free])


def ricci_scalar(at: Curvature) -> Float[Array, ""]:
    """R = g^(c dbar) R_{c dbar}, half of the scalar curvature of the real metric 2 Re g."""
    inverse = jnp.linalg.inv(at.metric)
    return jnp.einsum("abcd,ba,dc->", at.riemann, inverse, inverse).real


def riemann_norm2(at: Curvature) -> Float[Array, ""]:
    """R_{a bbar c dbar} R^{a bbar c dbar}, complex conjugate implied: zero only where the metric is flat."""
    root = jnp.linalg.inv(jnp.linalg.cholesky(at.metric))
    framed = jnp.einsum("abcd,ia,jb,kc,ld->ijkl", at.riemann, root, root.conj(), root, root.conj())
    return jnp.sum(jnp.abs(framed) ** 2)


def euler_density(at: Curvature) -> Float[Array, ""]:
    """The top Chern form of the tangent bundle over det g d^(2n)x: its integral is the Euler number."""
    dim = at.metric.shape[0]
    # det of the matrix of two-forms R_a^b; each term takes every dz and every dzbar once.
    mixed = jnp.einsum("abcd,be->aecd", at.riemann, jnp.linalg.inv(at.metric))
    orders = list(itertools.permutations(range(dim)))
    signs = np.array([np.linalg.det(np.eye(dim)[list(o)]) for o in orders])
    tau, c, d = (np.array(x) for x in zip(*itertools.product(orders, repeat=3), strict=True))
    sign = np.array([math.prod(x) for x in itertools.product(signs, repeat=3)])
    terms = jnp.prod(mixed[np.arange(dim), tau, c, d], axis=1)
    return jnp.dot(sign, terms).real / (math.pi**dim * jnp.linalg.det(at.metric).real)


def free_coordinates(degree: int, patch: Array, eliminated: Array) -> Array:
    """The other coordinates' indices, in rising order."""
    low, high = jnp.minimum(patch, eliminated), jnp.maximum(patch, eliminated)
    index = jnp.arange(degree - 2)
    index = index + (index >= low)
    return index + (index >= high)


def lifted(variety: Dwork, base: Array, free: Array, eliminated: Array, x: Array) -> Array:
    """The point with free coordinates x near ``base``; with its derivatives, up to order 2^`NEWTON` - 1."""
    z = base.at[free].set(x)
    for _ in range(NEWTON):
        step = variety.polynomial(z) / variety.gradient(z)[eliminated]
        z = z.at[eliminated].add(-step)
    return z
