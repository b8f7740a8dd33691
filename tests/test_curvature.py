"""Oracles: spaces of constant curvature, the conformal formula, a product, Bianchi's identity, covariance."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from mfcore import curvature


def bumpy(x):
    """A metric on R^d without any symmetry."""
    d = x.shape[0]
    waves = jnp.sin(jnp.outer(jnp.arange(1.0, d + 1), x) + jnp.arange(d)[:, None]) / 10
    return jnp.eye(d) + waves + waves.T


def stereographic_sphere(x, radius=1.0):
    return 4 * radius**2 / (1 + x @ x) ** 2 * jnp.eye(x.shape[0])


def point(key, dim):
    return jax.random.uniform(key, (dim,), minval=-0.8, maxval=0.8)


@pytest.mark.parametrize("dim", [2, 3, 4])
def test_spheres_have_ricci_n_minus_1_times_the_metric(key, dim):
    x = point(key, dim)
    g = stereographic_sphere(x, 0.7)
    assert_allclose(
        curvature.ricci(lambda y: stereographic_sphere(y, 0.7), x), (dim - 1) / 0.7**2 * g, atol=1e-12
    )
    assert_allclose(curvature.scalar_curvature(stereographic_sphere, x), dim * (dim - 1), rtol=1e-12)


def test_hyperbolic_plane_has_scalar_curvature_minus_2():
    x = jnp.array([0.3, 1.7])
    assert_allclose(curvature.scalar_curvature(lambda y: jnp.eye(2) / y[1] ** 2, x), -2, rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("dim", [2, 3])
def test_conformally_flat_metrics_follow_the_textbook_formula(key, dim):
    x = point(key, dim)

    def f(y):
        return jnp.sin(y[0]) + 0.3 * y[1] ** 2 * y[-1]

    df, ddf = jax.grad(f)(x), jax.hessian(f)(x)
    laplacian, square = jnp.trace(ddf), df @ df
    expected = (2 - dim) * (ddf - jnp.outer(df, df)) - (laplacian + (dim - 2) * square) * jnp.eye(dim)
    assert_allclose(curvature.ricci(lambda y: jnp.exp(2 * f(y)) * jnp.eye(dim), x), expected, atol=1e-12)


def test_a_product_of_spheres_has_the_ricci_tensors_of_its_factors(key):
    def product(y):
        return jnp.block(
            [
                [stereographic_sphere(y[:2], 2.0), jnp.zeros((2, 2))],
                [jnp.zeros((2, 2)), stereographic_sphere(y[2:], 0.5)],
            ]
        )

    x = point(key, 4)
    expected = jnp.diag(jnp.repeat(jnp.array([1 / 4.0, 4.0]), 2)) @ product(x)
    assert_allclose(curvature.ricci(product, x), expected, atol=1e-11)


@pytest.mark.parametrize("dim", [2, 3])
def test_ricci_is_a_tensor(key, dim):
    def move(y):
        return y + 0.2 * jnp.sin(jnp.roll(y, 1)) * jnp.cos(y)

    def pulled_back(y):
        jacobian = jax.jacfwd(move)(y)
        return jacobian.T @ bumpy(move(y)) @ jacobian

    x = point(key, dim)
    jacobian = jax.jacfwd(move)(x)
    expected = jacobian.T @ curvature.ricci(bumpy, move(x)) @ jacobian
    assert np.abs(expected).max() > 1e-2
    assert_allclose(curvature.ricci(pulled_back, x), expected, atol=1e-12)


def test_divergence_of_ricci_is_half_the_slope_of_the_scalar_curvature(key):
    x = point(key, 3)
    gamma = curvature.christoffel(bumpy, x)
    ricci = curvature.ricci(bumpy, x)
    slope = jnp.moveaxis(jax.jit(jax.jacfwd(lambda y: curvature.ricci(bumpy, y)))(x), -1, 0)
    covariant = slope - jnp.einsum("lki,lj->kij", gamma, ricci) - jnp.einsum("lkj,il->kij", gamma, ricci)
    divergence = jnp.einsum("ki,kij->j", jnp.linalg.inv(bumpy(x)), covariant)
    assert np.abs(divergence).max() > 1e-3
    expected = jax.jit(jax.grad(lambda y: curvature.scalar_curvature(bumpy, y)))(x) / 2
    assert_allclose(divergence, expected, atol=1e-12)


def test_christoffel_keeps_the_metric_constant(key):
    x = point(key, 3)
    gamma, g = curvature.christoffel(bumpy, x), bumpy(x)
    slope = jnp.moveaxis(jax.jacfwd(bumpy)(x), -1, 0)
    assert_allclose(
        slope, jnp.einsum("lki,lj->kij", gamma, g) + jnp.einsum("lkj,il->kij", gamma, g), atol=1e-14
    )
    assert_allclose(gamma, jnp.swapaxes(gamma, 1, 2), atol=1e-15)


def test_hessian_along_a_geodesic_is_the_second_derivative():
    # On the unit sphere, f = height has nabla nabla f = -f g.
    def height(y):
        return (y @ y - 1) / (y @ y + 1)

    x = jnp.array([0.4, -0.3])
    expected = -height(x) * stereographic_sphere(x)
    assert_allclose(curvature.hessian(height, stereographic_sphere, x), expected, atol=1e-13)
