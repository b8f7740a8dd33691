"""The trials of the search for Table 1: how updates are scaled, and in which order trials come."""

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.linalg import eigh

from mfcore import energies, flows, kernels, sampling
from mfcore.experiments import table_1
from mfcore.runner import Trial


@pytest.fixture(scope="module")
def setting():
    sample = drawn.points_in_patch(table_1.QUINTIC, 12, 3)
    kernel = kernels.gaussian(kernels.distance_matrix(sample.z, sample.z), 0.3)
    return kernel, sampling.fubini_study_pullback(sample), sample.omega


def params(scheme, rate, loss="sigma"):
    return {"scheme": scheme, "rate": rate, "loss": loss}


@pytest.mark.parametrize("scheme", ["relative", "largest entry"])
def test_a_normalised_step_is_as_long_as_its_rate_and_along_the_flow(setting, scheme, monkeypatch):
    monkeypatch.setattr(table_1, "STEPS", 1)
    kernel, start, omega = setting
    flow = table_1.descend(kernel, start, omega, params(scheme, 0.01))
    change = np.asarray(flow.metric - start)
    if scheme == "relative":
        sizes = [
            abs(eigh(dg, g, eigvals_only=True)).max() for dg, g in zip(change, np.asarray(start), strict=True)
        ]
    else:
        sizes = abs(change)
    assert_allclose(np.max(sizes), 0.01, rtol=1e-12)
    velocity = np.asarray(flows.velocity(kernel, start, omega, table_1.KAPPA))
    assert_allclose(change, flow.time * velocity, atol=1e-14)


@pytest.mark.slow
def test_corrections_give_the_metric_back_and_the_loss_falls(setting):
    kernel, start, omega = setting
    for scheme, rate in (("relative", 0.01), ("largest entry", 0.002), ("mean", 0.01), ("sum", 0.001)):
        flow = table_1.descend(kernel, start, omega, params(scheme, rate, "squared"))
        assert_allclose(flows.predict(kernel, start, flow).metric, flow.metric, atol=1e-12)
        assert flow.loss[-1] < flow.loss[0]
        eta = jax.vmap(energies.volume_ratio)(flow.metric, omega) / table_1.KAPPA
        assert_allclose(flow.loss[-1], np.mean((np.asarray(eta) - 1) ** 2), rtol=1e-12)


def test_the_mean_is_the_sum_at_a_rate_divided_by_the_number_of_points(setting):
    kernel, start, omega = setting
    by_mean, by_sum = (
        table_1.descend(kernel, start, omega, params(scheme, rate))
        for scheme, rate in (("mean", 0.12), ("sum", 0.01))
    )
    assert_allclose(by_mean.metric, by_sum.metric, rtol=1e-12)


def test_relative_steps_stay_in_the_cone_below_rate_one_and_leave_it_above(setting):
    kernel, start, omega = setting
    assert table_1.descend(kernel, start, omega, params("relative", 0.9)).smallest_eigenvalue > 0
    # At a single point the largest change of the loss's gradient shrinks or grows one direction by it all.
    alone = (jnp.eye(1), start[:1], omega[:1] / 10)  # eta is far above 1: the metric must shrink
    assert table_1.descend(*alone, params("relative", 1.1)).status == "left the positive cone at step 1"
    with pytest.raises(ValueError, match="scheme 'mena'"):
        table_1.descend(kernel, start, omega, params("mena", 0.1))


@pytest.mark.slow
def test_kernels_of_a_trial(monkeypatch):
    monkeypatch.setattr(table_1, "HELD_OUT", 4)
    data = {"data": 77, "points": 9}
    train, held_out = table_1.data_set(77, 9)
    widths = {"sigma_w": 2.0, "sigma_b": 3.0}
    assert_allclose(
        table_1.kernel_matrix({"kernel": "ReLU", **data, **widths}, onward=True),
        kernels.relu_ntk_matrix(held_out.z, train.z, **widths),
        rtol=1e-12,
    )
    distance = kernels.distance_matrix(train.z, train.z)
    delta = table_1.kernel_matrix({"kernel": "Delta", **data}, onward=False)
    assert_allclose(delta, kernels.delta(distance))
    for name, expected in (
        ("Gaussian, as printed", np.exp(-distance / 6)),
        ("Gaussian, inverse width", np.exp(-((3 * distance) ** 2))),
    ):
        assert_allclose(
            table_1.kernel_matrix({"kernel": name, "sigma": 3.0, **data}, False), expected, rtol=1e-12
        )


def test_a_search_ends_with_its_best_trial_on_other_data(monkeypatch):
    monkeypatch.setattr(table_1, "TRIALS", 3)
    for regime, data in (("fixed", [1000] * 3), ("fresh", [2000, 2001, 2002])):
        propose = table_1._chain("Delta", "mean", "held-out", regime)
        done = []
        while (asked := propose(done)) is not None:
            gain = -0.1 * abs(np.log10(asked["rate"]))
            values = {} if len(done) == 0 else {"held-out": gain, "training": -gain}
            done.append(Trial("", asked, values, "done", 0.0))
        assert [trial.params["data"] for trial in done] == [*data, 1000, *range(1, 9)]
        taken = min(done[1:3], key=lambda trial: abs(np.log10(trial.params["rate"])))
        assert {trial.params["rate"] for trial in done[3:]} == {taken.params["rate"]}
    failed = [Trial("", trial.params, {}, "failed", 0.0) for trial in done[:3]]
    assert propose(failed) is None


def test_ranges_hold_the_values_of_table_1():
    for kernel, scheme, objective, regime in table_1.SEARCHES.values():
        search = table_1.search_of(kernel, scheme, objective, regime)
        place = search.place({name: table_1.TABLE_1[kernel][name] for name in search.ranges})
        assert all(0 < u < 1 for u in place.values())
    seeds = {table_1.search_of(*which).seed for which in table_1.SEARCHES.values()}
    assert len(seeds) == len(table_1.SEARCHES)


@pytest.mark.slow
def test_a_trial_that_leaves_the_cone_fails_with_its_reason():
    with pytest.raises(ArithmeticError, match="left the positive cone at step 1"):
        table_1.trial({"kernel": "Delta", "points": 9, "data": 1, **params("sum", 50.0)})
