"""Oracles: SciPy's linkage, a slow loop over steps 4 and 5, known blobs, every permutation of six labels."""

import importlib.util
import itertools

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import cdist, squareform

from mfcore import clustering
from mfcore.clustering import (
    batch_clustering,
    block_diagonality,
    cluster_reach,
    full_clustering,
    lost_mass,
    seeds_in_turn,
    sort_order,
    ward_clustering,
)


@pytest.fixture
def plain():
    """The module without its run-time types, as a caller outside the tests meets it."""
    spec = importlib.util.spec_from_file_location("plain_clustering", clustering.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cloud(seed, size=120):
    return np.random.default_rng(seed).normal(size=(size, 3))


def blobs(seed, size=90, n_blobs=6):
    """Points in `n_blobs` places far apart, and which place each is in."""
    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.arange(size) % n_blobs)
    return 10.0 * truth[:, None] * np.array([1.0, 0.3]) + rng.uniform(-1, 1, size=(size, 2)), truth


def together(labels):
    """Which pairs share a cluster: a partition without the names of its parts."""
    return labels[:, None] == labels[None, :]


@pytest.mark.parametrize("n_clusters", [1, 2, 7, 120])
def test_full_clustering_is_the_average_linkage_of_scipy(n_clusters):
    matrix = cdist(cloud(0), cloud(0))
    tree = linkage(squareform(matrix, checks=False), method="average")
    expected = fcluster(tree, n_clusters, criterion="maxclust")
    labels = full_clustering(matrix, n_clusters)
    assert_array_equal(together(labels), together(expected))
    assert_array_equal(np.unique(labels), np.arange(n_clusters))


def test_average_linkage_differs_here_from_the_others():
    matrix = cdist(cloud(0), cloud(0))
    labels = together(full_clustering(matrix, 7))
    for method in ("single", "complete"):
        other = fcluster(linkage(squareform(matrix, checks=False), method=method), 7, criterion="maxclust")
        assert not np.array_equal(labels, together(other))


def steps_4_and_5(points, n_clusters, batch_size):
    """One final cluster after another, a pair of points at a time."""
    batches = [list(range(b, min(b + batch_size, len(points)))) for b in range(0, len(points), batch_size)]
    clusters = []
    for batch in batches:
        labels = full_clustering(cdist(points[batch], points[batch]), n_clusters)
        clusters.append(
            [[p for p, c in zip(batch, labels, strict=True) if c == k] for k in range(n_clusters)]
        )
    final = [list(seed) for seed in clusters[0]]
    for batch in clusters[1:]:
        left = list(batch)
        for alpha, seed in enumerate(clusters[0]):
            worst = [max(np.linalg.norm(points[p] - points[q]) for p in seed for q in c) for c in left]
            final[alpha] += left.pop(int(np.argmin(worst)))
    return final


@pytest.mark.parametrize(("n_clusters", "batch_size"), [(5, 30), (8, 60), (1, 40), (30, 30), (4, 120)])
def test_batch_clustering_follows_the_steps_of_the_paper(n_clusters, batch_size):
    points = cloud(1)
    labels = batch_clustering(points, cdist, n_clusters, batch_size)
    for label, expected in enumerate(steps_4_and_5(points, n_clusters, batch_size)):
        assert_array_equal(np.flatnonzero(labels == label), sorted(expected))


def test_the_turn_of_the_seeds_matters_here():
    # Else the oracle above would not tell taking turns from the best assignment of all.
    points = cloud(1)
    first, second = (full_clustering(cdist(p, p), 5) for p in (points[:30], points[30:60]))
    reach = cluster_reach(points[:30], first, points[30:60], second, cdist)
    assert len(set(reach.argmin(axis=1))) < 5


def test_no_point_is_lost_where_batches_do_not_divide_the_points():
    labels = batch_clustering(cloud(2, 101), cdist, 6, 20)
    assert len(labels) == 101
    # Six batches of 17 or 16: each gives each cluster at least one point.
    batches = np.array_split(labels, 6)
    assert [len(batch) for batch in batches] == [17, 17, 17, 17, 17, 16]
    assert all(set(batch) == set(range(6)) for batch in batches)


def test_one_batch_is_the_full_clustering():
    points = cloud(3)
    assert_array_equal(batch_clustering(points, cdist, 6, 120), full_clustering(cdist(points, points), 6))


def test_blobs_are_found_by_both():
    points, truth = blobs(4)
    assert_array_equal(together(full_clustering(cdist(points, points), 6)), together(truth))
    assert_array_equal(together(batch_clustering(points, cdist, 6, 30)), together(truth))


def test_points_and_distances_may_come_from_jax(key):
    points = jax.random.normal(key, (40, 5), dtype=complex)

    def distance(a, b):
        return jax.numpy.sqrt(jax.numpy.sum(jax.numpy.abs(a[:, None] - b[None]) ** 2, axis=-1))

    real = np.concatenate([points.real, points.imag], axis=1)
    assert_array_equal(batch_clustering(points, distance, 3, 10), batch_clustering(real, cdist, 3, 10))


def test_reach_is_the_largest_distance_and_measures_each_pair_once(monkeypatch):
    monkeypatch.setattr(clustering, "ROWS", 7)
    a, b = cloud(5, 25), cloud(6, 31)
    labels_a, labels_b = (np.random.default_rng(7).permutation(np.arange(n) % 4) for n in (25, 31))
    measured = []

    def distance(x, y):
        measured.append(len(x) * len(y))
        return cdist(x, y)

    pairs = cdist(a, b)
    expected = [[pairs[np.ix_(labels_a == i, labels_b == j)].max() for j in range(4)] for i in range(4)]
    assert_array_equal(cluster_reach(a, labels_a, b, labels_b, distance), expected)
    assert sum(measured) == 25 * 31


def test_seeds_take_turns_and_each_cluster_is_taken_once():
    reach = np.array([[1.0, 2.0, 3.0], [0.1, 5.0, 4.0], [0.1, 0.2, 0.3]])
    assert_array_equal(seeds_in_turn(reach), [0, 2, 1])


def test_sort_order_brings_clusters_together_and_keeps_the_order_within():
    assert_array_equal(sort_order(np.array([2, 0, 1, 0, 2, 1, 0])), [1, 3, 6, 2, 5, 0, 4])


def test_batches_of_single_points_make_one_cluster():
    assert_array_equal(batch_clustering(cloud(13, 5), cdist, 1, 1), np.zeros(5))


def test_block_diagonality_by_hand():
    matrix = np.array([[0.0, 1, 4, 5], [1, 0, 6, 4], [4, 6, 0, 2], [5, 4, 2, 0]])
    # Within: (1 + 2) / 2; all pairs: 22 / 6.
    assert_allclose(block_diagonality(matrix, np.array([0, 0, 1, 1])).score, 1 - 1.5 / (22 / 6))
    off = matrix + 1e-3 * np.eye(4)
    assert_allclose(block_diagonality(off, np.array([0, 0, 1, 1])).score, 1 - 1.5 / (22 / 6), rtol=1e-14)
    assert_allclose(block_diagonality(cdist(*2 * [np.eye(2)[[0, 0, 1, 1]]]), np.array([0, 0, 1, 1])).score, 1)


@pytest.mark.parametrize("labels", [[0, 0, 0, 1, 1, 2], [0, 1, 0, 1, 0, 1], [0, 1, 2, 3, 4, 4]])
def test_block_diagonality_over_every_permutation_of_the_labels(labels):
    matrix = cdist(cloud(8, 6), cloud(8, 6))
    scores = [block_diagonality(matrix, np.array(p)).score for p in itertools.permutations(labels)]
    assert abs(np.mean(scores)) < 1e-14
    found = block_diagonality(matrix, np.array(labels))
    assert_allclose(found.standard_deviation, np.std(scores), rtol=1e-12)
    assert_allclose(found.z, found.score / np.std(scores), rtol=1e-12)


def test_bad_input_is_refused_with_what_came(plain):
    points = cloud(9, 20)
    matrix = cdist(points, points)
    with pytest.raises(ValueError, match="21 clusters of 20 points"):
        full_clustering(matrix, 21)
    with pytest.raises(ValueError, match="0 clusters of 20 points"):
        full_clustering(matrix, 0)
    with pytest.raises(ValueError, match=r"shape \(20, 19\)"):
        plain.full_clustering(matrix[:, 1:], 3)
    with pytest.raises(ValueError, match=r"6 clusters in batches of 5 points \(4 batches from 20"):
        batch_clustering(points, cdist, 6, 5)
    with pytest.raises(ValueError, match=r"7 clusters in batches of 6 points \(3 batches from 20"):
        batch_clustering(points, cdist, 7, 7)
    for batch_size in (0, 21):
        with pytest.raises(ValueError, match=f"batches of {batch_size} from 20 points"):
            batch_clustering(points, cdist, 2, batch_size)
    with pytest.raises(ValueError, match=r"distances of shape \(20, 3\) for 20 and 20 points"):
        cluster_reach(points, np.arange(20), points, np.arange(20), lambda x, y: cdist(x, y)[:, :3])


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_numbers_that_are_no_distances_are_refused(value):
    points = cloud(10, 20)
    matrix = cdist(points, points)
    matrix[3, 5] = matrix[5, 3] = value
    with pytest.raises(ValueError, match="need finite numbers, not negative"):
        full_clustering(matrix, 3)
    with pytest.raises(ValueError, match="need finite numbers, not negative"):
        cluster_reach(points, np.arange(20), points, np.arange(20), lambda *_: matrix)


def test_a_matrix_that_is_not_symmetric_is_refused_and_single_precision_is_not(monkeypatch):
    monkeypatch.setattr(clustering, "ROWS", 7)
    matrix = cdist(cloud(11, 20), cloud(11, 20))
    full_clustering(matrix.astype(np.float32) * (1 + 1e-7 * cloud(11, 20)[:, :1]).astype(np.float32), 3)
    matrix[13, 15] += 0.01
    with pytest.raises(ValueError, match="differ by up to 0.01; pass a symmetric matrix"):
        full_clustering(matrix, 3)


def test_labels_that_fit_no_points_are_refused(plain):
    matrix = cdist(cloud(12, 6), cloud(12, 6))
    with pytest.raises(ValueError, match="5 labels"):
        plain.block_diagonality(matrix, np.array([0, 0, 1, 1, 1]))
    with pytest.raises(ValueError, match="from 0 without gaps"):
        block_diagonality(matrix, np.array([0, 0, 0, 2, 2, 2]))
    with pytest.raises(ValueError, match="from 0 without gaps"):
        block_diagonality(matrix, np.array([-1, 0, 0, 1, 1, 1]))
    for labels in (np.zeros(6, int), np.arange(6)):
        with pytest.raises(ValueError, match="from 2 clusters to one fewer than points"):
            block_diagonality(matrix, labels)
    with pytest.raises(ValueError, match="2 clusters of 3 points"):
        block_diagonality(matrix[:3, :3], np.array([0, 0, 1]))
    for first, second in itertools.permutations([np.array([0, 0, 2, 2, 2, 2]), np.array([0, 0, 1, 1, 1, 1])]):
        with pytest.raises(ValueError, match="from 0 without gaps"):
            cluster_reach(cloud(12, 6), first, cloud(12, 6), second, cdist)
    with pytest.raises(ValueError, match="not all in one place"):
        block_diagonality(0 * matrix, np.array([0, 0, 0, 1, 1, 1]))


@pytest.mark.parametrize("name", ["complete", "single"])
def test_other_linkages_are_those_of_scipy(name):
    matrix = cdist(cloud(9), cloud(9))
    expected = fcluster(linkage(squareform(matrix, checks=False), method=name), 7, criterion="maxclust")
    assert_array_equal(together(full_clustering(matrix, 7, name)), together(expected))


def test_ward_is_that_of_scipy():
    points = cloud(10)
    expected = fcluster(linkage(points, method="ward"), 7, criterion="maxclust")
    assert_array_equal(together(ward_clustering(points, 7)), together(expected))
    assert not np.array_equal(
        together(ward_clustering(points, 7)), together(full_clustering(cdist(points, points), 7))
    )


def test_lost_mass_by_a_loop_over_pairs():
    points, labels = cloud(11, 30), np.arange(30) % 4
    kernel = np.exp(-cdist(points, points))
    pairs = [(a, b) for a in range(30) for b in range(30) if a != b]
    lost = sum(kernel[a, b] for a, b in pairs if labels[a] != labels[b]) / sum(kernel[a, b] for a, b in pairs)
    assert_allclose(lost_mass(kernel, labels), lost, rtol=1e-13)
    assert_allclose(lost_mass(kernel, np.zeros(30, dtype=int)), 0, atol=1e-13)
    # A constant kernel loses the share of pairs in different clusters.
    assert_allclose(lost_mass(np.ones((6, 6)), np.array([0, 0, 0, 1, 1, 2])), 1 - 8 / 30)


def test_bad_linkages_kernels_and_numbers_of_clusters_are_refused():
    matrix = cdist(cloud(12), cloud(12))
    with pytest.raises(ValueError, match="linkage 'ward': give one of average, complete, single"):
        full_clustering(matrix, 3, "ward")
    with pytest.raises(ValueError, match="1 clusters of 120 points"):
        ward_clustering(cloud(12), 1)
    with pytest.raises(ValueError, match="without negative entries"):
        lost_mass(-matrix, np.zeros(120, dtype=int))
    with pytest.raises(ValueError, match="not all zero off the diagonal"):
        lost_mass(np.eye(5), np.zeros(5, dtype=int))
