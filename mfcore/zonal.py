r"""Kernels of the distance on P^n as convolutions: zonal functions, and the eigenvalues of a kernel k(d).

Metric and measure are those of `mfcore.projective` (diameter pi/2, volume pi^n / n!). The Laplacian div grad
of ds^2 = h dz dzbar then has the eigenvalues -4 k (k + n), k = 0, 1, ..., and one zonal function in each
eigenspace, phi_k = P_k^(n-1,0)(cos 2d) / P_k^(n-1,0)(1), which is 1 at d = 0. Every kernel of the distance
has these same eigenspaces; it is positive when none of its eigenvalues is negative. About the kernels of
paper section 3.2.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import gammaln, roots_legendre

from mfcore._typing import Array, Float, Int

NODES = 64  # of the Gauss rule on each panel


class Spectrum(NamedTuple):
    """Eigenvalues by degree k, each of the given multiplicity, and a bound on the error of each.

    ``error`` is the change when the panels of the quadrature are halved, plus the rounding of its sum: an
    eigenvalue smaller than it has no known sign.
    """

    eigenvalue: Float[np.ndarray, " degrees"]
    multiplicity: Float[np.ndarray, " degrees"]
    error: Float[np.ndarray, " degrees"]


def volume(n: int) -> float:
    """Of P^n: pi^n / n!."""
    return math.pi**n / math.factorial(n)


def laplace_eigenvalue(n: int, degree: Int[np.ndarray, " degrees"]) -> Int[np.ndarray, " degrees"]:
    """4 k (k + n), of minus the Laplacian div grad; on P^1, the sphere of radius 1/2, 4 k (k + 1)."""
    return 4 * degree * (degree + n)


def multiplicity(n: int, degree: Int[np.ndarray, " degrees"]) -> Float[np.ndarray, " degrees"]:
    """Dimension of the eigenspace, (2k + n)/n binomial(k + n - 1, k)^2; exact below 2^53."""
    binomial = np.ones(degree.shape)
    for j in range(1, n):
        binomial = binomial * (degree + j) / j
    return (2 * degree + n) * binomial**2 / n


def zonal_functions(n: int, largest: int, distance: Array) -> Float[Array, "degrees ..."]:
    """phi_0, ..., phi_largest at distances in [0, pi/2], by the recurrence of the Jacobi polynomials."""
    _check(n, largest)
    t = jnp.cos(2 * distance)
    first = ((n + 1) * t + (n - 1)) / (2 * n)

    def step(pair: tuple[Array, Array], k: Array) -> tuple[tuple[Array, Array], Array]:
        new = _recurrence(n, k, t, *pair)
        return (pair[1], new), new

    _, rest = jax.lax.scan(step, (jnp.ones_like(t), first), jnp.arange(1.0, largest))
    return jnp.concatenate([jnp.ones_like(t)[None], first[None], rest])[: largest + 1]


@jax.jit
def series(n: Array, share: Float[Array, " degrees"], distance: Float[Array, "..."]) -> Float[Array, "..."]:
    """sum_k share_k phi_k(d): the kernel whose trace has these shares, k(0) = sum share.

    It is positive on P^n exactly where no share is negative, cut off at any degree (Schoenberg, Gangolli).
    """
    t = jnp.cos(2 * distance)
    first = ((n + 1) * t + (n - 1)) / (2 * n)

    def step(state: tuple, k_share: tuple) -> tuple:
        before, now, total = state
        new = _recurrence(n, k_share[0], t, before, now)
        return (now, new, total + k_share[1] * new), None

    start = (jnp.ones_like(t), first, share[0] + share[1] * first)
    return jax.lax.scan(step, start, (jnp.arange(1.0, len(share) - 1), share[2:]))[0][2]


def spectrum(kernel: Callable, n: int, largest: int, panels: int = 32) -> Spectrum:
    r"""Eigenvalues of degrees 0 to ``largest`` of f -> int k(d(x, y)) f(y) dy on P^n.

    lambda_k = 2 pi^n / (n-1)! int_0^{pi/2} k(r) phi_k sin^(2n-1) r cos r dr (Funk and Hecke), by Gauss rules
    on panels in r. In r, not in cos 2r: a function of the distance that is smooth on [0, pi/2] may have a
    square root in cos 2r at both ends.
    """
    _check(n, largest)
    coarse, fine = (_quadrature(kernel, n, largest, p) for p in (panels, 2 * panels))
    # A sum of terms of this size is rounded, and the recurrence loses a little with each degree.
    rounding = 4 * np.finfo(float).eps * fine[1] * np.sqrt(1 + np.arange(largest + 1))
    degree = np.arange(largest + 1)
    return Spectrum(fine[0], multiplicity(n, degree), np.abs(fine[0] - coarse[0]) + rounding)


def heat_shares(n: int, largest: int, time: float) -> Float[np.ndarray, " degrees"]:
    """m_k exp(-4 k (k + n) t) / volume, the shares of the heat kernel of div grad; its integral is 1."""
    degree = np.arange(largest + 1)
    decay = np.exp(-laplace_eigenvalue(n, degree) * _positive("time", time))
    return multiplicity(n, degree) * decay / volume(n)


def cut_locus_term(
    n: int, slope: float, degree: Int[np.ndarray, " degrees"]
) -> Float[np.ndarray, " degrees"]:
    r"""What a slope k'(pi/2) of the kernel at the largest distance adds to eigenvalue k, to leading order.

    The part -k'(pi/2) sqrt((1 + cos 2r)/2) of k(r) integrates in closed form (Rodrigues); with a negative
    slope the sign is that of (-1)^(k+1), and the size falls as k^-(n+2).
    """
    sign = np.where(degree % 2 == 0, -1.0, 1.0)
    ends = gammaln(degree + n) + gammaln(1.5) - gammaln(degree + n + 1.5)
    return -slope * sign * _end_factor(n, degree, ends)


def diagonal_term(n: int, slope: float, degree: Int[np.ndarray, " degrees"]) -> Float[np.ndarray, " degrees"]:
    r"""What a slope k'(0) adds to eigenvalue k, to leading order: for a negative one, + const k^-(2n+1)."""
    ends = gammaln(degree + 1) + gammaln(n + 0.5) - gammaln(degree + n + 1.5)
    return -slope * _end_factor(n, degree, ends)


def _end_factor(n: int, degree: np.ndarray, log_beta: np.ndarray) -> np.ndarray:
    # pi^n / (Gamma(n) 2^n) 2^(-1/2) 2^(n + 1/2) Gamma(k - 1/2) / (2 sqrt(pi) k!) Beta / P_k(1), in logs.
    binomial = gammaln(degree + n) - gammaln(degree + 1) - gammaln(n)
    logs = gammaln(degree - 0.5) - gammaln(degree + 1) + log_beta - binomial - gammaln(n)
    return math.pi ** (n - 0.5) / 2 * np.exp(logs)


def _recurrence(n: Any, k: Any, t: Any, before: Any, now: Any) -> Any:
    # For NumPy and JAX arrays alike. Divided by P_k(1), so that nothing overflows.
    a = n - 1
    up = (2 * k + a + 1) * ((2 * k + a + 2) * (2 * k + a) * t + a**2) * now
    return (up - 2 * k**2 * (2 * k + a + 2) * before) / (2 * (k + a + 1) ** 2 * (2 * k + a))


def _quadrature(kernel: Callable, n: int, largest: int, panels: int) -> tuple[np.ndarray, np.ndarray]:
    """All eigenvalues, and the sums of the absolute values of the same terms."""
    x, w = roots_legendre(NODES)
    edges = np.linspace(0, math.pi / 2, panels + 1)
    half = np.diff(edges)[:, None] / 2
    r = (edges[:-1, None] + half * (1 + x)).ravel()
    measure = 2 * math.pi**n / math.gamma(n) * np.sin(r) ** (2 * n - 1) * np.cos(r) * (half * w).ravel()
    weighted = measure * np.asarray(kernel(jnp.asarray(r)))
    t, before, now = np.cos(2 * r), np.ones_like(r), ((n + 1) * np.cos(2 * r) + (n - 1)) / (2 * n)
    found = [(weighted.sum(), np.abs(weighted).sum())]
    for k in range(1, largest + 1):
        found.append((weighted @ now, np.abs(weighted) @ np.abs(now)))
        before, now = now, _recurrence(n, float(k), t, before, now)
    values, sizes = np.array(found).T
    return values, sizes


def _check(n: int, largest: int) -> None:
    if not (n >= 1 and largest >= 1):
        raise ValueError(f"P^{n} and degrees up to {largest}: need a dimension and a degree of at least 1")


def _positive(name: str, value: float) -> float:
    if not value > 0:
        raise ValueError(f"{name} {value!r}: need a positive number")
    return value
