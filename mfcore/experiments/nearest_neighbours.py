"""Figure 3 (right) from 100 to 10^6 points: nearest distances on the whole quintic and in one chart."""

import jax
import numpy as np

from mfcore import sampling
from mfcore.hypersurface import Dwork
from mfcore.neighbours import Neighbours, distance_statistics, nearest_by_cells
from mfcore.projective import chordal_embedding
from mfcore.runner import Experiment, Params, Values, independent

QUINTIC = Dwork(5)
CHART = (0, 1)
BATCH = 100_000  # points drawn at a time, whatever the trial, so that they are compiled once
EDGES = np.linspace(0, 2.4, 97)  # of the histogram of distance times N^(1/6)
KINDS = ("whole", "one a line", "one chart")


def trial(params: Params) -> Values:
    """Largest, mean and smallest nearest distance of each of ``samples`` sets of ``points`` points.

    ``kind``: all points of random lines, one point of each line (independent points), or those in the chart.
    ``counts`` is the histogram of distance N^(1/6) over all sets; ``own`` the share of points whose nearest
    is on their own line.
    """
    kind, size, samples = str(params["kind"]), int(params["points"]), int(params["samples"])
    place, line = _draw(kind, size * samples, jax.random.key(int(params["seed"])))
    rows, counts, own = [], np.zeros(len(EDGES) - 1, dtype=int), 0
    for k in range(samples):
        part = slice(k * size, (k + 1) * size)
        found = nearest_by_cells(place[part])
        found = Neighbours(found.index, np.arcsin(found.distance))
        rows.append(distance_statistics(found, line[part]))
        counts += np.histogram(found.distance * size ** (1 / 6), EDGES)[0]
        own += int(np.sum(line[part] == line[part][found.index]))
    largest, mean, smallest, error = np.array(rows).T
    # The spread between sets where there are enough of them, else what is found within them.
    within = float(np.sqrt(np.sum(error**2))) / samples
    between = float(mean.std(ddof=1)) / samples**0.5 if samples >= 20 else within
    return {
        "mean": float(mean.mean()),
        "standard_error": between,
        "error_within": within,
        "own": own / (size * samples),
        "largest": largest,
        "smallest": smallest,
        "means": mean,
        "counts": counts,
    }


def _draw(kind: str, count: int, key: jax.Array) -> tuple[np.ndarray, np.ndarray]:
    places, lines, have, first = [], [], 0, 0
    while have < count:
        key, own = jax.random.split(key)
        sample = sampling.random_points(own, QUINTIC, BATCH)
        chosen = np.flatnonzero(_chosen(kind, sample, jax.random.fold_in(own, 1)))
        places.append(np.asarray(_embed(sample.z))[chosen])
        lines.append(np.asarray(sample.line)[chosen] + first)
        have, first = have + len(chosen), first + BATCH
    return np.concatenate(places)[:count], np.concatenate(lines)[:count]


def _chosen(kind: str, sample: sampling.Sample, key: jax.Array) -> np.ndarray:
    if kind not in KINDS:
        raise ValueError(f"kind {kind!r}: give one of {', '.join(KINDS)}")
    if kind == "one chart":
        return np.asarray((sample.patch == CHART[0]) & (sample.eliminated == CHART[1]))
    if kind == "whole":
        return np.ones(BATCH, dtype=bool)
    # By lot: the order in which the roots of a line are found depends on where they lie.
    lot = np.asarray(jax.random.randint(key, (BATCH // 5,), 0, 5))
    return np.asarray(np.arange(BATCH) % 5 == np.repeat(lot, 5))


_embed = jax.jit(jax.vmap(chordal_embedding))

WHOLE = ((300, 100), (1000, 100), (3000, 40), (10_000, 40), (30_000, 8), (100_000, 4), (300_000, 1))
ONE_CHART = ((100, 400), (300, 200), *WHOLE[1:])

EXPERIMENT = Experiment(
    name="nearest_neighbours",
    about="nearest distances among 100 to a million points of the quintic, and of one of its charts",
    cost="about 10 minutes on 2 cores",
    trial=trial,
    chains=independent(
        {"kind": "one chart", "points": 100, "samples": 20, "seed": 7},
        *(
            {"kind": kind, "points": size, "samples": samples, "seed": 1}
            for kind in KINDS
            for size, samples in (ONE_CHART if kind == "one chart" else WHOLE)
        ),
        *({"kind": kind, "points": 1_000_000, "samples": 1, "seed": 1} for kind in KINDS),
        {"kind": "whole", "points": 1_000_000, "samples": 1, "seed": 2},
    ),
    sample={"kind": "one chart", "points": 100, "samples": 20, "seed": 7},
)
