"""Losses and their derivatives against automatic differentiation, SciPy and invariance."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize_scalar

from mfcore import energies

LOSSES = {"absolute": energies.absolute, "squared": energies.squared}


def hermitian(key, n):
    a = jax.random.normal(key, (2, n, n))
    a = a[0] + 1j * a[1]
    return a @ a.conj().T + jnp.eye(n)


def test_eta_is_one_for_the_right_metric_and_kappa_scales_it():
    ratio, weight = jnp.array([1.0, 3.0, 8.0]), jnp.array([2.0, 1.0, 1.0])
    kappa = energies.kappa(ratio, weight)
    assert_allclose(kappa, 13 / 4)
    assert_allclose(jnp.sum(weight * ratio / kappa) / jnp.sum(weight), 1)
    assert_allclose(energies.sigma(ratio / kappa, weight), (2 * 9 / 13 + 1 / 13 + 19 / 13) / 4)
    assert_allclose(energies.kappa(7 * ratio, weight), 7 * kappa)


def test_volume_ratio_does_not_depend_on_coordinates(key):
    g, omega = hermitian(key, 3), jnp.array(0.3 - 0.2j)
    change = jax.random.normal(jax.random.key(1), (3, 3)) + 0.5j
    moved = energies.volume_ratio(change @ g @ change.conj().T, omega * jnp.linalg.det(change))
    assert_allclose(moved, energies.volume_ratio(g, omega), rtol=1e-12)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("kappa", [0.1, 100.0])
def test_gradient_gives_the_change_of_the_loss(key, loss, kappa):
    g, omega = hermitian(key, 3), jnp.array(0.7 + 0.1j)
    dg = hermitian(jax.random.key(2), 3) - 5 * jnp.eye(3)

    def along(t):
        return loss.value(energies.volume_ratio(g + t * dg, omega) / kappa)

    eta = energies.volume_ratio(g, omega) / kappa
    gradient = energies.loss_gradient(g, eta, loss)
    assert_array_equal(gradient, gradient.conj().T)
    assert_allclose(jnp.trace(gradient @ dg).real, jax.grad(along)(0.0), rtol=1e-12)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_derivative_is_that_of_the_value(loss):
    for eta in (0.2, 0.9, 1.1, 3.0):
        assert_allclose(loss.derivative(eta), jax.grad(loss.value)(eta), rtol=1e-14)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize(("x", "p"), [(0.3, 1.0), (-2.5, 0.7), (4.0, 30.0), (-0.9, 0.01)])
def test_dual_proximal_minimises_what_it_says(loss, x, p):
    u = np.linspace(-600, 600, 1_000_001)
    value = np.asarray(loss.value(1 + u))

    def objective(s):  # the conjugate as a maximum over a fine grid
        return np.max(s * u - value) + p * (s - x) ** 2 / 2

    s = minimize_scalar(objective, bounds=(-10, 10), method="bounded", options={"xatol": 1e-9}).x
    assert_allclose(loss.dual_proximal(jnp.array(x), jnp.array(p)), s, atol=2e-3)


def test_departure_is_that_of_eta_from_one(key):
    g, omega = hermitian(key, 2), jnp.array(0.4 + 0.3j)
    det = g[0, 0].real * g[1, 1].real - abs(g[0, 1]) ** 2
    for kappa in (1.0, 1000.0):
        assert_allclose(energies.departure(g, omega, kappa), abs(1 - det / 0.25 / kappa), rtol=1e-12)


def test_readings_of_a_gain_by_hand():
    before, after = jnp.array([1.0, 2.0, 3.0]), jnp.array([0.5, 0.1, 3.0])
    gains = {name: float(gain(before, after)) for name, gain in energies.GAIN_READINGS.items()}
    assert_allclose(gains["ratio of means"], 6 / 3.6)
    assert_allclose(gains["mean of ratios"], 23 / 3)
    assert_allclose(gains["median of ratios"], 2)
