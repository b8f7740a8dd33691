import csv
import hashlib
import json
import subprocess
import time
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from mfcore import provenance

ROOT = Path(__file__).resolve().parents[1]


def test_a_record_says_what_is_needed_to_repeat_a_result(monkeypatch):
    monkeypatch.setenv("MFCORE_PROFILE", "quick")
    params = {"n_points": np.int64(7), "rate": jnp.float64(0.5), "sizes": (1, 2), "grid": jnp.arange(3)}
    record = provenance.record(seed=3, params=params, wall_time=1.23456)
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert record["seed"] == 3
    assert record["params"] == {"n_points": 7, "rate": 0.5, "sizes": [1, 2], "grid": [0, 1, 2]}
    assert record["profile"] == "quick"
    assert record["wall_time_seconds"] == 1.235
    assert record["versions"]["numpy"] == np.__version__
    assert {"python", "jax", "jaxlib", "scipy", "scikit-learn", "matplotlib"} <= set(record["versions"])
    assert record["device"]["cores"] >= 1
    assert record["device"]["jax_platform"] == "cpu"


def test_a_parameter_that_cannot_be_written_down_is_refused():
    with pytest.raises(ValueError, match="no place in a record"):
        provenance.record(seed=0, params={"kernel": lambda x: x})


def a_repository(directory, monkeypatch):
    """A repository with a package mfcore of one file, from which provenance believes to be loaded."""

    def git(*arguments):
        name = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", "-C", directory, *name, *arguments], check=True, capture_output=True)

    for variable in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):
        monkeypatch.delenv(variable, raising=False)
    (directory / "mfcore").mkdir(parents=True)
    module = directory / "mfcore" / "provenance.py"
    module.write_text("")
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "one")
    monkeypatch.setattr(provenance, "__file__", str(module))
    return module


def test_the_commit_is_that_of_the_code_and_changes_are_told(tmp_path, monkeypatch):
    module = a_repository(tmp_path, monkeypatch)
    head = subprocess.run(
        ["git", "-C", tmp_path, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    )
    assert provenance.commit() == {"commit": head.stdout.strip(), "tree": "clean"}
    module.write_text("changed = True\n")
    assert provenance.commit()["tree"] == "dirty"


def test_the_commit_of_a_repository_around_an_installed_copy_is_not_taken(tmp_path, monkeypatch):
    a_repository(tmp_path, monkeypatch)
    installed = tmp_path / "site-packages" / "mfcore" / "provenance.py"
    installed.parent.mkdir(parents=True)
    installed.write_text("")
    monkeypatch.setattr(provenance, "__file__", str(installed))
    assert provenance.commit() == {"commit": "unknown", "tree": "unknown"}


def test_the_commit_is_found_inside_a_hook_of_another_repository(tmp_path, monkeypatch):
    a_repository(tmp_path / "other", monkeypatch)
    a_repository(tmp_path / "own", monkeypatch)
    (tmp_path / "own" / "mfcore" / "provenance.py").write_text("changed = True\n")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))  # as git sets it for a hook
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path / "other"))
    found = provenance.commit()
    assert (len(found["commit"]), found["tree"]) == (40, "dirty")


def test_without_git_the_commit_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance.commit() == {"commit": "unknown", "tree": "unknown"}
    assert provenance.record(seed=0, params={})["commit"] == "unknown"


def test_a_hash_of_a_file_is_that_of_its_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert provenance.sha256(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()
    assert provenance.sha256(str(tmp_path / "a")) == hashlib.sha256(b"abc").hexdigest()


def test_a_hash_of_an_array_sees_values_shape_and_type_but_not_memory_order():
    array = np.arange(6.0).reshape(2, 3)
    same = [np.asfortranarray(array), array.astype(">f8"), jnp.asarray(array)]
    other = [array + 1e-15, array.reshape(3, 2), array.astype("f4"), array.astype("c16")]
    expected = provenance.sha256(array)
    assert [provenance.sha256(a) for a in same] == [expected] * 3
    assert expected not in [provenance.sha256(a) for a in other]
    assert len({provenance.sha256(a) for a in other}) == 4


def test_a_hash_of_objects_is_refused():
    with pytest.raises(ValueError, match="objects"):
        provenance.sha256(np.array([{}], dtype=object))


def test_a_half_written_file_is_never_left(tmp_path, monkeypatch):
    target = provenance.write_bytes(tmp_path / "new" / "a.txt", b"old")
    assert target.read_bytes() == b"old"

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(provenance.os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        provenance.write_bytes(target, b"new and longer")
    assert target.read_bytes() == b"old"
    assert [p.name for p in target.parent.iterdir()] == ["a.txt"]


def test_csv_reads_back(tmp_path):
    columns = {"label": ["a", "b,c"], "count": np.array([1, 2]), "value": jnp.array([1 / 3, 1e-14])}
    path = provenance.write_csv(tmp_path / "a.csv", columns)
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [["label", "count", "value"], ["a", "1", "0.3333333333"], ["b,c", "2", "1e-14"]]


@pytest.mark.parametrize("columns", [{}, {"a": [1, 2], "b": [1]}, {"a": [[1, 2]]}, {"a": 1}])
def test_columns_of_different_length_are_refused(tmp_path, columns):
    with pytest.raises(ValueError, match="columns of one length"):
        provenance.write_csv(tmp_path / "a.csv", columns)
    assert list(tmp_path.iterdir()) == []


def test_complex_cells_and_json_nan_are_refused(tmp_path):
    with pytest.raises(ValueError, match="real and imaginary"):
        provenance.write_csv(tmp_path / "a.csv", {"z": [1j]})
    with pytest.raises(ValueError, match=r"a\.json was not written"):
        provenance.write_json(tmp_path / "a.json", {"x": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_the_stopwatch_measures_its_block():
    with provenance.Stopwatch() as watch:
        time.sleep(0.05)
    assert 0.05 <= watch.seconds < 1
