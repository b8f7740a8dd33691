"""``how-to-cite``: the companion and the paper, as text and for BibTeX, from ``CITATION.cff``."""

from html import escape
from typing import Any

from docutils import nodes
from figure_citation import authors, companion
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


def entries(address: str) -> dict[str, tuple[str, str]]:
    """For the companion and the paper: a line of text, and an entry for BibTeX."""
    book = companion()
    paper = book["references"][0]
    (preprint,) = paper["identifiers"]
    where = address or "no public address or DOI yet"
    return {
        "This companion": (
            f"{', '.join(authors(book['authors']))}, {book['title']}, version {book['version']}, {where}.",
            entry(
                "misc",
                "metricflows-companion",
                author="{" + " and ".join(authors(book["authors"])) + "}",
                title=f"{{{book['title']}}}",
                note=f"version {book['version']}, {where}",
            ),
        ),
        "The paper": (
            (
                f"{' and '.join(authors(paper['authors']))}, {paper['title']}, {paper['journal']} "
                f"{paper['volume']} ({paper['year']}), {preprint['value']}."
            ),
            entry(
                "article",
                "halverson2024",
                author=" and ".join(f"{p['family-names']}, {p['given-names']}" for p in paper["authors"]),
                title=f"{{{paper['title']}}}",
                journal=paper["journal"],
                volume=str(paper["volume"]),
                year=str(paper["year"]),
                note=preprint["value"],
            ),
        ),
    }


def entry(kind: str, key: str, **fields: str) -> str:
    return "\n".join([f"@{kind}{{{key},", *(f"  {k} = {{{v}}}," for k, v in fields.items()), "}"])


class HowToCite(SphinxDirective):
    def run(self) -> list[nodes.Node]:
        html = []
        for what, (text, bibtex) in entries(self.config.html_baseurl).items():
            html.append(f'<p class="rubric">{what}</p>')
            # In the frame of a listing the copy button finds it.
            html += [f'<div class="highlight"><pre>{escape(words)}</pre></div>' for words in (text, bibtex)]
        return [nodes.raw("", f'<div class="how-to-cite">{"".join(html)}</div>', format="html")]


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("how-to-cite", HowToCite)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
