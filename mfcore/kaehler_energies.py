r"""Energies of Kaehler potentials on a complex torus, and their first variations: paper appendix B.

The metric is g = g_0 + d dbar phi, with g_0 positive and |Omega|^2 given; eta = det g / (kappa |Omega|^2),
kappa fixed by the class, so that eta has mean 1 over mu_CY = |Omega|^2 d^(2n)x; mu_J = det g d^(2n)x. Delta =
g^ab d_a dbar_b and R = g^ab R_ab = -Delta log det g, the paper's (B.3), (B.8) first part. Both are half of
their namesakes for the real metric 2 Re g, for which the factors of (B.13) and (B.17) hold.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp

from mfcore import complex_torus
from mfcore._typing import Array, Complex, Float
from mfcore.complex_torus import ComplexTorus

Potential = Float[Array, "..."]


class KaehlerClass(NamedTuple):
    """The metrics g_0 + d dbar phi on a torus, with |Omega|^2, for which log |Omega|^2 must be harmonic."""

    torus: ComplexTorus
    background: Complex[Array, "..."]
    omega2: Float[Array, "..."]


def flat(torus: ComplexTorus, scale: float = 1.0) -> KaehlerClass:
    """The class of ``scale`` times the unit matrix, with |Omega|^2 = 1."""
    grid = (torus.side,) * 2 * torus.dim
    unit = scale * jnp.eye(torus.dim, dtype=complex)
    return KaehlerClass(torus, jnp.broadcast_to(unit, grid + unit.shape), jnp.ones(grid))


def metric(space: KaehlerClass, phi: Potential) -> Complex[Array, "..."]:
    """g_0 + d dbar phi (paper B.6 without its i / 2 pi, which is a unit of phi)."""
    return space.background + complex_torus.mixed(space.torus, phi)


def kappa(space: KaehlerClass) -> Float[Array, ""]:
    """The mean of det g / |Omega|^2 over mu_CY, the same for every metric of the class (paper B.10)."""
    return jnp.mean(jnp.linalg.det(space.background).real) / jnp.mean(space.omega2)


def ratio(space: KaehlerClass, phi: Potential) -> Float[Array, "..."]:
    """eta of (B.11)."""
    return jnp.linalg.det(metric(space, phi)).real / (kappa(space) * space.omega2)


def laplacian(space: KaehlerClass, g: Complex[Array, "..."], f: Float[Array, "..."]) -> Float[Array, "..."]:
    """Delta f = g^ab d_a dbar_b f."""
    return _trace(jnp.linalg.solve(g, complex_torus.mixed(space.torus, f)))


def scalar_curvature(space: KaehlerClass, phi: Potential) -> Float[Array, "..."]:
    """R = g^ab R_ab = -Delta log eta: (B.3) and the first part of (B.8), whose second part has the other
    sign."""
    return -laplacian(space, metric(space, phi), jnp.log(ratio(space, phi)))


def gradient_norm2(
    space: KaehlerClass, g: Complex[Array, "..."], f: Float[Array, "..."]
) -> Float[Array, "..."]:
    """g^ab d_a f dbar_b f."""
    slope = complex_torus.gradient(space.torus, f)
    raised = jnp.linalg.solve(g, slope[..., None])[..., 0]
    return jnp.sum(raised * slope.conj(), axis=-1).real


def ultra_local(
    space: KaehlerClass, phi: Potential, convex: Callable[[Array], Array] = lambda eta: (eta - 1) ** 2
) -> Float[Array, ""]:
    """int F(eta) mu_CY (B.12), with F of (B.14) unless told otherwise."""
    return _mean_cy(space, convex(ratio(space, phi)))


def entropy(space: KaehlerClass, phi: Potential) -> Float[Array, ""]:
    """`ultra_local` of F = eta log eta."""
    return ultra_local(space, phi, lambda eta: eta * jnp.log(eta))


def two_derivative(space: KaehlerClass, phi: Potential) -> Float[Array, ""]:
    """int g^ab d_a log eta dbar_b log eta mu_CY: (B.15) as its variation (B.16) and (B.17) need it."""
    return _mean_cy(space, gradient_norm2(space, metric(space, phi), jnp.log(ratio(space, phi))))


def two_derivative_printed(space: KaehlerClass, phi: Potential) -> Float[Array, ""]:
    """int g^ab d_a eta dbar_b eta mu_CY: (B.15) to the letter."""
    return _mean_cy(space, gradient_norm2(space, metric(space, phi), ratio(space, phi)))


def einstein_hilbert(space: KaehlerClass, phi: Potential) -> Float[Array, ""]:
    """-1/2 int R mu_CY (B.17), with the scalar curvature 2 R of the real metric 2 Re g."""
    return -_mean_cy(space, scalar_curvature(space, phi))


def calabi(space: KaehlerClass, phi: Potential) -> Float[Array, ""]:
    """int R^2 mu_J (B.7)."""
    return _mean_j(space, metric(space, phi), scalar_curvature(space, phi) ** 2)


def perelman(space: KaehlerClass, phi: Potential) -> Float[Array, ""]:
    """-int (R + g^ab d_a log eta dbar_b log eta) mu_CY (B.18)."""
    slope = gradient_norm2(space, metric(space, phi), jnp.log(ratio(space, phi)))
    return -_mean_cy(space, scalar_curvature(space, phi) + slope)


def ultra_local_variation(
    space: KaehlerClass, phi: Potential, change: Potential, slope: Callable[[Array], Array]
) -> Float[Array, ""]:
    """(B.13): int Delta F'(eta) delta phi mu_J / kappa, ``slope`` being F'."""
    g = metric(space, phi)
    bent = laplacian(space, g, slope(ratio(space, phi)))
    return _mean_j(space, g, bent * change) / kappa(space)


def two_derivative_variation(space: KaehlerClass, phi: Potential, change: Potential) -> Float[Array, ""]:
    """(B.16): 4 int eta^(1/2) <d dbar delta phi, d dbar eta^(-1/2)> mu_CY."""
    g, eta = metric(space, phi), ratio(space, phi)
    first, other = (complex_torus.mixed(space.torus, f) for f in (change, eta**-0.5))
    pairing = _trace(jnp.linalg.solve(g, first) @ jnp.linalg.solve(g, other))
    return 4 * _mean_cy(space, eta**0.5 * pairing)


def calabi_variation(space: KaehlerClass, phi: Potential, change: Potential) -> Float[Array, ""]:
    """-2 Re int <nabla_a nabla_b delta phi, nabla_a nabla_b R> mu_J: the variation of (B.7), from Calabi."""
    g = metric(space, phi)
    bends = [_second_covariant(space, g, f) for f in (change, scalar_curvature(space, phi))]
    inverse = jnp.linalg.inv(g)
    pairing = jnp.einsum("...ab,...ca,...db,...cd->...", bends[0], inverse, inverse, bends[1].conj())
    return -2 * _mean_j(space, g, pairing.real)


def _second_covariant(space: KaehlerClass, g: Array, f: Array) -> Array:
    """nabla_a nabla_b f = d_a d_b f - Gamma^c_ab d_c f, Gamma^c_ab = g^(c dbar) d_a g_(b dbar)."""
    torus = space.torus
    parts = [
        [complex_torus.gradient(torus, g[..., b, d]) for d in range(torus.dim)] for b in range(torus.dim)
    ]
    dg = jnp.stack([jnp.stack(row, axis=-1) for row in parts], axis=-2)  # a, b, dbar
    connection = jnp.einsum("...abd,...dc->...cab", dg, jnp.linalg.inv(g))
    slope = complex_torus.gradient(torus, f)
    return complex_torus.second(torus, f) - jnp.einsum("...cab,...c->...ab", connection, slope)


def _mean_cy(space: KaehlerClass, f: Array) -> Array:
    return complex_torus.integral(space.torus, f * space.omega2)


def _mean_j(space: KaehlerClass, g: Array, f: Array) -> Array:
    return complex_torus.integral(space.torus, f * jnp.linalg.det(g).real)


def _trace(m: Array) -> Array:
    return jnp.trace(m, axis1=-2, axis2=-1).real
