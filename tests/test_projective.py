"""Fubini-Study geometry against symmetry, closed forms and automatic differentiation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from mfcore import projective


def complex_normal(key, shape):
    real, imag = jax.random.normal(key, (2, *shape))
    return real + 1j * imag


@pytest.fixture
def pair(key):
    """A unit vector and a unit vector orthogonal to it, so that cos t x + sin t v is at distance t from x."""
    x, v = jnp.linalg.qr(complex_normal(key, (5, 2)))[0].T
    return x, v


@pytest.mark.parametrize("t", [1e-14, 1e-12, 1e-9, 1e-6, 1e-3, 0.1, 0.7, 1.2, 1.5])
def test_distance_along_a_geodesic_is_its_parameter(pair, t):
    x, v = pair
    # Rounding of cos t x + sin t v moves the point by 1e-16, whatever t.
    y = jnp.cos(t) * x + jnp.sin(t) * v
    assert_allclose(projective.geodesic_distance(x, y), t, rtol=4e-16, atol=4e-16)


def test_distance_is_zero_to_itself_in_any_scaling(pair):
    x, _ = pair
    assert projective.geodesic_distance(x, x) < 1e-16
    assert projective.geodesic_distance(x, (2 - 3j) * x) < 4e-16


def test_distance_agrees_with_the_printed_formula_where_that_is_accurate(key):
    x, y = complex_normal(key, (2, 50, 5))
    overlap = np.abs(np.einsum("ni,ni->n", x.conj(), y))
    sizes = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
    assert_allclose(jax.vmap(projective.geodesic_distance)(x, y), np.arccos(overlap / sizes), rtol=1e-12)


def test_distance_is_unitary_invariant_and_symmetric(key):
    x, y = complex_normal(key, (2, 5))
    u = jnp.linalg.qr(complex_normal(jax.random.key(1), (5, 5)))[0]
    d = projective.geodesic_distance(x, y)
    assert_allclose(projective.geodesic_distance(u @ x, u @ y), d, rtol=1e-14)
    assert_allclose(projective.geodesic_distance(y, x), d, rtol=1e-15)


def test_triangle_inequality(key):
    x, y, z = complex_normal(key, (3, 2000, 3))
    d = jax.vmap(projective.geodesic_distance)
    assert jnp.all(d(x, z) <= d(x, y) + d(y, z) + 1e-15)
    assert jnp.all(d(x, z) <= jnp.pi / 2)


def test_chordal_distance_is_the_sine_and_the_embedding_shows_it(key):
    x, y = complex_normal(key, (2, 4))
    sine = jnp.sin(projective.geodesic_distance(x, y))
    assert_allclose(projective.chordal_distance2(x, y), sine**2, rtol=1e-14)
    difference = projective.chordal_embedding(x) - projective.chordal_embedding((1 + 2j) * y)
    assert difference.shape == (16,)
    assert_allclose(jnp.linalg.norm(difference), sine, rtol=1e-14)


def test_metric_is_the_mixed_second_derivative_of_the_potential(key):
    z = complex_normal(key, (4,))

    def potential(real_and_imag):
        return projective.fubini_study_potential(real_and_imag[:4] + 1j * real_and_imag[4:])

    hessian = jax.hessian(potential)(jnp.concatenate([z.real, z.imag]))
    rr, ri, ir, ii = hessian[:4, :4], hessian[:4, 4:], hessian[4:, :4], hessian[4:, 4:]
    # d/dz = (d/dx - i d/dy) / 2 on the first index, d/dzbar = (d/dx + i d/dy) / 2 on the second.
    expected = (rr + ii + 1j * (ri - ir)) / 4
    assert_allclose(projective.fubini_study_metric(z), expected, atol=1e-14)


def test_metric_measures_the_distance_of_close_points(key):
    z, dz = complex_normal(key, (2, 5))
    h = projective.fubini_study_metric(z)
    length = jnp.sqrt((dz @ h @ dz.conj()).real)
    step = 1e-6
    assert_allclose(projective.geodesic_distance(z, z + step * dz) / step, length, rtol=1e-5)


def test_pullback_contracts_with_the_jacobian_and_its_conjugate(key):
    j = complex_normal(key, (2, 4))
    h = projective.fubini_study_metric(complex_normal(jax.random.key(1), (4,)))
    expected = np.einsum("ai,ij,bj->ab", j, h, np.conj(j))
    assert_allclose(projective.pullback(j, h), expected, rtol=1e-13, atol=1e-14)
