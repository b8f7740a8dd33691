r"""Do kernels that are positive on P^4 learn the quintic better than those of (3.5)? (Paper section 3.2.)

A trial follows the flow of the sigma loss from the normalised Fubini-Study start on points of one chart, and
reports gains on these and on fresh points. For every kernel the widths of `WIDTHS` are tried on one data set;
the best of them is then judged on others. A kernel that is not positive may end early: its status says so.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mfcore import energies, flows, kernels, positive_kernels
from mfcore._typing import Array, Float
from mfcore.hypersurface import Dwork, fubini_study_volume, omega_volume
from mfcore.runner import Experiment, Params, Propose, Trial, Values, independent
from mfcore.sampling import Sample, fubini_study_pullback, random_points_in_patch

QUINTIC = Dwork(degree=5)
KAPPA = fubini_study_volume(QUINTIC) / omega_volume(QUINTIC)
FRESH = 1000

OF_DISTANCE: dict[str, Callable[[Array, float], Array]] = {
    "Gaussian": kernels.gaussian,
    "Laplace": kernels.laplace,
    "chordal Gaussian": positive_kernels.chordal_gaussian,
    "heat": lambda d, length: positive_kernels.heat(d, length, dim=4),
    "Matern": lambda d, length: positive_kernels.matern(d, length, dim=4),
}
WIDTHS = (0.15, 0.25, 0.4, 0.6, 1.0, 1.6)
# Of the ReLU kernel only sigma_b / sigma_w matters to the flow's path; the last is Table 1's.
BIASES = (0.03, 0.1, 0.3, 1.0, 3.0, 80.52 / 5.716)
SEARCHED_ON, JUDGED_ON = 0, (1, 2, 3)


class Data(NamedTuple):
    """Points of training and fresh ones, from one draw, and the distances from both to the former."""

    train: Sample
    fresh: Sample
    among: Float[Array, "train train"]
    onward: Float[Array, "points train"]


@lru_cache(maxsize=2)
def data_of(seed: int, points: int) -> Data:
    """The data set of this seed, all in one chart."""
    sample = random_points_in_patch(jax.random.key(seed), QUINTIC, points + FRESH).sample
    train, fresh = sample.take(jnp.arange(points)), sample.take(jnp.arange(points, points + FRESH))
    among, onward = (kernels.distance_matrix(x.z, train.z) for x in (train, fresh))
    return Data(train, fresh, among, onward)


def kernel_matrix(name: str, width: float, x: Sample, train: Sample, distance: Array) -> Array:
    """The kernel of this name and width from the points ``x`` to those of training."""
    if name == "ReLU":
        return kernels.relu_ntk_matrix(x.z, train.z, sigma_w=1.0, sigma_b=width)
    return OF_DISTANCE[name](distance, width)


def trial(params: Params) -> Values:
    """Gains on training and fresh points, the latter with its error over fresh points, grouped by line."""
    data = data_of(params["seed"], params["points"])
    name, width = params["kernel"], params["width"]
    among = kernel_matrix(name, width, data.train, data.train, data.among)
    values = np.linalg.eigvalsh(np.asarray(among))
    start = fubini_study_pullback(data.train)
    flow = flows.kernel_flow(among, start, data.train.omega, KAPPA, max_steps=params["steps"])
    onward = kernel_matrix(name, width, data.fresh, data.train, data.onward)
    before = fubini_study_pullback(data.fresh)
    after = flows.predict(onward, before, flow)
    old, new = (np.asarray(_departures(g, data.fresh.omega)) for g in (before, after.metric))
    weight = np.asarray(data.fresh.weight)
    return {
        "least_eigenvalue": values[0] / values[-1],
        "steps_taken": len(flow.loss) - 1,
        "ended": flow.status.split(":")[0],
        "uphill": "not positive" in flow.status,
        "training_gain": flow.loss[0] / flow.loss[-1],
        "fresh_gain": old.mean() / new.mean(),
        "fresh_error": gain_error(old, new, np.asarray(data.fresh.line)),
        "weighted_gain": (weight @ old) / (weight @ new),
        "not_positive": float(jnp.mean(~after.positive)),
    }


def gain_error(before: np.ndarray, after: np.ndarray, line: np.ndarray) -> float:
    """Standard error of mean(before) / mean(after) by linearisation, the points of a line taken together."""
    gain = before.mean() / after.mean()
    pull = gain * (before / before.mean() - after / after.mean()) / len(before)
    return float(np.sqrt(np.sum(np.bincount(line, pull) ** 2)))


@jax.jit
def _departures(g: Array, omega: Array) -> Array:
    return jax.vmap(energies.departure, in_axes=(0, 0, None))(g, omega, KAPPA)


def _chain(name: str) -> Propose:
    """All widths on one data set, then the one of the largest fresh gain on the others."""
    widths = BIASES if name == "ReLU" else WIDTHS
    common = {"kernel": name, "points": 1000, "steps": 300}

    def propose(done: list[Trial]) -> Params | None:
        step = len(done)
        if step < len(widths):
            return {**common, "width": widths[step], "seed": SEARCHED_ON}
        if step == len(widths) + len(JUDGED_ON):
            return None
        best = max(done[: len(widths)], key=lambda trial: trial.values.get("fresh_gain", 0.0))
        return {**common, "width": best.params["width"], "seed": JUDGED_ON[step - len(widths)]}

    return propose


NAMES = (*OF_DISTANCE, "ReLU")
SMALL = {"kernel": "chordal Gaussian", "points": 60, "steps": 40, "width": 1.0, "seed": SEARCHED_ON}
# The widest-tailed of them once more, to see what more steps would give.
LONG = {"kernel": "chordal Gaussian", "points": 1000, "steps": 1500, "width": 1.0, "seed": JUDGED_ON[0]}

EXPERIMENT = Experiment(
    name="positive_kernels",
    about="Gains on the quintic under kernels of the distance, positive ones and others, against their width",
    cost="about 6 minutes on 2 cores",
    trial=trial,
    chains={name: _chain(name) for name in NAMES} | independent(SMALL, LONG),
    sample=SMALL,
    total=len(NAMES) * (len(WIDTHS) + len(JUDGED_ON)) + 2,
)
