r"""Ricci flow of rotationally symmetric metrics: round spheres, pinching necks, the cigar, non-local flow.

On S^(n+1), g = phi(x)^2 dx^2 + psi(x)^2 g_{S^n}, 0 <= x <= pi, with psi = sin(x) p. Such a metric is smooth
if and only if phi and p are smooth in z = cos x and agree at the poles z = +-1. Everything is therefore a
polynomial in z, held by its values at Chebyshev points, and no condition on a derivative is imposed at a
pole. Sectional curvatures, with ds = phi dx: K_rad = -psi_ss / psi of planes that contain d/dx, K_sph =
(1 - psi_s^2) / psi^2 of the others. Ricci flow is dg/dt = -2 Ric, paper (2.39).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from scipy.integrate import solve_ivp
from scipy.special import eval_gegenbauer

from mfcore._typing import Array, Float


class Grid(NamedTuple):
    """Chebyshev points z = cos x, from the pole z = 1, and linear maps between values there.

    `even` maps f to df/dz for f even in z, `odd` for f odd (the same unless the grid is folded). `mean`
    averages over x; `primitive` maps f to the integral of f - mean from 0 to x, divided by sin x.
    """

    x: Float[Array, " nodes"]
    z: Float[Array, " nodes"]
    y: Float[Array, " nodes"]  # sin(x)^2 = 1 - z^2
    pole: Any  # true at the poles
    even: Float[Array, "nodes nodes"]
    odd: Float[Array, "nodes nodes"]
    mean: Float[Array, " nodes"]
    primitive: Float[Array, "nodes nodes"]


class Curvatures(NamedTuple):
    """Sectional curvatures K_rad and K_sph."""

    radial: Any
    spherical: Any  # at every node


def make_grid(modes: int, folded: bool = False) -> Grid:
    """Polynomials in z up to degree `modes`; `folded`: only those even in z, on the half sphere z >= 0."""
    if modes < 4 or modes % 2:
        raise ValueError(f"modes is {modes}; give an even number of at least 4.")
    last = modes // 2 if folded else modes
    x = np.pi * np.arange(last + 1) / modes
    k = np.arange(0, modes + 1, 2 if folded else 1)
    coefficients = np.linalg.inv(np.cos(np.outer(x, k)))
    sines = _sines(x, k)
    even = (k * sines) @ coefficients
    odd = even
    if folded:  # odd functions vanish on the equator, the last node
        k_odd = k[:-1] + 1
        odd = np.zeros_like(even)
        odd[:, :-1] = (k_odd * _sines(x, k_odd)) @ np.linalg.inv(np.cos(np.outer(x[:-1], k_odd)))
    primitive = (sines[:, 1:] / k[1:]) @ coefficients[1:]
    z = np.sin(np.pi / 2 - x)  # exactly odd about the equator, where cos x is not quite 0
    parts = (x, z, 1 - z**2, 1 - z**2 < 1e-14, even, odd, coefficients[0], primitive)
    return Grid(*(jnp.asarray(part) for part in parts))


def _sines(x: np.ndarray, k: np.ndarray) -> np.ndarray:
    # sin(k x) / sin x, which is k at x = 0 and +-k at x = pi.
    pole = np.isclose(np.sin(x), 0)
    inner = np.sin(np.outer(x, k)) / np.where(pole, 1, np.sin(x))[:, None]
    return np.where(pole[:, None], k * np.cos(x)[:, None] ** (k - 1.0), inner)


def arclength(grid: Grid, phi: Float[Array, " nodes"]) -> Float[Array, " nodes"]:
    """Distance from the pole z = 1, the integral of phi over x."""
    return jnp.sin(grid.x) * (grid.primitive @ phi) + grid.x * (grid.mean @ phi)


def curvatures(grid: Grid, phi: Float[Array, " nodes"], p: Float[Array, " nodes"]) -> Curvatures:
    """K_rad = (psi_s)'(z) / (phi p) and K_sph = (1 - psi_s^2) / psi^2, psi_s = (z p - sin(x)^2 p'(z)) / phi.

    A factor sin(x)^2 of K_sph is cancelled by hand. *Not* checked: that phi = p at the poles.
    """
    dp = grid.even @ p
    gap = phi**2 - p**2  # vanishes at the poles, where l'Hospital divides it by sin(x)^2
    quotient = jnp.where(grid.pole, -grid.z * (grid.even @ gap) / 2, gap / jnp.where(grid.pole, 1, grid.y))
    spherical = quotient + p**2 + 2 * grid.z * p * dp - grid.y * dp**2
    psi_s = (grid.z * p - grid.y * dp) / phi
    return Curvatures((grid.odd @ psi_s) / (phi * p), spherical / (phi * p) ** 2)


class Sphere(NamedTuple):
    """phi = exp(log_scale) density(x), psi = exp(log_scale) sin(x) p(x), with p = density at the poles."""

    log_scale: Float[Array, ""]
    p: Float[Array, " nodes"]


def graded(x: Any, finest: float, power: int = 4) -> Any:
    """A density finest + (1 - finest) cos(x)^power: the arclength between nodes is least at the equator."""
    return finest + (1 - finest) * np.cos(x) ** power


def sphere(
    grid: Grid, density: Callable[[Any], Any], phi: Callable[[Any], Any], psi: Callable[[Any], Any]
) -> Sphere:
    """The metric of phi and psi, moved to the gauge in which phi is the density times a scale.

    The old coordinate X(x) solves int_0^X phi = scale int_0^x density; both integrals by cosine series.
    """
    (mean_phi, length), (mean_density, wanted) = cosine_integral(phi), cosine_integral(density)
    x, scale, step = np.asarray(grid.x), mean_phi / mean_density, np.ones(1)
    old = x.copy()
    for _ in range(100):  # Newton; exact at both poles from the start
        step = (length(old) - scale * wanted(x)) / phi(old)
        old = np.clip(old - step, 0, np.pi)
    if np.max(abs(step)) > 1e-12:
        raise ValueError(f"the change of coordinate is off by {np.max(abs(step)):.1e}; use a milder density.")
    p = np.where(grid.pole, density(x), psi(old) / (scale * np.where(grid.pole, 1, np.sin(x))))
    return Sphere(jnp.asarray(np.log(scale)), jnp.asarray(p))


def cosine_integral(f: Callable[[Any], Any], modes: int = 512) -> tuple[float, Callable[[Any], Any]]:
    """Mean of f over [0, pi], and the function x -> int_0^x f, for f even and smooth about both poles."""
    x = np.pi * np.arange(modes + 1) / modes
    values = f(x) + 0 * x
    c = np.fft.rfft(np.concatenate([values, values[-2:0:-1]])).real / modes
    k = np.arange(1, modes)
    return float(c[0] / 2), lambda at: c[0] / 2 * at + np.sin(np.outer(at, k)) @ (c[1:-1] / k)


class RicciSetting(NamedTuple):
    """What `ricci_rate` needs besides the metric: the grid, n of S^(n+1), the density at the nodes."""

    grid: Grid
    n: Float[Array, ""]
    density: Float[Array, " nodes"]


def ricci_rate(metric: Sphere, setting: RicciSetting) -> Sphere:
    """d/dt of the metric: dg/dt = -2 Ric plus the Lie derivative that keeps phi = scale * density.

    Alone the flow is phi_t = -n K_rad phi, psi_t = -(K_rad + (n - 1) K_sph) psi. A motion V d/ds adds V_s phi
    and V psi_s. As phi_t / phi must not depend on x, V_s = (log scale)_t + n K_rad, and V = 0 at both poles
    fixes the scale. At the poles p stays, which the exact flow does by itself.
    """
    grid, n, density = setting
    k = curvatures(grid, density, p := metric.p)
    stretch = n * k.radial * density
    growth = -(grid.mean @ stretch) / (grid.mean @ density)
    motion = grid.primitive @ (stretch + growth * density)  # V / (scale sin x)
    psi_s = (grid.z * p - grid.y * (grid.even @ p)) / density
    p_t = motion * psi_s - (k.radial + (n - 1) * k.spherical + growth) * p
    shrink = jnp.exp(-2 * metric.log_scale)
    return Sphere(jnp.asarray(growth * shrink), (1 - grid.pole) * p_t * shrink)


def ricci_pace(metric: Sphere, setting: RicciSetting) -> Float[Array, ""]:
    """1 / (a smooth maximum of the sectional curvatures), the time scale of the flow."""
    k = curvatures(setting.grid, setting.density, metric.p)
    return jnp.exp(2 * metric.log_scale) / jnp.mean((k.radial**2 + k.spherical**2) ** 8) ** (1 / 16)


def plane_rate(u: Float[Array, " nodes"], grid: Grid) -> Float[Array, " nodes"]:
    """Ricci flow of the plane v (dr^2 + r^2 dtheta^2), v_t = Laplacian of log v, that ends in a cylinder.

    u_t = 4 (1 - y) ((y (1 - y) (log u)_y)_y - 1) for u = (1 + r^2) v as a function of y = r^2 / (1 + r^2) =
    (1 + z) / 2. No boundary data: the factor 1 - y switches the equation off at infinity, so u(1), the
    squared radius of the cylinder, stays. The one choice made is that u is smooth in 1 / r^2 there.
    """
    y, d = (1 + grid.z) / 2, 2 * grid.even
    return 4 * (1 - y) * (d @ (y * (1 - y) * (d @ jnp.log(u))) - 1)


class Components(NamedTuple):
    """g = radial dx^2 + spherical sin(x)^2 g_{S^2}, by components in the orthonormal frame of the round S^3.

    Held as mean = (radial + 2 spherical) / 3 and difference = radial - spherical, which a rotation of the
    frame does not mix. The difference vanishes at the poles.
    """

    mean: Float[Array, "*readings nodes"]
    difference: Float[Array, "*readings nodes"]

    @property
    def radial(self) -> Float[Array, "*readings nodes"]:
        """The component along dx."""
        return self.mean + 2 * self.difference / 3

    @property
    def spherical(self) -> Float[Array, "*readings nodes"]:
        """The components along the 2-spheres, which are equal."""
        return self.mean - self.difference / 3


def components(radial: Float[Array, " nodes"], spherical: Float[Array, " nodes"]) -> Components:
    """The record of two components."""
    return Components((radial + 2 * spherical) / 3, radial - spherical)


class SmearedSetting(NamedTuple):
    """What `nonlocal_rate` needs besides the metric. The nodes of `grid` are xi, those of S^3 are x(xi)."""

    grid: Grid
    x: Float[Array, " nodes"]
    density: Float[Array, " nodes"]  # dx / dxi
    stretch: Float[Array, " nodes"]  # sin x / sin xi
    smear_mean: Float[Array, "nodes nodes"]
    smear_difference: Float[Array, "nodes nodes"]


CARRIES = ("frame", "transport")


def smeared_setting(grid: Grid, density: Callable[[Any], Any], width: float, carry: str) -> SmearedSetting:
    """Heat kernel of the round S^3 at time width^2 / 2, a Gaussian of that width, on symmetric 2-tensors.

    ``frame`` smears the components in the left-invariant orthonormal frame of S^3 = SU(2) as functions, with
    the kernel delta_ik delta_jl Theta(x, x') of paper (2.23). ``transport`` carries them by parallel
    transport (heat semigroup of the Levi-Civita connection). Both damp the modes U_l(cos x) of the mean and
    sin(x)^2 C^(3)_{l-2}(cos x) of the difference by exp(-l (l + 2) width^2 / 2); transport multiplies the
    difference by exp(3 width^2) on top, its Laplacian differing there by 6.
    """
    if carry not in CARRIES or not width > 0:
        raise ValueError(f"carry {carry!r}, width {width}; carry is one of {CARRIES}, and a width positive.")
    xi, pole = np.asarray(grid.x), np.asarray(grid.pole)
    mean, integral = cosine_integral(density)
    x, w = integral(xi) / mean, density(xi) / mean
    weights = np.asarray(grid.mean) * w * np.sin(x) ** 2  # trapezoid, spectral as all is even at the poles
    # Up to where exp(-l^2 width^2 / 2) is below rounding, or the coarsest spacing cannot tell modes apart.
    top = int(min(np.ceil(9 / width) + 2, (len(xi) - 1) * np.pi / xi[-1] / np.max(w) - 2))
    smears = []
    for first, order, gain in ((0, 1.0, 0), (2, 3.0, 6 * (carry == "transport"))):
        degree = np.arange(first, top + 1, 2 if xi[-1] < 2 else 1)  # a folded grid knows even modes only
        basis = [np.sin(x) ** first * eval_gegenbauer(k - first, order, np.cos(x)) for k in degree]
        basis = np.stack(basis, axis=1)
        damping = np.exp(-(degree * (degree + 2) - gain) * width**2 / 2) / (weights @ basis**2)
        smears.append((basis * damping) @ (basis.T * weights))
    stretch = np.where(pole, w, np.sin(x) / np.where(pole, 1, np.sin(xi)))
    return SmearedSetting(grid, *(jnp.asarray(part) for part in (x, w, stretch, *smears)))


def nonlocal_rate(g: Components, setting: SmearedSetting) -> Components:
    """dg/dt = -2 times the smeared Ricci tensor, component by component: Ricci flow at finite sigma.

    Ric in the frame of the round metric: 2 K_rad radial and (K_rad + K_sph) spherical.
    """
    phi, p = jnp.sqrt(g.radial) * setting.density, jnp.sqrt(g.spherical) * setting.stretch
    k = curvatures(setting.grid, phi, p)
    mean, difference = components(2 * k.radial * g.radial, (k.radial + k.spherical) * g.spherical)
    return Components(-2 * setting.smear_mean @ mean, -2 * setting.smear_difference @ difference)


class Run(NamedTuple):
    """Time and metric at the clock readings, and last where an event ended the run, if one did."""

    time: Float[Array, " readings"]
    metric: Any
    stopped: bool


@eqx.filter_jit
def _field(flat: Any, like: Any, rate: Callable, pace: Callable | None, setting: Any) -> Any:
    metric = ravel_pytree(like)[1](flat[1:])
    speed = 1.0 if pace is None else pace(metric, setting)
    return speed * jnp.concatenate([jnp.ones(1), ravel_pytree(rate(metric, setting))[0]])


_jacobian = eqx.filter_jit(jax.jacfwd(_field))


def run(
    rate: Callable,
    metric: Any,
    setting: Any,
    clock: Any,
    *,
    pace: Callable | None = None,
    end: Callable | None = None,
    tolerance: float = 1e-10,
) -> Run:
    """Integrate d(metric)/d(clock) = pace * rate, dt/d(clock) = pace from clock = 0 until `end` falls to 0.

    With a pace that vanishes with the metric, a singular time T is approached as T - t ~ exp(-clock), and
    every decade of T - t costs the same. SciPy's Radau, of order 5, compiles faster than Diffrax's methods.
    """
    start, back = ravel_pytree((jnp.zeros(()), metric))
    args = (metric, rate, pace, setting)

    class Event:
        terminal = True  # SciPy's word for an event that ends the run

        def __call__(self, _: float, flat: np.ndarray) -> float:
            return 1.0 if end is None else float(end(back(jnp.asarray(flat))[1]))

    field, jac = (lambda _, flat, f=f: np.asarray(f(flat, *args)) for f in (_field, _jacobian))
    how = {"method": "Radau", "jac": jac, "events": Event(), "rtol": tolerance, "atol": tolerance}
    found = solve_ivp(field, (0.0, float(clock[-1])), np.asarray(start), t_eval=np.asarray(clock), **how)
    if found.status < 0:
        raise ValueError(f"stuck after {len(found.t)} of {len(clock)} readings: end earlier, or add modes.")
    times, metrics = jax.vmap(back)(jnp.asarray(np.stack([*found.y.T, *found.y_events[0]])))
    return Run(times, metrics, found.status == 1)
