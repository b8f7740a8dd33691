r"""All roots of many polynomials of one small degree at once, for the intersections of lines with a
hypersurface.

Coefficients rise, ``c[k]`` multiplying t^k, and stand first, so that every operation runs along the long axis
of lines.
"""

import math

import jax
import jax.numpy as jnp

from mfcore._typing import Array, Bool, Complex

STEPS = 100  # random lines need about 20, a double root (of probability zero) about 50


def power_sum(
    p: Complex[Array, "hom lines"], q: Complex[Array, "hom lines"], degree: int
) -> Complex[Array, "coefficients lines"]:
    """Coefficients of sum_i (p_i + t q_i)^degree."""
    p_powers, q_powers = [jnp.ones_like(p)], [jnp.ones_like(q)]
    for _ in range(degree):
        p_powers.append(p_powers[-1] * p)
        q_powers.append(q_powers[-1] * q)
    return jnp.stack(
        [
            math.comb(degree, k) * jnp.sum(p_powers[degree - k] * q_powers[k], axis=0)
            for k in range(degree + 1)
        ]
    )


def product(
    p: Complex[Array, "hom lines"], q: Complex[Array, "hom lines"]
) -> Complex[Array, "coefficients lines"]:
    """Coefficients of prod_i (p_i + t q_i)."""
    c = jnp.ones_like(p[:1])
    for p_i, q_i in zip(p, q, strict=True):
        c = jnp.pad(c * p_i, ((0, 1), (0, 0))) + jnp.pad(c * q_i, ((1, 0), (0, 0)))
    return c


def all_roots(
    c: Complex[Array, "coefficients lines"],
) -> tuple[Complex[Array, "roots lines"], Bool[Array, ""]]:
    """Every root of each polynomial by Aberth's simultaneous iteration, and whether all of them converged.

    Cubic convergence: the last step, below 1e-7 of the spherical size of t, leaves rounding alone.
    """
    degree = c.shape[0] - 1
    # Start on the unit circle, off its symmetric points: the roots on a random line are uniform on the sphere
    # of t.
    start = jnp.exp(1j * (2 * jnp.pi * jnp.arange(degree) / degree + 0.4))
    start = jnp.broadcast_to(start[:, None], (degree, c.shape[1]))

    def step(state: tuple) -> tuple:
        t, _, count = state
        change = _aberth_step(c, t)
        return t - change, jnp.max(_abs2(change) / (1 + _abs2(t))), count + 1

    def unfinished(state: tuple) -> Bool[Array, ""]:
        return ~(state[1] < 1e-14) & (state[2] < STEPS)

    roots, error, _ = jax.lax.while_loop(unfinished, step, (start, jnp.array(jnp.inf, c.real.dtype), 0))
    return roots, error < 1e-14


def _aberth_step(c: Complex[Array, "coefficients lines"], t: Complex[Array, "roots lines"]) -> Array:
    value, slope = jnp.broadcast_to(c[-1], t.shape), jnp.zeros_like(t)
    for c_k in c[-2::-1]:
        slope = slope * t + value
        value = value * t + c_k
    degree = t.shape[0]
    repulsion = jnp.stack(
        [sum(_inverse(t[i] - t[j]) for j in range(degree) if j != i) for i in range(degree)]
    )
    return value * _inverse(slope - value * repulsion)


def _abs2(z: Complex[Array, "..."]) -> Array:
    return z.real**2 + z.imag**2


def _inverse(z: Complex[Array, "..."]) -> Array:
    # XLA's own complex division guards against overflow and costs four times as much.
    return z.conj() / _abs2(z)
