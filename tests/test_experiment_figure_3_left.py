"""Figure 3, left: its arithmetic, and a flow and its gains that are known in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import optimize

from mfcore import sampling
from mfcore.experiments import figure_3_left as figure

PARAMS = figure.EXPERIMENT.sample | {"kernel": "Delta", "steps": 400}


@pytest.fixture(scope="module")
def train():
    return figure.data_set(PARAMS["seed"], PARAMS["most"]).train


def local_end(g, omega, kappa):
    """Where dg/dt = -+g^(-1) meets eta = 1: g keeps its eigenvectors, and eigenvalues^2 fall alike."""
    values, vectors = np.linalg.eigh(g)
    target = np.log(kappa * abs(omega) ** 2)

    def miss(tau):
        return 0.5 * np.sum(np.log(values**2 - tau)) - target

    tau = optimize.brentq(miss, -1e3, values[0] ** 2 * (1 - 1e-12), xtol=1e-15, rtol=1e-14)
    return (vectors * np.sqrt(values**2 - tau)) @ vectors.conj().T


@pytest.mark.slow
def test_the_delta_flow_ends_where_the_closed_form_says_and_gains_follow(train):
    kappa = figure.KAPPA / PARAMS["factor"]
    flow = figure.train_metric(PARAMS, train)[0]
    start = np.asarray(sampling.fubini_study_pullback(train))
    ends = np.array([local_end(g, w, kappa) for g, w in zip(start, np.asarray(train.omega), strict=True)])
    # The flow takes steps of 5 %, of first order, along a path on which only the ends are fixed.
    assert_allclose(flow.metric, ends, atol=0.05 * np.abs(ends).max())
    exact = flow._replace(correction=jnp.asarray(start - ends))
    fresh = figure.data_set(PARAMS["seed"], PARAMS["most"]).fresh
    found = figure._gains(PARAMS, exact, fresh, ("fresh", 0), "double")
    before = np.asarray(sampling.fubini_study_pullback(fresh))
    x, y = np.asarray(fresh.z), np.asarray(train.z)
    size = np.linalg.norm(x, axis=1)[:, None] * np.linalg.norm(y, axis=1)
    nearest = np.argmax(np.abs(x.conj() @ y.T) / size, axis=1)
    after = before - (start - ends)[nearest]
    ratio = [np.linalg.det(g).real / np.abs(fresh.omega) ** 2 / kappa for g in (before, after)]
    losses = [np.abs(1 - r) for r in ratio]
    weight = np.asarray(fresh.weight)
    kappas = [np.average(r, weights=weight) for r in ratio]
    own = [np.average(np.abs(1 - r / k), weights=weight) for r, k in zip(ratio, kappas, strict=True)]
    expected = (
        losses[0].mean() / losses[1].mean(),
        np.average(losses[0], weights=weight) / np.average(losses[1], weights=weight),
        np.median(losses[0] / losses[1]),
        np.mean(losses[0] / losses[1]),
        own[0] / own[1],
        np.mean(np.linalg.eigvalsh(after)[:, 0] <= 0),
    )
    assert_allclose(found, expected, rtol=1e-8)


def test_arccos_of_equal_points_is_the_root_of_twice_their_rounding():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(5000, 5)) + 1j * rng.normal(size=(5000, 5))
    # The same points in another scaling, so that rounding has something to do.
    single = np.asarray(figure._arccos(*figure._halved(jnp.asarray(z), jnp.asarray(z * np.exp(0.7j) / 3))))
    assert single.dtype == np.float32
    steps = (1 - np.cos(single.astype(float))) / 2.0**-24  # the spacing of single precision below 1
    assert_allclose(steps, np.round(steps), atol=0.01)
    assert 3.45e-4 < single.max() < figure.THRESHOLD  # above one step; and all are caught


def test_single_precision_is_single_throughout_and_ends_with_its_context(train):
    with figure._arithmetic(single=True):
        geometry = figure._geometry(*figure._cast(train))
        assert [a.dtype for a in geometry] == [np.complex64] * 2
    assert jnp.zeros(()).dtype == np.float64
    double = figure._geometry(*figure._cast(train))
    assert_allclose(double[0], sampling.fubini_study_pullback(train), rtol=1e-13)
    assert_allclose(geometry[0], double[0], rtol=1e-4, atol=1e-5)
    assert jax.config.jax_enable_x64
