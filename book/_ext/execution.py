"""Notebooks are executed again when anything changed that their outputs or figures depend on.

The cache of executed notebooks (jupyter-cache) looks at the code cells alone, and keeps outputs but no
files. So

- outputs and figures live together in a directory named after everything else they depend on: ``mfcore``,
  the locks, the data in ``book/``, Python, and the profile (`key`);
- a ledger there says for which code cells each notebook wrote which figures. Where the cells have changed,
  a figure is missing, or nothing is known, the outputs and figures of that notebook are dropped before the
  build.

The figures on disk therefore are always those of the outputs on the page. ``MFCORE_FIGURES`` is set here,
for the kernels to inherit.
"""

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from jupyter_cache import get_cache
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ExtensionError

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

    def stamps(self) -> dict[str, int]:
        """Each figure by its record, which is written last, and when that was."""
        return {path.stem: path.stat().st_mtime_ns for path in self.figures.glob("*.json")}

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

    def enter(self, notebook: str, code: str, before: dict[str, int]) -> None:
        """Note what a notebook has just written, if it was executed."""
        written = {name for name, stamp in self.stamps().items() if before.get(name) != stamp}
        for other in set(self.entries) - {notebook}:
            twice = written & set(self.entries[other]["figures"])
            if twice:
                self.drop(other)
                raise ExtensionError(
                    f"figure {min(twice)!r} is written by two notebooks: {other} and {notebook}"
                )
        if written or notebook not in self.entries:
            self.entries[notebook] = {"code": code, "figures": sorted(written)}
            self.write()


class Execution:
    """The steps of one build."""

    def __init__(self) -> None:
        self.ledger: Ledger | None = None
        self.before: dict[str, int] = {}

    def place(self, app: Sphinx, config: Config) -> None:
        root = Path(app.confdir)
        directory = root / "_build" / "executed" / key(root)
        config.nb_execution_cache_path = str(directory / "cache")
        os.environ["MFCORE_FIGURES"] = str(directory / "figures")
        self.ledger = Ledger(root, directory)
        self.ledger.prepare()

    def before_reading(self, app: Sphinx, docname: str, content: list[str]) -> None:
        assert self.ledger is not None
        self.before = self.ledger.stamps()

    def after_reading(self, app: Sphinx, doctree: nodes.document) -> None:
        assert self.ledger is not None
        path = self.ledger.root / f"{app.env.docname}.ipynb"
        if path.exists():
            self.ledger.enter(app.env.docname, code_hash(path), self.before)


def setup(app: Sphinx) -> dict[str, Any]:
    execution = Execution()
    app.connect("config-inited", execution.place, priority=100)  # before myst-nb reads its configuration
    app.connect("source-read", execution.before_reading)
    app.connect("doctree-read", execution.after_reading)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}
