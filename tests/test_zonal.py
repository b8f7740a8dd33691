"""Zonal functions against SciPy's Jacobi polynomials, exact traces, projectors, heat, and random points."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import eval_jacobi, eval_legendre

from mfcore import kernels, zonal
from mfcore.projective import geodesic_distance

DISTANCES = jnp.linspace(0, math.pi / 2, 41)


def points(key, count, n):
    real, imag = jax.random.normal(key, (2, count, n + 1))
    return real + 1j * imag


def shares(spectrum, n):
    return spectrum.multiplicity * spectrum.eigenvalue / zonal.volume(n)


@pytest.mark.parametrize("n", [1, 2, 4])
def test_zonal_functions_are_jacobi_polynomials(n):
    found = zonal.zonal_functions(n, 30, DISTANCES)
    t = np.cos(2 * np.asarray(DISTANCES))
    for k in range(31):
        expected = eval_jacobi(k, n - 1, 0, t) / eval_jacobi(k, n - 1, 0, 1.0)
        assert_allclose(found[k], expected, atol=1e-12, err_msg=f"degree {k}")


def test_on_the_line_they_are_legendre_polynomials_of_the_sphere():
    found = zonal.zonal_functions(1, 1, DISTANCES)
    assert_allclose(found[1], eval_legendre(1, np.cos(2 * np.asarray(DISTANCES))), atol=1e-15)
    degree = np.arange(6)
    # The sphere of radius 1/2.
    assert_array_equal(zonal.laplace_eigenvalue(1, degree), 4 * degree * (degree + 1))
    assert_array_equal(zonal.multiplicity(1, degree), 2 * degree + 1)


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 2, 4])
def test_they_are_eigenfunctions_of_the_radial_laplacian(n):
    """Laplacian of f(distance): (area f')' / area, where spheres have the area sin^(2n-1) r cos r."""
    r = jnp.array([0.2, 0.7, 1.3])
    for k in (1, 2, 5):

        def phi(r, k=k):
            return zonal.zonal_functions(n, 5, r)[k]

        def flux(r, phi=phi):
            return jnp.sin(r) ** (2 * n - 1) * jnp.cos(r) * jax.grad(phi)(r)

        laplacian = jax.vmap(jax.grad(flux))(r) / (jnp.sin(r) ** (2 * n - 1) * jnp.cos(r))
        expected = -zonal.laplace_eigenvalue(n, np.arange(6))[k] * jax.vmap(phi)(r)
        assert_allclose(laplacian, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("n", [1, 2, 4])
def test_multiplicities_fill_the_polynomials(n):
    """Degrees up to k together are the functions of bidegree (k, k): binomial(n + k, k)^2 of them."""
    total = np.cumsum(zonal.multiplicity(n, np.arange(12)))
    assert_array_equal(total, [math.comb(n + k, k) ** 2 for k in range(12)])


@pytest.mark.parametrize("n", [1, 2, 4])
def test_a_projector_has_one_eigenvalue_and_it_is_one(n):
    """m_k phi_k / volume reproduces the functions of degree k and annihilates all others."""
    for k in (0, 3):
        scale = zonal.multiplicity(n, np.arange(4))[k] / zonal.volume(n)
        found = zonal.spectrum(lambda r, k=k, c=scale: c * zonal.zonal_functions(n, 4, r)[k], n, 20)
        assert_allclose(found.eigenvalue, np.arange(21) == k, atol=1e-12)
        assert np.all(np.abs(found.eigenvalue - (np.arange(21) == k)) <= found.error)


def test_the_addition_theorem_holds_on_random_points(key):
    """phi_1 is the scalar product of the traceless parts of the projectors, normalised."""
    x, y = points(key, 2, 4)
    project = lambda z: jnp.outer(z, z.conj()) / jnp.vdot(z, z) - jnp.eye(5) / 5  # noqa: E731
    product = jnp.trace(project(x) @ project(y)).real / jnp.trace(project(x) @ project(x)).real
    assert_allclose(zonal.zonal_functions(4, 1, geodesic_distance(x, y))[1], product, rtol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 4])
def test_the_trace_of_a_smooth_kernel_is_its_value_at_zero(n):
    found = zonal.spectrum(lambda r: jnp.exp(-2 * jnp.sin(r) ** 2), n, 40)
    bound = np.sum(found.multiplicity * found.error) / zonal.volume(n)
    assert bound < 1e-9
    assert abs(shares(found, n).sum() - 1) < bound
    again = zonal.series(jnp.array(float(n)), jnp.asarray(shares(found, n)), DISTANCES)
    assert_allclose(again, np.exp(-2 * np.sin(DISTANCES) ** 2), atol=1e-12)


def test_a_sphere_s_exponential_has_the_eigenvalues_of_legendre_s_integral():
    """On P^1, r = theta / 2: int exp(-c theta) sin theta = (1 + e^(-c pi)) / (1 + c^2), and so on."""
    c = 0.7
    found = zonal.spectrum(lambda r: jnp.exp(-2 * c * r), 1, 3)
    assert_allclose(found.eigenvalue[0], math.pi / 2 * (1 + math.exp(-c * math.pi)) / (1 + c**2), rtol=1e-13)
    assert_allclose(found.eigenvalue[1], math.pi / 2 * (1 - math.exp(-c * math.pi)) / (4 + c**2), rtol=1e-13)


def test_the_quoted_error_covers_what_finer_panels_change():
    found = zonal.spectrum(lambda r: jnp.exp(-30 * r), 4, 300, panels=4)
    fine = zonal.spectrum(lambda r: jnp.exp(-30 * r), 4, 300, panels=64)
    assert np.all(np.abs(found.eigenvalue - fine.eigenvalue) <= found.error + fine.error)


def test_heat_has_integral_one_and_is_a_semigroup():
    n, cut = 4, 40
    one, two = (zonal.heat_shares(n, cut, t) for t in (0.03, 0.06))
    found = zonal.spectrum(lambda r: zonal.series(jnp.array(float(n)), jnp.asarray(one), r), n, 12)
    assert_allclose(found.eigenvalue[0], 1, rtol=1e-12)
    twice = two[:13] / found.multiplicity * zonal.volume(n)
    assert_allclose(found.eigenvalue**2, twice, atol=1e-12)


def test_heat_solves_the_heat_equation():
    n, step, r = 4, 1e-4, jnp.array([0.3, 0.8])
    cut = 30

    def at(time, r):
        return zonal.series(jnp.array(float(n)), jnp.asarray(zonal.heat_shares(n, cut, time)), r)

    def flux(r):
        return jnp.sin(r) ** (2 * n - 1) * jnp.cos(r) * jax.grad(lambda r: at(0.05, r))(r)

    laplacian = jax.vmap(jax.grad(flux))(r) / (jnp.sin(r) ** (2 * n - 1) * jnp.cos(r))
    assert_allclose((at(0.05 + step, r) - at(0.05 - step, r)) / (2 * step), laplacian, rtol=1e-4)


@pytest.mark.parametrize("length", [1.0, 2.0])
def test_the_least_eigenvalue_is_that_of_random_points(key, length):
    """The matrix of N uniform points, times volume / N, has the eigenvalues of the operator as N grows."""
    n, count = 2, 1200
    z = points(key, count, n)
    matrix = np.asarray(kernels.gaussian(kernels.distance_matrix(z, z), length))
    values = np.linalg.eigvalsh(matrix) * zonal.volume(n) / count
    found = zonal.spectrum(lambda r: kernels.gaussian(r, length), n, 12)
    least = int(np.argmin(found.eigenvalue))
    several = int(found.multiplicity[least])
    assert found.eigenvalue[least] < -100 * found.error[least]
    assert_allclose(values[:several].mean(), found.eigenvalue[least], rtol=0.05)
    assert_allclose(values[-1], found.eigenvalue[0], rtol=0.03)


@pytest.mark.slow
def test_eigenvalues_are_means_over_random_pairs(key):
    """The mean of k phi_k over independent uniform pairs is lambda_k / volume."""
    n, length, count = 4, 0.5, 100_000
    x, y = points(key, 2 * count, n).reshape(2, count, n + 1)
    d = jax.vmap(geodesic_distance)(x, y)
    terms = np.asarray(kernels.gaussian(d, length) * zonal.zonal_functions(n, 4, d))
    found = zonal.spectrum(lambda r: kernels.gaussian(r, length), n, 4).eigenvalue / zonal.volume(n)
    assert np.all(np.abs(terms.mean(axis=1) - found) < 4 * terms.std(axis=1) / count**0.5)
    assert found[1] > 20 * terms[1].std() / count**0.5


@pytest.mark.parametrize("n", [1, 2, 4])
def test_a_slope_at_the_cut_locus_gives_the_tail_of_a_gaussian(n):
    length, degree = 0.6, np.arange(101)
    found = zonal.spectrum(lambda r: kernels.gaussian(r, length), n, 100)
    slope = -math.pi / 2 / length**2 * math.exp(-(math.pi**2) / (8 * length**2))
    ratio = found.eigenvalue[40:] / zonal.cut_locus_term(n, slope, degree)[40:]
    assert np.all(np.abs(ratio - 1) < 20 / degree[40:] ** 2)


@pytest.mark.parametrize("n", [1, 2, 4])
def test_slopes_at_both_ends_give_the_tail_of_an_exponential(n):
    length, degree = 0.8, np.arange(201)
    found = zonal.spectrum(lambda r: kernels.laplace(r, length), n, 200)
    tail = zonal.diagonal_term(n, -1 / length, degree)
    tail = tail + zonal.cut_locus_term(n, -math.exp(-math.pi / 2 / length) / length, degree)
    assert np.all(np.abs(found.eigenvalue[80:] / tail[80:] - 1) < 20 / degree[80:] ** 2)


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="at least 1"):
        zonal.spectrum(jnp.cos, 0, 5)
    with pytest.raises(ValueError, match="at least 1"):
        zonal.zonal_functions(4, 0, DISTANCES)
    with pytest.raises(ValueError, match="positive"):
        zonal.heat_shares(4, 5, 0.0)
