import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from mfcore import complex_torus, cubic
from mfcore.complex_torus import ComplexTorus

HEXAGONAL = ComplexTorus(((complex(cubic.PERIOD),), (cubic.PERIOD * cubic.TURN,)), 12)
SKEW = ComplexTorus(((1.0, 0.2j), (0.3 + 1j, 0.0), (0.1, 2.0 + 0j), (0.0, 0.5 + 1.5j)), 6)


def a_wave(torus, modes):
    """exp(2 pi i m s) on the grid, s the fractions of the periods, and K with d_a f = i K_a f."""
    both = np.concatenate([np.array(torus.periods).T, np.array(torus.periods).T.conj()])
    z = complex_torus.points(torus)
    s = np.linalg.solve(both, np.concatenate([z, z.conj()], axis=-1)[..., None])[..., 0].real
    # The real linear form 2 pi m s = K z + conj(K z) takes 2 pi m_i on the i-th period.
    k = np.linalg.solve(both.T, 2 * np.pi * np.array(modes))[: torus.dim]
    return np.exp(2j * np.pi * (s @ np.array(modes))), k


@pytest.mark.parametrize(("torus", "modes"), [(HEXAGONAL, (2, -3)), (SKEW, (1, -2, 0, 2))])
def test_derivatives_of_a_wave(torus, modes):
    wave, k = a_wave(torus, modes)
    wave = jnp.asarray(wave)
    assert_allclose(complex_torus.gradient(torus, wave), 1j * wave[..., None] * k, atol=1e-10)
    real = jnp.asarray(wave.real)
    assert_allclose(
        complex_torus.mixed(torus, real), -real[..., None, None] * np.outer(k, k.conj()), atol=1e-9
    )
    second = complex_torus.second(torus, real)
    assert_allclose(second, -real[..., None, None] * np.outer(k, k), atol=1e-9)


def test_on_the_square_torus_the_trace_is_a_quarter_of_the_laplacian():
    torus = complex_torus.square(2, 8)
    x, y = complex_torus.points(torus)[..., 1].real, complex_torus.points(torus)[..., 0].imag
    f = jnp.asarray(np.cos(2 * x) * np.sin(y))
    trace = jnp.trace(complex_torus.mixed(torus, f), axis1=-2, axis2=-1)
    assert_allclose(trace, -(4 + 1) * f / 4, atol=1e-12)


def test_integral_is_in_lebesgue_measure():
    one = jnp.ones((12, 12))
    assert_allclose(complex_torus.integral(HEXAGONAL, one), cubic.lattice_area(), rtol=1e-12)
    square = complex_torus.square(2, 4)
    assert_allclose(complex_torus.integral(square, jnp.ones((4,) * 4)), (2 * np.pi) ** 4, rtol=1e-12)


def test_truncation_keeps_what_is_below_a_third():
    torus = complex_torus.square(1, 12)
    x = complex_torus.points(torus)[..., 0].real
    low, high = jnp.cos(3 * x), jnp.cos(4 * x)
    assert_allclose(complex_torus.truncated(torus, low + high), low, atol=1e-13)


def test_the_highest_mode_has_no_derivative():
    torus = complex_torus.square(1, 8)
    x = complex_torus.points(torus)[..., 0].real
    assert_allclose(complex_torus.mixed(torus, jnp.sin(4 * x)), 0, atol=1e-12)


@pytest.mark.parametrize(
    ("torus", "message"),
    [
        (ComplexTorus(((1 + 0j,), (2 + 0j,)), 8), "depend on one another"),
        (ComplexTorus(((1 + 0j,), (1j,)), 7), "even side"),
        (ComplexTorus(((1 + 0j,),), 8), "2n periods"),
    ],
)
def test_bad_tori_are_refused(torus, message):
    with pytest.raises(ValueError, match=message):
        complex_torus.checked(torus)


def test_a_field_of_another_grid_is_refused():
    with pytest.raises(ValueError, match="on a grid of"):
        complex_torus.mixed(HEXAGONAL, jnp.ones((8, 8)))
