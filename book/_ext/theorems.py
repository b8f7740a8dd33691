"""Theorems, definitions and proofs of sphinx-proof, with numbers and addresses that fit this book.

sphinx-proof counts through the whole book and gives one id to all its boxes of a kind. Here every numbered
box of a page takes part in one count, headed by the page's chapter number as figures and equations of ours
are: C2.4.1 is the first of chapter 2.4. Every id stands once on its page.
"""

import re
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx_proof.nodes import NODE_TYPES
from sphinx_proof.proof_type import PROOF_TYPES

log = logging.getLogger(__name__)
COUNTER = "theorem"  # of every kind: Definition C2.4.1 is followed by Theorem C2.4.2
CHAPTER = re.compile(r"(\d+(?:\.\d+[a-z]?)?\.?|[A-Z]\.[a-z]?)\s")
STATEMENTS = tuple(NODE_TYPES.values())


def chapter(title: str) -> str | None:
    """The number that a chapter's title begins with, as our figures write it: "B.a A metric" is of "Ba"."""
    found = CHAPTER.match(title)
    if not found:
        return None
    return found[1].rstrip(".") if found[1][0].isdigit() else found[1].replace(".", "")


def mend(app: Sphinx, doctree: nodes.document) -> None:
    """Give the boxes of one page a class for the style sheet, and their contents ids of their own."""
    for box in doctree.findall(lambda node: isinstance(node, STATEMENTS)):
        assert isinstance(box, nodes.Element)
        box["classes"].append("mf-statement")
        for part in box.findall(nodes.section):
            if part["ids"] == ["proof-content"]:
                part["ids"] = [f"{box['label']}-content"]


class Proof(SphinxDirective):
    """A proof that may begin with anything; sphinx-proof's own glues its first word to the first line."""

    has_content = True
    option_spec: ClassVar[Any] = {"class": directives.class_option}

    def run(self) -> list[nodes.Node]:
        box = nodes.admonition(classes=["proof", "mf-proof", *self.options.get("class", [])])
        self.set_source_info(box)
        self.state.nested_parse(self.content, self.content_offset, box)
        if not box.children or not isinstance(box[0], nodes.paragraph):
            box.insert(0, nodes.paragraph())
        first = box[0]
        assert isinstance(first, nodes.paragraph)
        first[0:0] = [nodes.strong("", "Proof."), nodes.Text(" ")]
        return [box]


def number(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Put the chapter's number and a count of the page in the place of Sphinx's count of the book."""
    for docname, kinds in env.toc_fignumbers.items():
        counted = kinds.get(COUNTER)
        if not counted:
            continue
        head = chapter(env.titles[docname].astext())
        if head is None:
            log.warning("a theorem or definition needs a chapter with a number", location=docname)
            continue
        for k, label in enumerate(counted, start=1):
            counted[label] = (f"C{head}.{k}",)  # pyright: ignore[reportArgumentType]
    return []


def setup(app: Sphinx) -> dict[str, Any]:
    app.setup_extension("sphinx_proof")
    app.add_directive_to_domain("prf", "proof", Proof, override=True)
    app.config["prf_realtyp_to_countertyp"] = dict.fromkeys(PROOF_TYPES, COUNTER)
    app.config["proof_minimal_theme"] = True
    app.connect("doctree-read", mend)
    app.connect("env-get-updated", number, priority=900)  # after Sphinx has counted
    return {"version": "1", "env_version": 1, "parallel_read_safe": False, "parallel_write_safe": True}
