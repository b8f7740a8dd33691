r"""Christoffel symbols, Ricci tensor and scalar curvature of a real metric at a point, in any dimension.

Two doors to one formula: a metric given as a function of a point (derivatives by autodiff), or its first
and second derivatives given as numbers (a grid supplies them spectrally, `torus`). Conventions: d_k g_ij is
stored as [k, i, j], Gamma^k_ij as [k, i, j]; R_ij = d_k Gamma^k_ij - d_j Gamma^k_ik + Gamma^k_kl Gamma^l_ij
- Gamma^k_jl Gamma^l_ik, positive on spheres. Paper section 2.4.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from mfcore._typing import Array, Float

Metric = Callable[[Float[Array, " dim"]], Float[Array, "dim dim"]]
Function = Callable[[Float[Array, " dim"]], Float[Array, ""]]


def christoffel_from_derivatives(
    g: Float[Array, "dim dim"], dg: Float[Array, "dim dim dim"]
) -> Float[Array, "dim dim dim"]:
    """Gamma^k_ij = g^kp (d_i g_jp + d_j g_ip - d_p g_ij) / 2, from d_k g_ij stored as [k, i, j]."""
    return jnp.einsum("kp,pij->kij", jnp.linalg.inv(g), _lowered(dg))


def ricci_from_derivatives(
    g: Float[Array, "dim dim"], dg: Float[Array, "dim dim dim"], ddg: Float[Array, "dim dim dim dim"]
) -> Float[Array, "dim dim"]:
    """R_ij from d_k g_ij, stored as [k, i, j], and d_m d_k g_ij, stored as [m, k, i, j]."""
    inverse = jnp.linalg.inv(g)
    gamma = jnp.einsum("kp,pij->kij", inverse, _lowered(dg))
    slope = jax.vmap(_lowered)(ddg) - jnp.einsum("mpq,qij->mpij", dg, gamma)
    dgamma = jnp.einsum("kp,mpij->mkij", inverse, slope)
    trace = jnp.einsum("kkl->l", gamma)
    ricci = (
        jnp.einsum("kkij->ij", dgamma)
        - jnp.einsum("jkik->ij", dgamma)
        + jnp.einsum("l,lij->ij", trace, gamma)
        - jnp.einsum("kjl,lik->ij", gamma, gamma)
    )
    return (ricci + ricci.T) / 2  # symmetric but for rounding


def hessian_from_derivatives(
    gamma: Float[Array, "dim dim dim"], df: Float[Array, " dim"], ddf: Float[Array, "dim dim"]
) -> Float[Array, "dim dim"]:
    """nabla_i nabla_j f = d_i d_j f - Gamma^k_ij d_k f."""
    return ddf - jnp.einsum("kij,k->ij", gamma, df)


def christoffel(metric: Metric, x: Float[Array, " dim"]) -> Float[Array, "dim dim dim"]:
    """Gamma^k_ij of a metric at x, stored as [k, i, j]."""
    return christoffel_from_derivatives(metric(x), _derivative(metric)(x))


def ricci(metric: Metric, x: Float[Array, " dim"]) -> Float[Array, "dim dim"]:
    """R_ij of a metric at x."""
    return ricci_from_derivatives(metric(x), _derivative(metric)(x), _derivative(_derivative(metric))(x))


def scalar_curvature(metric: Metric, x: Float[Array, " dim"]) -> Float[Array, ""]:
    """R = g^ij R_ij: n (n - 1) on the round unit sphere of dimension n."""
    return jnp.trace(jnp.linalg.solve(metric(x), ricci(metric, x)))


def hessian(function: Function, metric: Metric, x: Float[Array, " dim"]) -> Float[Array, "dim dim"]:
    """nabla_i nabla_j f at x."""
    return hessian_from_derivatives(christoffel(metric, x), jax.grad(function)(x), jax.hessian(function)(x))


def _lowered(dg: Float[Array, "dim dim dim"]) -> Float[Array, "dim dim dim"]:
    """(d_i g_jp + d_j g_ip - d_p g_ij) / 2, stored as [p, i, j]."""
    return (jnp.einsum("ijp->pij", dg) + jnp.einsum("jip->pij", dg) - dg) / 2


def _derivative(field: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """The derivative index goes first."""
    return lambda x: jnp.moveaxis(jax.jacfwd(field)(x), -1, 0)
