"""What a link leads to, shown where the link stands: equations, citations, figures, terms and theorems.

At build time each page gets a small file beside it, ``_static/previews/<page>.js``, with the places of that
page that references lead to, as HTML. ``book/_static/previews.js`` loads such a file when the reader points
at a link into that page, and not before. A script and not JSON, because a browser lets no page that is read
from a folder fetch data.
"""

import json
import posixpath
import re
from copy import copy
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bs4 import BeautifulSoup, Tag
from sphinx.application import Sphinx

# Ids of these are what `eq`, `cite`, `numref`, `prf:ref` and `term` lead to.
TARGETS = "div.math[id], div.citation[id], figure[id], div.mf-statement[id], dl.glossary > dt[id]"
MAY_HOLD = re.compile(
    r'<figure|<d(?:iv|l)\b[^>]*class="[^"]*\b(?:math|citation|mf-statement|glossary)\b'
)  # without these a page, such as one of code, has no target and need not be parsed
LEFT_OUT = ".headerlink, .figure-card-files, .figure-frames-slider, .citation > .label, script, button"


def collect(app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    if doctree is None or app.builder.name != "html":
        return
    found = fragments(context["body"], pagename)
    if not found:
        return
    file = Path(app.outdir) / "_static" / "previews" / f"{pagename}.js"
    file.parent.mkdir(parents=True, exist_ok=True)
    content = json.dumps(found, ensure_ascii=False, sort_keys=True)
    file.write_text(f"(window.mfPreviews ??= {{}})[{json.dumps(pagename)}] = {content};\n", encoding="utf-8")


def fragments(body: str, pagename: str) -> dict[str, str]:
    """For each id that a reference may lead to on this page: what to show, with addresses from the root."""
    if not MAY_HOLD.search(body):
        return {}
    page = BeautifulSoup(body, "html.parser")
    return {str(target["id"]): shown(target, pagename) for target in page.select(TARGETS)}


def shown(target: Tag, pagename: str) -> str:
    parts = term(target) if target.name == "dt" else [copy(target)]
    for part in parts:
        for unwanted in part.select(LEFT_OUT):
            unwanted.decompose()
        for link in part.find_all("a"):
            link.name, link.attrs = "span", {}  # what is shown on hover has nothing to click
        for tag in [part, *part.find_all(id=True)]:
            tag.attrs.pop("id", None)  # the page may hold the place itself
        for picture in part.find_all("img"):
            picture["src"] = from_root(str(picture["src"]), pagename)
            picture["loading"] = "lazy"  # that of the other theme is hidden, and then not fetched
    return "".join(str(part) for part in parts)


def term(dt: Tag) -> list[Tag]:
    """A term and its explanation, which several terms may share."""
    explanation = dt.find_next_sibling("dd")
    return [copy(dt), *([copy(explanation)] if explanation else [])]


def from_root(address: str, pagename: str) -> str:
    if urlsplit(address).scheme:
        return address
    return posixpath.normpath(posixpath.join(posixpath.dirname(pagename), address))


def add_script(app: Sphinx) -> None:
    if app.builder.name == "html":  # on the single page that is printed, nobody points at anything
        app.add_js_file("previews.js", loading_method="defer")


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("builder-inited", add_script)
    app.connect("html-page-context", collect)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
