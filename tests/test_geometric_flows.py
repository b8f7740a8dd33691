"""Oracles: an exact solution of Ricci flow on T^2, conservation laws, rates per mode, identities of flows."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from mfcore import geometric_flows, perelman, torus


def exact_conformal(x, time, wave=(1, 1)):
    """1/v = a + b cos(k.x) with da/dt = -b^2 k^2, db/dt = -a b k^2 solves v_t = Laplacian log v."""
    k = jnp.array(wave, float)
    s = 1.0 + k @ k * time
    return 1 / (1 / jnp.tanh(s) + jnp.cos(x @ k) / jnp.sinh(s))


def bumpy(x):
    a = 1 + 0.15 * jnp.cos(x[0]) + 0.1 * jnp.sin(x[1] + 0.3)
    b = 1 + 0.1 * jnp.sin(x[0] - x[1]) + 0.1 * jnp.cos(x[1])
    c = 0.1 * jnp.sin(x[0] + x[1]) + 0.05 * jnp.cos(x[0])
    return jnp.array([[a, c], [c, b]])


def weight(x):
    return jnp.exp(-0.2 * jnp.cos(x[0] - x[1]) + 0.1 * jnp.sin(x[1]))


def on_grid(function, side=24):
    return torus.on_grid(function, side, 2)


def slope(steps, errors):
    """Order in the step."""
    return -np.polyfit(np.log(steps), np.log(errors), 1)[0]


def test_conformal_flow_against_the_exact_solution():
    start, end = (on_grid(lambda x, t=t: exact_conformal(x, 0.5 + t), 32) for t in (0.0, 0.5))

    def cut(v):
        return torus.truncate(geometric_flows.conformal_velocity(v), 2, 10)

    found = geometric_flows.integrate(cut, start, 0.5, steps=80)
    assert_allclose(found, end, atol=1e-8)  # the tail of the start that is cut off
    assert np.abs(start - end).max() > 0.1


@pytest.mark.slow
def test_order_of_the_integrator():
    # A pendulum, against many more steps. Tsitouras' method has order 5, and 6 nearly.
    start, steps = jnp.array([1.0, 0.3]), (4, 6, 8, 12, 16)

    def velocity(y):
        return jnp.array([y[1], -jnp.sin(y[0])])

    def end(n, method=None):
        return geometric_flows.integrate(velocity, start, 2.0, steps=n, method=method)

    errors = [float(jnp.abs(end(n) - end(200)).max()) for n in steps]
    assert slope(steps, errors) > 4.9
    heun = [float(jnp.abs(end(n, diffrax.Heun()) - end(200)).max()) for n in steps]
    assert 1.8 < slope(steps, heun) < 2.3


@pytest.mark.parametrize("velocity", ["hamilton_velocity", "deturck_velocity"])
def test_tensor_flows_keep_a_conformal_metric_conformal_and_follow_the_exact_solution(velocity):
    # In two dimensions g^ij Gamma^k_ij = 0 for g = v delta, so that DeTurck's flow is Hamilton's.
    start, end = (on_grid(lambda x, t=t: exact_conformal(x, 0.5 + t) * jnp.eye(2)) for t in (0.0, 0.2))

    @jax.jit
    def cut(g):
        return torus.truncate(getattr(geometric_flows, velocity)(g, 2), 2, 8)

    found = geometric_flows.integrate(cut, start, 0.2, steps=60)
    assert_allclose(found, end, atol=2e-7)  # the tail of the start that is cut off
    assert np.abs(start - end).max() > 0.1


def test_conformal_flow_keeps_the_area_at_any_length():
    v = on_grid(lambda x: 1 + 0.4 * jnp.cos(x[0]) * jnp.sin(x[1]))
    for length in (0.0, 0.7):
        assert abs(float(torus.integral(geometric_flows.conformal_velocity(v, length), 2))) < 1e-12


@pytest.mark.parametrize("length", [0.0, 0.8])
def test_small_ripples_of_the_conformal_flow_decay_at_the_smeared_rate(length):
    ripple = on_grid(lambda x: jnp.cos(2 * x[0] - x[1]))
    amplitude = 1e-6
    rate = geometric_flows.conformal_velocity(1 + amplitude * ripple, length) / amplitude
    assert_allclose(rate, -5 * np.exp(-(length**2) * 5 / 2) * ripple, atol=2e-5)


def test_lie_derivative_is_the_rate_of_a_pullback():
    g = on_grid(bumpy)
    x = torus.grid(24, 2)
    w = jnp.stack([0.3 * jnp.sin(x[..., 1]), 0.2 * jnp.cos(x[..., 0] + x[..., 1])], axis=-1)

    def moved(e):
        return geometric_flows.pulled_back(g, x + e * w)

    step = 1e-3
    rate = (moved(step) - moved(-step)) / (2 * step)
    assert_allclose(geometric_flows.lie_derivative(w, g, 2), rate, atol=1e-6)


def test_pullback_against_the_chain_rule():
    def move(x):
        return x + 0.1 * jnp.array([jnp.sin(x[1]), jnp.cos(x[0])])

    def expected(x):
        jacobian = jax.jacfwd(move)(x)
        return jacobian.T @ bumpy(move(x)) @ jacobian

    assert_allclose(geometric_flows.pulled_back(on_grid(bumpy), on_grid(move)), on_grid(expected), atol=1e-11)


@pytest.fixture(scope="module")
def solution():
    return geometric_flows.perelman_solution(on_grid(bumpy), on_grid(weight), 0.1, dim=2, steps=80, highest=8)


def test_the_measure_of_perelmans_flow_is_kept(solution):
    # e^-phi dV at the end, pulled back by the diffeomorphism, is the density at the start.
    x = torus.grid(24, 2)
    jacobian = torus.gradient(solution.diffeomorphism - x, 2) + jnp.eye(2)
    u = torus.evaluate(on_grid(weight), solution.diffeomorphism)
    volume = jnp.sqrt(jnp.linalg.det(torus.evaluate(solution.deturck, solution.diffeomorphism)))
    assert_allclose(u * volume * jnp.linalg.det(jacobian), solution.density, atol=2e-6)


def test_the_functional_agrees_in_both_coordinates_and_never_falls(solution):
    start, end = (perelman.functional(g, solution.density, 2) for g in (solution.start, solution.metric))
    assert_allclose(solution.functional[jnp.array([0, -1])], [start, end], rtol=1e-6)
    assert np.all(np.diff(solution.functional) > 0)


def test_the_functional_grows_by_the_integral_of_its_speed(solution):
    # dF/dt at the start, by a one-sided difference of order 4, against 2 int |Ric + nabla nabla phi|^2 m dx.
    f, dt = np.asarray(solution.functional), float(solution.times[1])
    slope = (-25 * f[0] + 48 * f[1] - 36 * f[2] + 16 * f[3] - 3 * f[4]) / (12 * dt)
    assert_allclose(slope, perelman.speed2(solution.start, solution.density, 2), rtol=1e-6)


def test_hamiltons_flow_is_deturcks_in_other_coordinates(solution):
    @jax.jit
    def cut(g):
        return torus.truncate(geometric_flows.hamilton_velocity(g, 2), 2, 8)

    direct = geometric_flows.integrate(cut, solution.start, 0.1, steps=80)
    assert_allclose(solution.hamilton, direct, atol=2e-6)
    assert np.abs(solution.hamilton - solution.deturck).max() > 1e-2
    assert np.abs(solution.hamilton - solution.metric).max() > 1e-2


def test_the_forward_flow_follows_the_solution_while_modes_are_few(solution):
    def cut(g):
        return torus.truncate(perelman.velocity(g, solution.density, 2), 2, 8)

    forward = geometric_flows.integrate(cut, solution.start, 0.1, steps=80)
    assert_allclose(forward, solution.metric, atol=5e-6)
    assert np.abs(solution.metric - solution.start).max() > 0.05


@pytest.mark.parametrize(("kind", "rate"), [("along", 1), ("across", -1), ("mixed", 0)])
def test_perelmans_flow_amplifies_ripples_along_their_wave_and_damps_those_across(kind, rate):
    k = jnp.array([3.0, -1.0])
    t = jnp.array([1.0, 3.0])
    shape = {"along": jnp.outer(k, k), "across": jnp.outer(t, t), "mixed": jnp.outer(k, t) + jnp.outer(t, k)}[
        kind
    ]
    ripple = on_grid(lambda x: jnp.cos(x @ k) * shape / 10)
    flat, m = on_grid(lambda _: jnp.eye(2)), jnp.ones((24, 24))
    found = (perelman.velocity(flat + 1e-6 * ripple, m, 2)) / 1e-6
    assert_allclose(found, rate * 10 * ripple, atol=2e-4)


def test_refused_input():
    g = on_grid(bumpy, 8)
    with pytest.raises(ValueError, match="multiple of 4"):
        geometric_flows.perelman_solution(g, jnp.ones((8, 8)), 0.1, dim=2, steps=6, highest=2)
    with pytest.raises(ValueError, match="positive everywhere"):
        geometric_flows.perelman_solution(g, -jnp.ones((8, 8)), 0.1, dim=2, steps=8, highest=2)
    with pytest.raises(ValueError, match="positive time"):
        geometric_flows.integrate(lambda y: y, g, -1.0, steps=3)
