"""What the theme and its companions get wrong, mended until they do.

- ``sphinx_thebe``, which Jupyter Book always loads, writes its settings twice on every page, and the second
  time is an error in the browser's console. We use no live cells: its scripts are left out.
- Sphinx writes the arguments of a function, one a line, as a list of definitions without terms.
- Docutils gives the entries of a bibliography a role that has been withdrawn; a list may hold only items.
- The search shows a line of each page it finds, for which it fetches the page: from a file that is refused,
  with an error for each.
- The templates in ``book/_templates`` take the place of the theme's; each says why.
"""

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config

ARGUMENTS = re.compile(r'(<span class="sig-paren">\(</span>)\s*<dl>(.*?)</dl>', re.DOTALL)
NO_SUMMARY = 'if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;'
TEMPLATES = Path(__file__).resolve().parents[1] / "_templates"


def without_thebe(app: Sphinx) -> None:
    """Thebe has no switch: take away what it would do at each event."""
    for event in ("env-before-read-docs", "doctree-resolved"):
        for listener in list(app.events.listeners.get(event, [])):
            if listener.handler.__module__ == "sphinx_thebe":
                app.disconnect(listener.id)


def use_templates(app: Sphinx, config: Config) -> None:
    config.templates_path = [*config.templates_path, str(TEMPLATES)]


def as_lines(found: re.Match[str]) -> str:
    lines = found[2].replace("<dd>", '<span class="sig-line">').replace("</dd>", "</span>")
    return f'{found[1]}<span class="sig-lines">{lines}</span>'


def mend_roles(app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    if "body" in context:
        body = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')
        context["body"] = ARGUMENTS.sub(as_lines, body)


def mend_search(app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    if pagename == "search":
        app.add_js_file(None, body=NO_SUMMARY)


def setup(app: Sphinx) -> dict[str, Any]:
    without_thebe(app)
    app.connect("config-inited", use_templates)
    app.connect("html-page-context", mend_roles)
    app.connect("html-page-context", mend_search)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
