"""Scores and rankings of readings, against cases worked out by hand."""

import numpy as np
import pytest

from mfcore import adjudication

X = np.array([1e-3, 1e-2, 1e-1])
AT = np.array([2e-3, 3e-2])


def test_a_power_law_scores_zero_against_itself_and_its_factor_against_a_multiple():
    law = 3 / X**1.5
    assert adjudication.score(X, law, AT, 3 / AT**1.5) == pytest.approx(0, abs=1e-12)
    assert adjudication.score(X, law, AT, 0.03 / AT**1.5) == pytest.approx(2)
    # Errors of 1 and of 0 powers of ten: their root mean square.
    assert adjudication.score(X, law, AT, np.array([0.1, 1]) * 3 / AT**1.5) == pytest.approx(0.5**0.5)


def test_the_order_of_the_places_does_not_matter():
    law = 3 / X**1.5
    shuffled = [2, 0, 1]
    assert adjudication.score(X[shuffled], law[shuffled], AT, law[:2]) == adjudication.score(
        X, law, AT, law[:2]
    )


@pytest.mark.parametrize(
    ("x", "y"),
    [(X[1:], 1 / X[1:]), (X[:2], 1 / X[:2]), (X, -1 / X), (X, np.array([1, np.inf, 1])), (0 * X, 1 + X)],
    ids=["starts too late", "ends too soon", "negative", "infinite", "at distance zero"],
)
def test_a_curve_that_cannot_be_drawn_scores_infinity(x, y):
    assert adjudication.score(x, y, AT, AT) == np.inf


def test_a_curve_may_fall_short_by_the_error_of_the_points():
    at = np.array([2e-3, 1.02e-1])
    assert adjudication.score(X, 1 + 0 * X, at, np.ones(2), reading_error=0.03) == 0
    assert adjudication.score(X, 1 + 0 * X, at, np.ones(2), reading_error=0.01) == np.inf


def test_each_curve_takes_its_own_best_reading_and_shared_choices_are_ranked_together():
    scores = {
        "a": {("p", "one"): 0.3, ("q", "one"): 0.1, ("p", "two"): 0.0, ("p", "three"): 0.0},
        "b": {("p", "one"): 0.7, ("q", "two"): 1.4},
    }
    ranked = adjudication.ranking(scores)
    assert [r.shared for r in ranked] == ["one", "two"]  # "three" was not computed for b
    assert ranked[0].own == {"a": ("q", 0.1), "b": ("p", 0.7)}
    assert ranked[0].together == pytest.approx(0.5)  # sqrt((0.01 + 0.49) / 2)
