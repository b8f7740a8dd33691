r"""Kernels of the distance that are positive on P^n for every width, in place of its Gaussian and Laplace.

All are 1 at distance 0 and take the geodesic distance of `mfcore.projective`, but use it through sin^2 d and
cos 2d, which are smooth on P^n where d itself is not. For paper section 3.2, where (3.5) is not positive.
"""

import math

import jax.numpy as jnp
import numpy as np

from mfcore._typing import Array, Float
from mfcore.zonal import heat_shares, laplace_eigenvalue, multiplicity, series

SMALLEST_SHARE = 1e-17  # of the trace, at which the heat kernel's series is cut
LARGEST_DEGREE = 400  # of the Matern kernel's series, which decays as a power


def chordal_gaussian(distance: Float[Array, "..."], length: float) -> Float[Array, "..."]:
    r"""exp(-sin^2 d / (2 length^2)), the Gaussian of the distance in the embedding z zbar^T / |z|^2.

    Positive: sin^2 d = 1 - |<x, y>|^2 for unit vectors, |<x, y>|^2 = tr(x x^dagger y y^dagger) is a scalar
    product, its powers are positive (Schur), and so is exp of a positive multiple.
    """
    return jnp.exp(-(jnp.sin(distance) ** 2) / (2 * _positive(length) ** 2))


def heat(distance: Float[Array, "..."], length: float, *, dim: int) -> Float[Array, "..."]:
    r"""The heat kernel of P^dim at time length^2 / 2, over its value at 0.

    Narrow ones are about exp(-d^2 / (2 length^2)); wide ones are nearly constant.
    """
    time = _positive(length) ** 2 / 2
    largest = 2
    while (shares := heat_shares(dim, largest, time))[-1] > SMALLEST_SHARE * shares.sum():
        largest *= 2
    return _normalised(dim, shares, distance)


def matern(
    distance: Float[Array, "..."], length: float, *, dim: int, smoothness: float = 1.5
) -> Float[Array, "..."]:
    r"""The Matern kernel of P^dim: eigenvalues (2 nu / length^2 + 4 k (k + dim))^-(nu + dim).

    nu is the ``smoothness``. It falls from 1 as the Euclidean one does, over distances of about ``length``.
    The series is cut at `LARGEST_DEGREE`: that changes its values a little, but not that it is positive.
    """
    degree = np.arange(LARGEST_DEGREE + 1)
    offset = 2 * smoothness / _positive(length) ** 2
    decay = (1 + laplace_eigenvalue(dim, degree) / offset) ** -(smoothness + dim)
    return _normalised(dim, multiplicity(dim, degree) * decay, distance)


def _normalised(dim: int, shares: np.ndarray, distance: Array) -> Array:
    return series(jnp.array(float(dim)), jnp.asarray(shares / shares.sum()), distance)


def _positive(length: float) -> float:
    if not (length > 0 and math.isfinite(length)):
        raise ValueError(f"length {length!r}: a kernel needs a positive one")
    return length
