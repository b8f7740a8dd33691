import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from mfcore import complex_torus, kaehler_energies, kaehler_flows
from mfcore.kaehler_flows import FLOWS


def growth_rates(flow, dim, side, duration):
    """Measured and expected growth of every mode kept, from a start of all modes at once."""
    space = kaehler_energies.flat(complex_torus.square(dim, side), scale=1.3)
    grid = (side,) * 2 * dim
    start = 1e-9 * complex_torus.truncated(space.torus, jax.random.normal(jax.random.key(1), grid))
    end = kaehler_flows.follow(space, flow.velocity, start, duration=duration, steps=200).phi
    s = np.sum(np.abs(complex_torus.wave_covectors(space.torus)) ** 2, axis=-1) / 1.3
    before, after = (np.asarray(jnp.fft.fftn(f)) for f in (start, end))
    kept = (np.abs(before) > 1e-3 * np.abs(before).max()) & (s > 0)
    return np.log(np.abs(after[kept] / before[kept])) / duration, flow.growth(s[kept])


@pytest.mark.parametrize("name", FLOWS)
@pytest.mark.parametrize(("dim", "side"), [(1, 16), pytest.param(2, 8, marks=pytest.mark.slow)])
def test_modes_grow_as_the_linearised_flow_says(name, dim, side):
    flow = FLOWS[name]
    fastest = max(abs(flow.growth(s)) for s in (0.1, dim * (side / 3) ** 2 / 4 * 2))
    measured, expected = growth_rates(flow, dim, side, 3 / fastest)
    assert len(measured) > 50
    assert_allclose(measured, expected, rtol=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Kaehler-Ricci (B.4)", "ultra-local (B.21), sign turned"])
def test_the_flat_metric_of_the_cubic_is_reached_and_energies_fall(name):
    flow = FLOWS[name]
    space = kaehler_flows.fermat_cubic(24)
    still = jnp.zeros((24, 24))
    record = {"ultra-local": kaehler_energies.ultra_local, "entropy": kaehler_energies.entropy}
    duration = 8 / -flow.growth(1.2)
    steps = int(duration * kaehler_flows.fastest_decay(space, flow) / 1.5)
    path = kaehler_flows.follow(space, flow.velocity, still, duration=duration, steps=steps, record=record)
    start, end = (jnp.abs(kaehler_energies.ratio(space, phi) - 1).max() for phi in (still, path.phi))
    assert start > 0.1
    assert end < 1e-3 * start  # what the coarse grid leaves
    for energies in path.records.values():
        assert len(energies) == steps + 1
        assert jnp.all(jnp.diff(energies) < 1e-12 * energies[0])


def test_fubini_study_on_the_cubic_in_the_flat_coordinate():
    """int det g = 3 pi, the volume of the cubic, over |Omega|^2 = 1."""
    space = kaehler_flows.fermat_cubic(24)
    volume = complex_torus.integral(space.torus, space.background[..., 0, 0].real)
    assert_allclose(volume, 3 * np.pi, rtol=1e-10)


@pytest.mark.parametrize("name", ["Kaehler-Ricci (B.4)", "two-derivative (B.20)"])
def test_dissipation_of_the_ultra_local_energy(name):
    """dE/dt = -int F'' v' |d eta|^2 mu_J / kappa for a flow d phi / dt = v(eta)."""
    flow, space = FLOWS[name], kaehler_flows.fermat_cubic(48)
    phi = jnp.zeros((48, 48))
    g, eta = kaehler_energies.metric(space, phi), kaehler_energies.ratio(space, phi)
    rate = jax.jvp(lambda p: kaehler_energies.ultra_local(space, p), (phi,), (flow.velocity(space, phi),))[1]
    slope = {"Kaehler-Ricci (B.4)": 1 / eta, "two-derivative (B.20)": eta**-1.5 / 2}[name]
    dissipated = 2 * slope * kaehler_energies.gradient_norm2(space, g, eta) * jnp.linalg.det(g).real
    expected = -complex_torus.integral(space.torus, dissipated) / kaehler_energies.kappa(space)
    assert expected < -0.01
    assert_allclose(rate, expected, rtol=1e-6)


def test_bad_durations_are_refused():
    space = kaehler_flows.fermat_cubic(8)
    with pytest.raises(ValueError, match="positive time"):
        kaehler_flows.follow(
            space, FLOWS["Kaehler-Ricci (B.4)"].velocity, jnp.zeros((8, 8)), duration=0.0, steps=1
        )
