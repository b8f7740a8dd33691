"""Numbers of equations in docstrings lead to the equations, and a table leads back.

``:equation-number:`` links a number to the equation of the book that has it as its tag (`eqtag`); the number
of an equation that the book does not show stays plain text. ``equation-index`` is the table of all equations
of the book, with their places and the functions whose docstrings name them.
"""

import re
from typing import Any, NamedTuple

from docutils import nodes
from eqtag import tags_of
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import ReferenceRole, SphinxDirective
from sphinx.util.nodes import make_refnode


class equation_number(nodes.Inline, nodes.TextElement):
    """A number in a text, until all equations are known."""


class equation_index(nodes.General, nodes.Element):
    """The table, until all equations and docstrings are known."""


class Mention(NamedTuple):
    """Where a docstring names an equation: page, place on it, and name of the object or module."""

    docname: str
    place: str
    name: str


class EquationNumber(ReferenceRole):
    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        return [equation_number(self.rawtext, self.title, number=self.target)], []


class EquationIndex(SphinxDirective):
    def run(self) -> list[nodes.Node]:
        return [equation_index()]


def mentions_of(env: BuildEnvironment) -> dict[str, list[tuple[str, Mention]]]:
    return env.__dict__.setdefault("equation_mentions", {})


def collect(app: Sphinx, doctree: nodes.document) -> None:
    """Which numbers the docstrings of one page name, and in which entry."""
    numbers = [node for node in doctree.findall(equation_number) if not node.get("quoted")]
    found = [(node["number"], _mention(app.env.docname, node)) for node in numbers]
    mentions_of(app.env)[app.env.docname] = list(dict.fromkeys(found))


def _mention(docname: str, node: nodes.Node) -> Mention:
    while node.parent is not None:
        node = node.parent
        if isinstance(node, addnodes.desc):
            signature = node.next_node(addnodes.desc_signature)
            assert isinstance(signature, addnodes.desc_signature)
            return Mention(docname, signature["ids"][0], f"{signature['module']}.{signature['fullname']}")
    return Mention(docname, "", "")


def forget(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    mentions_of(env).pop(docname, None)


def places(env: BuildEnvironment) -> dict[str, tuple[str, str]]:
    """Page and place of each equation with a tag, in the order of their numbers."""
    found = {tag: (doc, place or "") for doc, tags in tags_of(env).items() for tag, place in tags}
    return dict(sorted(found.items(), key=lambda entry: order(entry[0])))


def order(number: str) -> tuple[Any, ...]:
    """The paper's numbers as they follow one another, then ours (C...)."""
    parts = re.findall(r"\d+|[A-Za-z]", number.removeprefix("C"))
    return number.startswith("C"), [
        (not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts
    ]


class Resolve(SphinxPostTransform):
    default_priority = 5  # before Sphinx resolves its own references

    def run(self, **_: Any) -> None:
        known = places(self.env)
        for node in list(self.document.findall(equation_number)):
            text = nodes.Text(node.astext())
            node.replace_self(self.link(*known[node["number"]], text) if node["number"] in known else text)
        for node in list(self.document.findall(equation_index)):
            node.replace_self(self.table(known))

    def link(self, docname: str, place: str, shown: nodes.Node) -> nodes.reference:
        return make_refnode(self.app.builder, self.env.docname, docname, place, [shown])

    def table(self, known: dict[str, tuple[str, str]]) -> nodes.Node:
        named: dict[str, list[Mention]] = {}
        for _, mentions in sorted(mentions_of(self.env).items()):
            for number, mention in mentions:
                named.setdefault(number, []).append(mention)
        rows = [self.row(number, *place, named.get(number, [])) for number, place in known.items()]
        head = _row([nodes.Text(title)] for title in ("equation", "where it stands", "code that names it"))
        group = nodes.tgroup("", *(nodes.colspec(colwidth=width) for width in (15, 40, 45)), cols=3)
        group += [nodes.thead("", head), nodes.tbody("", *rows)]
        return nodes.table("", group, classes=["equation-index"])

    def row(self, number: str, docname: str, place: str, mentions: list[Mention]) -> nodes.row:
        code: list[nodes.Node] = []
        for mention in mentions:
            name = (mention.name or self.env.titles[mention.docname].astext()).removeprefix("mfcore.")
            link = self.link(mention.docname, mention.place, nodes.literal("", name))
            code += [nodes.Text(", "), link] if code else [link]
        title = nodes.Text(self.env.titles[docname].astext())
        where = self.link(docname, "", title)
        return _row([[self.link(docname, place, nodes.Text(f"({number})"))], [where], code])


def _row(cells: Any) -> nodes.row:
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", *cell)) for cell in cells))


def setup(app: Sphinx) -> dict[str, Any]:
    app.setup_extension("eqtag")
    app.add_node(equation_number)
    app.add_node(equation_index)
    app.add_role("equation-number", EquationNumber())
    app.add_directive("equation-index", EquationIndex)
    app.add_post_transform(Resolve)
    app.connect("doctree-read", collect)
    app.connect("env-purge-doc", forget)
    return {"version": "1", "env_version": 1, "parallel_read_safe": False, "parallel_write_safe": True}
