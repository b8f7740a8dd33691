r"""Points on a hypersurface of `mfcore.hypersurface`, uniform in the Fubini-Study volume, with their local
geometry.

Random lines cut them out (Shiffman and Zelditch), so that a mean over points, weighted, is an integral over
the variety. Paper section 3.1, the single coordinate system by rejection included. Needs float64.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mfcore import hypersurface, polynomials
from mfcore._typing import Array, Bool, Complex, Float, Int, PRNGKeyArray
from mfcore.hypersurface import Dwork, eliminated_of, patch_of
from mfcore.projective import fubini_study_metric, pullback

RESIDUAL = 1e-12  # |Q| in the patch scaling that a sampled point must reach; rounding leaves about 1e-15
LINES_AT_ONCE = 500  # what the processor's cache holds while their roots converge
LARGEST_BATCH = 250_000  # points drawn at once by rejection; each takes about 400 bytes


class Sample(NamedTuple):
    """Points on a variety with what the numerics of section 3 needs at each.

    ``z`` is scaled so that z[patch] = 1; ``jacobian[a, i]`` = dz^i/dx^a for the local coordinates x, which
    are the coordinates other than ``patch`` and ``eliminated``, in rising order; ``omega`` = 1 /
    (dQ/dz_eliminated);
    ``weight`` = |Omega|^2 / det g_FS, so that int f |Omega|^2 = `fubini_study_volume` times the mean of f
    weight. Points with the same ``line`` were cut out by the same line and are correlated: group errors by
    it.
    """

    z: Complex[Array, "points hom"]
    line: Int[Array, " points"]
    patch: Int[Array, " points"]
    eliminated: Int[Array, " points"]
    jacobian: Complex[Array, "points dim hom"]
    omega: Complex[Array, " points"]
    weight: Float[Array, " points"]

    def take(self, index: Int[Array, " chosen"] | Bool[Array, " points"]) -> "Sample":
        """The points of this index or mask, in its order."""
        return Sample(*(field[index] for field in self))


class PatchSample(NamedTuple):
    """A sample in a single coordinate system, and how many points were drawn to find it."""

    sample: Sample
    drawn: int


def fubini_study_pullback(sample: Sample) -> Complex[Array, "points dim dim"]:
    """The Fubini-Study metric g_{a bbar} in the local coordinates of each point."""
    return jax.vmap(lambda z, j: pullback(j, fubini_study_metric(z)))(sample.z, sample.jacobian)


def sample_at(
    variety: Dwork,
    z: Complex[Array, "points hom"],
    *,
    line: Int[Array, " points"] | None = None,
    patch: Int[Array, " points"] | None = None,
    eliminated: Int[Array, " points"] | None = None,
    tolerance: float = RESIDUAL,
) -> Sample:
    """Coordinates, Jacobian, Omega and weight at given points, in any scaling; each point its own line by
    default.

    ``patch`` and ``eliminated`` override the choice of coordinates, as is needed to move a point and keep its
    chart.
    """
    if z.ndim != 2 or z.shape[1] != variety.degree or z.shape[0] < 1:
        raise ValueError(
            f"points of shape {z.shape}: need (points, {variety.degree}) with at least one point"
        )
    _require_double(z)
    _require(jnp.all(jnp.isfinite(z), axis=1), "hold NaN or infinity", "remove or recompute them")
    _require(jnp.any(z != 0, axis=1), "are the zero vector", "homogeneous coordinates must not all vanish")
    line = jnp.arange(z.shape[0]) if line is None else line
    sample = _sample_at(variety, z, line, patch, eliminated)
    _require(jnp.all(jnp.isfinite(sample.z), axis=1), "vanish in the patch asked for", "choose another patch")
    miss = _residual(variety, sample.z)
    _require(
        miss <= tolerance,
        f"miss the hypersurface by more than {tolerance:g} (worst |Q| = {float(miss.max()):.3g})",
        "project them (project_to_variety) or raise `tolerance`",
    )
    _require(jnp.isfinite(sample.omega), "have dQ = 0 in the eliminated coordinate", "eliminate another one")
    return sample


def random_points(key: PRNGKeyArray, variety: Dwork, n_points: int) -> Sample:
    """Points uniform in the Fubini-Study volume: the N intersections of each random line with the variety.

    The line through two independent complex Gaussian vectors is uniform among lines. The last line is cut
    short where N does not divide ``n_points``. Its roots come in an order that depends on where they lie, so
    who takes one point of each line must draw it by lot; cutting one line of many moves a mean by O(1/n).
    """
    if n_points < 1:
        raise ValueError(f"n_points = {n_points}: need at least 1")
    _require_double(jnp.zeros(1, complex))
    # Compiled in two parts: in one, XLA computes a point anew for each of its uses, at three times the cost.
    z, converged = _random_intersections(key, variety, n_points)
    sample = _sample_at(variety, z, jnp.arange(n_points) // variety.degree, None, None)
    miss = _residual(variety, sample.z).max()
    if not (converged and miss <= RESIDUAL):
        raise RuntimeError(
            f"the roots of a line did not converge (worst |Q| = {float(miss):.3g}, needed {RESIDUAL:g}); "
            "take another key"
        )
    return sample


def random_points_in_patch(
    key: PRNGKeyArray, variety: Dwork, n_points: int, *, patch: int = 0, eliminated: int = 1
) -> PatchSample:
    """Points in one chart, by rejection from `random_points`: 1 in N (N - 1) is kept (section 3.1)."""
    _require_chart(variety, patch, eliminated)
    if n_points < 1:
        raise ValueError(f"n_points = {n_points}: need at least 1")
    kept, drawn, lines, charts = [], 0, 0, variety.degree * (variety.degree - 1)
    while sum(len(part.z) for part in kept) < n_points:
        key, batch_key = jax.random.split(key)
        # A little more than the mean, so that one batch is mostly enough; large ones are cut to bound the
        # memory.
        batch = random_points(
            batch_key, variety, min(LARGEST_BATCH, int(1.05 * charts * n_points) + 50 * charts)
        )
        inside = (batch.patch == patch) & (batch.eliminated == eliminated)
        part = batch.take(inside)
        kept.append(part._replace(line=part.line + lines))
        lines, drawn = lines + int(batch.line[-1]) + 1, drawn + len(batch.z)
    whole = Sample(*(jnp.concatenate(fields) for fields in zip(*kept, strict=True)))
    return PatchSample(whole.take(jnp.arange(n_points)), drawn)


@partial(jax.jit, static_argnums=(1, 2))
def _random_intersections(
    key: PRNGKeyArray, variety: Dwork, n_points: int
) -> tuple[Complex[Array, "points hom"], Bool[Array, ""]]:
    n_lines = -(-n_points // variety.degree)
    chunk = min(LINES_AT_ONCE, n_lines)
    shape = (-(-n_lines // chunk), 4, variety.degree, chunk)
    normal = jax.random.normal(key, shape, dtype=jnp.float64)
    z, converged = jax.lax.map(
        lambda x: _intersections(variety, jax.lax.complex(x[0], x[1]), jax.lax.complex(x[2], x[3])), normal
    )
    return z.reshape(-1, variety.degree)[:n_points], converged.all()


def _intersections(
    variety: Dwork, p: Complex[Array, "hom lines"], q: Complex[Array, "hom lines"]
) -> tuple[Complex[Array, "lines roots hom"], Bool[Array, ""]]:
    n = variety.degree
    coefficients = polynomials.power_sum(p, q, n)
    if variety.psi:
        coefficients = coefficients - n * variety.psi * polynomials.product(p, q)
    roots, converged = polynomials.all_roots(coefficients)
    return _polish(variety, p[:, None], q[:, None], roots).transpose(2, 1, 0), converged


def _polish(
    variety: Dwork,
    p: Complex[Array, "hom 1 lines"],
    q: Complex[Array, "hom 1 lines"],
    t: Complex[Array, "roots lines"],
) -> Complex[Array, "hom roots lines"]:
    # Newton steps on Q(p + t q) itself: the coefficients in t carry rounding that Q does not.
    value, slope = (jax.vmap(jax.vmap(f, -1, -1), -1, -1) for f in (variety.polynomial, variety.gradient))
    for _ in range(2):
        z = p + t * q
        t = t - value(z) / jnp.sum(slope(z) * q, axis=0)
    return p + t * q


@partial(jax.jit, static_argnums=0)
def _sample_at(
    variety: Dwork,
    z: Complex[Array, "points hom"],
    line: Int[Array, " points"],
    patch: Int[Array, " points"] | None,
    eliminated: Int[Array, " points"] | None,
) -> Sample:
    patch = jax.vmap(patch_of)(z) if patch is None else patch
    scale = jnp.take_along_axis(z, patch[:, None], axis=1)
    z = jnp.where(jnp.arange(variety.degree) == patch[:, None], 1, z / scale)
    gradient = jax.vmap(variety.gradient)(z)
    eliminated = jax.vmap(eliminated_of)(gradient, patch) if eliminated is None else eliminated
    return Sample(
        z=z,
        line=line,
        patch=patch,
        eliminated=eliminated,
        jacobian=jax.vmap(hypersurface.jacobian)(gradient, patch, eliminated),
        omega=jax.vmap(hypersurface.omega)(gradient, eliminated),
        weight=jax.vmap(hypersurface.weight)(z, gradient),
    )


@partial(jax.jit, static_argnums=0)
def _residual(variety: Dwork, z: Complex[Array, "points hom"]) -> Float[Array, " points"]:
    return jnp.abs(jax.vmap(variety.polynomial)(z))


def _require(holds: Bool[Array, " points"], what: str, remedy: str) -> None:
    bad = int(jnp.sum(~holds))
    if bad:
        raise ValueError(f"{bad} of {len(holds)} points {what}; {remedy}")


def _require_double(z: Complex[Array, "..."]) -> None:
    if z.dtype != jnp.complex128:
        raise ValueError(
            f"points of type {z.dtype}: need complex128; call jax.config.update('jax_enable_x64', True) first"
        )


def _require_chart(variety: Dwork, patch: int, eliminated: int) -> None:
    if patch == eliminated or not (0 <= patch < variety.degree and 0 <= eliminated < variety.degree):
        raise ValueError(
            f"patch {patch}, eliminated coordinate {eliminated}: need two different indices from 0 to "
            f"{variety.degree - 1}"
        )
