"""Oracles: autodiff of the functional, its value by the pointwise formulas, invariance, exact solitons."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from mfcore import curvature, perelman, torus

SIDE = {2: 32, 3: 20}


def metric(x):
    d = x.shape[0]
    off = 0.1 * jnp.sin(x.sum()) + 0.05 * jnp.cos(x[0])
    return jnp.diag(1 + 0.1 * jnp.cos(jnp.roll(x, 1) + jnp.arange(d))) + off * (jnp.ones((d, d)) - jnp.eye(d))


def density(x):
    return 1 + 0.2 * jnp.cos(x[0] + 0.2) * jnp.sin(x[-1])


def change(x):
    d = x.shape[0]
    return jnp.diag(jnp.cos(x)) + 0.3 * jnp.sin(x[0] - x[-1]) * (jnp.ones((d, d)) - jnp.eye(d))


def fields(dim):
    return [torus.on_grid(f, SIDE[dim], dim) for f in (metric, density, change)]


@partial(jax.jit, static_argnums=3)
def slope_along(g, m, h, dim):
    return jax.jvp(lambda g: perelman.functional(g, m, dim), (g,), (h,))[1]


DIMS = [2, pytest.param(3, marks=pytest.mark.slow)]


@pytest.mark.parametrize("dim", DIMS)
def test_the_first_variation_is_the_gradient_tensor(dim):
    g, m, h = fields(dim)
    slope = slope_along(g, m, h, dim)
    tensor = jax.jit(perelman.gradient_tensor, static_argnums=2)(g, m, dim)
    expected = -torus.integral(jnp.einsum("...ij,...ij->...", perelman.raised(tensor, g), h) * m, dim)
    assert abs(float(expected)) > 0.1
    assert_allclose(slope, expected, rtol={2: 1e-10, 3: 1e-7}[dim])


@pytest.mark.slow
@pytest.mark.parametrize("dim", DIMS)
def test_the_functional_grows_at_the_stated_speed(dim):
    g, m, _ = fields(dim)
    slope = slope_along(g, m, jax.jit(perelman.velocity, static_argnums=2)(g, m, dim), dim)
    assert_allclose(slope, perelman.speed2(g, m, dim), rtol={2: 1e-10, 3: 1e-6}[dim])


@pytest.mark.slow
def test_the_integrand_by_the_pointwise_formulas():
    def phi(x):
        return jnp.log(jnp.linalg.det(metric(x))) / 2 - jnp.log(density(x))

    def exact(x):
        dphi = jax.grad(phi)(x)
        return curvature.scalar_curvature(metric, x) + dphi @ jnp.linalg.solve(metric(x), dphi)

    g, m, _ = fields(2)
    assert_allclose(perelman.integrand(g, m, 2), torus.on_grid(exact, SIDE[2], 2), atol=1e-8)


@pytest.mark.slow
def test_the_functional_of_a_flat_metric_is_the_dirichlet_energy_of_phi():
    # g = delta, m = e^-phi with phi = a cos x: F = a^2 int sin^2 x e^(-a cos x) dx dy = (2 pi)^2 a I_1(a).
    from scipy.special import i1

    a = 0.7
    g = torus.on_grid(lambda _: jnp.eye(2), 32, 2)
    m = torus.on_grid(lambda x: jnp.exp(-a * jnp.cos(x[0])), 32, 2)
    assert_allclose(perelman.functional(g, m, 2), (2 * np.pi) ** 2 * a * i1(a), rtol=1e-12)


@pytest.mark.slow
def test_a_flat_metric_with_constant_density_stands_still():
    g = torus.on_grid(lambda _: jnp.array([[2.0, 0.5], [0.5, 1.0]]), 8, 2)
    assert_allclose(perelman.velocity(g, jnp.ones((8, 8)), 2), 0, atol=1e-14)


def test_raising_both_indices():
    g, _, h = fields(2)
    assert_allclose(g @ perelman.raised(h, g) @ g, h, atol=1e-12)
