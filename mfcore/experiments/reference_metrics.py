"""Algebraic metrics near the Ricci-flat ones of the Fermat cubic, quartic and quintic, by degree.

Each trial fits the metric of one degree k and judges it on fresh points; its coefficients, in the order of
`mfcore.algebraic_metrics.invariant_products`, are what other chapters take for the truth. The trials of the
Euler number integrate the top Chern form of one of them over fresh points.
"""

import resource
import sys
import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from mfcore import kaehler_curvature, reference_metrics, sampling, training
from mfcore.algebraic_metrics import AlgebraicMetric, algebraic_points
from mfcore.hypersurface import Dwork, fubini_study_volume
from mfcore.runner import Experiment, Params, Values, independent
from mfcore.sampling import Sample, fubini_study_pullback

BLOCK = 5_000  # fresh points at once
DEGREES = {3: (1, 2, 3, 4, 5, 6, 8), 4: (*range(1, 9), 10, 12, 14), 5: (*range(1, 9), 10, 12, 14, 16, 18)}
SEEDS = range(3)
EULER = {4: 8, 5: 8}  # the degree k whose metric gives the Euler number


def trial(params: Params) -> Values:
    """A fit and how far its metric is from Ricci-flat on fresh points; or the Euler number by it."""
    variety = Dwork(params["degree"])
    keys = jax.random.split(jax.random.key(params["seed"]), 3)
    start = time.perf_counter()
    fit = reference_metrics.fit(keys[0], variety, params["k"])
    seconds = time.perf_counter() - start
    if params["euler"]:
        sample = sampling.random_points(keys[2], variety, params["euler"])
        return _euler(fit.metric, variety, sample)
    sample = sampling.random_points(keys[1], variety, params["fresh"])
    parts = [
        sample.take(jnp.arange(i, min(i + BLOCK, len(sample.z)))) for i in range(0, len(sample.z), BLOCK)
    ]
    eta, least = np.concatenate([_judged(fit.metric, part) for part in parts], axis=1)
    weight = np.asarray(sample.weight)
    eta = eta * weight.sum() / (weight @ eta)
    unit = 1e-9 if sys.platform == "darwin" else 1.024e-6
    return {
        "coefficients": np.asarray(fit.metric.coefficients),
        "sigma": float(weight @ abs(eta - 1) / weight.sum()),
        "largest": float(abs(eta - 1).max()),
        "least_eigenvalue": float(least.min()),
        "residual": fit.residual,
        "evaluations": fit.evaluations,
        "directions": fit.directions,
        "seconds": seconds,
        "peak_gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit,
    }


def _judged(metric: AlgebraicMetric, sample: Sample) -> np.ndarray:
    """eta, and the least eigenvalue against g_FS, at the points."""
    points = algebraic_points(sample, metric.products, training.exact_kappa(Dwork(metric.degree)))
    return np.array([points.ratio(metric), points.least_eigenvalue(metric)])


def _euler(metric: AlgebraicMetric, variety: Dwork, sample: Sample) -> Values:
    """The mean over the points, which are uniform in the Fubini-Study volume; its error by lines."""
    density = _density(metric, variety, sample) * fubini_study_volume(variety)
    by_line = np.asarray(density)[: len(density) // variety.degree * variety.degree]
    by_line = by_line.reshape(-1, variety.degree).mean(axis=1)
    return {
        "euler": float(np.mean(density)),
        "euler_error": float(by_line.std(ddof=1) / len(by_line) ** 0.5),
    }


@partial(jax.jit, static_argnums=1)
def _density(metric: AlgebraicMetric, variety: Dwork, sample: Sample) -> jax.Array:
    def one(x: tuple) -> jax.Array:
        z, patch, eliminated, background = x
        at = kaehler_curvature.curvature(metric.potential, variety, z, patch, eliminated)
        ratio = jnp.linalg.det(at.metric).real / jnp.linalg.det(background).real
        return kaehler_curvature.euler_density(at) * ratio

    places = (sample.z, sample.patch, sample.eliminated, fubini_study_pullback(sample))
    return jax.lax.map(one, places, batch_size=200)


def _plan() -> list[Params]:
    fits = [
        {"degree": degree, "k": k, "seed": seed, "fresh": 20_000, "euler": 0}
        for degree, ks in DEGREES.items()
        for k in ks
        for seed in SEEDS
    ]
    euler = [
        {"degree": degree, "k": k, "seed": 10 + seed, "fresh": 0, "euler": 50_000}
        for degree, k in EULER.items()
        for seed in range(4 if degree == 5 else 1)
    ]
    return fits + euler


_SAMPLE = {"degree": 5, "k": 3, "seed": 7, "fresh": 500, "euler": 0}

EXPERIMENT = Experiment(
    name="reference_metrics",
    about="Algebraic metrics near the Ricci-flat ones, by degree, and the Euler number by them",
    cost="about 20 minutes on 2 cores; 1 worker, for its times and memory",
    trial=trial,
    chains=independent(*_plan(), _SAMPLE),
    sample=_SAMPLE,
    varying=("seconds", "peak_gigabytes", "evaluations"),
)
