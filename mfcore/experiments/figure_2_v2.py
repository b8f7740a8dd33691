r"""The spectrum of the metric-NTK before and after training: the histogram of version 2 of the paper.

The network of that picture: a component model with three hidden layers of 64 ReLU nodes, trained by Adam on
the sigma loss. The picture shows 810 eigenvalues, of which 9 stand apart and grow 22-fold in 50 epochs, and
some are negative. 810 = 9 components times 90 points; but a kernel on one set of points has no negative
eigenvalue. So both are stored: the kernel on 90 fresh points, and that between these and 90 others, which is
neither symmetric nor positive. And both kernels: that of the network's outputs N, and that of the components
of g = g_FS (1 + alpha N) in the coordinates of each point's chart.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mfcore import energies, kernel_evolution, network_ntk, networks, sampling, training
from mfcore._typing import Array, Float, PRNGKeyArray
from mfcore.hypersurface import Dwork
from mfcore.kaehler_networks import ComponentMetric, hermitian
from mfcore.runner import Experiment, Params, Values, independent
from mfcore.sampling import Sample
from mfcore.training import ChartPoints

QUINTIC = Dwork()
KAPPA = training.exact_kappa(QUINTIC)
SIZES = (25, 64, 64, 64, 9)
COMPONENTS = SIZES[-1]
ALPHA, RATE, BATCH, FRESH = 1.0, 1e-3, 512, 3_000
KERNELS = ("outputs", "metric")
ENDS = ("start", "end")


def trial(params: Params) -> Values:
    """Spectra by `KERNELS` and `ENDS` (of the cross matrix real and imaginary parts), and their measures."""
    keys = jax.random.split(jax.random.key(params["seed"]), 6)
    numbers = (params["train"], FRESH, params["points"], params["points"])
    samples = [sampling.random_points(key, QUINTIC, n) for key, n in zip(keys[:4], numbers, strict=True)]
    fresh, points, others = (training.chart_points(sample, KAPPA) for sample in samples[1:])
    ends = trained(params, samples[0], samples[1], keys[4], keys[5])
    views = [[network_ntk.without_background(x) for x in (points, others)], [points, others]]
    own = [[np.asarray(network_ntk.gram(model, xs, xs)) for model in ends] for xs, _ in views]
    cross = [[np.asarray(network_ntk.gram(model, xs, ys)) for model in ends] for xs, ys in views]
    rising, any_square = kernel_evolution.spectrum, kernel_evolution.complex_spectrum
    complex_values = np.array([[any_square(k) for k in pair] for pair in cross])
    symmetric = [[rising(kernel_evolution.symmetric_part(k)) for k in pair] for pair in cross]
    values: Values = {
        "gram": np.array([[rising(k) for k in pair] for pair in own]),
        "cross": np.stack([np.real(complex_values), np.imag(complex_values)], axis=-1),
        "cross_symmetric": np.array(symmetric),
    }
    for kernel, pair, (xs, _) in zip(KERNELS, own, views, strict=True):
        slopes = [loss_slope(model, points, xs) for model in ends]
        values |= {f"{name}_{kernel}": value for name, value in measures(pair, slopes).items()}
    sigmas = (float(training.held_out(model, fresh)) for model in ends)
    return values | {f"sigma_{end}": sigma for end, sigma in zip(ENDS, sigmas, strict=True)}


def trained(
    params: Params, train: Sample, fresh: Sample, draw: PRNGKeyArray, order: PRNGKeyArray
) -> tuple[ComponentMetric, ComponentMetric]:
    """The network before and after training in the precision ``dtype``, both as double precision."""
    options = {"activation": jax.nn.relu, "parameterisation": "standard", "sigma_w": 2**0.5, "sigma_b": 0.1}
    dtype, epochs = jnp.dtype(params["dtype"]), params["epochs"]
    start = training.in_precision(ComponentMetric(networks.MLP(draw, SIZES, **options), ALPHA), dtype)
    points, judges = (training.chart_points(sample, KAPPA, dtype) for sample in (train, fresh))
    method = training.descent(training.adam(RATE, epochs, params["train"], BATCH), energies.absolute)
    run = training.train(start, points, judges, order, method=method, epochs=epochs, batch_size=BATCH)
    before, after = (training.in_precision(model, jnp.float64) for model in (start, run.model))
    return before, after


def measures(pair: list[np.ndarray], slopes: list[np.ndarray]) -> dict[str, float]:
    """What `kernel_evolution` says of the kernel at both ends, and of its way from one to the other."""
    found = {
        "relative_change": kernel_evolution.relative_change(*pair),
        "distance": kernel_evolution.scale_blind_distance(*pair),
        "trace_ratio": kernel_evolution.trace_ratio(*pair),
    }
    for end, kernel, slope in zip(ENDS, pair, slopes, strict=True):
        found[f"effective_rank_{end}"] = kernel_evolution.effective_rank(kernel)
        found[f"alignment_{end}"] = kernel_evolution.alignment(kernel, slope)
        found[f"component_share_{end}"] = kernel_evolution.component_share(kernel, COMPONENTS)
    return found


def loss_slope(model: Any, points: ChartPoints, view: ChartPoints) -> np.ndarray:
    """The derivatives of the mean sigma loss on the points by the components that ``view`` has there."""
    missing = points.background / view.background
    return np.asarray(_loss_slope(network_ntk.components(model, view), missing, points).ravel())


@eqx.filter_jit
@eqx.filter_grad
def _loss_slope(components: Float[Array, "points components"], missing: Array, points: ChartPoints) -> Array:
    g = missing * jax.vmap(hermitian)(components)
    eta = points.scale * jnp.linalg.det(g).real
    return jnp.mean(points.weight * energies.absolute.value(eta))


def _plan() -> list[Params]:
    full = {"train": 100_000, "epochs": 50, "points": 90, "dtype": "float32"}
    # In double precision, and few steps, so that it repeats on other machines.
    small = {"train": 2_000, "epochs": 2, "points": 10, "dtype": "float64"}
    return [*(full | {"seed": seed} for seed in range(5)), small | {"seed": 0}]


EXPERIMENT = Experiment(
    name="figure_2_v2",
    about="Spectra and measures of the metric-NTK of a component model before and after training",
    cost="about 2 minutes on 2 cores",
    trial=trial,
    chains=independent(*_plan()),
    sample=_plan()[-1],
)
