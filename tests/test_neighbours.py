"""Oracles: all pairs by brute force, closed forms on lattices, the spread of repeated samples."""

import importlib.util
import subprocess
import sys

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.distance import cdist

from mfcore import neighbours
from mfcore.neighbours import (
    Neighbours,
    distance_statistics,
    nearest_by_cells,
    nearest_in_set,
    nearest_to_queries,
)
from mfcore.projective import chordal_embedding, geodesic_distance


@pytest.fixture
def plain():
    """The module without its run-time types, as a caller outside the tests meets it."""
    spec = importlib.util.spec_from_file_location("plain_neighbours", neighbours.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def curve(seed, size):
    """Points on a surface in R^7, denser on one side."""
    u, v = np.random.default_rng(seed).beta(2, 5, size=(2, size))
    return np.stack([u, v, u * v, np.sin(3 * u), np.cos(2 * v), u**2, np.exp(v)], axis=1)


def test_neighbours_in_a_set_are_those_of_all_pairs():
    points = curve(0, 700)
    pairs = cdist(points, points)
    np.fill_diagonal(pairs, np.inf)
    found = nearest_in_set(points)
    assert_array_equal(found.index, pairs.argmin(axis=1))
    assert_allclose(found.distance, pairs.min(axis=1), rtol=1e-13)


def test_neighbours_of_queries_are_those_of_all_pairs():
    points, queries = curve(1, 500), curve(2, 300)
    pairs = cdist(queries, points)
    found = nearest_to_queries(queries, points)
    assert_array_equal(found.index, pairs.argmin(axis=1))
    assert_allclose(found.distance, pairs.min(axis=1), rtol=1e-13)


def test_a_query_may_be_a_point_of_the_set_and_finds_itself():
    points = curve(3, 100)
    found = nearest_to_queries(points, points)
    assert_array_equal(found.index, np.arange(100))
    assert_array_equal(found.distance, 0)


@pytest.mark.parametrize("copies", [2, 3, 40])
def test_copies_of_a_point_are_neighbours_of_each_other_and_never_of_themselves(copies):
    points = np.repeat(curve(4, 20), copies, axis=0)
    found = nearest_in_set(points)
    assert_array_equal(found.distance, 0)
    assert np.all(found.index != np.arange(len(points)))
    assert_array_equal(found.index // copies, np.arange(len(points)) // copies)


def test_two_points_are_enough():
    found = nearest_in_set(np.array([[0.0, 0.0], [3.0, 4.0]]))
    assert_array_equal(found.index, [1, 0])
    assert_array_equal(found.distance, 5)


@pytest.mark.slow
def test_neighbours_in_the_embedding_are_neighbours_on_projective_space(key):
    z = jax.random.normal(key, (300, 5), dtype=complex)
    pairs = np.array(jax.vmap(jax.vmap(geodesic_distance, (None, 0)), (0, None))(z, z))
    np.fill_diagonal(pairs, np.inf)
    found = nearest_in_set(jax.vmap(chordal_embedding)(z))
    assert_array_equal(found.index, pairs.argmin(axis=1))
    assert_allclose(np.arcsin(found.distance), pairs.min(axis=1), rtol=1e-12)


@pytest.mark.parametrize("size", [2, 249, 251, 3000])
def test_neighbours_by_cells_are_those_of_all_pairs(size):
    points = curve(7, size)
    pairs = cdist(points, points)
    np.fill_diagonal(pairs, np.inf)
    found = nearest_by_cells(points)
    assert_array_equal(found.index, pairs.argmin(axis=1))
    assert_allclose(found.distance, pairs.min(axis=1), rtol=1e-12)


def test_neighbours_by_cells_where_cells_are_uneven_and_points_repeat(monkeypatch):
    monkeypatch.setattr(neighbours, "POINTS_A_CELL", 40)
    rng = np.random.default_rng(8)
    points = np.concatenate(
        [rng.normal(size=(500, 6)), 1e-3 * rng.normal(size=(500, 6)), 9 + np.ones((1, 6))]
    )
    points = np.concatenate([points, points[:30]])
    found, expected = nearest_by_cells(points), nearest_in_set(points)
    assert_allclose(found.distance, expected.distance, rtol=1e-9)
    assert_array_equal(found.distance[:30], 0)
    assert np.all(found.index != np.arange(len(points)))


def test_standard_error_of_points_drawn_in_groups():
    # Three copies of a configuration far apart share their fluctuations: a line holds one point of each.
    rng = np.random.default_rng(9)
    found = []
    for _ in range(300):
        copies = np.concatenate([rng.normal(size=(150, 6))] * 3)
        copies[:, 0] += np.repeat([0, 100, 200], 150)
        line = np.tile(np.arange(150), 3)
        found.append((distance_statistics(nearest_in_set(copies), line), nearest_in_set(copies)))
    spread = np.std([s.mean for s, _ in found])
    ignoring = np.mean([distance_statistics(n).standard_error for _, n in found])
    assert 0.85 < np.mean([s.standard_error for s, _ in found]) / spread < 1.1
    assert ignoring < 0.7 * spread


def test_statistics_of_four_points_on_a_line():
    found = nearest_in_set(np.array([[0.0], [1.0], [10.0], [13.0]]))
    statistics = distance_statistics(found)
    assert statistics[:3] == (3.0, 2.0, 1.0)  # largest, mean, smallest
    # Two pairs, each one group: deviations -2 and +2 in sum.
    assert_allclose(statistics.standard_error, np.sqrt(8) / 4)


def test_standard_error_is_the_spread_of_means_over_samples():
    # Six dimensions, as on the quintic, where taking points for independent would miss a fifth of the error.
    rng = np.random.default_rng(5)
    found = [distance_statistics(nearest_in_set(rng.normal(size=(300, 6)))) for _ in range(400)]
    spread = np.std([s.mean for s in found])
    assert 0.92 < np.mean([s.standard_error for s in found]) / spread < 1.08


def test_memory_stays_far_below_a_matrix_of_all_pairs():
    program = (
        "import numpy as np, resource; from mfcore.neighbours import nearest_in_set\n"
        "points = np.random.default_rng(0).normal(size=(40_000, 3))\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "nearest_in_set(points)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    unit = 1 if sys.platform == "darwin" else 1024
    assert int(done.stdout) * unit < 0.05 * 40_000**2 * 8


def test_bad_points_are_refused_with_what_came(plain):
    good = curve(6, 10)
    holed = good.copy()
    holed[3, 1], holed[7, 0] = np.nan, np.inf
    with pytest.raises(ValueError, match="2 of 10 points hold NaN or infinity"):
        nearest_in_set(holed)
    with pytest.raises(ValueError, match="2 of 10 queries hold NaN or infinity"):
        nearest_to_queries(holed, good)
    with pytest.raises(ValueError, match=r"shape \(1, 7\): .* at least 2 points"):
        nearest_in_set(good[:1])
    with pytest.raises(ValueError, match=r"points of shape \(0, 7\)"):
        nearest_to_queries(good, good[:0])
    with pytest.raises(ValueError, match="queries have 4 coordinates and points 7"):
        plain.nearest_to_queries(good[:, :4], good)
    with pytest.raises(ValueError, match=r"points of shape \(10,\): need \(points, coordinates\)"):
        plain.nearest_in_set(good[:, 0])


def test_statistics_of_separate_queries_are_refused():
    with pytest.raises(ValueError, match="neighbours of separate queries"):
        distance_statistics(Neighbours(np.array([5, 900]), np.array([0.1, 0.2])))
    with pytest.raises(ValueError, match="1 indices and 1 distances"):
        distance_statistics(Neighbours(np.array([0]), np.array([0.1])))
