"""Which of many readings of a text reproduces its curves: scores, and the ranking of shared choices.

A reading is a computed curve; a figure has several, drawn under one set of choices, and each curve may have
some of its own besides. Used for Figure 3 (left) of the paper.
"""

from collections.abc import Hashable, Mapping
from typing import NamedTuple

import numpy as np

from mfcore._typing import Float


class Ranked(NamedTuple):
    """One set of shared choices; for each curve its best own reading and that one's score."""

    shared: Hashable
    together: float
    own: dict[str, tuple[Hashable, float]]


def score(
    x: Float[np.ndarray, " places"],
    y: Float[np.ndarray, " places"],
    at: Float[np.ndarray, " points"],
    expected: Float[np.ndarray, " points"],
    *,
    reading_error: float = 0.0,
) -> float:
    """Root mean square of log10(curve / expected) at ``at``, the curve being straight between its places in
    logarithms.

    Infinite where the curve does not reach all of ``at``, or is not positive: such a reading cannot be drawn
    beside the points. It may fall short by the relative ``reading_error`` of ``at``, and is then constant.
    Places at x = 0 have no logarithm and count as absent.
    """
    shown = x > 0
    x, y = x[shown], y[shown]
    order = np.argsort(x)
    x, y = x[order], y[order]
    slack = 1 + reading_error
    reaches = len(x) > 0 and x[0] <= at.min() * slack and at.max() <= x[-1] * slack
    if not (reaches and np.all(np.isfinite(y)) and np.all(y > 0)):
        return float("inf")
    return float(np.sqrt(np.mean((np.interp(np.log(at), np.log(x), np.log10(y)) - np.log10(expected)) ** 2)))


def ranking(scores: Mapping[str, Mapping[tuple[Hashable, Hashable], float]]) -> list[Ranked]:
    """Shared choices that every curve has been computed for, best first.

    ``scores[curve][own, shared]`` is the score of a curve under a reading of its own and shared choices; a
    curve takes the best of its own readings. ``together`` is the root mean square over curves.
    """
    best: dict[str, dict[Hashable, tuple[Hashable, float]]] = {}
    for curve, of_curve in scores.items():
        found = best.setdefault(curve, {})
        for (own, shared), value in of_curve.items():
            if shared not in found or value < found[shared][1]:
                found[shared] = (own, value)
    common = set.intersection(*(set(found) for found in best.values()))
    ranked = [
        Ranked(
            shared,
            float(np.sqrt(np.mean([found[shared][1] ** 2 for found in best.values()]))),
            {curve: found[shared] for curve, found in best.items()},
        )
        for shared in common
    ]
    # Ties are common, where a choice makes no difference: names decide, so that the order is always the same.
    return sorted(ranked, key=lambda r: (r.together, repr(r.shared)))
