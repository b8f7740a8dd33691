"""Results of experiments on disk: JSON and npz without pickles, each file whole or absent.

A result holds every trial, failed ones too, and the commit, date, device and version of the code behind it.
"""

import contextlib
import hashlib
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from mfcore import provenance
from mfcore.code_version import PACKAGE, code_version

STORED = PACKAGE.parent / "book" / "results"

Params: TypeAlias = dict[str, Any]  # numbers, strings and truth values
Values: TypeAlias = dict[str, Any]  # the same, and NumPy arrays

LARGE = 1e5
TOLERANCE = 1e-6  # of numbers computed again: another processor rounds otherwise, and long flows show it


class Trial(NamedTuple):
    """One trial: what went in, what came out, and "done" or "failed: " and why."""

    chain: str
    params: Params
    values: Values
    status: str
    seconds: float


class Results(NamedTuple):
    """What `runner.run` stored: all trials, failed ones too, and where they come from."""

    name: str
    trials: list[Trial]
    provenance: dict[str, Any]

    @property
    def table(self) -> dict[str, np.ndarray]:
        """Parameters and scalar values of the finished trials as columns; NaN where a trial lacks one."""
        rows = [
            {**t.params, **{k: v for k, v in t.values.items() if np.ndim(v) == 0}, "seconds": t.seconds}
            for t in self.trials
            if t.status == "done"
        ]
        names = dict.fromkeys(name for row in rows for name in row)
        return {name: np.array([row.get(name, np.nan) for row in rows]) for name in names}


def load(name: str, stored: Path = STORED) -> Results:
    """What `runner.run` stored under this name."""
    path = stored / f"{name}.json"
    if not path.exists():
        raise ValueError(f"{path} does not exist; make it by: python -m mfcore run {name}")
    content = json.loads(path.read_text())
    arrays = path.with_suffix(".npz")
    if content["arrays_sha256"] is not None and provenance.sha256(arrays) != content["arrays_sha256"]:
        raise ValueError(
            f"{arrays} is not the file that {path.name} was written with; run the experiment again"
        )
    with (
        np.load(arrays, allow_pickle=False)
        if content["arrays_sha256"]
        else contextlib.nullcontext({}) as file
    ):
        trials = [
            Trial(
                row["chain"],
                row["params"],
                {k: _number(v) for k, v in row["values"].items()}
                | {k: file[f"{i}/{k}"] for k in row["arrays"]},
                row["status"],
                row["seconds"],
            )
            for i, row in enumerate(content["trials"])
        ]
    return Results(name, trials, content["provenance"])


def agree(old: Trial, new: Trial, varying: Sequence[str] = ()) -> bool:
    """Whether two runs of a trial ended alike, their numbers equal within `TOLERANCE`, but for ``varying``.

    Of numbers beyond `LARGE` only the power of ten must agree: they are gains down to rounding errors.
    """
    if old.status != new.status or old.values.keys() != new.values.keys():
        return False
    return all(_equal(old.values[k], value) for k, value in new.values.items() if k not in varying)


def _equal(old: Any, new: Any) -> bool:
    if isinstance(old, str) or np.shape(old) != np.shape(new):
        return np.shape(old) == np.shape(new) and old == new
    a, b = np.asarray(old, float), np.asarray(new, float)
    large = np.minimum(np.abs(a), np.abs(b)) > LARGE
    ratio = np.where(large, np.abs(b), 1) / np.where(large, np.abs(a), 1)
    close = np.isclose(b, a, rtol=TOLERANCE, atol=1e-12, equal_nan=True)
    return bool(np.all(np.where(large, np.abs(np.log10(ratio)) < 1, close)))


def note_check(results: Results, count: int, stored: Path = STORED) -> Path:
    """Add to a result that ``count`` of its trials, run again by the present code, agree."""
    path = stored / f"{results.name}.json"
    content = json.loads(path.read_text())
    now = provenance.record(seed=None, params={})
    content["provenance"]["checked"] = {
        "code": code_version(f"experiments.{results.name}"),
        "trials": count,
        "date": now["date"],
        "commit": now["commit"],
    }
    return provenance.write_json(path, content)


def is_current(results: Results) -> bool:
    """Whether the code that decides these results is the code they were made by, or `runner.check`ed by."""
    checked = results.provenance.get("checked", {})
    known = (results.provenance["code"], checked.get("code"))
    return code_version(f"experiments.{results.name}") in known


def provenance_line(results: Results) -> str:
    """Where stored numbers come from, as one line of Markdown."""
    source, trials = results.provenance, results.trials
    failed = sum(trial.status != "done" for trial in trials)
    time_spent = sum(trial.seconds for trial in trials)
    checked, state = source.get("checked"), ""
    if not is_current(results):
        state = " **The code has changed since; the numbers may be out of date.**"
    elif checked:
        when = checked["date"][:10]
        state = f" *The code has changed since; {checked['trials']} trials run again on {when} agree.*"
    return (
        f"*Stored result `{results.name}`: {len(trials)} trials, {failed} of them failed; "
        f"{time_spent / 60:.0f} minutes of computing time on {source['device']['processor']}, "
        f"{source['date'][:10]}, commit `{source['commit'][:10]}`. "
        f"Made by `python -m mfcore run {results.name}`.*{state}"
    )


def save(name: str, trials: list[Trial], version: str, stored: Path = STORED) -> Path:
    """Write the trials of this version of the code as a whole result."""
    rows, arrays = [], {}
    for i, trial in enumerate(trials):
        scalars, own = _split(trial.values)
        arrays |= {f"{i}/{key}": array for key, array in own.items()}
        rows.append({**trial._asdict(), "values": scalars, "arrays": list(own)})
    path = stored / f"{name}.json"
    # The arrays first: JSON without them would be taken for a whole result.
    packed = _npz(arrays) if arrays else None
    if packed is not None:
        provenance.write_bytes(path.with_suffix(".npz"), packed)
    source = provenance.record(seed=None, params={}, wall_time=None) | {"code": version}
    digest = None if packed is None else hashlib.sha256(packed).hexdigest()
    return provenance.write_json(path, {"provenance": source, "arrays_sha256": digest, "trials": rows})


def packed(trial: Trial) -> bytes:
    """One trial as the bytes of an npz file."""
    scalars, arrays = _split(trial.values)
    words = json.dumps({**trial._asdict(), "values": scalars})
    return _npz({"trial": np.array(words), **{f"value/{name}": array for name, array in arrays.items()}})


def unpacked(path: Path) -> Trial:
    """The trial of such a file."""
    with np.load(path, allow_pickle=False) as file:
        words = json.loads(str(file["trial"]))
        arrays = {name.removeprefix("value/"): file[name] for name in file.files if name != "trial"}
    words["values"] = {name: _number(value) for name, value in words["values"].items()} | arrays
    return Trial(**words)


def _npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


def _split(values: Values) -> tuple[Values, dict[str, np.ndarray]]:
    # NaN and infinity, which JSON lacks, are stored as words.
    scalars = {k: v for k, v in values.items() if not isinstance(v, np.ndarray)}
    words = {k: repr(v) if isinstance(v, float) and not math.isfinite(v) else v for k, v in scalars.items()}
    return words, {k: v for k, v in values.items() if isinstance(v, np.ndarray)}


def _number(value: Any) -> Any:
    return float(value) if value in ("nan", "inf", "-inf") else value
