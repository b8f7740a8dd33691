"""Test points near train points, by Gaussian noise, as in paper section 3.2.

The paper does not say what becomes of the quintic's equation. The readings here differ in that alone: all
leave the patch coordinate at 1, keep the chart of the train point, and put the same noise on the others.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp

from mfcore import polynomials
from mfcore._typing import Array, Bool, Complex, Int, PRNGKeyArray
from mfcore.hypersurface import Dwork, project_to_variety
from mfcore.sampling import Sample, sample_at


def off_variety(key: PRNGKeyArray, variety: Dwork, sample: Sample, scale: float) -> Sample:
    """Noise on every coordinate but the patch's, and nothing more: the points miss the variety."""
    return _in_chart(variety, _noised(key, sample, scale), sample)


def solved_again(key: PRNGKeyArray, variety: Dwork, sample: Sample, scale: float) -> Sample:
    """Noise on the local coordinates; Q = 0 gives the eliminated one, its root nearest to the old value."""
    z = _noised(key, sample, scale)
    old = jnp.take_along_axis(sample.z, sample.eliminated[:, None], axis=1)[:, 0]
    roots, converged = _roots_of_coordinate(variety, z, sample.eliminated)
    if not converged:
        raise RuntimeError(
            "the eliminated coordinate could not be solved for at every point; take another key"
        )
    nearest = jnp.take_along_axis(roots, jnp.abs(roots - old).argmin(axis=0)[None], axis=0)[0]
    place = jnp.arange(variety.degree) == sample.eliminated[:, None]
    return _in_chart(variety, jnp.where(place, nearest[:, None], z), sample)


def projected(key: PRNGKeyArray, variety: Dwork, sample: Sample, scale: float) -> Sample:
    """Noise on every coordinate but the patch's, then Newton's way back to the variety."""
    z = _noised(key, sample, scale)
    return _in_chart(variety, _projections(variety, z), sample)


NOISE_READINGS: dict[str, Callable[[PRNGKeyArray, Dwork, Sample, float], Sample]] = {
    "off the quintic": off_variety,
    "coordinate solved again": solved_again,
    "projected": projected,
}


def _noised(key: PRNGKeyArray, sample: Sample, scale: float) -> Complex[Array, "points hom"]:
    if not scale > 0:
        raise ValueError(f"scale {scale!r}: noise needs a positive standard deviation")
    real, imag = scale * jax.random.normal(key, (2, *sample.z.shape), dtype=jnp.float64)
    keep = jnp.arange(sample.z.shape[1]) == sample.patch[:, None]
    return jnp.where(keep, sample.z, sample.z + jax.lax.complex(real, imag))


# Compiled as a whole: a loop by itself is compiled anew each time it is called.
@partial(jax.jit, static_argnums=0)
def _roots_of_coordinate(
    variety: Dwork, z: Complex[Array, "points hom"], coordinate: Int[Array, " points"]
) -> tuple[Complex[Array, "roots points"], Bool[Array, ""]]:
    n = variety.degree
    place = jnp.arange(n) == coordinate[:, None]
    others = jnp.where(place, 0, z)
    # Q in this coordinate: t^N - N psi (product of the others) t + sum of the others' powers.
    c = jnp.zeros((n + 1, len(z)), z.dtype).at[n].set(1)
    c = c.at[1].set(-n * variety.psi * jnp.prod(jnp.where(place, 1, z), axis=1))
    return polynomials.all_roots(c.at[0].set(jnp.sum(others**n, axis=1)))


@partial(jax.jit, static_argnums=0)
def _projections(variety: Dwork, z: Complex[Array, "points hom"]) -> Complex[Array, "points hom"]:
    return jax.vmap(lambda z: project_to_variety(variety, z))(z)


def _in_chart(variety: Dwork, z: Complex[Array, "points hom"], sample: Sample) -> Sample:
    return sample_at(
        variety, z, line=sample.line, patch=sample.patch, eliminated=sample.eliminated, tolerance=float("inf")
    )
