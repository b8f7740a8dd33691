r"""Nearly exact Ricci-flat metrics on the Fermat hypersurfaces: algebraic metrics fitted to eta = 1.

The ultra-local energy int (eta - 1)^2 |Omega|^2 (paper B.12, B.14) of the metrics of
`mfcore.algebraic_metrics` is a sum of squares over points, minimised by trust-region Gauss-Newton steps
(SciPy). The sections of high degree are nearly dependent on one another; the fit works in combinations of
them that are orthonormal over its points.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import least_squares

from mfcore._typing import Array, Float, PRNGKeyArray
from mfcore.algebraic_metrics import AlgebraicMetric, algebraic_points, invariant_products, log_entries
from mfcore.hypersurface import Dwork
from mfcore.kaehler_networks import determinant
from mfcore.sampling import random_points
from mfcore.training import FramePoints, exact_kappa

# Singular values below this, against the largest, count as rounding: sections that depend on the others.
DEPENDENT = 1e-13
DIRECT = 8


class Fit(NamedTuple):
    """The fitted metric; the root mean square of eta - 1 over its points; how many independent functions it
    has; how often the solver looked."""

    metric: AlgebraicMetric
    residual: float
    directions: int
    evaluations: int


def fit(key: PRNGKeyArray, variety: Dwork, k: int, n_points: int | None = None) -> Fit:
    """The algebraic metric of degree k with the least ultra-local energy.

    By default there are 2,000 points and 15 for each coefficient. Up to k = `DIRECT` the fit starts from
    Fubini-Study; beyond, where it would often end in a false minimum, from the fit of degree k - 2.
    """
    products = invariant_products(variety.degree, k)
    n_points = 2000 + 15 * len(products) if n_points is None else n_points
    if n_points < 2 * len(products):
        raise ValueError(f"{n_points} points for {len(products)} coefficients: need at least twice as many")
    below = fit(key, variety, k - 2).metric if k > DIRECT else None
    sample, kappa = random_points(key, variety, n_points), exact_kappa(variety)
    points = algebraic_points(sample, products, kappa)
    if below is None:
        return fit_to(points, variety.degree, k)
    # The same potential in the higher degree: (1/k) log F with F the power k / (k - 2) of that below.
    values = algebraic_points(sample, below.products, kappa).jet[:, 0] @ below.coefficients
    return fit_to(points, variety.degree, k, start=values ** (k / below.k))


def fit_to(points: FramePoints, degree: int, k: int, *, start: Float[Array, " points"] | None = None) -> Fit:
    """The same over given points, which `mfcore.algebraic_metrics.algebraic_points` makes.

    ``start`` are the values of F there to start near; by default 1, Fubini-Study.
    """
    problem = problem_of(points, k)
    first = np.zeros(problem.jets.shape[2])
    if start is not None:
        first = np.asarray(problem.jets[:, 0].T @ (start / jnp.mean(start)) / len(start))
    found = least_squares(
        lambda x: np.asarray(_residuals(problem, jnp.asarray(x))),
        first,
        jac=lambda x: np.asarray(_derivative(problem, jnp.asarray(x))),  # pyright: ignore[reportArgumentType]
        ftol=1e-8,
        xtol=1e-12,
        gtol=1e-15,
    )
    if not found.success:
        raise RuntimeError(f"the fit of degree k = {k} did not end: {found.message}; give it other points")
    metric = AlgebraicMetric(problem.coefficients(jnp.asarray(found.x)), degree, k)
    if not jnp.all(points.least_eigenvalue(metric) > 0):
        raise RuntimeError(f"the fit of degree k = {k} is not positive definite; give it more points")
    return Fit(metric, float(np.sqrt(2 * found.cost)), len(found.x), int(found.nfev))


class Problem(NamedTuple):
    """The metrics F = 1 + sum x_a u_a over points, u_a orthonormal to 1 and one another there.

    ``start`` and ``directions`` are the coefficients of 1 and of u_a, ``base`` and ``jets`` their jets.
    """

    start: Float[Array, " products"]
    directions: Float[Array, "products directions"]
    base: Float[Array, "points channels"]
    jets: Float[Array, "points channels directions"]
    eta: Float[Array, " points"]
    weight: Float[Array, " points"]
    k: Array

    def coefficients(self, x: Float[Array, " directions"]) -> Float[Array, " products"]:
        """Those of the `AlgebraicMetric`."""
        return self.start + self.directions @ x

    def ratios(self, x: Float[Array, " directions"]) -> Float[Array, " points"]:
        """eta at the points."""
        return jax.vmap(_ratio, (0, 0, None))(self.base + self.jets @ x, self.eta, self.k)


def problem_of(points: FramePoints, k: int) -> Problem:
    """The problem over the points that `mfcore.algebraic_metrics.algebraic_points` makes."""
    start, directions = orthonormal(points)
    jets = points.jet @ start, points.jet @ directions
    return Problem(start, directions, *jets, points.eta, points.weight, jnp.asarray(k))


def orthonormal(points: FramePoints) -> tuple[Float[Array, " products"], Float[Array, "products directions"]]:
    """Coefficients of F = 1, and of functions orthonormal to it and one another over the points."""
    values = np.asarray(points.jet[:, 0]) / len(points.eta) ** 0.5
    size = np.linalg.norm(values, axis=0)
    left, singular, right = np.linalg.svd(values / size, full_matrices=False)
    kept = singular > DEPENDENT * singular[0]
    combinations = right[kept].T / singular[kept] / size[:, None]
    constant = left[:, kept].T @ np.full(len(points.eta), len(points.eta) ** -0.5)
    # A rotation whose first column is the constant; the others are what may be added to it.
    rotation, _ = np.linalg.qr(np.column_stack([constant, np.eye(len(constant))]))
    rotation[:, 0] *= np.sign(rotation[:, 0] @ constant)
    turned = jnp.asarray(combinations @ rotation[:, : len(constant)])
    return turned[:, 0], turned[:, 1:]


@jax.jit
def _residuals(problem: Problem, x: Float[Array, " directions"]) -> Float[Array, " points"]:
    return _scale(problem) * (problem.ratios(x) - 1)


@jax.jit
def _derivative(problem: Problem, x: Float[Array, " directions"]) -> Float[Array, "points directions"]:
    slope = jax.vmap(jax.grad(_ratio), (0, 0, None))(problem.base + problem.jets @ x, problem.eta, problem.k)
    return _scale(problem)[:, None] * jnp.einsum("pc,pca->pa", slope, problem.jets)


def _scale(problem: Problem) -> Float[Array, " points"]:
    return jnp.sqrt(problem.weight / len(problem.weight))


def _ratio(jet: Float[Array, " channels"], eta: Float[Array, ""], k: Array) -> Float[Array, ""]:
    """eta of the metric g_FS + (1/k) d dbar log F, from the jet of F and eta of Fubini-Study."""
    entries = log_entries(jet, k)
    dim = round(len(entries) ** 0.5)
    return eta * determinant(entries.at[:dim].add(1))
