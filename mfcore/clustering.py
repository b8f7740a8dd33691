r"""Agglomerative clustering by distance, of all points at once or batch by batch; paper section 3.1.

Geometry is an argument: a matrix of distances, or a function that makes one from two sets of points. Labels
run from 0 without gaps; nothing here is random.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from sklearn.cluster import AgglomerativeClustering

from mfcore._typing import Array, Float, Int, Shaped

# From two sets of points to the matrix of their distances, [row in the first, row in the second].
Distances = Callable[[Any, Any], Any]

LINKAGES = ("average", "complete", "single")  # those that need distances alone
ROWS = 1000  # of a matrix handled at a time: 80 MB beside 10,000 columns
SYMMETRY = 1e-5  # allowed asymmetry, relative to the largest distance: single precision passes


class BlockDiagonality(NamedTuple):
    """How much closer the points of a cluster are, and the spread of this score over shuffled labels."""

    score: float
    standard_deviation: float

    @property
    def z(self) -> float:
        """The score in standard deviations of shuffled labels."""
        return self.score / self.standard_deviation


def full_clustering(
    distance_matrix: Float[Array | np.ndarray, "points points"], n_clusters: int, linkage: str = "average"
) -> Int[np.ndarray, " points"]:
    """The label of each point: scikit-learn's agglomerative clustering, by default with average linkage.

    The two clusters with the smallest mean distance between their points (``linkage`` "complete": the largest
    distance, "single": the smallest) are joined, again and again, until ``n_clusters`` are left. Needs three
    times the memory of the matrix in float64 at the peak.
    """
    if linkage not in LINKAGES:
        raise ValueError(f"linkage {linkage!r}: give one of {', '.join(LINKAGES)}")
    matrix = _checked_matrix(distance_matrix)
    if not 1 <= n_clusters <= len(matrix):
        raise ValueError(
            f"{n_clusters} clusters of {len(matrix)} points: ask for at least 1 and at most {len(matrix)}"
        )
    if len(matrix) == 1:
        return np.zeros(1, dtype=np.int64)
    model = AgglomerativeClustering(n_clusters=n_clusters, metric="precomputed", linkage=linkage)
    return model.fit_predict(matrix).astype(np.int64)


def ward_clustering(
    points: Float[Array | np.ndarray, "points coordinates"], n_clusters: int
) -> Int[np.ndarray, " points"]:
    """The label of each point by Ward's rule: join the clusters that raise the spread within clusters least.

    The spread is the sum of squared Euclidean distances to the clusters' means, so points need coordinates:
    of P^n, `projective.chordal_embedding`. It makes clusters of even size, which average linkage does not.
    """
    if not 2 <= n_clusters <= len(points):
        raise ValueError(
            f"{n_clusters} clusters of {len(points)} points: ask for at least 2 and at most {len(points)}"
        )
    return AgglomerativeClustering(n_clusters=n_clusters).fit_predict(np.asarray(points)).astype(np.int64)


def lost_mass(
    kernel: Float[Array | np.ndarray, "points points"], labels: Int[np.ndarray, " points"]
) -> float:
    """The share of the kernel of all pairs of two points that pairs in different clusters hold.

    This is what a flow loses that lets no cluster talk to another. For a constant kernel it is the share of
    such pairs; the kernel of a point with itself, which no clustering can lose, does not count.
    """
    matrix = np.asarray(kernel)
    _require_labels(labels, len(matrix))
    everything = float(np.sum(matrix) - np.trace(matrix))
    if matrix.shape != (len(labels), len(labels)) or not (matrix.min() >= 0 and everything > 0):
        raise ValueError(
            f"kernel of shape {matrix.shape}, from {matrix.min():g}, between different points {everything:g} "
            "in all: need a square matrix without negative entries, not all zero off the diagonal"
        )
    inside = sum(float(np.sum(matrix[np.ix_(c, c)])) for c in _members(labels)) - float(np.trace(matrix))
    return 1 - inside / everything


def batch_clustering(
    points: Shaped[Array | np.ndarray, "points *coordinates"],
    distance: Distances,
    n_clusters: int,
    batch_size: int,
) -> Int[np.ndarray, " points"]:
    r"""The label of each point by the mini batches of section 3.1, steps 1 to 5, and (3.3).

    1. Consecutive points form batches of at most ``batch_size``, equal to within one point. 2. Each batch is
    clustered by itself. 3. The clusters of the first one are the seeds c_alpha^1. 4. The seeds take turns: of
    the second batch's clusters, seed alpha takes the one whose largest distance to the points of c_alpha^1 is
    smallest. 5. So for every batch. What the paper leaves open, and how it is read here:

    - A cluster once taken is gone, and every cluster is taken, so that the result is a partition. Without
      this, a cluster that is nearest to two seeds would go to both, and another one to none. The price: early
      seeds choose first.
    - Distances are measured to the seed, c_alpha^1, as (3.3) prints, not to the cluster that grows from it.
    - "The first cluster" of step 4 is each seed in turn, in the order of scikit-learn's labels.

    The result depends on the order of the points; shuffle them beforehand to see how much. Memory: one
    distance matrix of a batch, and what `full_clustering` adds; a ``distance`` in single precision halves the
    matrix.
    """
    count = len(points)
    if not 1 <= batch_size <= count:
        raise ValueError(f"batches of {batch_size} from {count} points: need a size from 1 to {count}")
    batches = np.array_split(np.arange(count), -(-count // batch_size))
    if not 1 <= n_clusters <= len(batches[-1]):
        raise ValueError(
            f"{n_clusters} clusters in batches of {len(batches[-1])} points ({len(batches)} batches from "
            f"{count} points): ask for at least 1 cluster, and for fewer clusters or larger batches"
        )
    labels = np.empty(count, dtype=np.int64)
    for number, batch in enumerate(batches):
        own = full_clustering(distance(points[batch], points[batch]), n_clusters)
        if number:
            first = batches[0]
            reach = cluster_reach(points[first], labels[first], points[batch], own, distance)
            own = seeds_in_turn(reach)[own]
        labels[batch] = own
    return labels


def cluster_reach(
    points_a: Shaped[Array | np.ndarray, "points_a *coordinates"],
    labels_a: Int[np.ndarray, " points_a"],
    points_b: Shaped[Array | np.ndarray, "points_b *coordinates"],
    labels_b: Int[np.ndarray, " points_b"],
    distance: Distances,
) -> Float[np.ndarray, "clusters_a clusters_b"]:
    """The largest distance between a point of cluster alpha of a and one of cluster beta of b.

    For all alpha and beta; each pair of points is measured once, a block of rows at a time.
    """
    _require_labels(labels_a, len(points_a))
    _require_labels(labels_b, len(points_b))
    order, starts = sort_order(labels_b), _starts(labels_b)
    reach = np.zeros((int(labels_a.max()) + 1, len(starts)))
    for begin in range(0, len(points_a), ROWS):
        rows = slice(begin, begin + ROWS)
        block = np.asarray(distance(points_a[rows], points_b))
        _require_distances(block, (len(labels_a[rows]), len(labels_b)))
        np.maximum.at(reach, labels_a[rows], np.maximum.reduceat(block[:, order], starts, axis=1))
    return reach


def seeds_in_turn(reach: Float[np.ndarray, "seeds clusters"]) -> Int[np.ndarray, " clusters"]:
    """The seed that takes each cluster, when the seeds in their order take the nearest one that is left."""
    seed_of = np.full(reach.shape[1], -1, dtype=np.int64)
    for seed, row in enumerate(reach):
        seed_of[np.argmin(np.where(seed_of < 0, row, np.inf))] = seed
    return seed_of


def sort_order(labels: Int[np.ndarray, " points"]) -> Int[np.ndarray, " points"]:
    """The order that brings clusters together, and keeps that of the points within each."""
    return np.argsort(labels, kind="stable")


def block_diagonality(
    distance_matrix: Float[Array | np.ndarray, "points points"], labels: Int[np.ndarray, " points"]
) -> BlockDiagonality:
    """1 - (mean distance of two points of one cluster) / (mean distance of two points), with its null spread.

    1 if clusters are single places, 0 on average if labels are shuffled: the chance-corrected agreement of
    the multi-response permutation procedure (Mielke and Berry), with every pair of points counted alike. The
    standard deviation is that over all permutations of the labels, in closed form (Mantel 1967).
    """
    matrix = np.asarray(_checked_matrix(distance_matrix), dtype=np.float64)
    size = len(matrix)
    _require_labels(labels, size)
    members = np.bincount(labels).astype(float)
    if size < 4 or not 1 < len(members) < size or not matrix.max() > 0:
        raise ValueError(
            f"{len(members)} clusters of {size} points, at distances up to {matrix.max():g}: need at least 4 "
            "points, not all in one place, and from 2 clusters to one fewer than points"
        )
    within = float(np.sum(members * (members - 1)))
    mean = float(np.sum(matrix) - np.trace(matrix)) / (size * (size - 1))
    excess = matrix - mean
    np.fill_diagonal(excess, 0)  # a rounding error of d(x, x) is no distance of two points
    inside = sum(float(np.sum(excess[np.ix_(c, c)])) for c in _members(labels))
    rows = members[labels] - 1
    variance = _permutation_variance(excess, within, float(np.sum(rows**2)))
    return BlockDiagonality(-inside / within / mean, float(np.sqrt(variance)) / within / mean)


def _permutation_variance(excess: np.ndarray, within: float, within_rows2: float) -> float:
    # Variance of sum_{i != j} a_ij b_{p(i) p(j)} over permutations p, Mantel (1967), for a of mean zero and b
    # the 0-1 matrix of pairs in one cluster, whose sum and sum of squares are both `within`.
    n = len(excess)
    squares, rows2 = float(np.sum(excess**2)), float(np.sum(excess.sum(axis=1) ** 2))
    pairs, triples = n * (n - 1), n * (n - 1) * (n - 2)
    return (
        2 * squares * within / pairs
        + 4 * (rows2 - squares) * (within_rows2 - within) / triples
        + (2 * squares - 4 * rows2) * (within**2 + 2 * within - 4 * within_rows2) / (triples * (n - 3))
    )


def _members(labels: np.ndarray) -> list[np.ndarray]:
    return np.split(sort_order(labels), _starts(labels)[1:])


def _starts(labels: np.ndarray) -> np.ndarray:
    # Where each cluster begins once they are sorted.
    return np.flatnonzero(np.diff(labels[sort_order(labels)], prepend=-1))


def _require_labels(labels: np.ndarray, size: int) -> None:
    if len(labels) != size or not np.array_equal(np.unique(labels), np.arange(int(labels.max()) + 1)):
        raise ValueError(
            f"{len(labels)} labels, {np.unique(labels)[:10]} among them, for {size} points: need one a "
            "point, from 0 without gaps"
        )


def _checked_matrix(distance_matrix: Float[Array | np.ndarray, "..."]) -> np.ndarray:
    matrix = np.asarray(distance_matrix)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not len(matrix):
        raise ValueError(
            f"distance matrix of shape {matrix.shape}: need (points, points), at least one point"
        )
    _require_distances(matrix, matrix.shape)
    # In blocks, for a batch of the paper has 0.8 GB and its transpose should not be copied.
    asymmetry = max(
        float(np.max(np.abs(matrix[b : b + ROWS] - matrix[:, b : b + ROWS].T)))
        for b in range(0, len(matrix), ROWS)
    )
    if asymmetry > SYMMETRY * float(matrix.max()):
        raise ValueError(
            f"distances d(x, y) and d(y, x) differ by up to {asymmetry:.3g}; pass a symmetric matrix, "
            "such as the mean of it and its transpose"
        )
    return matrix


def _require_distances(block: np.ndarray, shape: tuple[int, ...]) -> None:
    if block.shape != shape:
        raise ValueError(
            f"distances of shape {block.shape} for {shape[0]} and {shape[-1]} points; the function of "
            "distances must return [first point, second point]"
        )
    lowest, highest = float(block.min()), float(block.max())
    if not (lowest >= 0 and np.isfinite(highest)):
        raise ValueError(
            f"distances from {lowest:g} to {highest:g}: need finite numbers, not negative; look for NaN or "
            "infinity among the points"
        )
