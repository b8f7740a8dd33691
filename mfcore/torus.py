r"""Spectral calculus on the torus T^d, coordinates in [0, 2 pi), on a grid of n^d points.

A field is an array whose first d axes are the grid and whose others are its components; d is an argument, as
the array cannot tell. A derivative is exact for a field of modes below n / 2, and its index comes right
behind the grid. Products of fields have modes above n / 2, which fold back: `truncate` after each nonlinear
step removes what is folded. The measure is dx_1 ... dx_d unless a density is given. Paper section 2.4.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from mfcore import curvature
from mfcore._typing import Array, Float


def grid(side: int, dim: int) -> Float[Array, "*grid dim"]:
    """The points of the grid, `side` on a side."""
    if side < 4 or side % 2 or dim < 1:
        raise ValueError(f"side {side}, dim {dim}: need an even side of at least 4 and a positive dimension")
    line = 2 * jnp.pi * jnp.arange(side) / side
    return jnp.stack(jnp.meshgrid(*[line] * dim, indexing="ij"), axis=-1)


def on_grid(function: Callable[[Array], Array], side: int, dim: int) -> Float[Array, "..."]:
    """The field of a function of a point."""
    return pointwise(function, dim)(grid(side, dim))


def gradient(field: Float[Array, "..."], dim: int) -> Float[Array, "..."]:
    """d_k f, the index k right behind the grid: [*grid, dim, *components]."""
    return _multiply(field, dim, 1j * _wavevectors(field, dim))


def second_derivatives(field: Float[Array, "..."], dim: int) -> Float[Array, "..."]:
    """d_m d_k f, the indices right behind the grid: [*grid, dim, dim, *components]."""
    k = _wavevectors(field, dim)
    return _multiply(field, dim, -k[..., :, None] * k[..., None, :])


def smear(field: Float[Array, "..."], dim: int, length: Array | float) -> Float[Array, "..."]:
    """Convolution with the periodic Gaussian of integral 1: exp(-length^2 k^2 / 2) on mode k."""
    k2 = jnp.sum(_wavevectors(field, dim, keep_highest=True) ** 2, axis=-1)
    return _multiply(field, dim, jnp.exp(-(length**2) * k2 / 2))


def truncate(field: Float[Array, "..."], dim: int, highest: int) -> Float[Array, "..."]:
    """The modes with |k_i| <= highest in each direction; highest = n // 3 keeps quadratic products clean."""
    k = _wavevectors(field, dim, keep_highest=True)
    return _multiply(field, dim, jnp.all(jnp.abs(k) <= highest, axis=-1).astype(float))


def integral(field: Float[Array, "..."], dim: int) -> Float[Array, "..."]:
    """Integral over the torus in dx, of each component; exact for resolved fields."""
    return (2 * jnp.pi) ** dim * jnp.mean(field, axis=tuple(range(dim)))


def evaluate(field: Float[Array, "..."], points: Float[Array, "*points dim"]) -> Float[Array, "..."]:
    """The field's trigonometric polynomial at any points: [*points, *components].

    Cost is the number of points times that of modes. Refined grids, images of diffeomorphisms.
    """
    dim = points.shape[-1]
    flat = points.reshape(-1, dim)
    transformed = jnp.fft.fftn(field, axes=range(dim)) / np.prod(field.shape[:dim])
    k = jnp.asarray(_wavenumbers(field.shape[0], keep_highest=True))
    # Of the highest mode, its own partner -n/2, the grid knows the cosine alone: the real part below.
    waves = [jnp.exp(1j * flat[:, axis, None] * k) for axis in range(dim)]

    def at(*wave: Array) -> Array:
        value = transformed
        for w in wave:
            value = jnp.tensordot(w, value, axes=1)
        return value.real

    values = jax.vmap(at)(*waves)
    return values.reshape(points.shape[:-1] + field.shape[dim:])


def pointwise(function: Callable[..., Array], dim: int) -> Callable[..., Array]:
    """The function of one point's components, at each point of a grid of `dim` axes."""
    for _ in range(dim):
        function = jax.vmap(function)
    return function


def christoffel(g: Float[Array, "..."], dim: int) -> Float[Array, "..."]:
    """Gamma^k_ij of a metric on the grid: [*grid, dim, dim, dim]."""
    return pointwise(curvature.christoffel_from_derivatives, dim)(g, gradient(g, dim))


def ricci(g: Float[Array, "..."], dim: int) -> Float[Array, "..."]:
    """R_ij of a metric on the grid: [*grid, dim, dim]."""
    return pointwise(curvature.ricci_from_derivatives, dim)(g, gradient(g, dim), second_derivatives(g, dim))


def hessian(f: Float[Array, "..."], g: Float[Array, "..."], dim: int) -> Float[Array, "..."]:
    """nabla_i nabla_j f of a function on the grid: [*grid, dim, dim]."""
    return pointwise(curvature.hessian_from_derivatives, dim)(
        christoffel(g, dim), gradient(f, dim), second_derivatives(f, dim)
    )


def _wavenumbers(side: int, *, keep_highest: bool) -> np.ndarray:
    k = np.fft.fftfreq(side, 1 / side)
    if not keep_highest:
        # cos(n x / 2) has no derivative on the grid: its sine vanishes at every point.
        k[side // 2] = 0
    return k


def _wavevectors(field: Array, dim: int, *, keep_highest: bool = False) -> Float[Array, "*grid dim"]:
    shape = field.shape[:dim]
    if len(shape) < dim or len(set(shape)) != 1 or shape[0] % 2:
        raise ValueError(f"a field of shape {field.shape} has no grid of {dim} equal, even sides in front")
    line = _wavenumbers(shape[0], keep_highest=keep_highest)
    return jnp.stack(jnp.meshgrid(*[jnp.asarray(line)] * dim, indexing="ij"), axis=-1)


def _multiply(field: Array, dim: int, symbol: Array) -> Array:
    """Multiply the modes; further axes of the symbol stand behind the grid."""
    axes = tuple(range(dim))
    extra = symbol.ndim - dim
    transformed = jnp.expand_dims(jnp.fft.fftn(field, axes=axes), tuple(range(dim, dim + extra)))
    symbol = jnp.expand_dims(symbol, tuple(range(symbol.ndim, symbol.ndim + field.ndim - dim)))
    return jnp.fft.ifftn(symbol * transformed, axes=axes).real
