r"""How much a network's kernel moves while it learns, by its width, parameterisation and scale.

A component model descends the squared loss for the same training time at every width; its metric-NTK on fresh
points before and after is compared. Theory of gradient descent: a relative change of order 1 / n in the "ntk"
parameterisation, of order 1 in "mup" (Yang and Hu 2021). In a second family of trials the output is
multiplied by alpha and the rate by 1 / alpha^2: large alpha is lazy (Chizat, Oyallon and Bach 2019).

The rates hold rate times kernel fixed, and so the training time:

- "ntk": the same at any width, for so is the kernel.
- "standard": as sigma_w^2 / n, for the kernel grows as n. At this rate weights of hidden and last layers move
  as those of "ntk" do; those of the first, with 25 inputs, 25 / n as fast. Half of it is taken: biases, which
  nothing scales down, make the whole diverge at width 32.
- "mup": as n, for the kernel falls as 1 / n.

No bias at the draw, sigma_b = 0: in "mup" that of the outputs would add sigma_b^2 to a kernel of order 1 / n,
and at a rate of order n diverge. Rates fall to zero along a cosine, so that the end is not the noise of the
last batch.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from mfcore import energies, kernel_evolution, network_ntk, networks, sampling, training
from mfcore.hypersurface import Dwork
from mfcore.kaehler_networks import ComponentMetric, smooth_relu
from mfcore.runner import Experiment, Params, Values, independent
from mfcore.training import ChartPoints

QUINTIC = Dwork()
KAPPA = training.exact_kappa(QUINTIC)
WIDTHS = (32, 64, 128, 256, 512, 1024, 2048)
ALPHAS, LAZY_WIDTHS = (0.1, 0.3, 1.0, 3.0, 10.0), (64, 256)
SEEDS = range(5)
SIGMA_W, RATE = 1.8, 2.0
# Smaller, so that alpha = 10 does not start where the metric is far from positive.
LAZY_SIGMA_W, LAZY_RATE = 1.4, 3.0
SIZES = {"train": 16_000, "fresh": 3_000, "points": 60, "epochs": 2, "batch": 64, "dtype": "float32"}


class Data(NamedTuple):
    """Points to train on, to judge by, and of the kernel: these in double precision."""

    train: ChartPoints
    fresh: ChartPoints
    points: ChartPoints


@lru_cache(maxsize=2)
def data_of(seed: int, train: int, fresh: int, points: int, dtype: str) -> Data:
    """The data set of this seed, which all networks of the seed share."""
    keys = jax.random.split(jax.random.key(seed), 3)
    precisions = (dtype, dtype, "float64")
    sets = [
        training.chart_points(sampling.random_points(key, QUINTIC, n), KAPPA, jnp.dtype(precision))
        for key, n, precision in zip(keys, (train, fresh, points), precisions, strict=True)
    ]
    return Data(*sets)


@lru_cache(maxsize=64)
def method_of(rate: float, steps: int) -> training.Method:
    """Plain descent of the squared loss; kept, for what is compiled for one seed serves the next."""
    return training.descent(optax.sgd(optax.cosine_decay_schedule(rate, steps)), energies.squared)


def rate_of(parameterisation: str, width: int) -> float:
    """The rate that leaves the training time the same at all widths (see above)."""
    return RATE * {"ntk": 1.0, "standard": SIGMA_W**2 / width / 2, "mup": float(width)}[parameterisation]


def trial(params: Params) -> Values:
    """Sigma on fresh points and the metric-NTK before and after training, and how far this has moved."""
    data = data_of(*(params[name] for name in ("seed", "train", "fresh", "points", "dtype")))
    keys = jax.random.split(jax.random.fold_in(jax.random.key(params["seed"]), 1))
    sizes = (25, *[params["width"]] * 3, 9)
    options = {"parameterisation": params["parameterisation"], "sigma_w": params["sigma_w"], "sigma_b": 0.0}
    net = networks.MLP(keys[0], sizes, activation=smooth_relu, **options)
    model = training.in_precision(ComponentMetric(net, params["alpha"]), jnp.dtype(params["dtype"]))
    method = method_of(params["rate"], params["epochs"] * (params["train"] // params["batch"]))
    lengths = {"epochs": params["epochs"], "batch_size": params["batch"]}
    run = training.train(model, data.train, data.fresh, keys[1], method=method, **lengths)
    if not np.isfinite(run.sigma[-1]):
        raise ValueError(f"descent diverged at the rate {params['rate']:g}: lower it")
    before, after = (kernel_of(m, data.points) for m in (model, run.model))
    return {
        "sigma_start": float(training.held_out(model, data.fresh)),
        "sigma": float(run.sigma[-1]),
        "kernel_start": float(np.trace(before) / len(before)),
        "relative_change": kernel_evolution.relative_change(before, after),
        "distance": kernel_evolution.scale_blind_distance(before, after),
        "trace_ratio": kernel_evolution.trace_ratio(before, after),
    }


def kernel_of(model: Any, points: ChartPoints) -> np.ndarray:
    """The metric-NTK of the components of g, in double precision."""
    return np.asarray(network_ntk.gram(training.in_precision(model, jnp.float64), points, points))


def _plan() -> list[Params]:
    sweep = [
        {"parameterisation": p, "width": n, "alpha": 1.0, "sigma_w": SIGMA_W, "rate": rate_of(p, n)}
        for n in WIDTHS
        for p in networks.PARAMETERISATIONS
    ]
    lazy = [
        {"parameterisation": "ntk", "width": n, "alpha": a, "sigma_w": LAZY_SIGMA_W, "rate": LAZY_RATE / a**2}
        for n in LAZY_WIDTHS
        for a in ALPHAS
    ]
    # The widest first: they take longest, and none is left to one core at the end.
    order = sorted([*sweep, *lazy], key=lambda p: -p["width"])
    small = {"train": 640, "fresh": 200, "points": 10, "epochs": 2, "dtype": "float64"}
    sample = SIZES | small | sweep[0] | {"width": 16, "rate": 0.5, "seed": 0}
    return [*(SIZES | own | {"seed": seed} for own in order for seed in SEEDS), sample]


EXPERIMENT = Experiment(
    name="width_sweep",
    about="Change of the metric-NTK in training, by width, parameterisation and scale of the output",
    cost="about 13 minutes on 2 cores",
    trial=trial,
    chains=independent(*_plan()),
    sample=_plan()[-1],
)
