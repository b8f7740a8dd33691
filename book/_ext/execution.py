"""Notebooks are executed again when anything changed that their outputs or figures depend on.

The cache of executed notebooks (jupyter-cache) looks at the code cells alone, and keeps outputs but no
files. So

- outputs and figures live together in a directory named after everything else they depend on: ``mfcore``,
  the locks, the data in ``book/``, Python, and the profile (`key`);
- a ledger there says for which code cells each notebook wrote which figures. Where the cells have changed,
  a figure is missing, or nothing is known, the outputs and figures of that notebook are dropped before the
  build.

The figures on disk therefore are always those of the outputs on the page. Several notebooks are executed at a
time, each with a ``MFCORE_FIGURES`` of its own; myst-nb then finds all of them in the cache.
"""

import gc
import hashlib
import json
import os
import re
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.util.logging import getLogger

LOGGER = getLogger(__name__)
LARGEST_NUMBER_AT_ONCE = 4  # notebooks; each may hold a few GB
THREADS = ("NPROC", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")  # what XLA and the BLAS libraries go by
FIGURE_SUFFIXES = (".svg", "-dark.svg", ".pdf", ".png", ".csv", ".json")
FRAME_SUFFIXES = (".svg", "-dark.svg")
SOURCES = ("mfcore/**/*.py", "requirements*.lock", "book/**/*.csv", "book/**/*.json", "book/**/*.npz")


def key(root: Path) -> str:
    """Profile, Python version, and a hash of every source but the notebooks."""
    digest = hashlib.sha256()
    for path in sorted({path for pattern in SOURCES for path in root.glob(pattern)}):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    profile = os.environ.get("MFCORE_PROFILE") or "paper"
    return f"{profile}-py{sys.version_info[0]}{sys.version_info[1]}-{digest.hexdigest()[:12]}"


def code_hash(notebook: Path) -> str:
    """Hash of the code cells."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = [cell["source"] for cell in cells if cell["cell_type"] == "code"]
    return hashlib.sha256(json.dumps(["".join(source) for source in code]).encode()).hexdigest()


def figure_files(figures: Path, name: str) -> list[str]:
    """Names of all files of a figure: those that each figure has, and the frames in its record."""
    record = figures / f"{name}.json"
    frames = json.loads(record.read_text(encoding="utf-8")).get("frames", []) if record.exists() else []
    stems = [Path(frame["file"]).stem for frame in frames]
    return [f"{name}{s}" for s in FIGURE_SUFFIXES] + [f"{stem}{s}" for stem in stems for s in FRAME_SUFFIXES]


class Ledger:
    """Which figures each notebook wrote, for which code; on disk after every change."""

    def __init__(self, root: Path, directory: Path) -> None:
        self.root = root
        self.cache, self.figures, self.file = (
            directory / name for name in ("cache", "figures", "ledger.json")
        )
        self.figures.mkdir(parents=True, exist_ok=True)
        self.entries: dict[str, dict[str, Any]] = (
            json.loads(self.file.read_text()) if self.file.exists() else {}
        )

    def prepare(self) -> None:
        """Drop every notebook whose outputs and figures are not known to belong to its present code."""
        present = {f"notebooks/{path.stem}": path for path in self.root.glob("notebooks/*.ipynb")}
        for notebook in {*self.entries, *present}:
            if notebook not in present or not self.holds(notebook, code_hash(present[notebook])):
                self.drop(notebook)

    def write(self) -> None:
        partial = self.file.with_suffix(".partial")
        partial.write_text(json.dumps(self.entries, indent=1))
        partial.replace(self.file)

    def holds(self, notebook: str, code: str) -> bool:
        entry = self.entries.get(notebook)
        names = (entry or {}).get("figures", [])
        files = [self.figures / file for name in names for file in figure_files(self.figures, name)]
        return entry is not None and entry["code"] == code and all(file.exists() for file in files)

    def drop(self, notebook: str) -> None:
        """Forget outputs and figures of a notebook, so that it is executed."""
        for name in self.entries.pop(notebook, {}).get("figures", []):
            for file in figure_files(self.figures, name):
                (self.figures / file).unlink(missing_ok=True)
        self.write()
        cache = get_cache(self.cache)
        for stored in cache.list_cache_records():
            if Path(str(stored.uri)) == self.root / f"{notebook}.ipynb":
                cache.remove_cache(stored.pk)  # pyright: ignore[reportArgumentType]

    def enter(self, notebook: str, code: str, executed: "Executed", drawn: Path) -> None:
        """Keep the outputs of a notebook, and the figures it has drawn in a directory of its own."""
        figures = sorted(path.stem for path in drawn.glob("*.json"))
        for other in set(self.entries) - {notebook}:
            twice = set(figures) & set(self.entries[other]["figures"])
            if twice:
                self.drop(other)
                raise ExtensionError(
                    f"figure {min(twice)!r} is written by two notebooks: {other} and {notebook}"
                )
        for file in drawn.iterdir():
            file.replace(self.figures / file.name)
        uri = str(self.root / f"{notebook}.ipynb")
        bundle = CacheBundleIn(
            executed.content,
            uri,
            data={"execution_seconds": executed.seconds, "peak_gigabytes": executed.gigabytes},
        )
        get_cache(self.cache).cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
        self.entries[notebook] = {"code": code, "figures": figures}
        self.write()


class Executed(NamedTuple):
    """A notebook with its outputs, how long that took, and the most memory its process has held.

    The memory is in GB, and None where the system does not tell.
    """

    content: nbformat.NotebookNode
    seconds: float
    gigabytes: float | None


def at_once() -> int:
    """How many notebooks are executed at a time."""
    return min(LARGEST_NUMBER_AT_ONCE, os.cpu_count() or 1)


def execute(path: Path, figures: Path, timeout: int) -> Executed:
    """Run a notebook in its own directory, with a directory of its own for its figures.

    It gets its share of the cores: with threads for all of them, notebooks that run at a time would hold one
    another up (two on two cores took a seventh longer).
    """
    figures.mkdir(parents=True, exist_ok=True)
    content = nbformat.read(path, as_version=4)
    # Timings would stand in the cells' metadata, and the cache would not know them again.
    client = NotebookClient(
        content,
        timeout=timeout,
        record_timing=False,
        resources={"metadata": {"path": str(path.parent)}},
        # Every kernel would warn that others on this machine could listen to its sockets.
        extra_arguments=["--log-level=ERROR"],
    )
    held: list[float | None] = [None]

    def measure(**_: Any) -> None:
        manager: Any = client.km
        held[0] = peak_gigabytes(manager.provisioner.pid)

    client.on_cell_complete = measure  # after each cell, for the process is gone when the notebook is done
    start = time.perf_counter()
    threads = dict.fromkeys(THREADS, str((os.cpu_count() or 1) // at_once()))
    client.execute(env={**os.environ, **threads, "MFCORE_FIGURES": str(figures)})
    return Executed(content, time.perf_counter() - start, held[0])


def peak_gigabytes(process: int) -> float | None:
    """The most memory that a running process has held."""
    status = Path(f"/proc/{process}/status")
    found = re.search(r"VmHWM:\s*(\d+) kB", status.read_text()) if status.exists() else None
    return int(found[1]) * 1024 / 1e9 if found else None


def minutes(notebook: Path) -> float:
    """How long a notebook says that it takes, in its metadata: {"mfcore": {"long": minutes}}; else 0."""
    return json.loads(notebook.read_text(encoding="utf-8"))["metadata"].get("mfcore", {}).get("long", 0)


def pages(app: Sphinx) -> list[str]:
    """All pages, in the order of the table of contents where there is one."""
    toc: Any = getattr(app.config, "external_site_map", None) or sorted(app.env.found_docs)
    return [docname for docname in toc if docname in app.env.found_docs]


def executed(app: Sphinx, docname: str) -> Executed | None:
    """A notebook of this build with its outputs; None for a page that is no notebook."""
    path = Path(app.env.doc2path(docname))
    if path.suffix != ".ipynb":
        return None
    cache = get_cache(app.config.nb_execution_cache_path)
    found: Any = cache.match_cache_notebook(nbformat.read(path, as_version=4))
    data, content = found.data or {}, cache.get_cache_bundle(found.pk).nb
    return Executed(content, data["execution_seconds"], data.get("peak_gigabytes"))


class Execution:
    """The steps of one build."""

    def __init__(self) -> None:
        self.ledger: Ledger | None = None

    def place(self, app: Sphinx, config: Config) -> None:
        root = Path(app.confdir)
        directory = root / "_build" / "executed" / key(root)
        config.nb_execution_cache_path = str(directory / "cache")
        os.environ["MFCORE_FIGURES"] = str(directory / "figures")
        self.ledger = Ledger(root, directory)
        self.ledger.prepare()

    def run_all(self, app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
        """Execute what is not known, several notebooks at a time: each keeps about one core busy."""
        ledger = self.ledger
        assert ledger is not None
        paths = {name: ledger.root / f"{name}.ipynb" for name in docnames}
        missing = [name for name, path in paths.items() if path.exists() and name not in ledger.entries]
        # One of the long ones alone at the end would leave the other cores idle.
        missing.sort(key=lambda name: minutes(paths[name]), reverse=True)
        if not missing or app.config.nb_execution_mode != "cache":
            return
        with (
            tempfile.TemporaryDirectory(dir=ledger.figures.parent) as drawn,
            ThreadPoolExecutor(at_once()) as pool,
        ):
            running = {
                pool.submit(execute, paths[name], Path(drawn, name), app.config.nb_execution_timeout): (
                    name,
                    code_hash(paths[name]),
                )
                for name in missing
            }
            failed = []
            for future in as_completed(running):
                name, code = running[future]
                try:
                    executed = future.result()
                except (CellExecutionError, CellTimeoutError) as error:
                    failed.append(f"{name}: {error}")
                    continue
                ledger.enter(name, code, executed, Path(drawn, name))
                LOGGER.info("%s: executed in %.0f seconds", name, executed.seconds)
        if failed:
            raise ExtensionError("\n".join(failed))


def setup(app: Sphinx) -> dict[str, Any]:
    # The documents stay in memory to the end: looking for garbage among them took a fifth of the time.
    gc.set_threshold(200_000, 50, 100)
    execution = Execution()
    app.connect("config-inited", execution.place, priority=100)  # before myst-nb reads its configuration
    app.connect("env-before-read-docs", execution.run_all)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}
