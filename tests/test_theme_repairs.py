"""What the theme and its companions get wrong is mended: on a small book with the real theme."""

import io
from pathlib import Path

import pytest

pytest.importorskip("sphinx_book_theme")
pytest.importorskip("sphinx_thebe")

from bs4 import BeautifulSoup
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

EXTENSIONS = Path(__file__).resolve().parents[1] / "book" / "_ext"
CONF = """
extensions = ["myst_nb", "sphinx_thebe", "sphinxcontrib.bibtex", "sphinx_book_theme"{more}]
html_theme = "sphinx_book_theme"
bibtex_bibfiles = ["a.bib"]
thebe_config = {{"selector": "pre"}}
"""
BIB = "@article{a1905, title={On motion}, author={A. Einstein}, journal={Annalen}, year={1905}}"

pytestmark = pytest.mark.book


def build(root, more):
    (root / "conf.py").write_text(CONF.format(more=more))
    (root / "a.bib").write_text(BIB)
    (root / "index.md").write_text("# Index\n\n{cite:t}`a1905`\n\n```{bibliography}\n```\n")
    with pytest.MonkeyPatch.context() as patch, patch_docutils(), docutils_namespace():
        patch.syspath_prepend(str(EXTENSIONS))
        html = root / "html"
        Sphinx(root, root, html, root / "trees", "html", status=None, warning=io.StringIO()).build()
    return {
        name: BeautifulSoup((html / f"{name}.html").read_text(), "html.parser")
        for name in ("index", "search")
    }


def scripts(page):
    return "\n".join(str(script) for script in page.select("script"))


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The same book without the repairs, and with them."""
    return [build(tmp_path_factory.mktemp("book"), more) for more in ("", ', "theme_repairs"')]


def test_the_repairs_are_still_needed(pages):
    index, search = pages[0]["index"], pages[0]["search"]
    assert scripts(index).count("const THEBE_JS_URL") == 2
    assert "fontawesome" in scripts(index)
    assert index.select("[role=list] [role=doc-biblioentry]")
    assert "SHOW_SEARCH_SUMMARY" not in scripts(search)


def test_no_script_of_thebe_or_of_the_icons_is_left(pages):
    index = pages[1]["index"]
    assert "THEBE" not in str(index)
    assert "fontawesome" not in scripts(index)
    assert index.select("link[rel=stylesheet][href*=fontawesome]")  # the icons themselves stay
    assert index.select("script[src*=bootstrap]")


def test_no_font_is_preloaded(pages):
    assert not pages[1]["index"].select("link[rel=preload]")


def test_entries_of_the_bibliography_are_items_of_a_list(pages):
    assert [entry["role"] for entry in pages[1]["index"].select("[role=list] > div")] == ["listitem"]


def test_the_search_fetches_no_pages_from_files(pages):
    assert 'location.protocol === "file:"' in scripts(pages[1]["search"])
    assert 'location.protocol === "file:"' not in scripts(pages[1]["index"])


def test_light_or_dark_is_decided_before_the_page_is_shown(pages):
    assert "prefers-color-scheme" in scripts(pages[1]["index"].head)
    assert "prefers-color-scheme" not in scripts(pages[0]["index"].head)
