r"""Perelman's functional on a torus, its gradient, and the velocity of its flow (paper 2.40-2.42).

F = int (R + |grad phi|^2) e^-phi dV. Held fixed along the flow is the measure e^-phi dV = m dx, so that phi =
log(sqrt(det g) / m) follows from the metric and the density m. Then F is a function of g alone, and
dF = -int g^ik g^jl (R_kl + nabla_k nabla_l phi) dg_ij m dx. Fields as in `torus`, of dimension `dim`.
"""

import jax.numpy as jnp

from mfcore import torus
from mfcore._typing import Array, Float


def potential(g: Float[Array, "..."], density: Float[Array, "..."]) -> Float[Array, "..."]:
    """phi = log(sqrt(det g) / m), so that e^-phi dV = m dx."""
    return jnp.linalg.slogdet(g)[1] / 2 - jnp.log(density)


def integrand(g: Float[Array, "..."], density: Float[Array, "..."], dim: int) -> Float[Array, "..."]:
    """R + |grad phi|^2, at each point of the grid: the pointwise loss that (2.42) needs, up to its sign."""
    dphi = torus.gradient(potential(g, density), dim)
    inverse = jnp.linalg.inv(g)
    scalar = jnp.einsum("...ij,...ij->...", inverse, torus.ricci(g, dim))
    return scalar + jnp.einsum("...ij,...i,...j->...", inverse, dphi, dphi)


def functional(g: Float[Array, "..."], density: Float[Array, "..."], dim: int) -> Float[Array, ""]:
    """F of (2.41), as a function of the metric at fixed m dx = e^-phi dV."""
    return torus.integral(integrand(g, density, dim) * density, dim)


def gradient_tensor(g: Float[Array, "..."], density: Float[Array, "..."], dim: int) -> Float[Array, "..."]:
    """R_ij + nabla_i nabla_j phi, minus the gradient of F in the metric int tr(g^-1 h g^-1 h) m dx."""
    return torus.ricci(g, dim) + torus.hessian(potential(g, density), g, dim)


def raised(tensor: Float[Array, "..."], g: Float[Array, "..."]) -> Float[Array, "..."]:
    """g^ik g^jl T_kl."""
    inverse = jnp.linalg.inv(g)
    return inverse @ tensor @ inverse


def velocity(g: Float[Array, "..."], density: Float[Array, "..."], dim: int) -> Float[Array, "..."]:
    """-2 (R_ij + nabla_i nabla_j phi), the right-hand side of (2.40): twice the gradient of F, uphill."""
    return -2 * gradient_tensor(g, density, dim)


def speed2(g: Float[Array, "..."], density: Float[Array, "..."], dim: int) -> Float[Array, ""]:
    """2 int |Ric + nabla nabla phi|^2 m dx: what dF/dt must be along the flow."""
    tensor = gradient_tensor(g, density, dim)
    square = jnp.einsum("...ij,...ij->...", raised(tensor, g), tensor)
    return 2 * torus.integral(square * density, dim)
