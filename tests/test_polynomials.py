"""Roots and coefficients against NumPy, one polynomial at a time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.polynomial import Polynomial
from numpy.testing import assert_allclose

from mfcore import polynomials


def complex_normal(key, shape):
    real, imag = jax.random.normal(key, (2, *shape))
    return real + 1j * imag


@pytest.mark.parametrize("degree", [3, 4, 5, 7])
def test_all_roots_are_those_of_numpy(key, degree):
    c = complex_normal(key, (degree + 1, 200))
    roots, converged = polynomials.all_roots(c)
    assert converged
    for polynomial, found in zip(c.T, roots.T, strict=True):
        expected = np.roots(polynomial[::-1])
        nearest = np.abs(np.asarray(found)[:, None] - expected[None, :]).argmin(axis=1)
        assert sorted(nearest) == list(range(degree))  # each root once
        assert_allclose(found, expected[nearest], rtol=1e-9)


def test_a_polynomial_of_lower_degree_is_told():
    assert not polynomials.all_roots(jnp.array([[1.0 + 0j], [-2], [0]]))[1]


def test_coefficients_of_a_sum_of_powers_and_of_a_product(key):
    p, q = complex_normal(key, (2, 5, 3))
    factors = [[Polynomial([p[i, line], q[i, line]]) for i in range(5)] for line in range(3)]
    powers = np.array([sum(f**4 for f in line).coef for line in factors]).T
    assert_allclose(polynomials.power_sum(p, q, 4), powers, rtol=1e-12)
    products = np.array([np.prod(line).coef for line in factors]).T
    assert_allclose(polynomials.product(p, q), products, rtol=1e-12)
