import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from mfcore import complex_torus, kaehler_energies

DIMS = [1, pytest.param(2, marks=pytest.mark.slow)]


def waves(space, key, size):
    """A smooth function, small enough for the metric to stay positive."""
    torus = space.torus
    z = complex_torus.points(torus)
    real = np.concatenate([z.real, z.imag], axis=-1)
    rng = np.random.default_rng(int(jax.random.randint(key, (), 0, 1000)))
    modes = rng.integers(-1, 2, (4, 2 * torus.dim))
    return jnp.asarray(size * sum(np.cos(real @ m + rng.uniform(0, 6)) for m in modes))


def setting(key, dim):
    space = kaehler_energies.flat(complex_torus.square(dim, {1: 32, 2: 16}[dim]))
    keys = jax.random.split(key)
    return space, waves(space, keys[0], 0.12), waves(space, keys[1], 1.0)


def derivative(energy, space, phi, change):
    return jax.jit(lambda p, c: jax.jvp(lambda p: energy(space, p), (p,), (c,))[1])(phi, change)


@pytest.mark.parametrize("dim", DIMS)
def test_first_variations_are_those_of_autodiff(key, dim):
    space, phi, change = setting(key, dim)
    # Several directions: in one alone a wrong formula may be right by chance.
    changes = [change, *(waves(space, k, 1.0) for k in jax.random.split(jax.random.fold_in(key, 1)))]
    assert float(jnp.linalg.eigvalsh(kaehler_energies.metric(space, phi)).min()) > 0.5
    ultra_local, two_derivative = (
        kaehler_energies.ultra_local_variation,
        kaehler_energies.two_derivative_variation,
    )
    by_hand = {
        kaehler_energies.ultra_local: lambda *x: ultra_local(*x, lambda eta: 2 * (eta - 1)),
        kaehler_energies.entropy: lambda *x: ultra_local(*x, lambda eta: jnp.log(eta) + 1),
        kaehler_energies.two_derivative: two_derivative,
        kaehler_energies.einstein_hilbert: two_derivative,
        kaehler_energies.calabi: kaehler_energies.calabi_variation,
    }
    for energy, variation in by_hand.items():
        along = jax.jit(lambda p, c, e=energy: jax.jvp(lambda p: e(space, p), (p,), (c,))[1])
        expected = np.array([along(phi, c) for c in changes])
        assert np.abs(expected).max() > 1e-3
        of_change = jax.jit(lambda p, c, v=variation: v(space, p, c))
        found = np.array([of_change(phi, c) for c in changes])
        assert_allclose(found, expected, rtol=0, atol=1e-8 * np.abs(expected).max())


@pytest.mark.parametrize("dim", DIMS)
def test_the_printed_energy_has_another_variation(key, dim):
    space, phi, change = setting(key, dim)
    printed = derivative(kaehler_energies.two_derivative_printed, space, phi, change)
    variation = kaehler_energies.two_derivative_variation(space, phi, change)
    assert abs(printed / variation - 1) > 1e-3


@pytest.mark.parametrize("dim", DIMS)
def test_identities_between_energies(key, dim):
    space, phi, change = setting(key, dim)
    assert_allclose(
        kaehler_energies.einstein_hilbert(space, phi), kaehler_energies.two_derivative(space, phi), rtol=1e-9
    )
    # (B.18) vanishes on every metric of the class, not only on the Ricci-flat one.
    assert abs(kaehler_energies.perelman(space, phi)) < 1e-9
    assert abs(derivative(kaehler_energies.perelman, space, phi, change)) < 1e-8


def test_ricci_scalar_by_hand():
    """g = 1 + 2 a cos(x) on a curve: R = -(1/4) (log g)'' / g."""
    space = kaehler_energies.flat(complex_torus.square(1, 48))
    x = jnp.asarray(complex_torus.points(space.torus)[..., 0].real)
    a = 0.2
    phi = -8 * a * jnp.cos(x)
    g = 1 + 2 * a * jnp.cos(x)
    bend = (-2 * a * jnp.cos(x) * g - (2 * a * jnp.sin(x)) ** 2) / g**2
    assert_allclose(kaehler_energies.metric(space, phi)[..., 0, 0], g, atol=1e-12)
    assert_allclose(kaehler_energies.scalar_curvature(space, phi), -bend / (4 * g), atol=1e-9)


def test_the_volume_of_the_class_is_kept(key):
    space, phi, _ = setting(key, 2)
    assert_allclose(jnp.mean(kaehler_energies.ratio(space, phi)), 1, rtol=1e-12)
