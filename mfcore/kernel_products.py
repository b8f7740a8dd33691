r"""Products of kernels with vectors, without the matrix: tile by tile, on any number of devices.

A `KernelProduct` is Theta(x, x') of all pairs of two sets of points: ``kernel @ v`` sums its columns against
v in the memory of v and a tile. Kernels of the geodesic distance take d^2 as a function of s = sin^2 d, which
is analytic at s = 0; the ReLU kernel takes half the angle that it is a function of. Arithmetic is single or
double as the points are complex64 or complex128. Rows are shared out over devices by JAX's own partitioner.
Paper (2.12), section 3.2.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from mfcore._typing import Array, Complex, Float, Int
from mfcore.projective import chordal_embedding
from mfcore.proximal import Coupling

# Entries of a tile, measured on 20,000 points: half and twice as many change the time by less than a tenth.
ROWS, COLUMNS = 250, 2000

Features = tuple[Array, ...]  # arrays with one row a point, from which tiles are made
TileOf = Callable[[Features, Features, tuple[Array, ...]], Array]


class KernelProduct(eqx.Module):
    """Theta(x, x') for the points of ``rows`` and ``columns``: made by `of_distance` or `relu_ntk`.

    ``tile_of`` maps features of some rows, of some columns, and ``parameters`` to their block of the kernel,
    less row_part column_part^T, a part of low rank that is kept apart so that rounding does not swallow the
    rest. ``mesh`` says over which devices the rows are shared.
    """

    rows: Features
    columns: Features
    parameters: tuple[Array, ...]
    row_part: Float[Array, "points modes"]
    column_part: Float[Array, "train modes"]
    tile_of: TileOf = eqx.field(static=True)
    mesh: Mesh | None = eqx.field(static=True, default=None)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self.rows[0]), len(self.columns[0])

    def __matmul__(self, v: Float[Array, "train columns"]) -> Float[Array, "points columns"]:
        """sum_b Theta(x_a, x_b) v_b, summed in the precision of the points and returned in that of v."""
        return _times(self, v)

    def dense(self) -> Float[Array, "points train"]:
        """The matrix itself."""
        return _dense(self)

    def at(
        self, rows: Int[Array | np.ndarray, " some"] | slice, columns: Int[Array | np.ndarray, " few"] | slice
    ) -> "KernelProduct":
        """The block of these rows and columns."""
        return replace(
            self,
            rows=tuple(a[rows] for a in self.rows),
            columns=tuple(a[columns] for a in self.columns),
            row_part=self.row_part[rows],
            column_part=self.column_part[columns],
            mesh=None,
        )

    def coupling(self) -> Coupling:
        r"""The least entry, or 0, as the shared part, and row sums of the rest by Gershgorin; one product.

        The largest sum of |Theta_ab - least| along row a bounds the rest as a matrix, whatever its signs.
        """
        least, sums, sizes = _row_statistics(self)
        shared = jnp.maximum(least.min(), 0)
        spread = jnp.where(least.min() < 0, sizes, sums - self.shape[1] * shared)
        return Coupling(jnp.sqrt(shared) * jnp.ones((self.shape[0], 1)), spread)


def of_distance(
    function: Callable[[Array, Array], Array],
    x: Complex[Array, "points hom"],
    y: Complex[Array, "train hom"],
    parameter: float,
    *,
    exact: bool = False,
) -> KernelProduct:
    """function(d^2, parameter) of the geodesic distance d; `gaussian` and `laplace` are such functions.

    s is 1 - |<z, w>|^2, from one matrix product in `chordal_embedding`, wrong by a few roundings e of its
    dtype: so is d^2 for near points, but d by sqrt(e). That is harmless where the function of d^2 is smooth
    and changes little over e. ``exact`` takes s from the wedge product, right to relative rounding at any
    distance, and several times as slow.
    """
    rows, columns = (_coordinates(z) if exact else jax.vmap(chordal_embedding)(z) for z in (x, y))
    return KernelProduct(
        (rows,),
        (columns,),
        (jnp.asarray(parameter, rows.dtype),),
        jnp.zeros((len(x), 0)),
        jnp.zeros((len(y), 0)),
        _tile_of_distance(function, exact),
    )


def gaussian(distance2: Float[Array, "..."], sigma: Float[Array, ""]) -> Float[Array, "..."]:
    """exp(-(sigma d)^2), the reading of the paper's (3.5) that its Figure 3 decides for."""
    return jnp.exp(-(sigma**2) * distance2)


def laplace(distance2: Float[Array, "..."], sigma: Float[Array, ""]) -> Float[Array, "..."]:
    """exp(-sigma d); take it with ``exact``, for d is a root of d^2."""
    return jnp.exp(-sigma * jnp.sqrt(distance2))


def relu_ntk(
    x: Complex[Array, "points hom"], y: Complex[Array, "train hom"], sigma_w: float, sigma_b: float
) -> KernelProduct:
    r"""The NTK of `mfcore.kernels.relu_ntk` on real and imaginary parts of the coordinates.

    With u = (sigma_w x / sqrt n, sigma_b), v likewise and theta their angle it is sigma_b^2 + sigma_w^2
    |u||v| (1 + (sin theta - 2 theta cos theta - 4 pi q) / 2 pi), where q = sin^2(theta / 2) = (|u - v|^2 -
    (|u| - |v|)^2) / 4 |u||v|. The first two terms, of rank 2, are nearly all of it at Table 1's values.
    """
    features = [jnp.concatenate([z.real, z.imag], axis=1) for z in (x, y)]
    dtype, scale = features[0].dtype, sigma_w**2 / features[0].shape[1]
    sizes = [jnp.sqrt(scale * jnp.sum(a.astype(float) ** 2, axis=1) + sigma_b**2) for a in features]
    parts = [jnp.stack([jnp.full_like(size, sigma_b), sigma_w * size], axis=1) for size in sizes]
    rows, columns = ((a, size.astype(dtype)) for a, size in zip(features, sizes, strict=True))
    parameters = tuple(jnp.asarray(p, dtype) for p in (sigma_w, scale))
    return KernelProduct(rows, columns, parameters, parts[0], parts[1], _relu_tile)


def shared_out(kernel: KernelProduct, mesh: Mesh) -> KernelProduct:
    """The same kernel with its rows shared out over the devices of a mesh of one axis."""
    if len(mesh.axis_names) != 1:
        raise ValueError(f"mesh with axes {mesh.axis_names}: need a single axis, over which rows are shared")
    return replace(kernel, mesh=mesh)


def squared_distance(s: Float[Array, "..."]) -> Float[Array, "..."]:
    """d^2 = arcsin(sqrt s)^2 for s = sin^2 d in [0, 1], by one polynomial in s or in 1 - s."""
    near = s <= 0.5
    t = jnp.where(near, s, 1 - s)
    p = _arcsine(t)
    return jnp.where(near, t * p**2, (jnp.pi / 2 - jnp.sqrt(t) * p) ** 2)


def _arcsine(t: Float[Array, "..."]) -> Float[Array, "..."]:
    """arcsin(sqrt t) / sqrt t on [0, 1/2], analytic there: a polynomial to the rounding of the dtype."""
    coefficients = _coefficients(6 if t.dtype == jnp.float32 else 17)
    p = jnp.full_like(t, coefficients[-1])
    for c in coefficients[-2::-1]:
        p = p * t + c
    return 1 + t * p


@cache
def _coefficients(degree: int) -> tuple[float, ...]:
    """Rising coefficients of (arcsin(sqrt t) / sqrt t - 1) / t, interpolated at Chebyshev points."""

    def series(t: np.ndarray) -> np.ndarray:
        term, total = 0.5, np.zeros_like(t)
        for n in range(1, 60):
            total = total + term / (2 * n + 1) * t ** (n - 1)
            term *= (2 * n + 1) / (2 * n + 2)
        return total

    found = np.polynomial.Chebyshev.interpolate(series, degree, domain=[0, 0.5])
    return tuple(found.convert(kind=np.polynomial.Polynomial, domain=[-1, 1], window=[-1, 1]).coef.tolist())


@cache
def _tile_of_distance(function: Callable[[Array, Array], Array], exact: bool) -> TileOf:
    sine2 = _sine2_by_wedge if exact else _sine2_by_product

    def tile(rows: Features, columns: Features, parameters: tuple[Array, ...]) -> Array:
        return function(squared_distance(sine2(rows[0], columns[0])), parameters[0])

    return tile


def _sine2_by_product(x: Array, y: Array) -> Array:
    return jnp.clip(1 - 2 * _dot(x, y), 0, 1)


def _sine2_by_wedge(x: Array, y: Array) -> Array:
    hom = x.shape[1] // 2
    z, w = (jax.lax.complex(a[:, :hom], a[:, hom:]) for a in (x, y))
    wedge = (z[:, None, i] * w[:, j] - z[:, None, j] * w[:, i] for i in range(hom) for j in range(i))
    return jnp.clip(sum(a.real**2 + a.imag**2 for a in wedge), 0, 1)


def _relu_tile(rows: Features, columns: Features, parameters: tuple[Array, ...]) -> Array:
    sigma_w, scale = parameters
    (x, x_size), (y, y_size) = rows, columns
    product = x_size[:, None] * y_size
    gap2 = scale * (jnp.sum(x**2, axis=1)[:, None] + jnp.sum(y**2, axis=1) - 2 * _dot(x, y))
    q = jnp.clip((gap2 - (x_size[:, None] - y_size) ** 2) / (4 * product), 0, 1)
    near = q <= 0.5
    t = jnp.where(near, q, 1 - q)
    half = jnp.sqrt(t) * _arcsine(t)
    angle = 2 * jnp.where(near, half, jnp.pi / 2 - half)
    sine = 2 * jnp.sqrt(q * (1 - q))
    return sigma_w**2 * product * ((sine - 2 * angle * (1 - 2 * q)) / (2 * jnp.pi) - 2 * q)


def _coordinates(z: Complex[Array, "points hom"]) -> Float[Array, "points features"]:
    z = z / jnp.linalg.norm(z, axis=1, keepdims=True)
    return jnp.concatenate([z.real, z.imag], axis=1)


def _dot(a: Array, b: Array) -> Array:
    # On a GPU the default rounds the factors to ten bits.
    return jnp.matmul(a, b.T, precision=jax.lax.Precision.HIGHEST)


@jax.jit
def _times(kernel: KernelProduct, v: Array) -> Array:
    dtype = kernel.rows[0].dtype
    blocks = _tiles((*kernel.columns, v.astype(dtype)), COLUMNS)

    def of_rows(rows: Features) -> Array:
        def add(total: Array, block: Features) -> tuple[Array, None]:
            tile = kernel.tile_of(rows, block[:-1], kernel.parameters)
            return total + _dot(tile, block[-1].T), None

        return jax.lax.scan(add, jnp.zeros((len(rows[0]), v.shape[1]), dtype), blocks)[0]

    return _over_rows(kernel, of_rows).astype(v.dtype) + kernel.row_part @ (kernel.column_part.T @ v)


@jax.jit
def _dense(kernel: KernelProduct) -> Array:
    tiles = _over_rows(kernel, lambda rows: kernel.tile_of(rows, kernel.columns, kernel.parameters))
    return tiles + kernel.row_part @ kernel.column_part.T


@jax.jit
def _row_statistics(kernel: KernelProduct) -> tuple[Array, Array, Array]:
    """Least entry, sum, and sum of absolute values of each row."""
    dtype = kernel.rows[0].dtype
    real = jnp.ones(kernel.shape[1], dtype)
    blocks = _tiles((*kernel.columns, kernel.column_part, real), COLUMNS)

    def of_rows(rows: Features) -> Array:
        def add(found: Array, block: Features) -> tuple[Array, None]:
            *columns, part, real = block
            tile = kernel.tile_of(rows[:-1], tuple(columns), kernel.parameters) + rows[-1] @ part.T
            least, sums, sizes = found
            new = jnp.minimum(least, tile.min(axis=1)), sums + tile @ real, sizes + jnp.abs(tile) @ real
            return jnp.stack(new), None

        start = jnp.zeros((3, len(rows[0])), float).at[0].set(jnp.inf)
        return jax.lax.scan(add, start, blocks)[0].T

    rows = (*kernel.rows, kernel.row_part)
    return tuple(_over_rows(kernel, of_rows, rows).T)


def _over_rows(
    kernel: KernelProduct, of_rows: Callable[[Features], Array], rows: Features | None = None
) -> Array:
    """of_rows of tiles of the rows, joined; each device works on a run of rows of its own."""
    rows, count = kernel.rows if rows is None else rows, kernel.shape[0]
    devices = 1 if kernel.mesh is None else kernel.mesh.size
    tile = min(ROWS, -(-count // devices))
    tiles = -(-count // (devices * tile))

    def spread(a: Array) -> Array:
        a = _padded(a, devices * tiles * tile).reshape(devices, tiles, tile, *a.shape[1:])
        if kernel.mesh is None:
            return a
        by_device = NamedSharding(kernel.mesh, PartitionSpec(kernel.mesh.axis_names[0]))
        return jax.lax.with_sharding_constraint(a, by_device)

    found = jax.vmap(lambda own: jax.lax.map(of_rows, own))(tuple(spread(a) for a in rows))
    return found.reshape(devices * tiles * tile, *found.shape[3:])[:count]


def _tiles(arrays: Features, size: int) -> Features:
    count = len(arrays[0])
    size = min(size, count)
    padded = -(-count // size) * size
    # The last array is padded by zeros, so that what is summed against it does not count; features by copies
    # of a point, at which every kernel is finite.
    *features, last = arrays
    last = jnp.pad(last, [(0, padded - count)] + [(0, 0)] * (last.ndim - 1))
    return tuple(
        a.reshape(padded // size, size, *a.shape[1:]) for a in (*(_padded(f, padded) for f in features), last)
    )


def _padded(a: Array, length: int) -> Array:
    return jnp.pad(a, [(0, length - len(a))] + [(0, 0)] * (a.ndim - 1), mode="edge")
