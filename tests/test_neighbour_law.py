"""Oracles: large samples counted, NumPy's roots, topology, flat tori and slabs by brute force."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from mfcore import hypersurface, neighbour_law, projective, sampling
from mfcore.hypersurface import Dwork

RADII = jnp.linspace(0, np.pi / 2, 600)


@pytest.fixture(scope="module")
def quintic():
    return sampling.random_points(jax.random.key(3), Dwork(), 200_000)


@pytest.fixture(scope="module")
def cubic():
    return sampling.random_points(jax.random.key(4), Dwork(3, psi=0.4), 30_000)


@partial(jax.jit, static_argnums=(1, 3))
def shares(key, variety, z, n_lines):
    def one(pair):
        distances = neighbour_law.distances_along_lines(pair[0], variety, pair[1], n_lines)
        return neighbour_law.share_within(variety, RADII, distances)

    return jax.lax.map(one, (jax.random.split(key, len(z)), z))


def counted(z, centre, radius):
    """The share of a large sample within each of these radii of a point, and its standard error."""
    distance = np.asarray(jax.vmap(lambda y: projective.geodesic_distance(centre, y))(z))
    share = np.array([np.mean(distance <= r) for r in radius])
    return share, np.sqrt(share / len(z))


def test_share_of_a_ball_is_that_of_a_large_sample(key, quintic):
    radius = np.array([0.5, 0.7, 0.9, 1.2, 1.5])
    for centre in quintic.z[:4]:
        share = np.interp(radius, RADII, np.asarray(shares(key, Dwork(), centre[None], 4000))[0])
        expected, error = counted(quintic.z[10:], centre, radius)
        assert np.all(error[1:] < 0.08 * expected[1:])
        assert np.all(abs(share - expected) < 4 * error + 0.02 * expected)


@pytest.mark.slow
def test_share_of_a_ball_on_a_curve_of_the_dwork_family(key, cubic):
    radius = np.array([0.1, 0.3, 0.6, 1.0])
    for centre in cubic.z[:3]:
        share = np.interp(radius, RADII, np.asarray(shares(key, Dwork(3, psi=0.4), centre[None], 4000))[0])
        expected, error = counted(cubic.z[10:], centre, radius)
        assert np.all(abs(share - expected) < 4 * error + 0.02 * expected)


def test_others_on_a_line_are_on_the_variety_at_their_distances(key):
    # On the line through the points x and y of the Fermat cubic the third one is -(x + y) up to the cubes:
    # instead of formulas, NumPy's roots of Q on the same line.
    variety = Dwork(3)
    z = jnp.array([1.0, -1.0, 0.0], dtype=complex)
    distances = neighbour_law.distances_along_lines(key, variety, z, 5)
    x = np.asarray(z) / 2**0.5
    normal = np.asarray(jax.random.normal(key, (5, 3), dtype=complex))
    v = normal - (normal @ x.conj())[:, None] * x
    for row, w in zip(np.asarray(distances), v, strict=True):
        coefficients = [np.sum(x**3), 3 * np.sum(x**2 * w), 3 * np.sum(x * w**2), np.sum(w**3)]
        roots = np.roots(coefficients[:0:-1])
        points = x[:, None] + w[:, None] * roots
        expected = [projective.geodesic_distance(z, jnp.asarray(p)) for p in points.T]
        assert_allclose(np.sort(row), np.sort(expected), rtol=1e-9)


def test_whole_variety_lies_within_half_pi(key, quintic):
    share = np.asarray(shares(key, Dwork(), quintic.z[:5], 50))
    assert_allclose(share[:, -1], 1, rtol=1e-12)
    assert np.all(np.diff(share, axis=1) >= 0)


def test_bending_of_a_paraboloid_and_its_mean_over_the_variety(quintic):
    # Near (1, -1, 0, 0, 0) the Hessian of the Fermat quintic vanishes along the variety.
    flat = neighbour_law.bending(Dwork(), jnp.array([1, -1, 0, 0, 0], dtype=complex))
    assert_allclose(flat, 0, atol=1e-12)
    bending = np.asarray(jax.jit(jax.vmap(partial(neighbour_law.bending, Dwork())))(quintic.z[:50_000]))
    by_line = bending.reshape(-1, 5).mean(axis=1)
    error = by_line.std() / len(by_line) ** 0.5
    assert error < 0.006
    assert abs(by_line.mean() - neighbour_law.mean_bending(Dwork())) < 4 * error


@pytest.mark.slow
def test_bending_is_the_second_order_of_the_share(key, quintic):
    # The mean over lines of the number of further points, over sin^2, at a small radius.
    z = quintic.z[:80]
    share = np.asarray(shares(key, Dwork(), z, 2000))
    at = np.searchsorted(RADII, 0.12)
    sine2 = float(jnp.sin(RADII[at])) ** 2
    measured = (share[:, at] * 5 / sine2**3 - 1) / sine2
    bending = np.asarray(jax.vmap(partial(neighbour_law.bending, Dwork()))(z))
    assert np.corrcoef(measured, bending)[0, 1] > 0.8
    assert abs(measured.mean() / bending.mean() - 1) < 0.12


def test_mean_bending_of_the_cubic_curve_by_gauss_and_bonnet():
    # |b|^2 = (8 - 2 K) / 4, the Gauss curvature K (4 on a line) of mean 0 on a torus; bending = |b|^2 / 4.
    assert_allclose(neighbour_law.mean_bending(Dwork(3)), 8 / 4 / 4)
    assert_allclose(neighbour_law.mean_bending(Dwork()), 1.5)


def test_bending_of_a_curve_of_the_dwork_family_by_its_mean(cubic):
    bending = np.asarray(jax.vmap(partial(neighbour_law.bending, Dwork(3, psi=0.4)))(cubic.z))
    by_line = bending.reshape(-1, 3).mean(axis=1)
    error = by_line.std() / len(by_line) ** 0.5
    assert error < 0.01
    assert abs(by_line.mean() - neighbour_law.mean_bending(Dwork(3))) < 4 * error


def test_expansion_is_the_limit_of_the_integral(key, quintic):
    share = np.asarray(shares(key, Dwork(), quintic.z[:400], 1000))
    for size, tolerance in ((10**4, 2e-3), (10**6, 1e-3)):
        exact = neighbour_law.mean_distance(share, RADII, size - 1)
        two, one = (neighbour_law.mean_distance_expansion(Dwork(), size, terms=t) for t in (2, 1))
        assert abs(exact / two - 1) < tolerance
        if size == 10**4:
            assert exact / one < 1 - 2 * tolerance


def test_leading_term_is_the_closed_form():
    size = 10**9
    assert_allclose(
        neighbour_law.mean_distance_expansion(Dwork(), size, terms=1),
        math.gamma(7 / 6) * (5 / size) ** (1 / 6),
        rtol=1e-8,
    )


def test_mean_distance_in_a_flat_torus_like_law():
    # p = r^2 up to r = 1: the nearest of k has mean k! Gamma(3/2) / Gamma(k + 3/2).
    radii = np.linspace(0, 1, 4001)
    expected = math.factorial(9) * math.gamma(1.5) / math.gamma(10.5)
    assert_allclose(neighbour_law.mean_distance(radii[None] ** 2, radii, 9), expected, rtol=1e-5)
    assert_allclose(neighbour_law.survival(radii[None] ** 2, 9)[[0, 2000, -1]], [1, 0.75**9, 0], atol=1e-12)


def test_smallest_of_all_distances_of_independent_points():
    rng = np.random.default_rng(0)
    # Uniform in a flat 6-torus: the share of a ball is pi^3 r^6 / 6; the law is that of D = 6 / pi^3.
    found = []
    for _ in range(300):
        x = rng.uniform(size=(60, 6))
        apart = x[:, None] - x
        apart -= np.round(apart)
        found.append(np.sqrt((apart**2).sum(-1))[np.triu_indices(60, 1)].min())
    expected = neighbour_law.smallest_distance(Dwork(), 60) * (6 / np.pi**3 / 5) ** (1 / 6)
    assert abs(np.mean(found) - expected) < 4 * np.std(found) / 300**0.5


@pytest.mark.parametrize("dimension", [2, 3, 6])
def test_half_balls_by_counting(dimension):
    x = np.random.default_rng(1).normal(size=(200_000, dimension))
    x *= (np.random.default_rng(2).uniform(size=(200_000, 1)) ** (1 / dimension)) / np.linalg.norm(
        x, axis=1, keepdims=True
    )
    for depth in (0.0, 0.2, 0.7, 1.0):
        share = np.mean(x[:, 0] < depth)
        assert abs(neighbour_law.half_ball_share(depth, dimension) - share) < 0.005
    assert abs(neighbour_law.wall_loss(dimension) - np.mean(np.maximum(x[:, 0], 0))) < 0.003


@pytest.mark.slow
def test_wall_coefficient_in_a_flat_slab():
    # Between two walls at distance 1 in the plane, periodic along them: area of walls / volume = 2.
    rng, size, leading = np.random.default_rng(3), 1000, math.gamma(1.5) / np.sqrt(np.pi * 1000)
    found = []
    for _ in range(60):
        x = rng.uniform(size=(size, 2))
        across, along = np.abs(x[:, None] - x).transpose(2, 0, 1)
        along = np.minimum(along, 1 - along) + 9 * np.eye(size)
        slab, torus = (np.hypot(side, along).min(axis=1) for side in (across, np.minimum(across, 1 - across)))
        found.append(np.mean(slab - torus) / leading)  # the same points without walls take out the noise
    expected = neighbour_law.wall_coefficient(2, np.pi, 2.0) / size**0.5
    error = np.std(found) / 60**0.5
    assert error < 0.06 * expected
    assert abs(np.mean(found) - expected) < 4 * error + 0.03 * expected


def test_slope_of_a_wall_is_that_of_a_step_along_the_variety(quintic):
    for z in quintic.z[:5]:
        x, gradient = np.asarray(z), np.asarray(Dwork().gradient(z))
        basis = np.linalg.svd(np.stack([x.conj(), gradient]))[2][2:].conj()  # tangent, orthogonal to z and dQ
        step, slope2 = 1e-6 * np.linalg.norm(x), 0.0
        for e in basis:
            for direction in (e, 1j * e):
                ends = [x + s * direction for s in (step, -step)]
                high, low = (np.log(abs(end[1] / end[3])) for end in ends)
                slope2 += ((high - low) / 2e-6) ** 2
        assert_allclose(neighbour_law.wall_slope(Dwork(), z, 1, 3), slope2**0.5, rtol=1e-6)


@pytest.fixture(scope="module")
def around():
    return jax.jit(
        lambda key, z, radius: jax.lax.map(
            lambda pair: neighbour_law.surroundings(pair[0], Dwork(), pair[1], radius, (0, 1), 400),
            (jax.random.split(key, len(z)), z),
        )
    )


@pytest.mark.slow
@pytest.mark.parametrize("radius", [0.1, 0.5, 0.8])
def test_lines_through_a_ball_give_its_share(key, quintic, around, radius):
    z = quintic.z[:300]
    near = around(key, z, radius)
    share = np.array([np.interp(radius, RADII, p) for p in np.asarray(shares(key, Dwork(), z, 400))])
    ratio = np.asarray(near.share) / share
    # Interpolating between radii costs r^6 a relative error of up to 15 (step / 2 r)^2.
    assert abs(ratio.mean() - 1) < 4 * ratio.std() / len(z) ** 0.5 + 15 * (0.0014 / radius) ** 2


@pytest.mark.slow
def test_part_of_a_ball_in_the_chart_and_lines_by_a_large_sample(key, quintic, around):
    radius = 0.8
    inside = np.asarray((quintic.patch == 0) & (quintic.eliminated == 1))
    line = np.asarray(quintic.line)
    rows = np.flatnonzero(inside)[:6]
    near = around(key, quintic.z[rows], radius)
    for k, row in enumerate(rows):
        distance = np.asarray(
            jax.vmap(lambda y, r=row: projective.geodesic_distance(quintic.z[r], y))(quintic.z)
        )
        within = (distance <= radius) & (line != line[row])
        part = within & inside
        error = 1 / np.sqrt(part.sum())
        assert error < 0.04
        # 400 lines have some 200 points in the ball, of uneven weights.
        assert abs(near.inside[k] - part.sum() / within.sum()) < 4 * error * np.mean(inside[within]) + 0.12
        assert abs(near.lines[k] - len(np.unique(line[part])) / part.sum()) < 0.08


@pytest.mark.slow
def test_lines_that_meet_a_ball_of_the_whole_variety_by_a_large_sample(key, quintic):
    radius, line = 0.8, np.asarray(quintic.line)
    near = jax.jit(
        lambda key, z: neighbour_law.surroundings(key, Dwork(), z, jnp.asarray(radius), None, 20_000)
    )
    for z in quintic.z[:2]:
        found = near(key, z)
        distance = np.asarray(jax.vmap(lambda y, z=z: projective.geodesic_distance(z, y))(quintic.z[5:]))
        mine = line[5:][distance <= radius]
        assert_allclose(found.inside, 1)
        assert abs(found.lines - len(np.unique(mine)) / len(mine)) < 0.02


def test_bad_sizes_are_refused():
    with pytest.raises(ValueError, match="3 terms for 100 points"):
        neighbour_law.mean_distance_expansion(Dwork(), 100, terms=3)
    with pytest.raises(ValueError, match="more than one point"):
        neighbour_law.mean_distance_expansion(Dwork(), 1)


def test_volume_share_of_small_balls_is_the_flat_one(key, quintic):
    # The closed volume: pi^3 r^6 / 6 over 5 pi^3 / 6.
    share = np.asarray(shares(key, Dwork(), quintic.z[:20], 500))
    at = np.searchsorted(RADII, 0.02)
    flat = np.pi**3 * float(RADII[at]) ** 6 / 6 / hypersurface.fubini_study_volume(Dwork())
    assert_allclose(share[:, at] / flat, 1, rtol=0.01)
