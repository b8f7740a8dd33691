r"""Kernels that need not be summed over all pairs: sparse ones for narrow kernels, low rank for smooth ones.

Both are multiplied like `mfcore.kernel_products.KernelProduct`, at a cost that grows with N and not with N^2,
and both say what they leave out: `within_reach` the value below which entries are dropped, `low_rank` the
largest entry of the rest, which it bounds for a positive semidefinite kernel. Paper section 3.2.
"""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.linalg import get_lapack_funcs
from scipy.spatial import KDTree

from mfcore._typing import Array, Complex, Float, Int, PRNGKeyArray
from mfcore.kernel_products import KernelProduct
from mfcore.neighbours import nearest_to_queries
from mfcore.projective import chordal_embedding, geodesic_distance
from mfcore.proximal import Coupling

CANDIDATES = 6  # points among which a landmark is chosen, per landmark
EXACT_MODES = 4  # of a low-rank kernel are solved exactly in each step; each costs dim^2 unknowns


class SparseKernel(eqx.Module):
    """A kernel by its entries that are not zero, sorted by row."""

    row: Int[Array, " entries"]
    column: Int[Array, " entries"]
    value: Float[Array, " entries"]
    shape: tuple[int, int] = eqx.field(static=True)

    def __matmul__(self, v: Float[Array, "train columns"]) -> Float[Array, "points columns"]:
        """sum_b Theta(x_a, x_b) v_b over the entries kept."""
        return jax.ops.segment_sum(
            self.value[:, None] * v[self.column], self.row, self.shape[0], indices_are_sorted=True
        )

    def coupling(self) -> Coupling:
        """Row sums of absolute values as the bound, by Gershgorin; no shared part."""
        sums = jax.ops.segment_sum(jnp.abs(self.value), self.row, self.shape[0], indices_are_sorted=True)
        return Coupling(jnp.zeros((self.shape[0], 1)), sums)


class LowRankKernel(eqx.Module):
    """The kernel L R^T; among train points L = R, with orthogonal columns in falling order of length."""

    left: Float[Array, "points modes"]
    right: Float[Array, "train modes"]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self.left), len(self.right)

    def __matmul__(self, v: Float[Array, "train columns"]) -> Float[Array, "points columns"]:
        """L (R^T v)."""
        return self.left @ (self.right.T @ v)

    def coupling(self) -> Coupling:
        """The leading columns as the shared part; the next column's squared length bounds the others.

        The columns are orthogonal, so that their squared lengths are the eigenvalues of L L^T.
        """
        exact = min(EXACT_MODES, self.left.shape[1] - 1)
        next_eigenvalue = jnp.sum(self.left[:, exact] ** 2)
        return Coupling(self.left[:, :exact], jnp.full(len(self.left), next_eigenvalue))


def within_reach(
    kernel: Callable[[Array], Array],
    x: Complex[Array, "points hom"],
    y: Complex[Array, "train hom"],
    reach: float,
) -> SparseKernel:
    """kernel(d) for all pairs with a geodesic distance of at most ``reach``, distances right to rounding.

    What is left out is at most kernel(reach) for each pair of a kernel that falls with the distance.
    """
    if not 0 < reach < np.pi / 2:
        raise ValueError(f"reach {reach!r}: need a distance between 0 and pi / 2")
    embedded = [np.asarray(jax.vmap(chordal_embedding)(z)) for z in (x, y)]
    # A little further in the tree, whose coordinates are rounded; the exact distance then decides.
    trees = [KDTree(points, balanced_tree=False) for points in embedded]
    found = trees[0].sparse_distance_matrix(
        trees[1], np.sin(reach) * (1 + 1e-9) + 1e-15, output_type="coo_matrix"
    )
    order = np.lexsort((found.col, found.row))
    row, column = found.row[order], found.col[order]
    distance = jax.jit(jax.vmap(geodesic_distance))(x[row], y[column])
    kept = np.asarray(distance <= reach)
    return SparseKernel(
        jnp.asarray(row[kept]), jnp.asarray(column[kept]), kernel(distance[kept]), (len(x), len(y))
    )


def delta(x: Complex[Array, "points hom"], y: Complex[Array, "train hom"]) -> SparseKernel:
    """The paper's Delta kernel: 1 at the nearest train point, 0 elsewhere; the identity where x is y."""
    nearest = nearest_to_queries(*(np.asarray(jax.vmap(chordal_embedding)(z)) for z in (x, y)))
    return SparseKernel(jnp.arange(len(x)), jnp.asarray(nearest.index), jnp.ones(len(x)), (len(x), len(y)))


class Landmarks(NamedTuple):
    """A low-rank kernel of train points with any others; made by `low_rank`, which says what is left out."""

    point: Int[Array, " landmarks"]
    transform: Float[Array, "landmarks modes"]
    right: Float[Array, "train modes"]
    left_out: float

    def among_train(self) -> LowRankKernel:
        """The low-rank kernel of the train points with themselves."""
        return LowRankKernel(self.right, self.right)

    def with_train(self, kernel: KernelProduct) -> LowRankKernel:
        """The low-rank kernel of other points with the train points; ``kernel`` is the full one."""
        return LowRankKernel(kernel.at(slice(None), self.point).dense() @ self.transform, self.right)


def low_rank(key: PRNGKeyArray, kernel: KernelProduct, rank: int) -> Landmarks:
    r"""Nystroem's approximation K_xm K_mm^-1 K_mx of a positive semidefinite kernel from ``rank`` landmarks.

    They are the pivots of a Cholesky factorisation of the kernel among some points, each the point that the
    ones before explain worst. The rest K - L L^T is then positive semidefinite as well, so that none of its
    entries exceeds the largest on its diagonal, which ``left_out`` is. Needs float64.
    """
    if kernel.rows[0].dtype != jnp.float64 or kernel.shape[0] != kernel.shape[1]:
        raise ValueError(
            f"kernel {kernel.shape} of {kernel.rows[0].dtype} points: need rows and columns at the same "
            "points, in complex128"
        )
    some = jax.random.permutation(key, kernel.shape[0])[: CANDIDATES * rank]
    (pivoted_cholesky,) = get_lapack_funcs(("pstrf",), dtype=np.float64)
    factor, pivots, found, _ = pivoted_cholesky(np.asarray(kernel.at(some, some).dense()), lower=1)
    if found < rank:
        raise ValueError(
            f"rank {rank}: the kernel among {len(some)} points has only {found} directions above rounding, "
            "or is not positive semidefinite; ask for fewer"
        )
    index = some[pivots[:rank] - 1]
    inverse = jax.scipy.linalg.solve_triangular(
        jnp.asarray(np.tril(factor)[:rank, :rank]), jnp.eye(rank), lower=True
    )
    left = kernel.at(slice(None), index).dense() @ inverse.T
    directions = jnp.linalg.eigh(left.T @ left)[1][:, ::-1]
    right = left @ directions
    left_out = float(jnp.max(_diagonal(kernel) - jnp.sum(right**2, axis=1)))
    return Landmarks(index, inverse.T @ directions, right, left_out)


def _diagonal(kernel: KernelProduct) -> Float[Array, " points"]:
    of_point = jax.vmap(lambda *a: kernel.tile_of(*_one(a), kernel.parameters)[0, 0])
    return of_point(*kernel.rows, *kernel.columns) + jnp.sum(kernel.row_part * kernel.column_part, axis=1)


def _one(features: tuple[Array, ...]) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    rows, columns = features[: len(features) // 2], features[len(features) // 2 :]
    return tuple(a[None] for a in rows), tuple(a[None] for a in columns)
