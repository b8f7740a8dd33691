"""Charts, Jacobian, Omega and weights against automatic differentiation, all charts and moved points."""

import itertools
import math

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from mfcore import hypersurface
from mfcore.hypersurface import Dwork
from mfcore.projective import fubini_study_metric, pullback

MEMBERS = [Dwork(3), Dwork(4, 0.3), Dwork(5), Dwork(5, 0.4 - 0.7j)]


@pytest.fixture(params=MEMBERS, ids=str)
def variety(request):
    return request.param


@pytest.fixture
def z(variety):
    # Where no coordinate is small, every chart has its dQ: the tolerances below hold in all.
    z = drawn.points(variety, 100).z
    return z[jnp.argmax(jnp.abs(z).min(axis=1))]


def test_gradient_is_the_derivative_of_the_polynomial(variety, z):
    assert_allclose(variety.gradient(z), jax.grad(variety.polynomial, holomorphic=True)(z), rtol=1e-12)


def test_gradient_stays_exact_where_coordinates_vanish():
    gradient = Dwork(4, 2.0).gradient(jnp.array([0, 1, 2, 3], complex))
    assert_allclose(gradient, [-8 * 6, 4, 32, 108])


def test_polynomial_by_hand():
    assert Dwork(4, 2.0).polynomial(jnp.array([1, 1j, 2, 1], complex)) == 1 + 1 + 16 + 1 - 8 * 2j


def test_chart_is_largest_coordinate_then_largest_slope(variety):
    for z in 1.7j * drawn.points(variety, 12).z:
        patch = int(hypersurface.patch_of(z))
        assert abs(z[patch]) == max(abs(z))
        gradient = variety.gradient(z / z[patch])
        eliminated = int(hypersurface.eliminated_of(gradient, jnp.array(patch)))
        omegas = {i: 1 / abs(gradient[i]) for i in range(variety.degree) if i != patch}
        assert eliminated == min(omegas, key=omegas.get)


def test_jacobian_is_tangent_to_the_variety_and_moves_one_coordinate(variety, z):
    for patch, eliminated in itertools.permutations(range(variety.degree), 2):
        scaled = z / z[patch]
        j = hypersurface.jacobian(variety.gradient(scaled), jnp.array(patch), jnp.array(eliminated))
        free = [i for i in range(variety.degree) if i not in (patch, eliminated)]
        assert_allclose(j[:, np.array(free)], np.eye(variety.dim), atol=0)
        assert_allclose(j[:, patch], 0, atol=0)
        step = 1e-5
        for a in range(variety.dim):
            moved = abs(variety.polynomial(scaled + step * j[a]))
            assert moved < 1e-2 * abs(variety.gradient(scaled)[free[a]]) * step + 1e-15


def test_weight_is_that_of_every_chart(variety, z):
    """|Omega|^2 / det g_FS, with Omega = 1 / (dQ/dz_eliminated), for all N (N - 1) coordinate systems."""
    expected = hypersurface.weight(z, variety.gradient(z))
    for patch, eliminated in itertools.permutations(range(variety.degree), 2):
        scaled = z / z[patch]
        gradient = variety.gradient(scaled)
        j = hypersurface.jacobian(gradient, jnp.array(patch), jnp.array(eliminated))
        g = pullback(j, fubini_study_metric(scaled))
        omega = hypersurface.omega(gradient, jnp.array(eliminated))
        assert_allclose(abs(omega) ** 2 / jnp.linalg.det(g).real, expected, rtol=1e-9)


def test_weight_does_not_depend_on_scaling(variety, z):
    w = hypersurface.weight(z, variety.gradient(z))
    assert_allclose(hypersurface.weight(3j * z, variety.gradient(3j * z)), w, rtol=1e-13)


def test_newton_lands_on_the_variety_close_by(variety, z):
    z = z / jnp.linalg.norm(z)
    off = z + 1e-4 * jnp.arange(1, variety.degree + 1)
    landed = hypersurface.project_to_variety(variety, off)
    assert abs(variety.polynomial(landed)) < 4e-15
    distance = jnp.sqrt(1 - jnp.abs(jnp.vdot(landed, off)) ** 2 / jnp.sum(jnp.abs(off) ** 2))
    # The foot of the normal, up to second order: distance |Q| / |dQ| in unit scaling.
    unit = off / jnp.linalg.norm(off)
    foot = abs(variety.polynomial(unit)) / jnp.linalg.norm(variety.gradient(unit))
    assert_allclose(distance, foot, rtol=1e-2)


def test_closed_volumes_against_the_numbers_in_the_literature():
    """Values of pi^d gamma(1/N)^N / N^(N-1) computed apart, to six digits."""
    volumes = [hypersurface.omega_volume(Dwork(n)) for n in (3, 4, 5)]
    assert_allclose(volumes, [2.70288, 11.81705, 47.29756], rtol=2e-6)
    assert_allclose(hypersurface.fubini_study_volume(Dwork(5)), 5 * math.pi**3 / 6)


@pytest.mark.parametrize("degree", [2, 0, -3])
def test_a_degree_without_a_variety_is_refused(degree):
    with pytest.raises(ValueError, match="degree"):
        Dwork(degree)


@pytest.mark.parametrize("psi", [1.0, np.exp(2j * np.pi / 5), 1 + 1e-12])
def test_a_singular_psi_is_refused(psi):
    with pytest.raises(ValueError, match="singular"):
        Dwork(5, psi)


@pytest.mark.parametrize("psi", [np.nan, np.inf, complex(0, np.inf)])
def test_a_psi_that_is_no_number_is_refused(psi):
    with pytest.raises(ValueError, match="finite"):
        Dwork(5, psi)


def test_the_closed_volume_is_for_fermat_alone():
    with pytest.raises(ValueError, match="psi = 0"):
        hypersurface.omega_volume(Dwork(5, 0.5))
