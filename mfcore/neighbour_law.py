r"""How near the nearest of N random points of a hypersurface is: the law of paper section 3.2 and (3.6).

The share of the volume within distance r of x decides everything. For a hypersurface of degree D and complex
dimension d it is, exactly,

    p(x, r) = sin^{2d} r / D  (1 + n(x, r)),

with n(x, r) the mean number of further points within r that a uniformly random line through x has in common
with the hypersurface. (Stokes, and Crofton's formula on the projective space of lines through x; n rises from
0 to D - 1.) Distances are those of `projective.geodesic_distance`. Near a wall of a coordinate system part of
a ball lies outside: `surroundings` measures it. Needs float64.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.integrate import quad
from scipy.special import betainc, poch

from mfcore import polynomials
from mfcore._typing import Array, Bool, Complex, Float, PRNGKeyArray
from mfcore.hypersurface import Dwork, eliminated_of, patch_of
from mfcore.projective import geodesic_distance


class Surroundings(NamedTuple):
    """What random lines close to a point say about the ball of some radius around it.

    ``share`` of the volume in the ball; ``inside``, the part of this that lies in the chart asked for;
    ``lines``, the number of lines that meet this part over the number of their points in it, below 1 because
    a line may have two. NaN where no line met it.
    """

    share: Float[Array, ""]
    inside: Float[Array, ""]
    lines: Float[Array, ""]


def distances_along_lines(
    key: PRNGKeyArray, variety: Dwork, z: Complex[Array, " hom"], n_lines: int
) -> Float[Array, "lines others"]:
    """Distances from z to the other D - 1 points of each of ``n_lines`` uniform lines through it."""
    x = _unit(z)
    v = _unit_normal(jax.random.normal(key, (n_lines, len(z)), dtype=x.dtype), x)
    coefficients = _on_line(variety, jnp.broadcast_to(x, v.shape), v)
    roots, _ = polynomials.all_roots(coefficients[1:])  # the root 0 is z itself
    return jnp.arctan(jnp.abs(roots)).T


def share_within(
    variety: Dwork, radii: Float[Array, " radii"], distances: Float[Array, "lines others"]
) -> Float[Array, " radii"]:
    """p(x, r) at these radii, from `distances_along_lines` of x."""
    further = jnp.searchsorted(jnp.sort(distances.ravel()), radii, side="right") / len(distances)
    return jnp.sin(radii) ** (2 * variety.dim) / variety.degree * (1 + further)


def bending(variety: Dwork, z: Complex[Array, " hom"]) -> Float[Array, ""]:
    r"""c(x) in p = sin^{2d} r / D (1 + c sin^2 r + ...): |b|^2 / (2 (d + 1)), b the second fundamental form.

    b = (d^2 Q / |dQ|) on the tangent space at |z| = 1, in a unitary basis. Its mean is `mean_bending`.
    """
    x = _unit(z)
    gradient = variety.gradient(x)
    normal = gradient.conj() / jnp.linalg.norm(gradient)
    hessian = jax.jacfwd(variety.gradient, holomorphic=True)(x)
    tangent = jnp.eye(len(x)) - jnp.outer(x, x.conj()) - jnp.outer(normal, normal.conj())
    b = tangent.T @ hessian @ tangent / jnp.linalg.norm(gradient)
    return jnp.sum(jnp.abs(b) ** 2) / (2 * (variety.dim + 1))


def mean_bending(variety: Dwork) -> float:
    r"""The mean of `bending` over the volume, d (D - 1) / (2 (d + 1)): 3/2 on the quintic.

    By Gauss, the scalar curvature is 4 d (d + 1) - 4 |b|^2; its mean is 4 d (d + 2 - D), the first Chern
    number.
    """
    return variety.dim * (variety.degree - 1) / (2 * (variety.dim + 1))


def mean_distance(
    shares: Float[Array | np.ndarray, "points radii"],
    radii: Float[Array | np.ndarray, " radii"],
    others: float | int,
) -> float:
    """Mean distance to the nearest of this many ``others``, the integral of the mean of (1 - p)^others.

    ``shares`` are p(x, r) for a sample of points x; ``radii`` must run from 0 to where nothing survives.
    """
    return float(np.trapezoid(survival(shares, others), np.asarray(radii)))


def survival(shares: Float[Array | np.ndarray, "points radii"], others: float | int) -> np.ndarray:
    """The chance that none of this many others is within r, (1 - p)^others, averaged over x; for each r."""
    with np.errstate(divide="ignore"):
        return np.exp(others * np.log1p(-np.minimum(np.asarray(shares), 1.0))).mean(axis=0)


def mean_distance_expansion(variety: Dwork, n_points: float | int, *, terms: int = 2) -> float:
    r"""Gamma(1 + 1/2d) (D/N)^{1/2d} + (1 - c) / 6 ... : the law on the whole variety at large N.

    r = u + (1/6 - c/2d) u^3 + ..., where u = (D p)^{1/2d} for the share p of the nearest of N - 1 points,
    and E u^k = D^{k/2d} Gamma(1 + k/2d) Gamma(N) / Gamma(N + k/2d). The next term is smaller by (D/N)^{1/d}.
    """
    if terms not in (1, 2) or not n_points > 1:
        raise ValueError(f"{terms} terms for {n_points} points: give 1 or 2 terms, and more than one point")
    m = 2 * variety.dim

    def moment(k: int) -> float:
        # poch(N, a) = Gamma(N + a) / Gamma(N), to all digits for N = 1e35 too.
        return variety.degree ** (k / m) * math.gamma(1 + k / m) / float(poch(n_points, k / m))

    return moment(1) + (terms - 1) * (1 / 6 - mean_bending(variety) / m) * moment(3)


def smallest_distance(variety: Dwork, n_points: float | int) -> float:
    """Mean of the smallest of all distances at large N, for independent points: N (N - 1) / 2 pairs."""
    m = 2 * variety.dim
    return math.gamma(1 + 1 / m) * (2 * variety.degree / (n_points * (n_points - 1))) ** (1 / m)


def half_ball_share(depth: float | int, dimension: int) -> float:
    """The part of a flat unit ball on the inner side of a wall at this distance, 0 to 1, from its centre."""
    return 1 - betainc((dimension + 1) / 2, 0.5, 1 - depth**2) / 2


def wall_loss(dimension: int) -> float:
    """a in: mean part of a small ball of radius r that lies outside = a r (area of the walls / volume)."""
    return quad(lambda u: 1 - half_ball_share(u, dimension), 0, 1)[0]


def wall_coefficient(dimension: int, ball: float, walls: float) -> float:
    """b in: mean distance = leading term (1 + b N^(-1/dimension) + ...), in a chart with walls.

    ``ball`` is the share of the chart in a small ball over r^dimension, ``walls`` the area of its walls over
    its volume. A point at depth u r below a flat wall keeps the part `half_ball_share` of its ball.
    """
    m = dimension
    excess = quad(lambda u: half_ball_share(u, m) ** (-2 / m) - 1, 0, 1)[0]
    return walls * math.gamma(2 / m) / m * excess / math.gamma(1 + 1 / m) * ball ** (-1 / m)


def wall_slope(variety: Dwork, z: Complex[Array, " hom"], i: int, j: int) -> Float[Array, ""]:
    r"""|grad log |z_i / z_j|| along the variety; the log over it is the depth below the wall |z_i|=|z_j|."""
    gradient = variety.gradient(z)
    form = jnp.zeros_like(z).at[i].set(1 / z[i]).at[j].set(-1 / z[j])
    along_normal = jnp.abs(jnp.vdot(gradient, form)) ** 2 / _norm2(gradient)
    return jnp.sqrt(_norm2(z) * (_norm2(form) - along_normal))


def surroundings(
    key: PRNGKeyArray,
    variety: Dwork,
    z: Complex[Array, " hom"],
    radius: Float[Array, ""],
    chart: tuple[int, int] | None,
    n_lines: int,
) -> Surroundings:
    """The ball around z by ``n_lines`` random lines through a slightly larger ball of the ambient space.

    A line through a uniform point of that ball, in a uniform direction, is a uniform line, but chosen in
    proportion to the area it has in the ball, which its weight divides out. ``chart`` is the patch and the
    eliminated coordinate, None the whole variety. The radius must be below asin(1 / MARGIN).
    """
    x, n = _unit(z), variety.dim + 1
    keys = jax.random.split(key, 3)
    outer = jnp.arcsin(MARGIN * jnp.sin(radius))
    off = jnp.arcsin(jnp.sin(outer) * jax.random.uniform(keys[0], (n_lines, 1)) ** (1 / (2 * n)))
    normal = jax.random.normal(keys[1], (n_lines, len(x)), dtype=x.dtype)
    a = jnp.cos(off) * x + jnp.sin(off) * _unit_normal(normal, x)
    v = _unit_normal(jax.random.normal(keys[2], a.shape, dtype=a.dtype), a)
    roots, _ = polynomials.all_roots(_on_line(variety, a, v))
    y = a[None] + roots[:, :, None] * v[None]
    within = jax.vmap(jax.vmap(lambda y: geodesic_distance(x, y) <= radius))(y)
    part = within & jax.vmap(jax.vmap(lambda y: _in_chart(variety, y, chart)))(y)
    nearest2 = jnp.abs(a @ x.conj()) ** 2 + jnp.abs(v @ x.conj()) ** 2  # cos^2 of the distance to the line
    weight = 1 / (1 - jnp.cos(outer) ** 2 / nearest2)
    points, points_in_part = jnp.sum(weight * within), jnp.sum(weight * part)
    return Surroundings(
        share=jnp.sin(outer) ** (2 * n) / variety.degree * points / n_lines,
        inside=points_in_part / points,
        lines=jnp.sum(weight * part.any(axis=0)) / points_in_part,
    )


MARGIN = 1.15  # sine of the outer over that of the inner radius: nearer 1 the weights, above it misses grow


def _on_line(
    variety: Dwork, p: Complex[Array, "lines hom"], q: Complex[Array, "lines hom"]
) -> Complex[Array, "coefficients lines"]:
    coefficients = polynomials.power_sum(p.T, q.T, variety.degree)
    if variety.psi:
        coefficients = coefficients - variety.degree * variety.psi * polynomials.product(p.T, q.T)
    return coefficients


def _in_chart(variety: Dwork, y: Complex[Array, " hom"], chart: tuple[int, int] | None) -> Bool[Array, ""]:
    if chart is None:
        return jnp.array(True)
    patch = patch_of(y)
    return (patch == chart[0]) & (eliminated_of(variety.gradient(y), patch) == chart[1])


def _unit(z: Complex[Array, " hom"]) -> Complex[Array, " hom"]:
    return z / jnp.sqrt(_norm2(z))


def _unit_normal(w: Complex[Array, "lines hom"], x: Complex[Array, "*lines hom"]) -> Array:
    # Uniform among the unit vectors orthogonal to x, for Gaussian w.
    w = w - jnp.sum(x.conj() * w, axis=1, keepdims=True) * x
    return w / jnp.linalg.norm(w, axis=1, keepdims=True)


def _norm2(z: Complex[Array, " hom"]) -> Float[Array, ""]:
    return jnp.sum(z.real**2 + z.imag**2)
