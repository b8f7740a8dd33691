"""Points on varieties that many tests share.

They are drawn once a run: the roots of lines are compiled anew for each number of points, which takes longer
than most tests.
"""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mfcore import sampling
from mfcore.hypersurface import Dwork
from mfcore.sampling import Sample

POINTS = 20_000

# eta of a model at its points, compiled whole: operation by operation, the many small steps take minutes.
ratio = eqx.filter_jit(lambda points, model: points.ratio(model))


@functools.cache
def _drawn(variety: Dwork, seed: int) -> Sample:
    sample = sampling.random_points(jax.random.key(seed), variety, POINTS)
    return Sample(*(np.asarray(field) for field in sample))


def points(variety: Dwork, n_points: int, seed: int = 0) -> Sample:
    """The first of a large draw."""
    return _first(_drawn(variety, seed), n_points)


def points_in_patch(
    variety: Dwork, n_points: int, seed: int = 0, *, patch: int = 0, eliminated: int = 1
) -> Sample:
    """The first of a large draw that lie in one chart, of which there is 1 in N (N - 1)."""
    drawn = _drawn(variety, seed)
    inside = (drawn.patch == patch) & (drawn.eliminated == eliminated)
    return _first(Sample(*(field[inside] for field in drawn)), n_points)


def _first(sample: Sample, n_points: int) -> Sample:
    assert len(sample.z) >= n_points, f"{len(sample.z)} points, {n_points} asked for"
    return Sample(*(jnp.asarray(field[:n_points]) for field in sample))
