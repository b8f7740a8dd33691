"""Where a number comes from: commit, seed, parameters, versions, device, time, hashes; and writing it safely.

A file written here is whole or absent: it is written under another name first and renamed when complete.
"""

import csv
import datetime
import hashlib
import io
import json
import os
import platform
import subprocess
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from mfcore.profile import profile

PACKAGES = ("numpy", "scipy", "jax", "jaxlib", "scikit-learn", "matplotlib", "neural-tangents")
SIGNIFICANT_DIGITS = 10  # of every real number in a CSV


class Stopwatch:
    """``with Stopwatch() as watch: ...`` leaves the wall time in ``watch.seconds``.

    JAX returns before it has computed: call ``block_until_ready()`` on the result inside the block.
    """

    seconds: float = 0.0

    def __enter__(self) -> "Stopwatch":
        self._start = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._start


def record(*, seed: int | None, params: Mapping[str, Any], wall_time: float | None = None) -> dict[str, Any]:
    """Everything needed to make a result again, as plain JSON values.

    `seed` is None only for a result without chance in it; `wall_time` is in seconds. Commit and state of the
    tree are "unknown" where git or the repository is missing.
    """
    return {
        "seed": seed,
        "params": plain(params),
        "profile": profile(),
        "wall_time_seconds": None if wall_time is None else round(float(wall_time), 3),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **commit(),
        "versions": versions(),
        "device": device(),
    }


def commit() -> dict[str, str]:
    """The commit this package was loaded from, and whether the tree was "clean" or "dirty" against it."""
    package = Path(__file__).resolve().parent
    top = _git(package, "rev-parse", "--show-toplevel")
    # An installed copy may lie inside a repository that is not its own: that commit would be a lie.
    if top is None or Path(top).resolve() / "mfcore" != package:
        return {"commit": "unknown", "tree": "unknown"}
    head = _git(package, "rev-parse", "HEAD")
    changes = _git(package, "status", "--porcelain")
    tree = "unknown" if changes is None else "dirty" if changes else "clean"
    return {"commit": head or "unknown", "tree": tree}


def _git(directory: Path, *arguments: str) -> str | None:
    # GIT_DIR and its kin, set inside hooks, would point at another repository.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", "-C", str(directory), *arguments],
            capture_output=True,
            text=True,
            env=environment,
            timeout=30,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that numbers depend on; those not installed are left out."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def device() -> dict[str, Any]:
    """Processor model, cores open to this process, and the devices that JAX computes on."""
    import jax  # here, so that reading or writing a record needs no JAX

    devices = jax.devices()
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "jax_platform": devices[0].platform,
        "jax_device": devices[0].device_kind,
        "jax_devices": len(devices),
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine() or "unknown"


def sha256(data: Any) -> str:
    """SHA-256 of a file (a path: its bytes) or an array (dtype, shape and little-endian C-order bytes)."""
    if isinstance(data, str | os.PathLike):
        return hashlib.sha256(Path(data).read_bytes()).hexdigest()
    array = np.asarray(data)
    if array.dtype == object:
        raise ValueError(
            f"cannot hash an array of objects (from {type(data).__name__}); pass numbers or a path."
        )
    array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    header = f"{array.dtype.str} {array.shape} ".encode()
    return hashlib.sha256(header + array.tobytes()).hexdigest()


def plain(value: Any) -> Any:
    """The same value in types that JSON has; array scalars and arrays become numbers and lists."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in (sorted(value) if isinstance(value, set | frozenset) else value)]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist") and np.asarray(value).dtype.kind in "biufU":
        return np.asarray(value).tolist()
    raise ValueError(
        f"{value!r} ({type(value).__name__}) has no place in a record; "
        "pass numbers, strings, lists or mappings."
    )


def write_bytes(path: str | os.PathLike[str], content: bytes) -> Path:
    """Write a file that is whole or absent, and make its directory where there is none."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def write_json(path: str | os.PathLike[str], content: Mapping[str, Any]) -> Path:
    """Write JSON that any reader takes: NaN and infinity, which JSON lacks, are refused."""
    try:
        text = json.dumps(plain(content), indent=2, allow_nan=False)
    except ValueError as error:
        raise ValueError(f"{Path(path).name} was not written: {error}") from error
    return write_bytes(path, (text + "\n").encode())


def write_csv(path: str | os.PathLike[str], columns: Mapping[str, Any]) -> Path:
    """Write a table, one column a name, all of one length; reals with ten significant digits."""
    cells = {name: np.asarray(column) for name, column in columns.items()}
    shapes = {name: column.shape for name, column in cells.items()}
    if not cells or any(len(shape) != 1 for shape in shapes.values()) or len(set(shapes.values())) != 1:
        raise ValueError(
            f"{Path(path).name} needs one-dimensional columns of one length, but got the shapes "
            f"{shapes or 'of none'}; "
            "bring them to one length, or write a long table (one row a number, its indices in columns)."
        )
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(cells)
    writer.writerows(zip(*[[_cell(v) for v in column.tolist()] for column in cells.values()], strict=True))
    return write_bytes(path, text.getvalue().encode())


def _cell(value: Any) -> str:
    if isinstance(value, complex):
        raise ValueError(
            f"a complex number ({value}) does not fit into one cell; write real and imaginary columns."
        )
    return f"{value:.{SIGNIFICANT_DIGITS}g}" if isinstance(value, float) else str(value)
