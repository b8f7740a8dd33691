"""The torus of the Fermat cubic against lattice sums, integrals of Omega along paths, and its volume."""

import math

import drawn
import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import quad

from mfcore import cubic, hypersurface

CURVE = hypersurface.Dwork(degree=3)


@pytest.fixture(scope="module")
def sample():
    return drawn.points(CURVE, 600, 3)


def same_on_the_torus(a, b):
    return np.abs(cubic.reduced(np.asarray(a - b)))


def on_grid():
    a, b = np.meshgrid(np.arange(0.5, 9) / 9, np.arange(0.5, 9) / 9)
    return cubic.PERIOD * (a + b * cubic.TURN).ravel()


def test_the_period_is_the_integral_over_the_real_points():
    half, error = quad(lambda x: 1 / (3 * (1 + x**3) ** (2 / 3)), 0, np.inf, epsabs=1e-12)
    assert error < 1e-8
    # Permuting the coordinates shows that x > 0 is a third of the real circle.
    assert_allclose(cubic.PERIOD, 3 * half, rtol=1e-8)


def test_the_area_of_the_lattice_is_the_volume_of_omega():
    assert_allclose(cubic.lattice_area(), hypersurface.omega_volume(CURVE), rtol=1e-14)


def test_weierstrass_function_is_its_lattice_sum():
    u = np.array([0.3 + 0.2j, -0.5 + 0.4j, 0.05 - 0.6j])
    a, b = np.meshgrid(np.arange(-300, 301), np.arange(-300, 301))
    lattice = cubic.PERIOD * (a + b * cubic.TURN)
    lattice = lattice[(np.abs(lattice) > 0) & (np.abs(lattice) < 200)]
    value, slope = cubic.weierstrass(u)
    expected = 1 / u**2 + np.sum(1 / (u[:, None] - lattice) ** 2 - 1 / lattice**2, axis=1)
    assert_allclose(value, expected, rtol=1e-4)
    assert_allclose(slope, -2 / u**3 - 2 * np.sum(1 / (u[:, None] - lattice) ** 3, axis=1), rtol=1e-4)


def test_weierstrass_function_solves_its_equation():
    value, slope = cubic.weierstrass(on_grid())
    assert_allclose(slope**2, 4 * value**3 - 27, rtol=1e-10, atol=1e-9)


def test_points_lie_on_the_curve_and_go_there_and_back(sample):
    u = on_grid()
    z = cubic.point_at(u)
    scale = np.abs(z).max(axis=1)
    assert np.max(np.abs(np.sum((z / scale[:, None]) ** 3, axis=1))) < 1e-12
    assert same_on_the_torus(cubic.flat_coordinate(z), u).max() < 1e-13
    z = np.asarray(sample.z)
    again = cubic.point_at(cubic.flat_coordinate(z))
    wedge = np.linalg.norm(np.cross(z, again), axis=1) / np.linalg.norm(again, axis=1)
    assert wedge.max() < 1e-12


def test_the_derivative_of_the_flat_coordinate_is_omega(sample):
    """du/dx by central differences along the curve, in every chart; |Omega| is `sample.omega`."""
    step = 1e-5
    ahead, behind = (
        jax.vmap(lambda z: hypersurface.project_to_variety(CURVE, z))(
            sample.z + sign * step * sample.jacobian[:, 0]
        )
        for sign in (1, -1)
    )
    scaled = [np.asarray(z / np.take_along_axis(z, sample.patch[:, None], axis=1)) for z in (ahead, behind)]
    local = 3 - np.asarray(sample.patch) - np.asarray(sample.eliminated)
    dx = np.subtract(*(np.take_along_axis(z, local[:, None], axis=1)[:, 0] for z in scaled))
    du = cubic.reduced(cubic.flat_coordinate(ahead) - cubic.flat_coordinate(behind))
    assert_allclose(np.abs(du / dx), np.abs(sample.omega), rtol=1e-6)


def test_the_flat_coordinate_is_the_integral_of_omega_along_a_path():
    """From x = 0 in the chart w = 1 by a Gauss rule, y continued along the way."""
    ends = np.array([0.5 + 0.3j, -0.2 + 0.6j, 0.1 - 0.7j])
    node, weight = np.polynomial.legendre.leggauss(40)
    x = (1 + node)[None, :] / 2 * ends[:, None]
    integral = ends / 2 * np.sum(weight / (3 * (1 + x**3) ** (2 / 3)), axis=1)
    z = [np.stack([x, -((1 + x**3) ** (1 / 3)), np.ones_like(x)], axis=1) for x in (ends, 0 * ends)]
    difference = cubic.flat_coordinate(z[0]) - cubic.flat_coordinate(z[1])
    assert same_on_the_torus(difference, integral).max() < 1e-12


def test_points_of_the_curve_are_as_dense_on_the_torus_as_their_weights_say(sample):
    """Weighted means of the lowest waves on the torus are 0, within errors grouped by line."""
    u = cubic.flat_coordinate(sample.z)
    weight = np.asarray(sample.weight)
    b = u.imag / cubic.TURN.imag / cubic.PERIOD
    a = u.real / cubic.PERIOD - cubic.TURN.real * b
    for wave in ((1, 0), (0, 1), (1, 1)):
        terms = weight * np.exp(2j * math.pi * (wave[0] * a + wave[1] * b))
        by_line = np.bincount(sample.line, terms.real) + 1j * np.bincount(sample.line, terms.imag)
        error = np.sqrt(np.sum(np.abs(by_line) ** 2)) / weight.sum()
        assert error < 0.1
        assert abs(terms.sum() / weight.sum()) < 4 * error


def test_poles_are_refused():
    with pytest.raises(ValueError, match="pole"):
        cubic.point_at(np.array([cubic.PERIOD + 0j]))
    with pytest.raises(ValueError, match="infinite"):
        cubic.flat_coordinate(np.array([[1, -1, 0j]]))
