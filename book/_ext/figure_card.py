"""``figure-card``: a figure that ``mfcore.figures.save`` wrote, with its number, its files and its record.

::

    :::{figure-card} fig-3-left
    :number: 3 (left)
    :alt: What the picture shows, for those who do not see it.

    The caption, which may hold formulas and references.
    :::

The number is the paper's, or one of ours that the paper has not (C2.1.1). A ``numref`` to the name prints
it on any page. The files are published under ``figures/`` at the root of the site, where their names never
change. What is not on disk when all pages are read fails the build.
"""

import json
import os
import re
import shutil
from html import escape
from pathlib import Path
from typing import Any, ClassVar

import figure_citation
import figure_source
from docutils import nodes
from docutils.parsers.rst import directives
from execution import figure_files
from PIL import Image
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.util.osutil import relative_uri

log = logging.getLogger(__name__)
DOWNLOADS = {"SVG": ".svg", "PDF": ".pdf", "PNG": ".png", "CSV": ".csv", "JSON": ".json"}
SIZE = re.compile(r'<svg\b[^>]*?\swidth="([0-9.]+)pt" height="([0-9.]+)pt"')
PIXELS_PER_POINT = 4 / 3
THUMBNAIL = (480, 300)  # pixels, twice the size shown


class card_drawing(nodes.General, nodes.Element):
    """The drawing, for light and for dark pages."""


class card_caption(nodes.caption):
    """A caption with a full stop after its number."""


class card_files(nodes.General, nodes.Element):
    """Links to the files, and where they come from."""


class FigureCard(SphinxDirective):
    required_arguments = 1
    has_content = True
    option_spec: ClassVar[Any] = {"number": directives.unchanged, "alt": directives.unchanged}

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        for option in ("number", "alt"):
            if not self.options.get(option, "").strip():
                raise self.error(f"figure {name!r} has no :{option}:")
        text = nodes.Element()
        self.state.nested_parse(self.content, self.content_offset, text)
        if not text.children or not isinstance(text[0], nodes.paragraph):
            raise self.error(f"figure {name!r} has no caption: its content must begin with a paragraph")
        figure = nodes.figure(classes=["figure-card"], names=[name])
        self.set_source_info(figure)
        attributes = {
            "name": name,
            "number": self.options["number"].strip(),
            "alt": self.options["alt"].strip(),
        }
        figure += card_drawing(**attributes)
        figure += card_caption("", "", *text[0].children, **attributes)
        figure += text.children[1:]
        figure += card_files(cell=link_to_cell(self.env, name), **attributes)
        self.state.document.note_explicit_target(figure)
        return [figure]


def cards_of(env: BuildEnvironment) -> dict[str, list[dict[str, Any]]]:
    return env.__dict__.setdefault("figure_cards", {})


def collect(app: Sphinx, doctree: nodes.document) -> None:
    found = [
        {
            **{key: card[key] for key in ("name", "number", "alt")},
            "node": card.parent["ids"][0],
            "caption": next(card.parent.findall(card_caption)).deepcopy(),
        }
        for card in doctree.findall(card_drawing)
    ]
    cards_of(app.env)[app.env.docname] = found


def forget(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    cards_of(env).pop(docname, None)


def number(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Put our numbers in the place of Sphinx's; refuse what stands twice, and a missing file."""
    place: dict[str, str] = {}
    for docname, cards in sorted(cards_of(env).items()):
        numbers = env.toc_fignumbers.setdefault(docname, {}).setdefault("figure", {})
        for card in cards:
            numbers[card["node"]] = (card["number"],)
            for what in (f"figure number {card['number']}", f"figure {card['name']}"):
                if what in place:
                    raise ExtensionError(f"{what} stands twice: in {place[what]} and in {docname}")
                place[what] = docname
            files = figure_files(directory(), card["name"])
            missing = ", ".join(file for file in files if not (directory() / file).exists())
            if missing:
                raise ExtensionError(f"{docname}: no notebook has written {missing} (by mfcore.figures)")
    return []


def directory() -> Path:
    return Path(os.environ["MFCORE_FIGURES"])


def publish(app: Sphinx, exception: Exception | None) -> None:
    """Copy the files of every card to the root of the site, and nothing else."""
    if exception is not None or app.builder.format != "html":
        return
    target = Path(app.outdir) / "figures"
    target.mkdir(exist_ok=True)
    for docname, cards in cards_of(app.env).items():
        for card in cards:
            for file in figure_files(directory(), card["name"]):
                shutil.copyfile(directory() / file, target / file)
            record = json.loads((directory() / f"{card['name']}.json").read_text(encoding="utf-8"))
            told = {"number": card["number"], "caption": card["caption"].astext(), "page": docname}
            published = {"card": told, "licence": figure_citation.LICENCE, **record}
            (target / f"{card['name']}.json").write_text(
                json.dumps(published, indent=1) + "\n", encoding="utf-8"
            )
            thumbnail(target / f"{card['name']}.png", target / thumbnail_name(card["name"]))


def thumbnail_name(name: str) -> str:
    return f"{name}-small.webp"


def thumbnail(picture: Path, small: Path) -> None:
    """A small copy for lists of figures."""
    with Image.open(picture) as image:
        image.thumbnail(THUMBNAIL)
        image.save(small, quality=80)


# --- how a card is written ----------------------------------------------------------------------------------


def address(translator: Any, file: str) -> str:
    """Address of a published file from the page being written, so that the site works from any folder."""
    builder = translator.builder
    page = "" if builder.name == "singlehtml" else builder.get_target_uri(builder.current_docname)
    return relative_uri(page, f"figures/{file}")


def drawing_html(self: Any, node: nodes.Element) -> None:
    name = node["name"]
    self.body.append(f'<a class="figure-card-drawing" href="{address(self, name + ".svg")}">')
    self.body += drawings(self, name, node["alt"])
    self.body.append("</a>\n")
    raise nodes.SkipNode


def drawings(translator: Any, name: str, alt: str) -> list[str]:
    """The drawing for light and for dark pages, as HTML."""
    size, words = "", escape(alt, quote=True)
    found = SIZE.search((directory() / f"{name}.svg").read_text(encoding="utf-8"))
    if found:  # the browser keeps the room before it has the picture
        width, height = (round(float(points) * PIXELS_PER_POINT) for points in found.groups())
        size = f' width="{width}" height="{height}"'
    return [
        f'<img class="{theme}" src="{address(translator, name + suffix)}" alt="{words}"{size} loading="lazy">'
        for theme, suffix in (("only-light", ".svg"), ("only-dark", "-dark.svg"))
    ]


def caption_html(self: Any, node: nodes.Element) -> None:
    number = self.config.numfig_format["figure"] % escape(node["number"])
    self.body.append(
        f'<figcaption><p><span class="caption-number">{number}.</span> <span class="caption-text">'
    )


def caption_html_end(self: Any, node: nodes.Element) -> None:
    self.body.append("</span>")
    self.add_permalink_ref(node.parent, "Link to this figure")
    self.body.append("</p></figcaption>\n")


def files_html(self: Any, node: nodes.Element) -> None:
    name = node["name"]
    links = [f'<a href="{address(self, name + suffix)}">{form}</a>' for form, suffix in DOWNLOADS.items()]
    record = json.loads((directory() / f"{name}.json").read_text(encoding="utf-8"))
    self.body.append(
        f'<p class="figure-card-files"><span>{" · ".join(links)}</span> '
        f"<span>{escape(provenance(record))}</span></p>\n"
        + figure_citation.details(name, node["number"], record, node["cell"], self.config.html_baseurl)
    )
    raise nodes.SkipNode


def link_to_cell(env: BuildEnvironment, name: str) -> str:
    """Link to the cell that draws the figure, as HTML."""
    cell = figure_source.drawing_cell(env, env.docname, name)
    if cell is None:
        return ""
    source = f"<code>{env.docname}.ipynb</code>"
    return f'<a href="#cell-{cell}">cell {cell}</a> of {source}'


def provenance(record: dict[str, Any]) -> str:
    """The record in one line; the file has the rest."""
    parts = [] if record["seed"] is None else [f"seed {record['seed']}"]
    if record["commit"] != "unknown":
        parts.append(f"commit {record['commit'][:7]}{' with changes' if record['tree'] == 'dirty' else ''}")
    if record["wall_time_seconds"] is not None:
        seconds = f"in {record['wall_time_seconds']:.3g}\N{NO-BREAK SPACE}s"
        parts.append(f"computed {seconds if record['wall_time_seconds'] >= 0.01 else 'at once'}")
    if record["profile"] != "paper":
        parts.append(f"{record['profile']} profile, not the paper's scale")
    return " · ".join(parts)


def drawing_latex(self: Any, node: nodes.Element) -> None:
    file = f"{node['name']}.pdf"
    self.builder.images[str(directory() / file)] = file  # the builder copies these
    self.body.append(
        rf"\def\thefigure{{{node['number']}}}\noindent\includegraphics[max width=\linewidth]{{{file}}}"
    )
    raise nodes.SkipNode


def caption_latex(self: Any, node: nodes.Element) -> None:
    self.visit_caption(node)


def caption_latex_end(self: Any, node: nodes.Element) -> None:
    self.depart_caption(node)


def drawing_text(self: Any, node: nodes.Element) -> None:
    self.add_text(f"[{node['alt']}]")
    raise nodes.SkipNode


def skip(self: Any, node: nodes.Element) -> None:
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("figure-card", FigureCard)
    app.add_node(
        card_drawing, html=(drawing_html, None), latex=(drawing_latex, None), text=(drawing_text, None)
    )
    app.add_node(
        card_caption, html=(caption_html, caption_html_end), latex=(caption_latex, caption_latex_end)
    )
    app.add_node(card_files, html=(files_html, None), latex=(skip, None), text=(skip, None))
    app.connect("doctree-read", collect)
    app.connect("env-purge-doc", forget)
    app.connect("env-get-updated", number, priority=900)  # after Sphinx has counted
    app.connect("build-finished", publish)
    app.setup_extension("figure_source")
    return {"version": "1", "env_version": 3, "parallel_read_safe": False, "parallel_write_safe": True}
