"""Curvatures against automatic differentiation in coordinates, flows against exact solutions, a second
integrator and a second gauge, the smearing of tensors against integrals over SU(2)."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import optimistix
import pytest
from numpy.polynomial import chebyshev
from numpy.testing import assert_allclose

from mfcore import rotational_flows as rf


def uneven(x):
    return 1 + 0.3 * np.cos(x) + 0.2 * np.cos(2 * x)


def bumpy(x):
    return np.sin(x) * (1 - 0.25 * np.sin(x) ** 2 + 0.15 * np.sin(x) ** 2 * np.cos(x))


def one(x):
    return 1.0 + 0 * x


def setting_of(grid, n, density):
    return rf.RicciSetting(grid, jnp.array(float(n)), jnp.asarray(density(np.asarray(grid.x))))


def radius(metric, grid):
    """psi at every node, for each reading."""
    return np.exp(np.asarray(metric.log_scale))[..., None] * np.sin(grid.x) * np.asarray(metric.p)


def ricci_by_autodiff(g, u):
    """Ricci tensor of a metric g(u), from Christoffel symbols by automatic differentiation."""

    def christoffel(u):
        d = jax.jacfwd(g)(u)  # d[i, j, k] = d_k g_ij
        lower = (d + d.transpose(0, 2, 1) - d.transpose(2, 0, 1)) / 2  # [d, b, c]
        return jnp.einsum("ad,dbc->abc", jnp.linalg.inv(g(u)), lower)

    c, dc = christoffel(u), jax.jacfwd(christoffel)(u)
    return (
        jnp.einsum("abca->bc", dc)
        - jnp.einsum("abac->bc", dc)
        + jnp.einsum("aad,dbc->bc", c, c)
        - jnp.einsum("acd,dba->bc", c, c)
    )


@pytest.mark.parametrize("folded", [False, True])
def test_curvatures_give_the_ricci_tensor_of_autodiff(folded):
    def phi(z):
        return 1 + 0.3 * z**2 + 0.1 * z**4

    def p(z):
        return 1.4 - 0.2 * (1 - z**2) + 0.1 * (1 - z**2) ** 2 + (0 if folded else 0.15 * (1 - z**2) * z)

    def metric(u):
        x, a, _ = u
        psi = jnp.sin(x) * p(jnp.cos(x))
        return jnp.diag(jnp.array([phi(jnp.cos(x)) ** 2, psi**2, (psi * jnp.sin(a)) ** 2]))

    grid = rf.make_grid(48, folded)
    k = rf.curvatures(grid, phi(grid.z), p(grid.z))
    ricci_of = jax.jit(lambda u: ricci_by_autodiff(metric, u))
    for i in (1, 9, 24 if folded else 35):
        u = jnp.array([grid.x[i], 1.1, 0.3])
        ricci, g = ricci_of(u), metric(u)
        assert_allclose(ricci[0, 0] / g[0, 0], 2 * k.radial[i], rtol=1e-10)
        assert_allclose(ricci[1, 1] / g[1, 1], k.radial[i] + k.spherical[i], rtol=1e-10)
    assert_allclose(k.radial[0], k.spherical[0], rtol=1e-10)  # at a pole all planes are alike


def test_arclength_is_the_integral():
    grid = rf.make_grid(24)
    x = np.asarray(grid.x)
    expected = x + 0.3 * np.sin(x) + 0.1 * np.sin(2 * x)
    assert_allclose(rf.arclength(grid, jnp.asarray(uneven(x))), expected, atol=1e-13)


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("density", [one, uneven])
def test_round_spheres_shrink_at_the_exact_rate(n, density):
    grid = rf.make_grid(32)
    start = rf.sphere(grid, density, one, np.sin)
    found = rf.run(rf.ricci_rate, start, setting_of(grid, n, density), np.linspace(0, 0.9 / (2 * n), 4))
    _, angle = rf.cosine_integral(density)
    exact = np.sqrt(1 - 2 * n * np.asarray(found.time))[:, None] * np.sin(angle(np.asarray(grid.x)))
    assert_allclose(radius(found.metric, grid), exact, atol=1e-8)
    assert not found.stopped


def test_area_of_every_sphere_falls_by_eight_pi():
    grid = rf.make_grid(32)
    start = rf.sphere(grid, uneven, one, bumpy)
    found = rf.run(rf.ricci_rate, start, setting_of(grid, 1, uneven), np.linspace(0, 0.3, 4))
    z, even = np.asarray(grid.z), np.arange(0, 33, 2)
    area = []
    for scale, p in zip(np.exp(found.metric.log_scale), np.asarray(found.metric.p), strict=True):
        c = chebyshev.chebfit(z, uneven(np.asarray(grid.x)) * p, 32)
        area.append(2 * np.pi * scale**2 * np.sum(c[even] * 2 / (1 - even**2)))
    assert_allclose(area, area[0] - 8 * np.pi * np.asarray(found.time), rtol=1e-8)


def test_the_gauge_does_not_matter():
    grid, times = rf.make_grid(48), np.linspace(0, 0.08, 3)
    invariants = []
    for density in (one, uneven):
        start = rf.sphere(grid, density, one, bumpy)
        found = rf.run(rf.ricci_rate, start, setting_of(grid, 2, density), times)
        fine = np.linspace(0, np.pi, 4001)
        widest = []
        for scale, p in zip(np.exp(found.metric.log_scale), np.asarray(found.metric.p), strict=True):
            c = chebyshev.chebfit(np.asarray(grid.z), p, 48)
            widest.append(scale * np.max(np.sin(fine) * chebyshev.chebval(np.cos(fine), c)))
        length = np.pi * np.exp(found.metric.log_scale) * rf.cosine_integral(density)[0]
        invariants.append([widest, length])
    assert_allclose(*invariants, rtol=1e-6)
    assert invariants[0][1][2] < 0.9 * invariants[0][1][0]


def test_the_clock_changes_when_and_not_what():
    grid = rf.make_grid(24)
    start, setting = rf.sphere(grid, one, one, np.sin), setting_of(grid, 2, one)
    found = rf.run(rf.ricci_rate, start, setting, np.linspace(0, 5, 6), pace=rf.ricci_pace)
    assert_allclose(np.exp(2 * found.metric.log_scale), 1 - 4 * found.time, atol=1e-8)
    assert 1 - 4 * found.time[-1] < 1e-4
    assert_allclose(rf.ricci_pace(start, setting), 2**-0.5, rtol=1e-8)  # (1 + 1)^(1/2) at radius 1


@pytest.mark.slow
def test_cigar_and_the_order_of_a_second_integrator():
    grid = rf.make_grid(48)
    y = (1 + grid.z) / 2

    def cigar(t):
        return 1 / (jnp.exp(4 * t) * (1 - y) + y)

    found = rf.run(rf.plane_rate, cigar(0.0), grid, np.linspace(0, 0.5, 3))
    assert_allclose(found.metric, [cigar(t) for t in found.time], atol=2e-8)

    newton = optimistix.Newton(rtol=1e-8, atol=1e-8)  # Diffrax's own chord method misses its root here

    @jax.jit
    def equal_steps(steps):
        term = diffrax.ODETerm(lambda _, u, grid: rf.plane_rate(u, grid))
        solution = diffrax.diffeqsolve(
            term,
            diffrax.Kvaerno3(root_finder=newton),
            0.0,
            0.25,
            0.25 / steps,
            cigar(0.0),
            grid,
            max_steps=100,
        )
        return jnp.asarray(solution.ys)[-1]

    error = [float(jnp.max(abs(equal_steps(n) - cigar(0.25)))) for n in (8.0, 16.0, 32.0)]
    assert_allclose(np.log2(np.divide(error[:-1], error[1:])), 3, atol=0.4)


def kernel(cosine, width):
    """Heat kernel of S^3 by its series of characters; its integral over S^3, of volume 2 pi^2, is 1."""
    angle = np.arccos(np.clip(cosine, -1, 1))
    sine = np.where(np.sin(angle) < 1e-9, 1, np.sin(angle))
    total = 0
    for m in range(1, 40):
        character = np.where(np.sin(angle) < 1e-9, m * np.sign(cosine) ** (m - 1), np.sin(m * angle) / sine)
        total = total + m * character * np.exp(-(m**2 - 1) * width**2 / 2)
    return total / (2 * np.pi**2)


@pytest.mark.parametrize("density", [one, lambda x: rf.graded(x, 0.3, 2)])
def test_smearing_in_the_frame_is_the_integral_over_the_group(density):
    # Components of h in the left-invariant frame are (radial) n n + (spherical) (1 - n n) at cos x + n sin x.
    width, grid = 0.5, rf.make_grid(40)
    setting = rf.smeared_setting(grid, density, width, "frame")
    x = np.asarray(setting.x)
    radial, spherical = 1 + np.cos(x) + 0.4 * np.sin(x) ** 2, 1 + np.cos(x) - 0.5 * np.sin(x) ** 2 * np.cos(x)
    h = rf.components(jnp.asarray(radial), jnp.asarray(spherical))
    smeared = rf.Components(setting.smear_mean @ h.mean, setting.smear_difference @ h.difference)
    nodes, weights = np.polynomial.legendre.leggauss(40)
    chi, cos_theta = np.meshgrid((nodes + 1) * np.pi / 2, nodes, indexing="ij")
    area = np.outer(weights * np.pi / 2, weights) * 2 * np.pi * np.sin(chi) ** 2
    there = [1 + np.cos(chi) + 0.4 * np.sin(chi) ** 2, 1 + np.cos(chi) - 0.5 * np.sin(chi) ** 2 * np.cos(chi)]
    for i in (0, 7, 20, 29):  # the point cos x + k sin x; averages over the angle around k are done by hand
        cosine = np.cos(x[i]) * np.cos(chi) + np.sin(x[i]) * np.sin(chi) * cos_theta
        k = area * kernel(cosine, width)
        along = there[0] * cos_theta**2 + there[1] * (1 - cos_theta**2)
        trace = there[0] + 2 * there[1]
        assert_allclose(smeared.radial[i], np.sum(k * along), atol=1e-9)
        assert_allclose(smeared.spherical[i], np.sum(k * (trace - along)) / 2, atol=1e-9)


def test_transport_smears_by_the_levi_civita_laplacian():
    # The rough Laplacian of a dx^2 + c sin^2 g: a'' + 2 cot a' - 4 cot^2 (a - c), c'' + 2 cot c' + 2 cot^2
    # (a - c). The smearing is 1 + (width^2 / 2) times it, up to width^4.
    grid = rf.make_grid(24)
    x = np.asarray(grid.x)[1:-1]
    a, c = 1 + np.cos(x) ** 2 + 0.3 * np.sin(x) ** 2, 1 + np.cos(x) ** 2
    cot = np.cos(x) / np.sin(x)
    second, first = 2 * np.cos(2 * x), np.sin(2 * x)  # of sin^2
    laplace_a = -0.7 * (second + 2 * cot * first) - 4 * cot**2 * (a - c)
    laplace_c = -1.0 * (second + 2 * cot * first) + 2 * cot**2 * (a - c)
    whole = np.asarray(grid.z) ** 2
    h = rf.components(jnp.asarray(1 + whole + 0.3 * (1 - whole)), jnp.asarray(1 + whole))
    error = []
    for width in (0.02, 0.01):
        s = rf.smeared_setting(grid, one, width, "transport")
        smeared = rf.Components(s.smear_mean @ h.mean, s.smear_difference @ h.difference)
        change = [(smeared.radial[1:-1] - a) / (width**2 / 2), (smeared.spherical[1:-1] - c) / (width**2 / 2)]
        error.append(np.max(abs(np.array(change) - [laplace_a, laplace_c])))
    assert error[0] < 0.01
    assert_allclose(error[0] / error[1], 4, rtol=0.02)


@pytest.mark.parametrize("carry", rf.CARRIES)
def test_smearing_keeps_the_round_sphere_and_its_rate(carry):
    grid = rf.make_grid(24, folded=True)
    setting = rf.smeared_setting(grid, lambda x: rf.graded(x, 0.5, 2), 0.3, carry)
    ones = jnp.ones(13)
    found = rf.run(rf.nonlocal_rate, rf.components(ones, ones), setting, np.linspace(0, 0.2, 3))
    for part in (found.metric.radial, found.metric.spherical):
        assert_allclose(part, np.outer(1 - 4 * found.time, np.ones(13)), atol=1e-9)


@pytest.mark.parametrize("carry", rf.CARRIES)
def test_narrow_smearing_is_hamiltons_flow_with_an_error_of_second_order(carry):
    # Both gauges give the equator the same radius; a mild dumbbell, for a short time.
    grid, time = rf.make_grid(48, folded=True), np.array([0.0, 0.01])
    setting = setting_of(grid, 2, one)
    start = rf.sphere(grid, one, one, lambda x: np.sin(x) * np.sqrt(1 - 0.5 * np.sin(x) ** 4))
    local = radius(rf.run(rf.ricci_rate, start, setting, time).metric, grid)[-1, -1] ** 2
    error = []
    for width in (0.02, 0.01):
        smear = rf.smeared_setting(grid, one, width, carry)
        g = rf.components(jnp.ones(25), 1 - 0.5 * grid.y**2)
        found = rf.run(rf.nonlocal_rate, g, smear, time)
        error.append(abs(float(found.metric.spherical[-1, -1] - local)))
    assert_allclose(error[0] / error[1], 4, rtol=0.1)


def test_an_end_is_met_and_reported():
    grid = rf.make_grid(16)
    start, setting = rf.sphere(grid, one, one, np.sin), setting_of(grid, 1, one)
    found = rf.run(
        rf.ricci_rate, start, setting, np.linspace(0, 0.45, 4), end=lambda g: jnp.exp(2 * g.log_scale) - 0.5
    )
    assert found.stopped
    assert_allclose(found.time, [0, 0.15, 0.25], rtol=1e-8)


def test_bad_input_is_refused():
    grid = rf.make_grid(16)
    with pytest.raises(ValueError, match="modes is 7; give an even number"):
        rf.make_grid(7)
    with pytest.raises(ValueError, match="carry 'boat', width 0.1"):
        rf.smeared_setting(grid, one, 0.1, "boat")
    with pytest.raises(ValueError, match="width 0.0"):
        rf.smeared_setting(grid, one, 0.0, "frame")
    with pytest.raises(ValueError, match="change of coordinate is off"):
        rf.sphere(grid, one, lambda x: 0.2 + np.cos(x), np.sin)  # not positive
    with pytest.raises(ValueError, match="stuck after"):
        rf.run(
            rf.ricci_rate, rf.sphere(grid, one, one, np.sin), setting_of(grid, 1, one), np.linspace(0, 1, 5)
        )
