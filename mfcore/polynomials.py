r"""All roots of many polynomials of one small degree at once, for the intersections of lines with a
hypersurface.

Coefficients rise, ``c[k]`` multiplying t^k, and stand first, so that every operation runs along the long axis
of lines.
"""

import cmath
import math
from functools import reduce

import jax
import jax.numpy as jnp

from mfcore._typing import Array, Bool, Complex

STEPS = 100  # random lines need about 15, a double root (of probability zero) about 50


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

    Cubic convergence: the last step, below 1e-7 of the spherical size of t, leaves rounding alone. All lines
    go on until the slowest is done; some hundred at a time stop sooner than many thousand.
    """
    degree = c.shape[0] - 1
    # Start on the unit circle, off its symmetric points: the roots on a random line are uniform on the sphere
    # of t.
    start = tuple(
        jnp.full_like(c[0], cmath.exp(1j * (2 * cmath.pi * k / degree + 0.4))) for k in range(degree)
    )

    def sweep(state: tuple) -> tuple:
        before, _, count = state
        # One array for each root: each update is one loop over lines, and the next root already uses it.
        t = list(before)
        for i in range(degree):
            t[i] = t[i] - _aberth_step(c, t[i], t[:i] + t[i + 1 :])
        return tuple(t), _settled(before, t), count + 1

    roots, settled, _ = jax.lax.while_loop(
        lambda state: ~state[1] & (state[2] < STEPS), sweep, (start, jnp.array(False), 0)
    )
    return jnp.stack(roots), settled


def _aberth_step(c: Complex[Array, "coefficients lines"], t: Array, others: list[Array]) -> Array:
    """f / (f' - f sum_j 1 / (t - t_j)), the Newton step of f / prod_j (t - t_j)."""
    value, slope = c[-1], jnp.zeros_like(t)
    for c_k in c[-2::-1]:
        slope = slope * t + value
        value = value * t + c_k
    product, derivative = jnp.ones_like(t), jnp.zeros_like(t)
    for t_j in others:
        derivative = derivative * (t - t_j) + product
        product = product * (t - t_j)
    # Where two iterates coincide the sum is infinite: NaN, which never settles.
    return value * _inverse(slope - value * derivative * _inverse(product))


def _settled(before: tuple[Array, ...], after: list[Array]) -> Bool[Array, ""]:
    still = [_abs2(new - old) < 1e-14 * (1 + _abs2(new)) for old, new in zip(before, after, strict=True)]
    return reduce(jnp.logical_and, still).all()


def _abs2(z: Complex[Array, "..."]) -> Array:
    return z.real**2 + z.imag**2


def _inverse(z: Complex[Array, "..."]) -> Array:
    # XLA's own complex division guards against overflow and costs four times as much.
    return z.conj() / _abs2(z)
