"""What helps the reader of the pages, on small books of their own: theorems, derivations, previews."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

pytest.importorskip("myst_nb")

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "book" / "_ext"), str(ROOT / "tests")]

import previews
import theorems
from test_book_extensions import Book

pytestmark = pytest.mark.book


# --- theorems -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("title", "head"),
    [
        ("2.4 Ricci flow as a gradient flow", "2.4"),
        ("2.4b Figure 1, computed", "2.4b"),
        ("A. A primer: perceptrons", "A"),
        ("B. Flows of the Kähler potential", "B"),
        ("B.a A reference metric", "Ba"),
        ("Notation and conventions", None),
        ("A reference metric", None),
        ("3. Kernels", "3"),
    ],
)
def test_the_number_of_a_chapter_is_read_as_the_figures_write_it(title, head):
    assert theorems.chapter(title) == head


STATEMENTS = """:::{prf:definition} Frozen kernel
:label: def-a

Words, {eq}`eq-a`.
:::

:::{prf:theorem} The slope of $k$
:label: thm-a

Words.
:::

:::{prf:proof}
Because {prf:ref}`def-a` says so.
:::

:::{prf:proof}
Because of that.
:::

$$
a = b \\tag{1.1}
$$ (eq-a)
"""


@pytest.fixture
def book(tmp_path):
    return Book(tmp_path, ["sphinx.ext.mathjax", "sphinx_design", "eqtag", "theorems"])


def chapter(book, name, title, text):
    (book.root / f"{name}.md").write_text(f"# {title}\n\n{text}\n")


def test_statements_of_a_chapter_share_one_count_headed_by_its_number(book):
    chapter(book, "one", "2.4a Chapter", STATEMENTS)
    chapter(book, "two", "B.a Chapter", ":::{prf:lemma}\n:label: lem-b\n\nWords.\n:::\n\n{prf:ref}`thm-a`")
    passed, printed = book.build()
    assert passed, printed
    numbers = [n.get_text().strip() for n in book.html("one").select(".caption-number")]
    assert numbers == ["Definition C2.4a.1", "Theorem C2.4a.2"]
    assert book.html("two").select_one(".caption-number").get_text().strip() == "Lemma CBa.1"
    (link,) = book.html("two").select("a[href='one.html#thm-a']")
    assert link.get_text() == "Theorem C2.4a.2"
    assert book.html("one").select("#thm-a .math")  # a formula in the title is typeset


def test_no_id_stands_twice_and_a_proof_is_named_apart(book):
    chapter(book, "one", "2.4 Chapter", STATEMENTS)
    assert book.build()[0]
    page = book.html("one")
    ids = [tag["id"] for tag in page.find_all(id=True)]
    assert len(ids) == len(set(ids))
    proofs = page.select(".mf-proof")
    assert [proof.p.strong.get_text() for proof in proofs] == ["Proof.", "Proof."]
    assert proofs[0].p.get_text() == "Proof. Because Definition C2.4.1 says so."


def test_a_proof_may_begin_with_a_list(book):
    chapter(book, "one", "2.4 Chapter", ":::{prf:proof}\n- one\n- two\n:::")
    passed, printed = book.build()
    assert passed, printed
    (proof,) = book.html("one").select(".mf-proof")
    assert proof.p.get_text().strip() == "Proof."
    assert [item.get_text().strip() for item in proof.select("li")] == ["one", "two"]


@pytest.mark.parametrize(
    ("title", "text", "message"),
    [
        ("Chapter", ":::{prf:lemma}\n:label: lem-a\n\nWords.\n:::", "needs a chapter with a number"),
        ("2.1 Chapter", "{prf:ref}`thm-none`", "thm-none"),
    ],
)
def test_a_statement_that_cannot_be_printed_well_fails_the_build(book, title, text, message):
    chapter(book, "one", title, text)
    passed, printed = book.build()
    assert not passed
    assert message in printed


def test_an_equation_in_a_derivation_is_numbered_and_found(book):
    folded = ":::{dropdown} Derivation: the step\n:class-container: mf-derivation\n\n"
    chapter(book, "one", "2.4 Chapter", folded + "$$\na = b \\tag{C2.4.7}\n$$ (eq-in)\n:::\n")
    chapter(book, "two", "2.5 Chapter", "See {eq}`eq-in`.")
    passed, printed = book.build()
    assert passed, printed
    (box,) = book.html("one").select("details.mf-derivation")
    assert box.select_one("#equation-eq-in .eqno").get_text().startswith("(C2.4.7)")
    assert book.html("two").select_one("a[href='one.html#equation-eq-in']").get_text() == "(C2.4.7)"


# --- previews -------------------------------------------------------------------------------------

BODY = """<div class="math notranslate nohighlight" id="equation-eq-a">
<span class="eqno">(2.8)<a class="headerlink" href="#equation-eq-a">#</a></span>\\[a = b\\]</div>
<figure class="figure-card" id="fig-a"><a class="figure-card-drawing" href="../figures/fig-a.svg">
<img class="only-light" src="../figures/fig-a.svg" alt="Words."></a><figcaption>See
<a href="#equation-eq-a">(2.8)</a>.</figcaption><p class="figure-card-files">SVG</p></figure>
<dl class="glossary"><dt id="term-one">one</dt><dt id="term-two">two</dt><dd><p>Both.</p></dd></dl>
<div class="citation" id="id3"><span class="label">[1]</span><p>Jacot.</p></div>
<div class="proof theorem mf-statement" id="thm-a"><p id="inner">Words.</p></div>
<p id="no-target">Text.</p>"""


def test_a_preview_holds_what_a_reference_leads_to_and_nothing_to_click():
    found = previews.fragments(BODY, "notebooks/one")
    assert set(found) == {"equation-eq-a", "fig-a", "term-one", "term-two", "id3", "thm-a"}
    assert "(2.8)" in found["equation-eq-a"]
    assert "\\[a = b\\]" in found["equation-eq-a"]
    assert all(mark not in html for html in found.values() for mark in ("<a", " id=", "headerlink"))
    assert 'src="figures/fig-a.svg"' in found["fig-a"]  # from the root of the site
    assert "SVG" not in found["fig-a"]
    assert all(found[f"term-{name}"] == f"<dt>{name}</dt><dd><p>Both.</p></dd>" for name in ("one", "two"))
    assert "[1]" not in found["id3"]


def test_one_target_of_any_kind_is_enough_for_a_page_to_be_read():
    parts = BeautifulSoup(BODY, "html.parser").find_all(recursive=False)
    assert [len(previews.fragments(str(part), "one")) for part in parts] == [1, 1, 2, 1, 1, 0]


def test_every_page_with_targets_gets_a_file_and_the_script_is_on_the_pages(tmp_path):
    book = Book(tmp_path, ["sphinx.ext.mathjax", "eqtag", "previews"])
    book.page("one", "$$\na = b \\tag{1.1}\n$$ (eq-a)")
    book.page("two", "See {eq}`eq-a`.")
    passed, printed = book.build()
    assert passed, printed
    folder = book.root / "_build" / "html" / "_static" / "previews"
    assert [file.name for file in folder.iterdir()] == ["one.js"]
    head, content = (folder / "one.js").read_text().rstrip(";\n").split("] = ", 1)
    assert head == '(window.mfPreviews ??= {})["one"'
    assert list(json.loads(content)) == ["equation-eq-a"]
    assert book.html("two").select("script[defer][src*='previews.js']")


PAGE = """<!doctype html><html data-content_root="./"><head><style>body { margin: 100px }</style>
<link rel="stylesheet" href="_static/reading.css"></head><body><article>
<p id="text">See <a class="internal" href="two.html#term-a" title="Words">a term</a> and
<a class="internal" href="#equation-in">(1.1)</a>.</p>
<details class="mf-derivation"><summary>Derivation</summary><p id="equation-in">a = b</p></details>
<div class="cell" id="cell-3"><details class="hide"><summary>Show</summary>code</details></div>
</article><script src="_static/previews.js"></script>
<script src="_static/reading.js"></script></body></html>"""


@pytest.fixture
def page(tmp_path):
    """A page in a browser, read from a folder, with the scripts of the book; and what it has asked for."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs Chromium")
    sync = pytest.importorskip("playwright.sync_api")
    shutil.copytree(ROOT / "book" / "_static", tmp_path / "_static")
    (tmp_path / "_static" / "previews").mkdir()
    content = 'window.mfPreviews = {two: {"term-a": "<dt>term</dt><dd>Its meaning.</dd>"}};'
    (tmp_path / "_static" / "previews" / "two.js").write_text(content)
    (tmp_path / "index.html").write_text(PAGE)
    with sync.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(has_touch=True)
        asked = []
        page.on("request", lambda request: asked.append(request.url.rsplit("/_static/")[-1]))
        page.goto((tmp_path / "index.html").as_uri())
        yield page, asked
        browser.close()


SHOWN = ".mf-preview.mf-shown"


def test_a_preview_comes_on_hover_and_focus_moves_nothing_and_goes_on_escape(page):
    page, asked = page
    before = page.locator("#text").bounding_box(), page.evaluate("document.documentElement.scrollHeight")
    assert "previews/two.js" not in asked  # nothing is loaded until it is wanted
    page.hover("a[href^='two']")
    page.wait_for_selector(SHOWN)
    assert "previews/two.js" in asked
    assert page.inner_text(SHOWN).split() == ["term", "Its", "meaning."]
    assert page.get_attribute("a[href^='two']", "title") is None  # not two boxes at once
    after = page.locator("#text").bounding_box(), page.evaluate("document.documentElement.scrollHeight")
    assert after == before
    page.keyboard.press("Escape")
    assert page.locator(SHOWN).count() == 0
    assert page.get_attribute("a[href^='two']", "title") == "Words"

    page.mouse.move(1, 1)
    page.keyboard.press("Tab")
    page.wait_for_selector(SHOWN)
    assert page.get_attribute("a:focus", "aria-describedby") == page.get_attribute(SHOWN, "id")
    page.keyboard.press("Escape")
    assert page.locator(SHOWN).count() == 0
    assert page.locator("a:focus").count() == 1


def test_a_touch_goes_to_the_place_and_a_link_opens_the_derivation(page):
    page, asked = page
    assert not page.evaluate("document.querySelector('details').open")
    page.tap("a[href='#equation-in']")
    page.wait_for_function("document.querySelector('details').open")
    page.wait_for_timeout(400)  # longer than the wait before a preview
    assert page.locator(SHOWN).count() == 0
    assert not [file for file in asked if file.startswith("previews/")]


def test_a_link_to_a_cell_opens_its_code(page):
    page, _ = page
    page.goto(page.url + "#cell-3")
    page.wait_for_function("document.querySelector('#cell-3 details').open")
    assert not page.evaluate("document.querySelector('.mf-derivation').open")


def test_derivations_are_printed_open_and_closed_again(page):
    page, _ = page
    opened = "document.querySelector('details').open"
    assert page.evaluate(f"dispatchEvent(new Event('beforeprint')); {opened}")
    assert not page.evaluate(f"dispatchEvent(new Event('afterprint')); {opened}")


# --- a phone --------------------------------------------------------------------------------------

NARROW = """<!doctype html><html><head><meta name="viewport" content="width=device-width">
<link rel="stylesheet" href="_static/reading.css"><style>
body { margin: 0 } header { position: sticky; top: 0; height: 40px; background: #fff }
.pst-scrollable-table-container, mjx-container { display: block; width: 300px; overflow: auto }
mjx-container i { display: block } td { white-space: nowrap }
.secondary-toggle { width: 60px; height: 40px } a { display: block; height: 40px }</style></head><body>
<header><button class="secondary-toggle">Contents</button></header>
<input type="checkbox" id="pst-secondary-sidebar-checkbox">
<div class="bd-sidebar-secondary"><a href="#there">There</a></div>
<article><div class="pst-scrollable-table-container"><table><tr><td>name</td><td>wide wide wide wide wide</td>
<td>wide wide wide wide wide wide wide wide</td></tr></table></div>
<div class="math"><mjx-container id="little"><i style="width: 20em">a</i></mjx-container></div>
<div class="math"><mjx-container id="much"><i style="width: 40em">b</i></mjx-container></div>
<div class="math"><mjx-container id="none"><i style="width: 5em">c</i></mjx-container></div>
<a class="figure-card-drawing" href="figures/a.svg">A</a>
<p style="height: 3000px"></p><h2 id="there">There</h2><p style="height: 3000px"></p></article>
<script src="_static/narrow.js"></script></body></html>"""
MORE = "[...document.querySelectorAll('.mf-more')].map((box) => box.id || box.className.split(' ')[0])"


def test_on_a_phone_what_goes_on_beyond_the_edge_fades_and_a_little_too_wide_formula_fits(page):
    page, _ = page
    (Path(page.url.removeprefix("file://")).parent / "narrow.html").write_text(NARROW)
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(page.url.replace("index.html", "narrow.html"))
    page.wait_for_function(f"{MORE}.length")
    assert page.evaluate(MORE) == ["pst-scrollable-table-container", "much"]
    sizes = {
        name: page.evaluate(f"parseFloat(getComputedStyle({name}).fontSize)")
        for name in ("little", "much", "none")
    }
    assert 0.86 < sizes["little"] / sizes["none"] < 0.98
    assert sizes["much"] == sizes["none"]
    table = page.locator(".pst-scrollable-table-container")
    table.evaluate("(box) => { box.scrollLeft = box.scrollWidth }")
    page.wait_for_function(f"{MORE}.length === 1")  # nothing more lies beyond its edge
    assert 0 <= table.locator("td").first.bounding_box()["x"] < 5  # the names of the rows stay
    page.set_viewport_size({"width": 900, "height": 800})
    page.wait_for_function("getComputedStyle(little).fontSize === getComputedStyle(none).fontSize")


def test_on_a_phone_a_drawer_closes_on_the_section_chosen_and_leaves_the_text_where_it_is(page):
    page, _ = page
    (Path(page.url.removeprefix("file://")).parent / "narrow.html").write_text(NARROW)
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(page.url.replace("index.html", "narrow.html"))
    page.evaluate("scrollTo(0, 2000)")
    page.evaluate("document.querySelector('.secondary-toggle').focus()")
    assert page.evaluate("scrollY") == 2000
    page.evaluate("scrollTo(0, 0)")
    page.check("#pst-secondary-sidebar-checkbox")
    page.click(".bd-sidebar-secondary a")
    assert not page.is_checked("#pst-secondary-sidebar-checkbox")
    assert page.evaluate("there.getBoundingClientRect().top") < 10


@pytest.mark.parametrize("mobile", [True, False])
def test_a_tap_on_a_figure_opens_the_picture_and_a_click_the_drawing(page, mobile):
    page, _ = page
    (Path(page.url.removeprefix("file://")).parent / "narrow.html").write_text(NARROW)
    phone = page.context.browser.new_page(is_mobile=mobile, has_touch=mobile)
    phone.goto(page.url.replace("index.html", "narrow.html"))
    address = phone.get_attribute("a.figure-card-drawing", "href")
    assert address.endswith("figures/a.png" if mobile else "figures/a.svg")
