"""The search against random search, a Gaussian process written out by hand, and its own past."""

import dataclasses
import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize_scalar

from mfcore import tuning
from mfcore.tuning import Range, Search, Tried

RANGES = {"rate": Range(1e-3, 1e3), "width": Range(1e-2, 1e2)}
BEST = {"rate": 10.0, "width": 10**-0.5}


def hill(params):
    """Largest, 0, at BEST; it fails where the rate is too large, not far from there."""
    if params["rate"] > 60:
        return None
    return -(math.hypot(*(math.log10(params[name] / BEST[name]) for name in BEST)) ** 2)


def run(search, steps, value=hill):
    done = []
    for _ in range(steps):
        params = tuning.propose(search, done)
        done.append(Tried(params, value(params)))
    return done


@pytest.fixture(scope="module")
def one_run():
    search = Search(RANGES, penalty=-3.0, noise=0.01, seed=0, random=6)
    return search, run(search, 22)


@pytest.fixture(scope="module")
def runs(one_run):
    searches = [dataclasses.replace(one_run[0], seed=seed) for seed in range(1, 5)]
    return [one_run, *((search, run(search, 22)) for search in searches)]


@pytest.mark.slow
def test_the_optimum_is_found_and_better_than_by_random_search(runs):
    regret, by_chance = [], []
    for search, done in runs:
        regret.append(-done[tuning.best(search, done)].value)
        drawn = np.random.default_rng(search.seed).random((len(done), 2))
        chance = [hill(search.params(dict(zip(RANGES, row, strict=True)))) for row in drawn]
        by_chance.append(-max(value for value in chance if value is not None))
    assert max(regret) < 0.1**2  # a tenth of a decade from the optimum, in ranges of six and of four
    gain = np.log10(by_chance) - np.log10(regret)
    assert gain.mean() > 3 * gain.std(ddof=1) / len(gain) ** 0.5
    assert gain.mean() > 1  # ten times nearer in value


@pytest.mark.slow
def test_the_surrogate_knows_the_optimum_and_how_well(runs):
    holds = []
    for search, done in runs:
        found = tuning.optimum(search, done)
        for name, (low, high) in found.region.items():
            assert low <= found.params[name] <= high
            assert abs(math.log10(found.params[name] / BEST[name])) < 0.1
            assert high / low < 3
            holds.append(low < BEST[name] < high)
    # Of ten regions of one standard deviation not all need hold the truth, but most must.
    assert len(holds) == 10
    assert sum(holds) >= 6


def test_a_search_resumes_where_it_was(one_run):
    search, done = one_run
    for step in (0, 3, 6, 7, 15, 21):
        assert tuning.propose(search, done[:step]) == done[step].params
    assert tuning.propose(Search(RANGES, -3.0, 0.01, seed=99, random=6), []) != done[0].params
    assert len({tuple(trial.params.values()) for trial in done}) > 18


@pytest.mark.slow
def test_failures_stay_in_the_list_and_are_avoided(runs):
    first = [trial.value is None for _, done in runs for trial in done[:6]]
    guided = [trial.value is None for _, done in runs for trial in done[6:]]
    assert len(first) == 6 * len(runs)
    assert len(guided) == 16 * len(runs)
    assert sum(first) > 0
    assert sum(guided) > 0
    # The optimum is less than a decade from the edge, beyond which a random trial fails.
    assert np.mean(guided) < 0.5 * math.log10(1e3 / 60) / 6


def test_where_nothing_is_learned_the_next_trial_is_random_and_new():
    search = Search(RANGES, penalty=-1.0, noise=0.01, seed=4, random=2)
    done = run(search, 6, lambda _: None)
    rows = [np.random.default_rng([4, step]).random(2) for step in range(6)]
    drawn = [search.params(dict(zip(RANGES, row, strict=True))) for row in rows]
    assert [trial.params for trial in done] == drawn


def test_no_place_is_tried_twice():
    # A surrogate without doubt wants the end of the range again.
    search = Search({"rate": Range(1.0, 100.0)}, penalty=-9.0, noise=1e-4, seed=4, random=2)
    done = run(search, 14, lambda params: math.log10(params["rate"]))
    assert max(trial.params["rate"] for trial in done) == 100
    assert len({trial.params["rate"] for trial in done}) == len(done)


def test_a_failure_counts_as_the_penalty_and_no_end_is_worse():
    search = Search({"rate": Range(1.0, 100.0)}, penalty=-2.0, noise=0.01, seed=0)
    assert search.value(Tried({"rate": 3.0}, None)) == -2
    assert search.value(Tried({"rate": 3.0}, -7.0)) == -2
    assert search.value(Tried({"rate": 3.0}, -1.5)) == -1.5
    done = [Tried({"rate": 1.5}, 0.0), Tried({"rate": 10.0}, None), Tried({"rate": 70.0}, 0.5)]
    mean, _ = tuning.surrogate(search, done, [{"rate": 10.0}])
    assert_allclose(mean, [-2], atol=0.05)
    assert tuning.best(search, done) == 2
    assert tuning.best(search, [done[1], Tried({"rate": 2.0}, -3.0)]) == 1


def by_hand(x, y, at, noise):
    """Posterior mean and deviation of a process with a Matern-5/2 kernel, its length the likeliest one."""
    centre, spread = y.mean(), y.std()

    def kernel(a, b, length):
        r = 5**0.5 * abs(a[:, None] - b[None, :]) / length
        return (1 + r + r**2 / 3) * np.exp(-r)

    def pieces(length):
        matrix = kernel(x, x, length) + (noise / spread) ** 2 * np.eye(len(x))
        return matrix, np.linalg.solve(matrix, (y - centre) / spread)

    def unlikelihood(log_length):
        matrix, weights = pieces(np.exp(log_length))
        return (y - centre) / spread @ weights / 2 + np.linalg.slogdet(matrix)[1] / 2

    length = np.exp(minimize_scalar(unlikelihood, bounds=np.log([0.05, 20]), method="bounded").x)
    matrix, weights = pieces(length)
    across = kernel(at, x, length)
    variance = 1 - np.sum(across * np.linalg.solve(matrix, across.T).T, axis=1)
    return centre + spread * across @ weights, spread * np.sqrt(variance)


def test_the_surrogate_is_the_process_written_out_by_hand():
    search = Search({"rate": Range(1e-2, 1e2)}, penalty=-5.0, noise=0.1, seed=1)
    x = np.array([0.02, 0.1, 0.25, 0.4, 0.55, 0.7, 0.95])
    done = [Tried({"rate": 10 ** (4 * u - 2)}, float(np.sin(5 * u))) for u in x]
    at = np.linspace(0, 1, 9)
    mean, deviation = tuning.surrogate(search, done, [{"rate": 10 ** (4 * u - 2)} for u in at])
    expected = by_hand(x, np.sin(5 * x), at, search.noise)
    assert_allclose(mean, expected[0], atol=1e-3)
    assert_allclose(deviation, expected[1], atol=1e-3)
    # The optimum and its region, on a dense grid.
    dense = np.linspace(0, 1, 4001)
    mean, deviation = by_hand(x, np.sin(5 * x), dense, search.noise)
    top = mean.argmax()
    inside = dense[mean >= mean[top] - deviation[top]]
    found = tuning.optimum(search, done)
    place = [search.place({"rate": value})["rate"] for value in (found.params["rate"], *found.region["rate"])]
    assert_allclose(place, [dense[top], inside.min(), inside.max()], atol=5e-3)
    assert_allclose([found.value, found.deviation], [mean[top], deviation[top]], atol=1e-3)


def test_a_place_that_comes_twice_counts_with_its_mean_and_nothing_is_printed(capsys):
    search = Search({"rate": Range(1.0, 100.0)}, penalty=-2.0, noise=0.1, seed=0)
    done = [Tried({"rate": 5.0}, 0.2), Tried({"rate": 5.0}, 0.6), Tried({"rate": 80.0}, -1.0)]
    mean, _ = tuning.surrogate(search, done, [{"rate": 5.0}])
    assert_allclose(mean, [0.4], atol=0.02)
    assert capsys.readouterr().out == ""


def test_ranges_are_even_in_logarithms_and_reach_their_ends():
    search = Search(RANGES, penalty=-1.0, noise=0.1, seed=5, random=400)
    drawn = [tuning.propose(search, [Tried({}, None)] * step)["rate"] for step in range(400)]
    counts = np.histogram(np.log10(drawn), bins=6, range=(-3, 3))[0]
    assert counts.sum() == 400
    assert np.all(abs(counts - 400 / 6) < 4 * (400 / 6) ** 0.5)
    assert search.params({"rate": 0.0, "width": 1.0}) == {"rate": 1e-3, "width": 1e2}
    assert search.params({"rate": 0.5, "width": 0.25}) == {"rate": 1.0, "width": 0.1}
    assert_allclose(list(search.place({"rate": 1.0, "width": 0.1}).values()), [0.5, 0.25])
    assert all(value == float(f"{value:.4g}") for value in drawn)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Search({}, -1.0, 0.1, 0), "need at least one"),
        (lambda: Search({"rate": Range(0.0, 1.0)}, -1.0, 0.1, 0), "0 < low < high"),
        (lambda: Search({"rate": Range(2.0, 1.0)}, -1.0, 0.1, 0), "0 < low < high"),
        (lambda: Search(RANGES, float("nan"), 0.1, 0), "a finite one"),
        (lambda: Search(RANGES, -1.0, 0.0, 0), "need a positive number"),
        (lambda: Search(RANGES, -1.0, 0.1, 0).place({"rate": 1e9, "width": 1.0}), "outside of the ranges"),
        (lambda: tuning.best(Search(RANGES, -1.0, 0.1, 0), [Tried(BEST, None)]), "none of 1 trials ended"),
        (lambda: tuning.optimum(Search(RANGES, -1.0, 0.1, 0), []), "none of 0 trials ended"),
        (
            lambda: tuning.propose(Search(RANGES, -1.0, 0.1, 0, 1), [Tried(BEST, float("inf"))]),
            "a trial has the value inf",
        ),
    ],
)
def test_refusals(make, words):
    with pytest.raises(ValueError, match=words):
        make()
