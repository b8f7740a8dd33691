"""Oracles: functions with known derivatives, the pointwise formulas by autodiff, sums over images."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from mfcore import curvature, torus

SIDE = {2: 32, 3: 16}


def smooth(x):
    return jnp.exp(jnp.sin(x[0]) - 0.5 * jnp.cos(2 * x[1] - x[-1]))


def metric(x):
    """A metric on T^d without symmetry."""
    d = x.shape[0]
    off = 0.1 * jnp.sin(x.sum()) + 0.05 * jnp.cos(x[0])
    return jnp.diag(1 + 0.1 * jnp.cos(jnp.roll(x, 1) + jnp.arange(d))) + off * (jnp.ones((d, d)) - jnp.eye(d))


@pytest.mark.slow
@pytest.mark.parametrize("dim", [2, 3])
def test_derivatives_of_resolved_waves_are_exact(dim):
    def wave(x):
        return jnp.cos(3 * x[0] - 2 * x[1] + 0.4) + jnp.sin(x[-1])

    field = torus.on_grid(wave, 8, dim)
    assert_allclose(torus.gradient(field, dim), torus.on_grid(jax.grad(wave), 8, dim), atol=1e-13)
    assert_allclose(
        torus.second_derivatives(field, dim), torus.on_grid(jax.hessian(wave), 8, dim), atol=1e-12
    )


@pytest.mark.slow
@pytest.mark.parametrize("dim", [2, 3])
def test_curvature_converges_to_the_pointwise_one_faster_than_any_power(dim):
    def error(side):
        g = torus.on_grid(metric, side, dim)
        exact = torus.on_grid(lambda x: curvature.ricci(metric, x), side, dim)
        return np.abs(torus.ricci(g, dim) - exact).max()

    # the metric itself is band-limited, so that its derivatives are exact on any grid that holds it
    assert error(SIDE[dim]) < 1e-12


@pytest.mark.slow
def test_derivatives_of_an_analytic_function_converge_spectrally():
    def error(side):
        field = torus.on_grid(smooth, side, 2)
        return np.abs(torus.gradient(field, 2) - torus.on_grid(jax.grad(smooth), side, 2)).max()

    # the coefficients fall faster than any power: 8 more points a side gain ever more
    assert error(8) > 1e-3
    assert error(16) < error(8) / 1e4
    assert error(24) < error(16) / 1e5


def test_hessian_is_the_pointwise_one():
    g, f = torus.on_grid(metric, 48, 2), torus.on_grid(smooth, 48, 2)
    exact = torus.on_grid(lambda x: curvature.hessian(smooth, metric, x), 48, 2)
    assert_allclose(torus.hessian(f, g, 2), exact, atol=1e-9)


def test_components_keep_their_places():
    x = torus.grid(8, 2)
    field = jnp.stack([jnp.sin(x[..., 0]), jnp.sin(2 * x[..., 1])], axis=-1)
    slope = torus.gradient(field, 2)
    assert slope.shape == (8, 8, 2, 2)
    assert_allclose(slope[..., 0, 0], jnp.cos(x[..., 0]), atol=1e-13)
    assert_allclose(slope[..., 1, 1], 2 * jnp.cos(2 * x[..., 1]), atol=1e-13)
    assert_allclose(slope[..., 0, 1], 0, atol=1e-13)


def test_integrals_against_bessel_functions():
    from scipy.special import i0

    field = torus.on_grid(lambda x: jnp.exp(jnp.cos(x[0]) + 0.5 * jnp.sin(x[1])), 32, 2)
    assert_allclose(torus.integral(field, 2), (2 * np.pi) ** 2 * i0(1.0) * i0(0.5), rtol=1e-13)


def test_smearing_is_convolution_with_a_sum_of_gaussian_images():
    length, side = 0.6, 24
    x = torus.grid(side, 2)
    field = torus.on_grid(lambda x: jnp.exp(jnp.sin(x[0] + 2 * x[1])), side, 2)
    images = np.arange(-6, 7) * 2 * np.pi

    def kernel(r):
        return (
            np.exp(-((r[..., None] + images) ** 2) / (2 * length**2)).sum(-1) / (2 * np.pi * length**2) ** 0.5
        )

    at = np.asarray(x[3, 5])
    weights = kernel(np.asarray(x[..., 0]) - at[0]) * kernel(np.asarray(x[..., 1]) - at[1])
    expected = torus.integral(jnp.asarray(weights) * field, 2)
    assert_allclose(torus.smear(field, 2, length)[3, 5], expected, rtol=1e-12)
    assert abs(float(expected - field[3, 5])) > 1e-2


def test_truncation_keeps_and_cuts_the_right_modes():
    x = torus.grid(16, 2)
    kept, cut = jnp.cos(5 * x[..., 0] - 5 * x[..., 1]), jnp.sin(6 * x[..., 1])
    assert_allclose(torus.truncate(kept + cut, 2, 5), kept, atol=1e-13)


@pytest.mark.parametrize("dim", [2, 3])
def test_evaluation_between_grid_points(key, dim):
    def wave(x):
        return jnp.stack([jnp.cos(3 * x[0] - 2 * x[1]), jnp.sin(x[-1]) + 2])

    points = jax.random.uniform(key, (5, 4, dim), maxval=20.0)
    field = torus.on_grid(wave, 8, dim)
    expected = jax.vmap(jax.vmap(wave))(points)
    assert_allclose(torus.evaluate(field, points), expected, atol=1e-12)
    assert_allclose(torus.evaluate(field, torus.grid(8, dim)), field, atol=1e-12)


def test_the_highest_mode_is_evaluated_as_a_cosine():
    field = jnp.cos(4 * torus.grid(8, 2)[..., 0])
    assert_allclose(
        torus.evaluate(field, jnp.array([[np.pi / 8, 0.0], [0.3, 1.0]])), np.cos([np.pi / 2, 1.2]), atol=1e-13
    )


def test_what_is_no_grid_is_refused():
    with pytest.raises(ValueError, match="even side"):
        torus.grid(7, 2)
    with pytest.raises(ValueError, match="no grid of 2 equal, even sides"):
        torus.gradient(jnp.ones((8, 6)), 2)
    with pytest.raises(ValueError, match="no grid of 3"):
        torus.gradient(jnp.ones((8, 8)), 3)
