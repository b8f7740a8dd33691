r"""Equations carry the number in their ``\tag{...}``, and ``{eq}`` prints that number on every page.

Sphinx counts equations itself and does not read ``\tag``: an equation and the references to it would
disagree. So the tag is taken out of the TeX and put where Sphinx keeps its own number. Every labelled
equation must have a tag (the paper's number, or one of ours with a letter the paper has not), and no tag
may stand twice in the book.
"""

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.util import logging

log = logging.getLogger(__name__)
TAG = re.compile(r"\\tag\{([^{}]+)\}")


def collect(app: Sphinx, doctree: nodes.document) -> None:
    """Move the tags of one page from its equations into the environment."""
    env = app.env
    tags: list[tuple[str, str | None]] = []
    for equation in doctree.findall(nodes.math_block):
        found, label = TAG.findall(equation.astext()), equation.get("label")
        if len(found) > 1:
            log.warning(
                "%d tags in one equation: give each equation a block of its own",
                len(found),
                location=equation,
            )
        if label and not found:
            log.warning(r"equation '%s' has a label, but no \tag{number}", label, location=equation)
        if not found:
            continue
        # Without a label there is no number of Sphinx's to replace: MathJax prints the tag.
        node_id = nodes.make_id(f"equation-{label}") if label else None
        tags.append((found[0], node_id))
        if label:
            equation.children[:] = [nodes.Text(TAG.sub("", equation.astext()).strip())]
    tags_of(env)[env.docname] = tags


def tags_of(env: BuildEnvironment) -> dict[str, list[tuple[str, str | None]]]:
    return env.__dict__.setdefault("equation_tags", {})


def forget(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    tags_of(env).pop(docname, None)


def number(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Put the tags in the place of Sphinx's numbers, and refuse one that stands twice."""
    place: dict[str, str] = {}
    for docname, tags in sorted(tags_of(env).items()):
        numbers = env.toc_fignumbers.setdefault(docname, {}).setdefault("displaymath", {})
        for tag, node_id in tags:
            if tag in place:
                raise ExtensionError(f"equation ({tag}) stands twice: in {place[tag]} and in {docname}")
            place[tag] = docname
            if node_id:
                numbers[node_id] = (tag,)  # pyright: ignore[reportArgumentType]
    return []


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("doctree-read", collect)
    app.connect("env-purge-doc", forget)
    app.connect("env-get-updated", number, priority=900)  # after Sphinx has counted
    return {"version": "1", "env_version": 2, "parallel_read_safe": False, "parallel_write_safe": True}
