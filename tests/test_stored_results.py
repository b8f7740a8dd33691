"""Every stored result belongs to an experiment that still gives it: a small trial of each is run again."""

import warnings

import numpy as np
import pytest

from mfcore import experiments, provenance, runner


@pytest.mark.parametrize("name", experiments.names())
def test_the_sample_trial_comes_out_as_stored(name):
    experiment = experiments.named(name)
    results = runner.load(name)
    assert experiment.name == name
    assert experiment.trial.__module__ == f"mfcore.experiments.{name}"
    sample = provenance.plain(experiment.sample)
    stored = [trial for trial in results.trials if trial.params == sample]
    assert stored, f"the sample {sample} is none of the stored trials"
    again = runner.perform(experiment.trial, stored[0].chain, sample)
    assert again.status == stored[0].status
    assert set(again.values) == set(stored[0].values)
    for key, value in again.values.items():
        if isinstance(value, str):
            assert value == stored[0].values[key]
        else:
            # Another processor rounds otherwise, and a flow of many steps shows it.
            np.testing.assert_allclose(value, stored[0].values[key], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("name", experiments.names())
def test_whether_the_code_has_changed_is_told(name):
    if not runner.is_current(runner.load(name)):
        warnings.warn(f"the code of {name} has changed since: python -m mfcore run {name}", stacklevel=1)
