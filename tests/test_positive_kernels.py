"""Positive kernels: their matrices and spectra, the sums that define them term by term, and their limits."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import eval_jacobi

from mfcore import kernels, positive_kernels, zonal

DISTANCES = jnp.linspace(0, math.pi / 2, 33)
KERNELS = {
    "chordal": positive_kernels.chordal_gaussian,
    "heat": lambda d, length: positive_kernels.heat(d, length, dim=4),
    "matern": lambda d, length: positive_kernels.matern(d, length, dim=4),
}


def points(key, count):
    real, imag = jax.random.normal(key, (2, count, 5))
    return real + 1j * imag


@pytest.mark.parametrize("length", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("name", KERNELS)
def test_no_eigenvalue_is_negative_where_the_gaussian_has_one(key, name, length):
    z = points(key, 200)
    d = kernels.distance_matrix(z, z)
    values = np.linalg.eigvalsh(KERNELS[name](d, length))
    assert values[0] > -1e-13 * values[-1]
    found = zonal.spectrum(lambda r: KERNELS[name](r, length), 4, 60)
    assert np.all(found.eigenvalue > -found.error)
    if length >= 1:
        assert np.linalg.eigvalsh(kernels.gaussian(d, length))[0] < -1e-4 * values[-1]


@pytest.mark.parametrize("name", KERNELS)
def test_they_are_one_at_zero_and_fall(name):
    values = KERNELS[name](DISTANCES, 0.4)
    assert_allclose(values[0], 1, rtol=1e-13)
    assert np.all(np.diff(values) < 1e-12)


def test_chordal_gaussian_is_the_gaussian_of_the_embedding(key):
    from mfcore.projective import chordal_embedding, geodesic_distance

    x, y = points(key, 2)
    apart = jnp.sum((chordal_embedding(x) - chordal_embedding(y)) ** 2)
    found = positive_kernels.chordal_gaussian(geodesic_distance(x, y), 0.7)
    assert_allclose(found, jnp.exp(-apart / (2 * 0.7**2)), rtol=1e-12)


@pytest.mark.parametrize("dim", [1, 4])
def test_heat_and_matern_are_their_series(dim):
    d, length = np.asarray(DISTANCES), 0.9
    k = np.arange(401)[:, None]
    phi = eval_jacobi(k, dim - 1, 0, np.cos(2 * d)) / eval_jacobi(k, dim - 1, 0, 1.0)
    count = np.array(
        [math.comb(dim + j, j) ** 2 - (math.comb(dim + j - 1, j - 1) ** 2 if j else 0) for j in k[:, 0]]
    )
    for found, decay in (
        (positive_kernels.heat(DISTANCES, length, dim=dim), np.exp(-(length**2) / 2 * 4 * k * (k + dim))),
        (
            positive_kernels.matern(DISTANCES, length, dim=dim, smoothness=2.5),
            (5 / length**2 + 4 * k * (k + dim)) ** (-2.5 - dim),
        ),
    ):
        terms = count[:, None] * decay
        assert_allclose(found, (terms * phi).sum(axis=0) / terms.sum(), atol=1e-12)


def test_narrow_heat_and_matern_are_those_of_flat_space():
    """At lengths far below pi/2: exp(-d^2/(2 l^2)) and (1 + sqrt 3 d/l) exp(-sqrt 3 d/l)."""
    length = 0.1
    d = length * jnp.linspace(0, 2, 9)
    assert_allclose(positive_kernels.heat(d, length, dim=4), kernels.gaussian(d, length), atol=0.03)
    scaled = 3**0.5 * d / length
    assert_allclose(positive_kernels.matern(d, length, dim=4), (1 + scaled) * jnp.exp(-scaled), atol=0.03)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("length", [0.0, -1.0, float("nan"), float("inf")])
def test_a_length_that_is_not_positive_is_refused(name, length):
    with pytest.raises(ValueError, match="positive"):
        KERNELS[name](DISTANCES, length)
