r"""Nearest neighbours in a real Euclidean space, and their statistics; paper section 3.2 and (3.6).

Points are rows of real coordinates. For points of P^n take `projective.chordal_embedding`, in which Euclidean
distance is sin d, hence in the same order as the geodesic distance d. Its coordinates are rounded at 1e-16,
so that a distance of 1e-8 keeps only half of its digits: find neighbours here, then measure each pair by its
index with `projective.geodesic_distance`. No matrix of all pairs is ever held.

Two ways lead to the same neighbours: `nearest_in_set` by a k-d tree, `nearest_by_cells` by matrix products
within a ball around each cell of points, which is faster from about 10^4 points in 6 dimensions on.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from mfcore._typing import Array, Float, Int

POINTS_A_CELL = 250
CHUNK = 64  # points of a cell that share one list of candidates
PIVOTS_AT_ONCE = 4_000_000  # distances from pivots to points held at a time, 32 MB
ROUNDING = 1e-7  # of a distance found from squares, in units of the largest coordinate; neighbours stay exact

LEAF_SIZE = 16  # measured on 10^5 points of the quintic in R^25: 8 and 24 are slower


@dataclass(frozen=True)
class Neighbours:
    """The row of each point's nearest neighbour, and the distance to it."""

    index: Int[np.ndarray, " points"]
    distance: Float[np.ndarray, " points"]


class DistanceStatistics(NamedTuple):
    """The largest, mean and smallest nearest distance of a set, and the standard error of the mean."""

    largest: float
    mean: float
    smallest: float
    standard_error: float


def nearest_in_set(points: Float[Array | np.ndarray, "points coordinates"]) -> Neighbours:
    """The nearest other point of the same set, for each point; a repeated point has its copy, at distance 0.

    Exact; among points equally far, which one is found is open. The cost is that of a k-d tree: about N log N
    where the points fill few dimensions (the quintic fills 6 of its 25), N^2 where they fill many.
    """
    data = _checked(points, "points", 2)
    distance, index = _nearest(data, data, 2)
    # Of the two nearest, one is mostly the point itself; among three copies of a point it may be neither.
    found_itself = index[:, 0] == np.arange(len(data))
    return Neighbours(np.where(found_itself, index[:, 1], index[:, 0]), distance[:, 1])


def nearest_to_queries(
    queries: Float[Array | np.ndarray, "queries coordinates"],
    points: Float[Array | np.ndarray, "points coordinates"],
) -> Neighbours:
    """The nearest of ``points`` for each query, exact; ``index`` holds rows of ``points``, one a query."""
    data, asked = _checked(points, "points", 1), _checked(queries, "queries", 1)
    if asked.shape[1] != data.shape[1]:
        raise ValueError(
            f"queries have {asked.shape[1]} coordinates and points {data.shape[1]}; "
            "embed both in the same space"
        )
    distance, index = _nearest(asked, data, 1)
    return Neighbours(index[:, 0], distance[:, 0])


def nearest_by_cells(points: Float[Array | np.ndarray, "points coordinates"]) -> Neighbours:
    """What `nearest_in_set` finds, exact, by matrix products; for many points in up to about 8 dimensions.

    Some of the points are pivots, and each point belongs to the cell of the nearest one. If x is at distance
    a from its pivot and b from some other point, its nearest point is within a + b of the pivot (triangle
    inequality). Points must be about evenly spread: a cell that holds n of them takes n^2 numbers. One core
    takes 6 seconds for 10^5 points of the quintic, against 80 for the tree, and 100 seconds for 10^6.
    """
    data = _checked(points, "points", 2)
    size = len(data)
    squares = np.einsum("ij,ij->i", data, data)
    pivots = np.arange(0, size, POINTS_A_CELL)
    owner = _nearest_pivot(data, squares, pivots)
    ends = np.cumsum(np.bincount(owner, minlength=len(pivots)))
    members = np.split(np.argsort(owner, kind="stable"), ends[:-1])
    index = np.empty(size, dtype=np.intp)
    at_once = max(1, PIVOTS_AT_ONCE // size)
    for begin in range(0, len(pivots), at_once):
        some = pivots[begin : begin + at_once]
        from_pivots = _squared(data[some], squares[some], data, squares)
        for row, cell in zip(np.sqrt(from_pivots), members[begin : begin + at_once], strict=True):
            if len(cell):
                _nearest_of_cell(data, squares, cell, row, index)
    return Neighbours(index, np.linalg.norm(data - data[index], axis=1))


def distance_statistics(
    neighbours: Neighbours, line: Int[Array | np.ndarray, " points"] | None = None
) -> DistanceStatistics:
    """Statistics of `nearest_in_set`, whose distances may have been replaced by geodesic ones.

    Points that are each other's neighbour share one distance, so the standard error sums over groups: the
    connected pieces of the graph that joins each point to its neighbour. Points that share a ``line`` were
    drawn together, and are groups of a second kind; variances add, less that of the pairs counted twice
    (two-way clustering, Cameron, Gelbach and Miller). Without ``line`` the points count as independent draws.
    """
    index, distance = neighbours.index, neighbours.distance
    size = len(distance)
    if size < 2 or len(index) != size or not np.all((index >= 0) & (index < size)):
        raise ValueError(
            f"{len(index)} indices and {size} distances: need at least 2 of each, with indices below {size}, "
            "from `nearest_in_set`; neighbours of separate queries have no such statistics"
        )
    graph = coo_array((np.ones(size), (np.arange(size), index)), shape=(size, size))
    group = connected_components(graph, directed=False)[1]
    mean = float(distance.mean())
    variance = _variance_of_sum(distance - mean, group)
    if line is not None:
        own = np.unique(np.asarray(line), return_inverse=True)[1]
        both = group * (int(own.max()) + 1) + own
        variance += _variance_of_sum(distance - mean, own) - _variance_of_sum(distance - mean, both)
    return DistanceStatistics(
        float(distance.max()), mean, float(distance.min()), float(np.sqrt(variance)) / size
    )


def _variance_of_sum(deviation: np.ndarray, group: np.ndarray) -> float:
    label = np.unique(group, return_inverse=True)[1]
    return float(np.sum(np.bincount(label, weights=deviation) ** 2))


def _nearest_pivot(data: np.ndarray, squares: np.ndarray, pivots: np.ndarray) -> np.ndarray:
    rows = max(1, PIVOTS_AT_ONCE // len(pivots))
    return np.concatenate(
        [
            _squared(data[b : b + rows], squares[b : b + rows], data[pivots], squares[pivots]).argmin(axis=1)
            for b in range(0, len(data), rows)
        ]
    )


def _nearest_of_cell(
    data: np.ndarray, squares: np.ndarray, cell: np.ndarray, from_pivot: np.ndarray, index: np.ndarray
) -> None:
    # Writes the neighbours of the points of a cell into `index`, given all distances from its pivot.
    inside = _squared(data[cell], squares[cell], data[cell], squares[cell])
    np.fill_diagonal(inside, np.inf)
    slack = ROUNDING * np.sqrt(squares.max())
    reach = from_pivot[cell] + np.sqrt(inside.min(axis=1)) + slack
    cell, reach = cell[np.argsort(reach)], np.sort(reach)
    by_index = np.flatnonzero(from_pivot <= reach[-1])
    order = np.argsort(from_pivot[by_index])
    candidates, itself = by_index[order], np.argsort(order)[np.searchsorted(by_index, cell)]
    ends = np.searchsorted(from_pivot[candidates], reach, side="right")
    points, their_squares = data[candidates], squares[candidates]
    for begin in range(0, len(cell), CHUNK):
        chunk = cell[begin : begin + CHUNK]
        end = ends[begin + len(chunk) - 1]
        found = _squared(data[chunk], squares[chunk], points[:end], their_squares[:end])
        found[np.arange(len(chunk)), itself[begin : begin + CHUNK]] = np.inf
        index[chunk] = candidates[found.argmin(axis=1)]


def _squared(a: np.ndarray, a2: np.ndarray, b: np.ndarray, b2: np.ndarray) -> np.ndarray:
    return np.maximum(a2[:, None] + b2 - 2 * (a @ b.T), 0)


def _nearest(queries: np.ndarray, points: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    # Asked in the order of a tree of their own, successive queries walk the same branches, still in cache:
    # 1.4 times as fast. Sliding midpoints instead of medians make rounder cells, and that 1.2 times.
    order = KDTree(queries, leafsize=LEAF_SIZE, balanced_tree=False).indices
    tree = KDTree(points, leafsize=LEAF_SIZE, balanced_tree=False)
    found = tree.query(queries[order], k=count, workers=-1)
    distance, index = np.empty((len(order), count)), np.empty((len(order), count), dtype=np.intp)
    distance[order], index[order] = (part.reshape(-1, count) for part in found)
    return distance, index


def _checked(points: Float[Array | np.ndarray, "..."], name: str, at_least: int) -> np.ndarray:
    data = np.asarray(points, dtype=np.float64)
    if data.ndim != 2 or data.shape[0] < at_least or data.shape[1] < 1:
        raise ValueError(
            f"{name} of shape {data.shape}: need (points, coordinates) with at least {at_least} "
            f"point{'s' if at_least > 1 else ''} and one coordinate"
        )
    bad = int(np.sum(~np.isfinite(data).all(axis=1)))
    if bad:
        raise ValueError(f"{bad} of {len(data)} {name} hold NaN or infinity; remove or recompute them")
    return data
