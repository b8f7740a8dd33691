"""Experiments: nothing lost, nothing repeated, failures kept, and what is stored comes back."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mfcore import runner, stored_results

ROOT = Path(__file__).resolve().parents[1]


def double(params):
    if params["x"] == 3:
        raise ValueError("three is refused")
    return {"y": 2.0 * params["x"], "odd": float("nan"), "row": np.arange(params["x"])}


def add(params):
    return {"sum": params["x"] + params["so_far"]}


def climb(done):
    so_far = done[-1].values["sum"] if done else 0
    return {"x": len(done) + 1, "so_far": so_far} if len(done) < 4 else None


def experiment(trial=double, chains=None):
    chains = chains or runner.independent({"x": 1}, {"x": 2}, {"x": 3})
    return runner.Experiment("double", "a test", "none", trial, chains, {"x": 1})


@pytest.fixture
def inline(monkeypatch):
    """Run trials in this process: Dask itself is tested by the killed run below."""
    ran = []

    def performed(trial, waiting, chains, *_):
        following = dict(waiting)
        while following:
            chain, params = following.popitem()
            ran.append((chain, params))
            yield runner.perform(trial, chain, params)
            after = chains.next(chain)
            if after is not None:
                following[chain] = after

    monkeypatch.setattr(runner, "_performed", performed)
    return ran


def test_results_come_back_as_they_went_in_failures_too(tmp_path, inline):
    runner.run(experiment(), stored=tmp_path, scratch=tmp_path / "scratch")
    results = runner.load("double", tmp_path)
    assert [trial.status for trial in results.trials[:2]] == ["done", "done"]
    assert results.trials[2].status == "failed: ValueError: three is refused"
    assert [trial.params["x"] for trial in results.trials] == [1, 2, 3]
    np.testing.assert_array_equal(results.trials[1].values["row"], [0, 1])
    np.testing.assert_array_equal(results.table["y"], [2, 4])
    assert np.isnan(results.table["odd"]).all()
    assert len(inline) == 3


def test_a_finished_experiment_runs_nothing_again_and_a_longer_one_only_what_is_new(tmp_path, inline):
    runner.run(experiment(), stored=tmp_path, scratch=tmp_path / "scratch")
    runner.run(experiment(), stored=tmp_path, scratch=tmp_path / "elsewhere")
    assert len(inline) == 3
    longer = runner.independent({"x": 1}, {"x": 2}, {"x": 3}, {"x": 4})
    runner.run(experiment(chains=longer), stored=tmp_path, scratch=tmp_path / "elsewhere")
    assert [params["x"] for _, params in inline[3:]] == [4]


def test_changed_code_runs_everything_again(tmp_path, inline, monkeypatch):
    runner.run(experiment(), stored=tmp_path, scratch=tmp_path / "scratch")
    monkeypatch.setattr(runner, "_version", lambda _: "another version of the code")
    runner.run(experiment(), stored=tmp_path, scratch=tmp_path / "scratch")
    assert len(inline) == 6


def test_a_chain_sees_its_own_past_and_goes_on_from_it(tmp_path, inline):
    whole = experiment(add, {"climb": climb})
    runner.run(whole, stored=tmp_path, scratch=tmp_path / "scratch")
    assert [trial.values["sum"] for trial in runner.load("double", tmp_path).trials] == [1, 3, 6, 10]
    # With the last two trials lost, the first two are taken from disk and the rest computed.
    files = sorted(
        (tmp_path / "scratch").rglob("*.npz"), key=lambda path: stored_results.unpacked(path).params["x"]
    )
    for path in files[2:]:
        path.unlink()
    (tmp_path / "double.json").unlink()
    runner.run(whole, stored=tmp_path, scratch=tmp_path / "scratch")
    assert [trial.values["sum"] for trial in runner.load("double", tmp_path).trials] == [1, 3, 6, 10]
    assert [params["x"] for _, params in inline] == [1, 2, 3, 4, 3, 4]


@pytest.mark.usefixtures("inline")
def test_a_fault_of_the_code_ends_the_run(tmp_path):
    with pytest.raises(KeyError):
        runner.run(
            experiment(lambda params: params["nothing"]), stored=tmp_path, scratch=tmp_path / "scratch"
        )
    assert not (tmp_path / "double.json").exists()


@pytest.mark.usefixtures("inline")
def test_arrays_that_are_not_those_of_the_record_are_refused(tmp_path):
    runner.run(experiment(), stored=tmp_path, scratch=tmp_path / "scratch")
    np.savez(tmp_path / "double.npz", other=np.zeros(3))
    with pytest.raises(ValueError, match="is not the file that"):
        runner.load("double", tmp_path)


def test_what_was_never_run_says_how_to_make_it(tmp_path):
    with pytest.raises(ValueError, match="python -m mfcore run double"):
        runner.load("double", tmp_path)


def test_a_trial_named_twice_is_refused():
    with pytest.raises(ValueError, match="2 trials, but only 1 different"):
        runner.independent({"x": 1}, {"x": 1})


SLOW = """
import os, time
from pathlib import Path
from mfcore import runner

def trial(params):
    time.sleep(0.3)
    with open(os.environ["LOG"], "a") as log:
        log.write(f"{params['x']}\\n")
    return {"square": params["x"] ** 2}

chains = runner.independent(*({"x": x} for x in range(12)))
EXPERIMENT = runner.Experiment("slow", "a test", "none", trial, chains, {"x": 0})

if __name__ == "__main__":
    import slow
    runner.run(slow.EXPERIMENT, workers=2, stored=Path("stored"), scratch=Path("scratch"))
"""


def test_a_killed_run_goes_on_without_losing_or_repeating_a_finished_trial(tmp_path):
    (tmp_path / "slow.py").write_text(SLOW)
    log = tmp_path / "log"
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}", "LOG": str(log), "TQDM_DISABLE": "1"}
    command = [sys.executable, "slow.py"]
    first = subprocess.Popen(command, cwd=tmp_path, env=environment, start_new_session=True)
    deadline = time.time() + 60
    while len(finished := finished_trials(tmp_path)) < 4:
        assert first.poll() is None
        assert time.time() < deadline
        time.sleep(0.02)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    finished = finished_trials(tmp_path)
    assert not (tmp_path / "stored").exists()
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, timeout=120)
    results = runner.load("slow", tmp_path / "stored")
    assert [trial.values["square"] for trial in results.trials] == [x**2 for x in range(12)]
    ran = [int(line) for line in log.read_text().split()]
    assert all(ran.count(x) == 1 for x in finished)
    assert 4 <= len(finished) < 12
    assert set(ran) == set(range(12))


def finished_trials(folder):
    return [
        stored_results.unpacked(path).params["x"]
        for path in (folder / "scratch").rglob("*.npz")
        if path.name[0] != "."
    ]


def test_a_check_runs_trials_again_and_notes_that_they_agree(tmp_path, inline, monkeypatch):
    monkeypatch.setattr(stored_results, "code_version", lambda module: f"present code of {module}")
    runner.run(experiment(), stored=tmp_path, scratch=tmp_path / "scratch")
    assert not runner.is_current(runner.load("double", tmp_path))
    runner.check(experiment(), 2, stored=tmp_path)
    checked = runner.load("double", tmp_path)
    assert runner.is_current(checked)
    assert checked.provenance["checked"]["trials"] == 2
    assert len(checked.trials) == len(inline)


def test_a_check_that_fails_notes_nothing(tmp_path, inline):
    path = runner.run(experiment(), stored=tmp_path, scratch=tmp_path / "scratch")
    before = path.read_text()
    with pytest.raises(ValueError, match="and now"):
        runner.check(experiment(lambda params: {**double(params), "y": 0.0}), 2, stored=tmp_path)
    with pytest.raises(ValueError, match="3 of 2 finished trials"):
        runner.check(experiment(), 3, stored=tmp_path)
    assert path.read_text() == before
    assert len(inline) == 3


@pytest.mark.usefixtures("inline")
def test_a_check_sees_that_a_chain_proposes_other_trials(tmp_path, monkeypatch):
    monkeypatch.setattr(stored_results, "code_version", lambda module: f"present code of {module}")
    steps = experiment(add, {"climb": climb})
    path = runner.run(steps, stored=tmp_path, scratch=tmp_path / "scratch")
    before = path.read_text()
    other = {"climb": lambda done: {**climb(done), "x": 9} if done else climb(done)}
    with pytest.raises(ValueError, match=r"'x': 2.* was a trial, and now .*'x': 9"):
        runner.check(experiment(add, other), 4, stored=tmp_path)
    with pytest.raises(ValueError, match="no chain 'climb' any more"):
        runner.check(experiment(add, {"fall": climb}), 1, stored=tmp_path)
    assert path.read_text() == before
    runner.check(steps, 4, stored=tmp_path)
    assert runner.load(steps.name, tmp_path).provenance["checked"]["trials"] == 4


@pytest.mark.usefixtures("inline")
def test_the_stored_record_is_plain_json(tmp_path):
    path = runner.run(experiment(), stored=tmp_path, scratch=tmp_path / "scratch")
    content = json.loads(path.read_text(), parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert content["provenance"]["code"] == runner._version(experiment())
    assert set(content["provenance"]) >= {"commit", "date", "device", "versions"}
