r"""Points of a variety at an exact Fubini-Study distance from given ones, in random tangent directions.

Paper section 3.2 calls such a sample hard to come by and adds noise instead (`mfcore.noise`). A point x of
norm 1, the unit normal n = conj(dQ) / |dQ| and a unit tangent vector u of the variety span

    z(w) = x + tan(d) (u + w n) / sqrt(1 + |w|^2),

whose distance from x in P^(N-1) is d whatever the complex number w is; Q(z(w)) = 0 fixes w, by Newton's
method. Q is expanded about x, so that w keeps its digits however small d is. Distances are those of the
ambient space, as in paper (3.2), and not along the variety.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mfcore import polynomials
from mfcore._typing import Array, Bool, Complex, Float, Int, PRNGKeyArray
from mfcore.hypersurface import Dwork
from mfcore.sampling import Sample, sample_at

STAGE = 0.1  # the distance by which w is followed outwards; from one stage to the next Newton must not jump
NEWTON_STEPS = 30
TRIES = 30  # directions a point is given before the call is refused
AT_ONCE = 1000  # points that iterate together until the slowest is done


class AtDistance(NamedTuple):
    """Points at the distance asked for, each in the chart of the point it left; ``tries`` counts directions.

    A direction is given up where the solution that starts at w = 0 for d -> 0 ends before the distance is
    reached. Among directions that are reached, none is preferred.
    """

    sample: Sample
    tries: Int[Array, " points"]


def at_distance(key: PRNGKeyArray, variety: Dwork, sample: Sample, distance: float) -> AtDistance:
    r"""One point of the variety at geodesic distance ``distance`` from each point of ``sample``.

    u is uniform on the unit sphere of the tangent space, for the Fubini-Study metric. To first order in the
    distance the points are then uniform on the sphere of that radius in the variety; the density departs from
    uniform by a relative amount of order distance^2, the square of what the variety bends on the way. Patch,
    eliminated coordinate and line are those of the point left; their coordinates may be poor ones where the
    new point has gone far. |Q| < 1e-12 is checked with the largest coordinate scaled to 1.
    """
    if not 0 < distance < math.pi / 2:
        raise ValueError(f"distance {distance!r}: need one between 0 and pi/2, both excluded")
    z, tries = _with_retries(key, variety, sample.z, jnp.asarray(distance))
    lost = int(jnp.sum(tries > TRIES))
    if lost:
        raise ValueError(
            f"{lost} of {len(z)} points have no point of the variety at distance {distance:g} in any of "
            f"{TRIES} random directions; take a smaller distance, or leave these points out"
        )
    # In the chart they came from, far points may have large coordinates; Q is judged in their own.
    sample_at(variety, z)
    chart = {"line": sample.line, "patch": sample.patch, "eliminated": sample.eliminated}
    return AtDistance(sample_at(variety, z, **chart, tolerance=math.inf), tries)


def tangent_direction(
    key: PRNGKeyArray, x: Complex[Array, " hom"], gradient: Complex[Array, " hom"]
) -> Complex[Array, " hom"]:
    """A uniformly random unit vector that is orthogonal to x and annihilated by dQ at x."""
    real, imag = jax.random.normal(key, (2, *x.shape), dtype=x.real.dtype)
    v = jax.lax.complex(real, imag)
    # x and conj(dQ) are orthogonal at a point of the variety, by Euler: x . dQ = N Q = 0.
    for away in (x, gradient.conj()):
        v = v - away * jnp.vdot(away, v) / _norm2(away)
    return v / jnp.sqrt(_norm2(v))


def point_along(
    variety: Dwork, x: Complex[Array, " hom"], u: Complex[Array, " hom"], distance: Float[Array, ""]
) -> tuple[Complex[Array, " hom"], Bool[Array, ""]]:
    """z(w) for a point x of norm 1 and a unit tangent vector u, and whether Newton's method got there.

    w is followed from 0 outwards through stages of the distance, so that of several solutions it is the
    one that leaves x in the direction u.
    """
    gradient = variety.gradient(x)
    size = jnp.sqrt(_norm2(gradient))
    normal = gradient.conj() / size
    stages = jnp.ceil(distance / STAGE)

    def follow(stage: Array, state: tuple) -> tuple:
        w, reached = state
        length = jnp.tan(distance * stage / stages)
        w, settled = _solve(lambda w: _newton(variety, x, u, normal, size, length, w), w)
        return w, reached & settled

    last = stages.astype(int)
    w, reached = jax.lax.fori_loop(1, last + 1, follow, (jnp.zeros_like(size + 0j), jnp.array(True)))
    return x + jnp.tan(distance) * _unit(u, w, normal), reached


def _solve(newton: Callable[[Array], Array], w: Array) -> tuple[Array, Array]:
    # The last step of a quadratic method bounds the square root of its error.
    goal = jnp.sqrt(jnp.finfo(w.real.dtype).eps) / 100

    def step(state: tuple) -> tuple:
        w, _, count = state
        change = newton(w)
        return w + change, jnp.abs(change), count + 1

    w, last, _ = jax.lax.while_loop(
        lambda s: ~(s[1] <= goal * jnp.abs(s[0])) & (s[2] < NEWTON_STEPS) & jnp.isfinite(s[1]) | (s[2] < 2),
        step,
        (w, jnp.array(jnp.inf, w.real.dtype), 0),
    )
    return w, last <= 1e-6 * (1 + jnp.abs(w))


def _newton(variety: Dwork, x: Array, u: Array, normal: Array, size: Array, length: Array, w: Array) -> Array:
    """The step dw that makes F = |dQ| w + sum_(k>1) c_k t^(k-1) vanish to first order; Q(x + t v) = t F.

    v = u + w n, t = length / sqrt(1 + |w|^2), and c_k are the coefficients of Q(x + t v) in t: what
    vanishes with Q(x) is left out, not cancelled. F depends on w and on its conjugate, through t.
    """
    v, stretch = u + w * normal, 1 + _norm2(w)
    t = length / jnp.sqrt(stretch)
    bends, by_t = _bends(variety, x, v, t)
    value = size * w + bends
    by_w = jnp.sum(variety.gradient(x + t * v) * normal)
    half = -t / (2 * stretch) * by_t
    a, b = by_w + half * w.conj(), half * w
    # value + a dw + b conj(dw) = 0
    return (value.conj() * b - value * a.conj()) / (_norm2(a) - _norm2(b))


def _bends(variety: Dwork, x: Array, v: Array, t: Array) -> tuple[Array, Array]:
    """sum_(k>1) c_k t^(k-1) and its derivative by t."""
    n = variety.degree
    c = polynomials.power_sum(x[:, None], v[:, None], n)[:, 0]
    if variety.psi:
        c = c - n * variety.psi * polynomials.product(x[:, None], v[:, None])[:, 0]
    value, slope = jnp.zeros_like(t * c[0]), jnp.zeros_like(t * c[0])
    for k in range(n, 1, -1):
        value, slope = c[k] + t * value, (k - 1) * c[k] + t * slope
    return t * value, slope


@partial(jax.jit, static_argnums=1)
def _with_retries(
    key: PRNGKeyArray, variety: Dwork, z: Complex[Array, "points hom"], distance: Float[Array, ""]
) -> tuple[Complex[Array, "points hom"], Int[Array, " points"]]:
    def one(z: Array, key: Array) -> tuple[Array, Array]:
        x = z / jnp.sqrt(_norm2(z))
        gradient = variety.gradient(x)

        def attempt(state: tuple) -> tuple:
            _, _, count = state
            u = tangent_direction(jax.random.fold_in(key, count), x, gradient)
            return *point_along(variety, x, u, distance), count + 1

        y, reached, count = jax.lax.while_loop(
            lambda s: ~s[1] & (s[2] < TRIES), attempt, (x, jnp.array(False), 0)
        )
        return y, jnp.where(reached, count, TRIES + 1)

    keys = jax.random.split(key, len(z))
    return jax.lax.map(lambda a: one(*a), (z, keys), batch_size=min(AT_ONCE, len(z)))


def _unit(u: Array, w: Array, normal: Array) -> Array:
    return (u + w * normal) / jnp.sqrt(1 + _norm2(w))


def _norm2(z: Complex[Array, "..."]) -> Float[Array, ""]:
    return jnp.sum(z.real**2 + z.imag**2)
