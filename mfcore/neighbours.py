r"""Nearest neighbours in a real Euclidean space, and their statistics; paper section 3.2 and (3.6).

Points are rows of real coordinates. For points of P^n take `projective.chordal_embedding`, in which Euclidean
distance is sin d, hence in the same order as the geodesic distance d. Its coordinates are rounded at 1e-16,
so that a distance of 1e-8 keeps only half of its digits: find neighbours here, then measure each pair by its
index with `projective.geodesic_distance`. No matrix of all pairs is ever held.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from mfcore._typing import Array, Float, Int

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


def distance_statistics(neighbours: Neighbours) -> DistanceStatistics:
    """Statistics of `nearest_in_set`, whose distances may have been replaced by geodesic ones.

    Points that are each other's neighbour share one distance, so the standard error sums over groups: the
    connected pieces of the graph that joins each point to its neighbour. It takes the points for independent
    draws.
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
    deviation = np.bincount(group, weights=distance - mean)
    error = float(np.sqrt(np.sum(deviation**2))) / size
    return DistanceStatistics(float(distance.max()), mean, float(distance.min()), error)


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
