"""``book-status``: what this build ran with, how long each notebook took, and how old each stored result is.

A stored result whose code has changed since is a warning, which fails ``make book``.
"""

import platform
from importlib.metadata import version
from typing import Any

from chapter_facts import stored_results
from claims_ledger import titles
from docutils import nodes
from execution import executed, pages
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from mfcore import experiments, provenance, runner
from mfcore.profile import profile

log = logging.getLogger(__name__)
PACKAGES = ("jupyter-book", "sphinx", "myst-nb", "sphinx-book-theme")


def table(heads: list[str], rows: list[list[Any]]) -> nodes.table:
    """A table of words or nodes."""
    group = nodes.tgroup(cols=len(heads))
    group += [nodes.colspec(colwidth=1) for _ in heads]
    group += nodes.thead("", row(heads))
    group += nodes.tbody("", *(row(cells) for cells in rows))
    return nodes.table("", group, classes=["status"])


def row(cells: list[Any]) -> nodes.row:
    entries = [
        nodes.entry("", nodes.paragraph("", "", cell if isinstance(cell, nodes.Node) else nodes.Text(cell)))
        for cell in cells
    ]
    return nodes.row("", *entries)


def this_build() -> list[list[Any]]:
    """Commit, machine and versions of this build."""
    commit, device = provenance.commit(), provenance.device()
    tree = " with uncommitted changes" if commit["tree"] == "dirty" else ""
    packages = {**provenance.versions(), **{name: version(name) for name in PACKAGES}}
    return [
        ["commit", f"{commit['commit'][:10]}{tree}"],
        ["scale", profile()],
        ["machine", f"{device['processor']}, {device['cores']} cores, {platform.system()}"],
        ["JAX computes on", f"{device['jax_platform'].upper()} ({device['jax_devices']})"],
        ["versions", ", ".join(f"{name} {number}" for name, number in packages.items())],
    ]


def notebooks(app: Sphinx) -> list[list[Any]]:
    """Run time, memory and stored results of each notebook, and the sum of the times."""
    rows, total = [], 0.0
    names = titles(app)
    for docname in pages(app):
        notebook = executed(app, docname)
        if notebook is None:
            continue
        total += notebook.seconds
        memory = "not measured" if notebook.gigabytes is None else f"{notebook.gigabytes:.1f} GB"
        link = nodes.reference(
            "", names[docname], refuri=app.builder.get_relative_uri("book/status", docname), internal=True
        )
        rows.append(
            [link, f"{notebook.seconds:.0f} s", memory, ", ".join(stored_results(notebook)) or "none"]
        )
    return [*rows, ["all, one after the other", f"{total:.0f} s", "", ""]]


def results() -> list[list[Any]]:
    """Every stored result: what it holds, its date and commit, whether its code is still the same."""
    rows = []
    for name in experiments.names():
        stored = runner.load(name)
        source, current = stored.provenance, runner.is_current(stored)
        if not current:
            log.warning(
                "stored result %s is stale: its code has changed; python -m mfcore run %s", name, name
            )
        state = "current" if current else "STALE: its code has changed since"
        experiment = experiments.named(name)
        rows.append(
            [
                nodes.literal("", name),
                experiment.about,
                f"{len(stored.trials)}, {experiment.cost}",
                f"{source['date'][:10]}, {source['commit'][:7]}",
                state,
            ]
        )
    return rows


class BookStatus(SphinxDirective):
    def run(self) -> list[nodes.Node]:
        app = self.env.app
        return [
            nodes.rubric("", "This build"),
            table(["what", "with"], this_build()),
            nodes.rubric("", "Notebooks"),
            table(["notebook", "run time", "most memory", "stored results it loads"], notebooks(app)),
            nodes.rubric("", "Stored results"),
            table(["name", "what", "trials, cost", "made", "state"], results()),
        ]


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("book-status", BookStatus)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}
