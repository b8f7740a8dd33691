"""How far metrics of every kind are from the Ricci-flat one as metrics, not only by their volume.

The truth is the algebraic metric of degree ``reference``. At fresh points of one chart, and at the points of
training where there are any, each metric is judged by its sigma loss, by its affine-invariant distance from
the truth, by the part of that distance which a change of volume alone does not cause, and by |dJ|, which is
zero for a Kaehler metric. Kernels have the values of Table 1, and start from Fubini-Study.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from mfcore import balanced_metrics, energies, flows, kernels, networks, reference_metrics, sampling, training
from mfcore._typing import Array, Complex, Float
from mfcore.gauss_newton import Settings, gauss_newton
from mfcore.hypersurface import Dwork, jacobian
from mfcore.kaehler_curvature import free_coordinates, lifted
from mfcore.kaehler_networks import ComponentMetric, PotentialMetric, smooth_relu
from mfcore.positive_matrices import affine_invariant_distance
from mfcore.projective import fubini_study_metric, geodesic_distance, pullback
from mfcore.runner import Experiment, Params, Values, independent
from mfcore.sampling import Sample, random_points_in_patch

QUINTIC = Dwork()
KAPPA = training.exact_kappa(QUINTIC)
PATCH, ELIMINATED = 0, 1
FREE = free_coordinates(5, jnp.asarray(PATCH), jnp.asarray(ELIMINATED))
GOAL = 1e-15  # of the loss at the train points, as far as a kernel can go


class Judged(NamedTuple):
    """A metric as a function of a point of the chart, and the points that taught it."""

    metric: Callable[[Array, Array], Array]
    train: Sample | None


def trial(params: Params) -> Values:
    """Each measure over fresh points and, where there are some, over points of training."""
    keys = jax.random.split(jax.random.key(params["seed"]), 4)
    judged = MAKERS[params["kind"]](params, keys[0])
    truth = _reference(params["reference"])
    fresh = random_points_in_patch(keys[1], QUINTIC, params["fresh"]).sample
    values = _measures(judged.metric, truth, fresh)
    if judged.train is not None:
        most = judged.train.take(jnp.arange(min(params["fresh"], len(judged.train.z))))
        values |= {f"train {name}": value for name, value in _measures(judged.metric, truth, most).items()}
    return values


@cache
def _reference(k: int) -> Any:
    return reference_metrics.fit(jax.random.key(1000), QUINTIC, k).metric


def _measures(metric: Callable, truth: Callable, sample: Sample) -> Values:
    """Means with the weight of |Omega|^2; distances over the points where the metric is one."""
    g, exact, torsion = (np.asarray(x) for x in _at(metric, truth, sample))
    weight = np.asarray(sample.weight / sample.weight.mean())
    positive = np.linalg.eigvalsh(g)[:, 0] > 0
    eta = np.linalg.det(g).real / np.abs(np.asarray(sample.omega)) ** 2 / KAPPA
    own = eta * weight.sum() / (weight @ eta)
    whole, shape = (
        np.asarray(jax.vmap(affine_invariant_distance)(*map(jnp.asarray, pair)))[positive]
        for pair in ((g, exact), (_of_unit_volume(g), _of_unit_volume(exact)))
    )
    share = weight[positive] / weight[positive].sum()
    return {
        "sigma": float(np.mean(weight * abs(eta - 1))),
        "sigma with its own volume": float(np.mean(weight * abs(own - 1))),
        "distance": float(share @ whole),
        "shape distance": float(share @ shape),
        "largest distance": float(whole.max()),
        "torsion": float(np.sqrt(np.mean(weight * torsion))),
        "positive": float(positive.mean()),
    }


def _of_unit_volume(g: Complex[np.ndarray, "points dim dim"]) -> np.ndarray:
    # Where det g < 0 the point is left out of the distances anyhow.
    return g / np.abs(np.linalg.det(g).real)[:, None, None] ** (1 / 3)


@eqx.filter_jit
def _at(metric: Callable, truth: Callable, sample: Sample) -> tuple[Array, Array, Array]:
    """g, the true metric, and |dJ|^2 by the true one: sum over a < b and c of |d_a g_bc - d_b g_ac|^2."""

    def in_coordinates(x: Array, z: Array) -> Array:
        point = lifted(QUINTIC, z, FREE, jnp.asarray(ELIMINATED), x)
        return metric(point, _jacobian(point))

    def one(z: Array) -> tuple[Array, Array, Array]:
        x, frame = z[FREE], jnp.linalg.inv(jnp.linalg.cholesky(truth(z, _jacobian(z))))
        slopes = [
            jax.vmap(lambda d: jax.jvp(partial(in_coordinates, z=z), (x,), (d,))[1])(
                unit * jnp.eye(3, dtype=complex)
            )
            for unit in (1, 1j)
        ]
        by_x = (slopes[0] - 1j * slopes[1]) / 2  # d_a g_bc
        torsion = by_x - by_x.swapaxes(0, 1)
        framed = jnp.einsum("abc,ia,jb,kc->ijk", torsion, frame, frame, frame.conj())
        return metric(z, _jacobian(z)), truth(z, _jacobian(z)), jnp.sum(jnp.abs(framed) ** 2) / 2

    return jax.lax.map(one, sample.z, batch_size=50)


def _jacobian(z: Complex[Array, " hom"]) -> Complex[Array, "dim hom"]:
    return jacobian(QUINTIC.gradient(z), jnp.asarray(PATCH), jnp.asarray(ELIMINATED))


def _fubini_study(_: Params, __: Array) -> Judged:
    return Judged(lambda z, j: pullback(j, fubini_study_metric(z)), None)


def _donaldson(params: Params, key: Array) -> Judged:
    return Judged(balanced_metrics.balanced(key, QUINTIC, params["k"], params["train"]).metric, None)


def _algebraic(params: Params, key: Array) -> Judged:
    return Judged(reference_metrics.fit(key, QUINTIC, params["k"]).metric, None)


class KernelMetric(eqx.Module):
    """g_FS - sum_b Theta(x, x_b) A_b, all in one chart."""

    train: Complex[Array, "train hom"]
    correction: Complex[Array, "train dim dim"]
    row: Callable[[Array, Array], Array]

    def __call__(self, z: Complex[Array, " hom"], jacobian: Complex[Array, "dim hom"]) -> Array:
        row = self.row(z, self.train)
        return pullback(jacobian, fubini_study_metric(z)) - jnp.einsum("b,bij->ij", row, self.correction)


def _relu_row(z: Array, train: Array) -> Float[Array, " train"]:
    of_pair = partial(kernels.relu_ntk, sigma_w=5.716, sigma_b=80.52)
    return jax.vmap(lambda y: of_pair(kernels.real_features(z), kernels.real_features(y)))(train)


def _row(reading: Callable, z: Array, train: Array) -> Float[Array, " train"]:
    return reading(jax.vmap(lambda y: geodesic_distance(z, y))(train))


def _delta_row(z: Array, train: Array) -> Float[Array, " train"]:
    return kernels.delta(jax.vmap(lambda y: geodesic_distance(z, y))(train)[None])[0]


ROWS: dict[str, Callable[[Array, Array], Array]] = {
    "ReLU": _relu_row,
    "Gaussian exp(-(30 d)^2)": partial(
        _row, lambda d: kernels.GAUSSIAN_READINGS["exp(-(sigma d)^2)"](d, 30.0)
    ),
    "Gaussian exp(-d/60)": partial(
        _row, lambda d: kernels.GAUSSIAN_READINGS["exp(-d/(2 sigma)), as printed"](d, 30.0)
    ),
    "Delta": _delta_row,
}


def _kernel(params: Params, key: Array) -> Judged:
    train = random_points_in_patch(key, QUINTIC, params["train"]).sample
    row = ROWS[params["kernel"]]
    matrix = jax.lax.map(lambda z: row(z, train.z), train.z, batch_size=50)
    start = jax.vmap(lambda z, j: pullback(j, fubini_study_metric(z)))(train.z, train.jacobian)
    flow = flows.kernel_flow(matrix, start, train.omega, KAPPA, goal=GOAL, max_steps=params["steps"])
    return Judged(KernelMetric(train.z, flow.correction, row), train)


def _network(params: Params, key: Array) -> Judged:
    keys = jax.random.split(key, 5)
    component, dtype = params["model"] == "component", jnp.dtype(params["dtype"])
    drawn, judges = (
        sampling.random_points(k, QUINTIC, n) for k, n in zip(keys, (params["train"], 2000), strict=False)
    )
    make = training.chart_points if component else training.frame_points
    points, fresh = (make(sample, KAPPA, dtype) for sample in (drawn, judges))
    hidden = (25, *[params["width"]] * 3)
    if component:
        net = networks.MLP(keys[2], (*hidden, 9), activation=jax.nn.relu, sigma_w=2**0.5, sigma_b=0.1)
        start, rate = ComponentMetric(net, 1.0), 1e-3
    else:
        net = networks.MLP(keys[2], (*hidden, 1), activation=smooth_relu, sigma_b=0.1)
        start, rate = PotentialMetric(net, 0.3), 2e-2
    run = partial(training.train, points=points, fresh=fresh)
    adam = training.descent(
        training.adam(rate, params["epochs"], params["train"], params["batch"]), energies.absolute
    )
    model = run(
        training.in_precision(start, dtype),
        key=keys[3],
        method=adam,
        epochs=params["epochs"],
        batch_size=params["batch"],
    ).model
    if params["then"]:
        steps = params["then"] * (params["train"] // params["batch"])
        schedule = optax.linear_schedule(0.5, 0.0, steps // 2, steps - steps // 2)
        method = gauss_newton(schedule, Settings(damping=1e-3, kept=0.95))
        model = run(
            model, key=keys[4], method=method, epochs=params["then"], batch_size=params["batch"]
        ).model
    return Judged(training.in_precision(model, jnp.float64), None)


MAKERS: dict[str, Callable[[Params, Array], Judged]] = {
    "Fubini-Study": _fubini_study,
    "Donaldson": _donaldson,
    "algebraic": _algebraic,
    "kernel": _kernel,
    "network": _network,
}


def _plan() -> list[Params]:
    common = {"fresh": 2000, "reference": 14}
    net = {"kind": "network", "train": 100_000, "width": 64, "batch": 512, "dtype": "float32"}
    rows: list[Params] = [{"kind": "Fubini-Study"}]
    rows += [{"kind": "Donaldson", "k": k, "train": 50_000} for k in (2, 4, 6)]
    rows += [{"kind": "algebraic", "k": k} for k in (2, 4, 6, 8)]
    rows += [
        {"kind": "kernel", "kernel": name, "train": 1000 if name == "Delta" else 2500, "steps": 200}
        for name in ROWS
    ]
    rows += [
        net | {"model": "component", "epochs": 50, "then": 0},
        net | {"model": "potential", "epochs": 8, "then": 0},
        net | {"model": "potential", "epochs": 8, "then": 2},
    ]
    return [row | common | {"seed": seed} for row in rows for seed in range(3)]


_SAMPLE = {
    "kind": "kernel",
    "kernel": "Delta",
    "train": 60,
    "steps": 100,
    "fresh": 50,
    "reference": 3,
    "seed": 0,
}

EXPERIMENT = Experiment(
    name="judged_by_the_metric",
    about="Distance of Fubini-Study, Donaldson's, kernels' and networks' metrics from the Ricci-flat one",
    cost="about 20 minutes on 2 cores",
    trial=trial,
    chains=independent(*_plan(), _SAMPLE),
    sample=_SAMPLE,
)
