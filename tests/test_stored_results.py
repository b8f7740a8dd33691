"""Every stored result belongs to an experiment that still gives it: a small trial of each is run again."""

import warnings

import numpy as np
import pytest

from mfcore import experiments, provenance, runner, stored_results

# Their samples train networks, or compile for a minute.
SLOW = {
    "after_kernel",
    "after_kernel_layers",
    "clustering_at_scale",
    "data_efficiency",
    "figure_2_v2",
    "figure_3_left",
    "judged_by_the_metric",
    "large_scale",
    "long_training",
    "positive_kernels",
    "reference_metrics",
    "symmetric_training",
    "table_1",
    "width_sweep",
}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in experiments.names()]
)
def test_the_sample_trial_comes_out_as_stored(name):
    experiment = experiments.named(name)
    results = runner.load(name)
    assert experiment.name == name
    assert experiment.trial.__module__ == f"mfcore.experiments.{name}"
    sample = provenance.plain(experiment.sample)
    stored = [trial for trial in results.trials if trial.params == sample]
    assert stored, f"the sample {sample} is none of the stored trials"
    again = runner.perform(experiment.trial, stored[0].chain, sample)
    assert stored_results.agree(stored[0], again, experiment.varying), (stored[0].values, again.values)


@pytest.mark.parametrize("name", experiments.names())
def test_whether_the_code_has_changed_is_told(name):
    if not runner.is_current(runner.load(name)):
        warnings.warn(f"the code of {name} has changed since: python -m mfcore run {name}", stacklevel=1)


@pytest.mark.parametrize(
    ("values", "status", "same"),
    [
        ({"a": 1.0 + 1e-9, "b": [1.0, 2.0], "c": "x"}, "done", True),
        ({"a": 1.0 + 1e-5, "b": [1.0, 2.0], "c": "x"}, "done", False),
        ({"a": 1.0, "b": [1.0, 2.1], "c": "x"}, "done", False),
        ({"a": 1.0, "b": [1.0], "c": "x"}, "done", False),
        ({"a": 1.0, "b": [1.0, 2.0], "c": "y"}, "done", False),
        ({"a": 1.0, "b": [1.0, 2.0]}, "done", False),
        ({"a": 1.0, "b": [1.0, 2.0], "c": "x"}, "failed: ValueError: no", False),
    ],
)
def test_trials_agree_where_all_their_numbers_do(values, status, same):
    old = runner.Trial("chain", {}, {"a": 1.0, "b": [1.0, 2.0], "c": "x"}, "done", 1.0)
    assert stored_results.agree(old, runner.Trial("chain", {}, values, status, 2.0)) == same


def test_what_varies_is_left_out_and_of_gains_down_to_rounding_the_power_counts():
    old = runner.Trial("chain", {}, {"gain": np.array([3.0, 2e12]), "seconds": 1.0}, "done", 1.0)

    def same(gain, varying=("seconds",)):
        new = runner.Trial("chain", {}, {"gain": np.array(gain), "seconds": 2.0}, "done", 1.0)
        return stored_results.agree(old, new, varying)

    assert same([3.0, 9e12])
    assert not same([3.0, 9e13])
    assert not same([3.001, 2e12])
    assert not same([3.0, 2e12], ())
