"""Samples against closed-form volumes, symmetry, NumPy's roots and metrics with a published sigma."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from mfcore import energies, hypersurface, sampling
from mfcore.hypersurface import Dwork


@pytest.fixture(scope="module")
def quintic_sample():
    return sampling.random_points(jax.random.key(11), Dwork(), 200_000)


def mean_by_line(values, line):
    """Mean and its standard error, with the correlated points of a line counted as one."""
    means = np.bincount(line, values) / np.bincount(line)
    return means.mean(), means.std(ddof=1) / len(means) ** 0.5


@pytest.mark.parametrize("degree", [*(pytest.param(n, marks=pytest.mark.slow) for n in (3, 4)), 5])
def test_volume_of_omega_is_the_closed_form(key, degree):
    variety = Dwork(degree)
    sample = sampling.random_points(key, variety, 60_000 * degree)
    mean, error = mean_by_line(np.asarray(sample.weight), np.asarray(sample.line))
    volume = hypersurface.fubini_study_volume(variety)
    assert error * volume < 0.003 * hypersurface.omega_volume(variety)
    assert abs(mean * volume - hypersurface.omega_volume(variety)) < 4 * error * volume


def test_points_lie_on_the_variety_scaled_to_their_patch(quintic_sample):
    z = np.asarray(quintic_sample.z)
    assert np.abs((z**5).sum(axis=1)).max() < 1e-12
    assert_array_equal(np.take_along_axis(z, np.asarray(quintic_sample.patch)[:, None], axis=1), 1)
    assert np.abs(z).max() <= 1 + 1e-15


def test_all_charts_are_equally_likely(quintic_sample):
    for patch, eliminated in itertools.permutations(range(5), 2):
        inside = (quintic_sample.patch == patch) & (quintic_sample.eliminated == eliminated)
        share, error = mean_by_line(np.asarray(inside, float), np.asarray(quintic_sample.line))
        assert error < 0.001
        assert abs(share - 1 / 20) < 4.5 * error  # 20 charts are tried


def test_sigma_of_fubini_study(quintic_sample):
    ratio = jax.vmap(energies.volume_ratio)(
        sampling.fubini_study_pullback(quintic_sample), quintic_sample.omega
    )
    eta = ratio / energies.kappa(ratio, quintic_sample.weight)
    assert abs(energies.sigma(eta, quintic_sample.weight) - 0.373) < 0.002


def monomial_metric(z, jacobian, degree):
    """d dbar (1/k) log sum |s|^2 over all monomials s of degree k, each with unit coefficient."""
    exponents = list(itertools.combinations_with_replacement(range(5), degree))

    def sections(z):
        return jnp.stack([jnp.prod(z[jnp.array(e)]) for e in exponents])

    s, ds = sections(z), jacobian @ jax.jacfwd(sections, holomorphic=True)(z).T
    size = jnp.vdot(s, s).real
    along = ds @ s.conj()
    return (ds @ ds.conj().T / size - jnp.outer(along, along.conj()) / size**2) / degree


@pytest.mark.slow
@pytest.mark.parametrize(("degree", "published"), [(1, 0.373), (2, 0.181), (3, 0.032), (4, 0.123)])
def test_sigma_of_metrics_of_monomials(quintic_sample, degree, published):
    sample = quintic_sample.take(jnp.arange(20_000))
    g = jax.vmap(monomial_metric, in_axes=(0, 0, None))(sample.z, sample.jacobian, degree)
    ratio = jax.vmap(energies.volume_ratio)(g, sample.omega)
    sigma = energies.sigma(ratio / energies.kappa(ratio, sample.weight), sample.weight)
    assert abs(sigma - published) < 0.01 * published + 0.001


@pytest.mark.slow
def test_each_line_gives_all_its_intersections():
    """The points of one line are collinear, and are all the roots that NumPy finds on it."""
    sample = sampling.random_points(jax.random.key(3), Dwork(5, 0.3 + 0.2j), 50)
    for line in range(10):
        z = np.asarray(sample.z[sample.line == line])
        assert len(z) == 5
        assert np.linalg.svd(z)[1][2] < 1e-12  # they span a plane, the line
        p, q = z[0] + z[1], z[0] - 2j * z[1]
        t = np.array([np.linalg.lstsq(np.stack([p, q], 1), point, rcond=None)[0] for point in z])
        nodes = np.exp(2j * np.pi * np.arange(6) / 6)
        values = [Dwork(5, 0.3 + 0.2j).polynomial(jnp.asarray(p + node * q)) for node in nodes]
        coefficients = np.fft.fft(values) / 6  # Q(p + t q), interpolated on the unit circle
        roots = np.roots(coefficients[::-1])
        assert_allclose(np.sort_complex(t[:, 1] / t[:, 0]), np.sort_complex(roots), rtol=1e-9)


def test_a_cut_line_and_the_key(key):
    sample = sampling.random_points(key, Dwork(), 13)
    assert_array_equal(sample.line, [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2])
    assert_array_equal(sample.z, sampling.random_points(key, Dwork(), 13).z)
    assert not np.array_equal(sample.z, sampling.random_points(jax.random.key(1), Dwork(), 13).z)


@pytest.mark.parametrize("degree", [3, pytest.param(5, marks=pytest.mark.slow)])
def test_lines_solved_in_several_chunks(key, degree, monkeypatch):
    monkeypatch.setattr(sampling, "LINES_AT_ONCE", 7)
    sample = sampling.random_points(key, Dwork(degree, 0.4 - 0.1j), 24 * degree - 1)
    assert_array_equal(sample.line, np.arange(24 * degree - 1) // degree)
    for line in range(23):
        z = np.asarray(sample.z[sample.line == line])
        assert np.linalg.svd(z)[1][2] < 1e-12
    assert len(np.unique(np.round(np.asarray(sample.z.sum(axis=1)), 12))) == len(sample.z)


def test_sample_at_finds_the_same_geometry(key):
    variety = Dwork(4, 0.5j)
    sample = sampling.random_points(key, variety, 40)
    again = sampling.sample_at(variety, (2 - 1j) * sample.z, line=sample.line)
    for one, other in zip(sample, again, strict=True):
        assert_allclose(one, other, rtol=1e-12, atol=1e-14)


def test_a_patch_sample_is_in_one_chart_and_tells_what_it_drew(key):
    sample, drawn = sampling.random_points_in_patch(key, Dwork(), 2000, patch=3, eliminated=1)
    assert len(sample.z) == 2000
    assert set(np.asarray(sample.patch)) == {3}
    assert set(np.asarray(sample.eliminated)) == {1}
    assert 0.9 < 2000 * 20 / drawn <= 1.1
    # Lines of different batches are different lines.
    collinear = np.asarray(sample.line)
    assert len(np.unique(collinear)) > 1500
    assert np.all(np.diff(collinear) >= 0)


@pytest.mark.slow
def test_batches_of_a_patch_sample_are_fresh(key, monkeypatch):
    monkeypatch.setattr(sampling, "LARGEST_BATCH", 400)
    sample, drawn = sampling.random_points_in_patch(key, Dwork(), 100)
    assert drawn >= 1200
    assert len(np.unique(np.round(np.asarray(sample.z[:, 2]), 12))) == 100
    for line in np.unique(np.asarray(sample.line)):
        z = sample.z[sample.line == line]
        assert len(z) < 3 or np.linalg.svd(z)[1][2] < 1e-12


@pytest.mark.parametrize("n_points", [0, -5])
def test_no_points_are_refused(key, n_points):
    with pytest.raises(ValueError, match="at least 1"):
        sampling.random_points(key, Dwork(), n_points)
    with pytest.raises(ValueError, match="at least 1"):
        sampling.random_points_in_patch(key, Dwork(), n_points)


@pytest.mark.parametrize(("patch", "eliminated"), [(0, 0), (5, 1), (-1, 2), (1, 7)])
def test_a_chart_that_is_none_is_refused(key, patch, eliminated):
    with pytest.raises(ValueError, match="two different indices"):
        sampling.random_points_in_patch(key, Dwork(), 10, patch=patch, eliminated=eliminated)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda z: z.at[2, 1].set(jnp.nan), "1 of 5 points hold NaN"),
        (lambda z: z.at[3].set(0), "1 of 5 points are the zero vector"),
        (lambda z: z.at[4, 0].add(0.1), "1 of 5 points miss the hypersurface"),
        (lambda z: z[:, :4], "need \\(points, 5\\)"),
        (lambda z: z[:0], "at least one point"),
        (lambda z: z.astype(jnp.complex64), "jax_enable_x64"),
    ],
)
def test_bad_points_are_refused_with_what_came(key, spoil, message):
    z = sampling.random_points(key, Dwork(), 5).z
    with pytest.raises(ValueError, match=message):
        sampling.sample_at(Dwork(), spoil(z))


def test_a_patch_where_the_point_vanishes_is_refused():
    z = jnp.array([[1, -1, 0, 0, 0]], complex)
    with pytest.raises(ValueError, match="vanish in the patch"):
        sampling.sample_at(Dwork(), z, patch=jnp.array([2]))
    with pytest.raises(ValueError, match="eliminate another"):
        sampling.sample_at(Dwork(), z, patch=jnp.array([0]), eliminated=jnp.array([3]))
