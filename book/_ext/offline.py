"""The built book needs no network: MathJax comes from a pinned wheel and is copied beside the pages."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.fileutil import copy_asset

# Of MathJax: the TeX-to-HTML bundle, its fonts, what TeX may load on demand, and what its menu needs.
PARTS = (
    "tex-chtml.js",
    "output/chtml/fonts/woff-v2",
    "input/tex/extensions",
    "a11y",
    "ui",
    "sre/mathmaps/en.json",
    "sre/mathmaps/base.json",
)


def mathjax() -> Path:
    """MathJax in the installed wheel."""
    spec = find_spec("sphinx-mathjax-offline")
    if spec is None or not spec.submodule_search_locations:
        raise ExtensionError(
            "sphinx-mathjax-offline is not installed: the pages would fetch MathJax from the network"
        )
    return Path(spec.submodule_search_locations[0]) / "static" / "mathjax"


def use(app: Sphinx) -> None:
    if app.builder.format == "html":
        app.config.mathjax_path = "mathjax/tex-chtml.js"


def copy(app: Sphinx, exception: Exception | None) -> None:
    if exception is not None or app.builder.format != "html":
        return
    source, target = mathjax(), Path(app.outdir) / "_static" / "mathjax"
    for part in PARTS:
        if not (source / part).exists():
            raise ExtensionError(f"the wheel sphinx-mathjax-offline has no {part}")
        into = target / part if (source / part).is_dir() else (target / part).parent
        copy_asset(str(source / part), str(into))


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("builder-inited", use)
    app.connect("build-finished", copy)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
