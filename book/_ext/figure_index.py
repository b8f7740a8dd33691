"""``figure-index`` and ``table-index``: every figure with a thumbnail, every table with its columns.

``figure-showcase`` shows a few drawings with a line of words each, for the front page::

    ```{figure-showcase}
    fig-1: How one flow becomes another.
    ```

All are made when the page is written, from what all pages hold. Tables get the anchors ``table-1``, ... on
their page.
"""

from html import escape
from typing import Any

from docutils import nodes
from execution import pages
from figure_card import DOWNLOADS, address, cards_of, drawings, thumbnail_name
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective
from typesetting import typeset


class figure_index(nodes.General, nodes.Element):
    """A grid of all figures."""


class FigureIndex(SphinxDirective):
    def run(self) -> list[nodes.Node]:
        return [figure_index()]


class TableIndex(SphinxDirective):
    def run(self) -> list[nodes.Node]:
        return [table_index()]


class table_index(nodes.General, nodes.Element):
    """A list of all tables."""


class figure_showcase(nodes.General, nodes.Element):
    """A few figures, each with a line of words."""


class FigureShowcase(SphinxDirective):
    has_content = True

    def run(self) -> list[nodes.Node]:
        lines = [line.partition(":") for line in self.content if line.strip()]
        return [figure_showcase(shown=[(name.strip(), words.strip()) for name, _, words in lines])]


def tables_of(env: BuildEnvironment) -> dict[str, list[dict[str, str]]]:
    return env.__dict__.setdefault("tables_of_pages", {})


def collect(app: Sphinx, doctree: nodes.document) -> None:
    """Note the tables of a notebook, with the heading above and the words of their first row, as HTML."""
    # Captions and heads of tables bring their formulas to the page that lists them.
    if any(isinstance(node, figure_index | table_index) for node in doctree.findall()):
        app.env.get_domain("math").data["has_equations"][app.env.docname] = True
    if not app.env.docname.startswith("notebooks/"):
        return
    found = []
    for count, table in enumerate(doctree.findall(nodes.table), 1):
        table["ids"].append(f"table-{count}")
        row = next(table.findall(nodes.row), None)
        heads = [with_formulas(entry) for entry in row.findall(nodes.entry)] if row else []
        section = table.parent
        while section is not None and not isinstance(section, nodes.section):
            section = section.parent
        title = with_formulas(section.next_node(nodes.title)) if section is not None else ""  # pyright: ignore
        found.append({"id": f"table-{count}", "heads": " · ".join(heads), "section": title})
    tables_of(app.env)[app.env.docname] = found


def forget(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    tables_of(env).pop(docname, None)


def place(translator: Any, docname: str, anchor: str) -> str:
    builder = translator.builder
    if builder.name == "singlehtml":
        return f"#{anchor}"
    return f"{builder.get_relative_uri(builder.current_docname, docname)}#{anchor}"


def figures_html(self: Any, node: nodes.Element) -> None:
    env, found = self.builder.env, cards_of(self.builder.env)
    for docname in filter(found.get, pages(self.builder.app)):
        self.body.append(f'<p class="rubric">{escape(env.titles[docname].astext())}</p>')
        self.body.append('<div class="figure-index">')
        self.body += [card_html(self, docname, card) for card in found[docname]]
        self.body.append("</div>\n")
    raise nodes.SkipNode


def card_html(self: Any, docname: str, card: dict[str, Any]) -> str:
    name, alt, words = card["name"], card["alt"], first_sentence(self.builder.env, card["caption"])
    links = " · ".join(
        f'<a href="{address(self, name + suffix)}" aria-label="{form} of Figure {escape(card["number"])}">'
        f"{form}</a>"
        for form, suffix in DOWNLOADS.items()
    )
    return (
        f'<div class="figure-index-entry"><a href="{place(self, docname, card["node"])}">'
        f'<img src="{address(self, thumbnail_name(name))}" loading="lazy" alt="{escape(alt, quote=True)}">'
        f"<strong>Figure {escape(card['number'])}</strong></a><span>{words}</span>"
        f'<span class="figure-index-files">{links}</span></div>'
    )


def first_sentence(env: BuildEnvironment, caption: nodes.Element) -> str:
    """Of a caption, as HTML: with its formulas, and the numbers of what it refers to, without links."""
    parts = []
    for child in caption.children:
        if isinstance(child, nodes.math):
            parts.append(formula(child))
        elif isinstance(child, addnodes.pending_xref):
            parts.append(escape(number_of(env, child)))
        else:
            words, stop, _ = child.astext().partition(". ")
            parts.append(escape(typeset(words)))
            if stop:
                break
    return "".join(parts).rstrip(".") + "."


def formula(node: nodes.math) -> str:
    return f'<span class="math notranslate nohighlight">\\({escape(node.astext())}\\)</span>'


def with_formulas(node: nodes.Node) -> str:
    """The words of a heading or a cell, as HTML."""
    if isinstance(node, nodes.math):
        return formula(node)
    if isinstance(node, nodes.Text):
        return escape(node.astext())
    return "".join(with_formulas(child) for child in node.children)


def number_of(env: BuildEnvironment, reference: addnodes.pending_xref) -> str:
    """What a reference to an equation or a figure says; of any other, its own words."""
    target = reference["reftarget"]
    for numbers in env.toc_fignumbers.values():
        if found := numbers.get("displaymath", {}).get(nodes.make_id(f"equation-{target}")):
            return f"({found[0]})"
    cards = [card for found in cards_of(env).values() for card in found]
    return next((f"Figure {card['number']}" for card in cards if card["name"] == target), reference.astext())


def showcase_html(self: Any, node: nodes.Element) -> None:
    cards = {
        card["name"]: (docname, card)
        for docname, found in cards_of(self.builder.env).items()
        for card in found
    }
    unknown = [name for name, _ in node["shown"] if name not in cards]
    if unknown:
        raise ExtensionError(f"figure-showcase: no page has the figures {unknown}")
    self.body.append('<div class="figure-showcase">')
    for name, words in node["shown"]:
        docname, card = cards[name]
        self.body.append(f'<a class="figure-showcase-entry" href="{place(self, docname, card["node"])}">')
        self.body += drawings(self, name, card["alt"])
        self.body.append(
            f"<span><strong>Figure {escape(card['number'])}.</strong> {escape(words)}</span></a>"
        )
    self.body.append("</div>\n")
    raise nodes.SkipNode


def tables_html(self: Any, node: nodes.Element) -> None:
    env, found = self.builder.env, tables_of(self.builder.env)
    for docname in filter(found.get, pages(self.builder.app)):
        self.body.append(f'<p class="rubric">{escape(env.titles[docname].astext())}</p><ul>')
        self.body += [
            f'<li><a href="{place(self, docname, table["id"])}">{table["section"]}</a>: {table["heads"]}</li>'
            for table in found[docname]
        ]
        self.body.append("</ul>\n")
    raise nodes.SkipNode


def skip(self: Any, node: nodes.Element) -> None:
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    app.setup_extension("figure_card")
    app.add_directive("figure-index", FigureIndex)
    app.add_directive("table-index", TableIndex)
    app.add_directive("figure-showcase", FigureShowcase)
    app.add_node(figure_showcase, html=(showcase_html, None), latex=(skip, None), text=(skip, None))
    app.add_node(figure_index, html=(figures_html, None), latex=(skip, None), text=(skip, None))
    app.add_node(table_index, html=(tables_html, None), latex=(skip, None), text=(skip, None))
    app.connect("doctree-read", collect)
    app.connect("env-purge-doc", forget)
    return {"version": "1", "env_version": 1, "parallel_read_safe": False, "parallel_write_safe": True}
