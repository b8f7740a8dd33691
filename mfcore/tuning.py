r"""Bayesian optimisation of hyperparameters, as in paper section 3.2: what to try next, what was learned.

A Gaussian process is fitted to the trials so far; the next one is where its mean plus `CAUTION` standard
deviations is largest (an upper confidence bound). The only module that imports `bayes_opt`, the package that
the paper uses. Nothing is kept between calls: everything follows from the list of trials, so that a search
can be cut short and resumed. A failed trial stays in that list.
"""

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from bayes_opt import BayesianOptimization
from bayes_opt.acquisition import UpperConfidenceBound
from sklearn.gaussian_process.kernels import Matern

from mfcore._typing import Float

CAUTION = 2.576  # bayes_opt's own default: the 99 % bound
REGION_POINTS = 10_000  # at which the surrogate is asked where the optimum may be


class Range(NamedTuple):
    """Where a hyperparameter is searched, from ``low`` to ``high``, evenly in its logarithm."""

    low: float
    high: float


class Tried(NamedTuple):
    """A trial: its hyperparameters, and the value to be made large; None where it failed."""

    params: Mapping[str, float]
    value: float | None


class Optimum(NamedTuple):
    """Where the surrogate's mean is largest, and how far from there it might be largest just as well.

    ``value`` and ``deviation`` are the surrogate's mean and standard deviation at ``params``; ``region``
    gives for each hyperparameter the least and the largest value at which the mean is within one such
    deviation.
    """

    params: dict[str, float]
    value: float
    deviation: float
    region: dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Search:
    """What is searched, and how.

    The first ``random`` trials are drawn at random. A failed trial counts as ``penalty``, and so does one
    that ended with less, for an end is never worse than none. ``noise`` is the standard deviation of a
    trial's value that repeating it would show.
    """

    ranges: Mapping[str, Range]
    penalty: float
    noise: float
    seed: int
    random: int = 10

    def __post_init__(self) -> None:
        bad = {name: r for name, r in self.ranges.items() if not 0 < r.low < r.high < math.inf}
        if bad or not self.ranges:
            raise ValueError(f"ranges {bad or dict(self.ranges)}: need at least one, with 0 < low < high")
        if not (self.noise > 0 and math.isfinite(self.penalty) and self.random >= 1):
            raise ValueError(
                f"noise {self.noise!r}, penalty {self.penalty!r}, random {self.random!r}: need a positive "
                "number, a finite one and at least 1"
            )

    def value(self, trial: Tried) -> float:
        """What the surrogate is told of a trial."""
        if trial.value is not None and not math.isfinite(trial.value):
            raise ValueError(f"a trial has the value {trial.value}; give None for one that failed")
        return self.penalty if trial.value is None else max(trial.value, self.penalty)

    def place(self, params: Mapping[str, float]) -> dict[str, float]:
        """Hyperparameters as numbers from 0 to 1, even in their logarithms."""
        unit = {n: math.log(params[n] / r.low) / math.log(r.high / r.low) for n, r in self.ranges.items()}
        outside = {name: params[name] for name, u in unit.items() if not -1e-9 <= u <= 1 + 1e-9}
        if outside:
            raise ValueError(f"{outside} lie outside of the ranges {dict(self.ranges)}; widen these")
        return unit

    def params(self, place: Mapping[str, float]) -> dict[str, float]:
        """The inverse of `place`, to four digits."""
        # The last bits differ between machines, and in a search one trial decides all after it.
        exact = {n: r.low * (r.high / r.low) ** place[n] for n, r in self.ranges.items()}
        return {n: min(max(float(f"{exact[n]:.4g}"), r.low), r.high) for n, r in self.ranges.items()}


def propose(search: Search, done: Sequence[Tried]) -> dict[str, float]:
    """Hyperparameters to try next, after these trials; the same ones for the same list.

    They are random while all trials count the same, which tells a surrogate nothing, and where the bound is
    largest at a place already tried.
    """
    row = np.random.default_rng([search.seed, len(done)]).random(len(search.ranges))
    drawn = search.params(dict(zip(search.ranges, row, strict=True)))
    if len(done) < search.random or len({search.value(trial) for trial in done}) == 1:
        return drawn
    suggested = _told(search, done).suggest()
    params = search.params({name: float(place) for name, place in suggested.items()})
    return drawn if any(params == dict(trial.params) for trial in done) else params


def surrogate(
    search: Search, done: Sequence[Tried], where: Sequence[Mapping[str, float]]
) -> tuple[Float[np.ndarray, " where"], Float[np.ndarray, " where"]]:
    """Mean and standard deviation, at these hyperparameters, of the process fitted to these trials."""
    told = _told(search, done)
    mean, deviation = np.asarray(told.predict([search.place(p) for p in where], return_std=True))
    return mean, deviation


def best(search: Search, done: Sequence[Tried]) -> int:
    """Which trial that ended has the largest value, by its place in the list: what a user would take."""
    if not done or all(trial.value is None for trial in done):
        raise ValueError(f"none of {len(done)} trials ended; widen the ranges or mend the trial")
    return int(np.argmax([-math.inf if t.value is None else search.value(t) for t in done]))


def optimum(search: Search, done: Sequence[Tried]) -> Optimum:
    """The optimum that the surrogate sees, among random points of the ranges and the trials themselves."""
    best(search, done)  # refuses a list without an end
    drawn = np.random.default_rng([search.seed, len(done), 1]).random((REGION_POINTS, len(search.ranges)))
    where = [search.params(dict(zip(search.ranges, row, strict=True))) for row in drawn]
    where += [dict(trial.params) for trial in done]
    mean, deviation = surrogate(search, done, where)
    top = int(np.argmax(mean))
    inside = np.flatnonzero(mean >= mean[top] - deviation[top])
    region = {n: (min(where[i][n] for i in inside), max(where[i][n] for i in inside)) for n in search.ranges}
    return Optimum(dict(where[top]), float(mean[top]), float(deviation[top]), region)


def _told(search: Search, done: Sequence[Tried]) -> BayesianOptimization:
    values = [search.value(trial) for trial in done]
    optimiser = BayesianOptimization(
        None,
        dict.fromkeys(search.ranges, (0.0, 1.0)),
        acquisition_function=UpperConfidenceBound(kappa=CAUTION),
        random_state=_seed(search.seed, len(done)),
        verbose=0,
        allow_duplicate_points=True,
    )
    with contextlib.redirect_stdout(None):  # it prints a line for each place that comes twice
        for trial, value in zip(done, values, strict=True):
            optimiser.register(search.place(trial.params), value)
    # The process works on values of standard deviation 1, each hyperparameter with a length of its own.
    spread = max(float(np.std(values)), search.noise)
    lengths: Any = np.full(len(search.ranges), 0.3)  # scikit-learn's own type leaves arrays out
    kernel = Matern(lengths, (0.05, 20.0), nu=2.5)
    optimiser.set_gp_params(kernel=kernel, alpha=(search.noise / spread) ** 2, n_restarts_optimizer=1)
    return optimiser


def _seed(seed: int, step: int) -> int:
    # Each step its own stream: a search that is resumed draws what it would have drawn.
    return int(np.random.SeedSequence([seed, step]).generate_state(1)[0])
