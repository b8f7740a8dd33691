"""``claims-ledger``: every claim of the paper with what the chapters found, from the outputs of their cells.

A chapter's last cell shows `mfcore.claims.table`; its findings travel in that output's metadata. The ledger
puts them beside the list of claims in ``book/claims.yml``. A claim that no cell answers, a number that is not
in the list, and a finding whose check failed stop the build, so nothing can stand here that no cell has
checked. ``claims-summary`` counts the verdicts in one line, for the front page; ``claims-with`` lists the
findings of one verdict.
"""

from collections import Counter
from functools import cache
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import yaml
from docutils import nodes
from docutils.statemachine import StringList
from execution import executed, pages
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective
from typesetting import typeset

KEY = "mfcore_findings"  # as in mfcore.claims
# From the most to the least favourable: a claim counts by the last of these that one of its findings has.
VERDICTS = ("reproduced", "reproduced under a stated reading", "misprint", "not decided", "not reproduced")
BEYOND = "found here"


class Found(NamedTuple):
    """A finding, and the page that has it."""

    docname: str
    row: dict[str, Any]


def claims(app: Sphinx) -> dict[str, dict[str, str]]:
    """The list of claims, by number."""
    entries = yaml.safe_load((Path(app.srcdir) / "book" / "claims.yml").read_text(encoding="utf-8"))
    return {entry["id"]: entry for entry in entries}


def findings(app: Sphinx) -> list[Found]:
    """All findings of the book, chapter by chapter in its order; refuses those that must not stand there."""
    known, rows = claims(app), []
    for docname in pages(app):
        notebook = executed(app, docname)
        for cell in notebook.content.cells if notebook else []:
            for output in cell.get("outputs", []):
                rows += [Found(docname, row) for row in output.get("metadata", {}).get(KEY, [])]
    for docname, row in rows:
        failed = [words for words, held in row["checks"].items() if not held]
        if row["claim"] and row["claim"] not in known:
            raise ExtensionError(f"{docname}: claim {row['claim']!r} is not in book/claims.yml")
        if not row["checks"] or (failed and row["profile"] == "paper"):
            raise ExtensionError(f"{docname}: {row['claim'] or row['paper']}: no check, or failed: {failed}")
    silent = sorted(set(known) - {found.row["claim"] for found in rows})
    if silent:
        raise ExtensionError(f"no executed cell answers the claims {', '.join(silent)}")
    return rows


def verdict(rows: list[Found]) -> str:
    """Of a claim: the least favourable among its findings."""
    return max((found.row["verdict"] for found in rows), key=VERDICTS.index)


def counted(app: Sphinx) -> Counter[str]:
    """How many claims have which verdict."""
    rows = findings(app)
    return Counter(verdict([f for f in rows if f.row["claim"] == number]) for number in claims(app))


def badge(verdict: str) -> nodes.inline:
    """The verdict in a coloured frame; the words say it, too."""
    return nodes.inline(verdict, verdict, classes=["verdict", "verdict-" + verdict.replace(" ", "-")])


class ClaimsSummary(SphinxDirective):
    def run(self) -> list[nodes.Node]:
        count = counted(self.env.app)
        paragraph = nodes.paragraph(classes=["claims-summary"])
        for name in VERDICTS:
            words = badge(name), nodes.Text(f"\N{NO-BREAK SPACE}{count[name]}")
            paragraph += [nodes.inline("", "", *words, classes=["verdict-count"]), nodes.Text(" ")]
        return [paragraph]


class Findings(SphinxDirective):
    """What the directives below show alike: findings as boxes."""

    def entry(self, number: str, title: str, claim: str, rows: list[Found]) -> nodes.Node:
        box = nodes.container(classes=["claim"], ids=[f"ledger-{number.lower()}"])
        head = nodes.paragraph(classes=["claim-head"])
        head += [nodes.strong("", title), nodes.Text(" "), badge(verdict(rows))]
        box += [head, *self.text(claim), *(self.finding(found, statement=False) for found in rows)]
        return box

    def finding(self, found: Found, *, statement: bool) -> nodes.Node:
        row = found.row
        box = nodes.container(classes=["finding"])
        if statement:
            box += self.text(
                f"**{row['claim']}** The paper: {row['paper']}" if row["claim"] else row["paper"]
            )
        elif row["paper"]:
            box += self.text(f"*{row['paper']}*")
        box += self.text(f"Here: {row['here']}")
        line = nodes.paragraph(classes=["finding-source"])
        line += [badge(row["verdict"]), nodes.Text(" "), self.link(found)]
        if row["profile"] != "paper":
            line += nodes.Text(f" ({row['profile']} profile: not the paper's scale, checks not enforced)")
        box += line
        checks = "".join(f"<li>{escape(typeset(words))}</li>" for words in row["checks"])
        box += nodes.raw(
            "",
            f'<details class="finding-checks"><summary>checked: {len(row["checks"])}</summary>'
            f"<ul>{checks}</ul></details>",
            format="html",
        )
        return box

    def link(self, found: Found) -> nodes.Node:
        builder: Any = self.env.app.builder
        address = builder.get_relative_uri(self.env.docname, found.docname)
        if builder.name != "singlehtml":
            address += f"#{found.row['anchor']}"
        title = titles(self.env.app).get(found.docname, found.docname)
        return nodes.reference("", title, refuri=address, internal=True)

    def text(self, markdown: str) -> list[nodes.Node]:
        holder = nodes.Element()
        self.state.nested_parse(StringList([markdown], self.env.doc2path(self.env.docname)), 0, holder)
        return holder.children


class ClaimsLedger(Findings):
    """All claims, then what the paper does not have; before them a line of links to each."""

    def run(self) -> list[nodes.Node]:
        rows = findings(self.env.app)
        links = nodes.paragraph(classes=["claims-jump"])
        for number in claims(self.env.app):
            links += [nodes.reference("", number, refid=f"ledger-{number.lower()}"), nodes.Text(" ")]
        content: list[nodes.Node] = [links]
        for number, claim in claims(self.env.app).items():
            mine = [found for found in rows if found.row["claim"] == number]
            content.append(self.entry(number, f"{number}, {claim['where']}", claim["claim"], mine))
        beyond = [found for found in rows if not found.row["claim"]]
        content.append(nodes.rubric("", "Found here, beyond the paper"))
        content += [self.finding(found, statement=True) for found in beyond]
        return content


class ClaimsWith(Findings):
    """The findings with one verdict, which is the content."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        asked = " ".join(self.content).strip()
        if asked not in (*VERDICTS, BEYOND):
            raise self.error(f"{asked!r} is no verdict; use one of {', '.join((*VERDICTS, BEYOND))}")
        rows = [found for found in findings(self.env.app) if found.row["verdict"] == asked]
        return [self.finding(found, statement=True) for found in rows]


def titles(app: Sphinx) -> dict[str, str]:
    """Headings of the notebooks, before Sphinx has read them all; the cache keeps their code alone."""
    found = {}
    for docname in pages(app):
        path = Path(app.env.doc2path(docname))
        if path.suffix == ".ipynb":
            found[docname] = heading(path, path.stat().st_mtime_ns)
    return found


@cache
def heading(notebook: Path, _changed: int) -> str:
    """The first line of a notebook; each of some hundred findings asks for that of all."""
    first = nbformat.read(notebook, as_version=4).cells[0].source
    return first.lstrip().splitlines()[0].lstrip("# ").strip()


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("claims-ledger", ClaimsLedger)
    app.add_directive("claims-summary", ClaimsSummary)
    app.add_directive("claims-with", ClaimsWith)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}
