"""The printed book on a small site: what pypdf reads in the PDF, and that each fault ends the print."""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.book
pytest.importorskip("playwright")
pytest.importorskip("pypdf")

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book" / "_ext"))

import book_document
import offline
import print_book
import site_pages
from bs4 import BeautifulSoup
from pypdf import PdfReader

needs_chromium = pytest.mark.skipif(
    not (os.environ.get("CHROMIUM") or any(map(shutil.which, print_book.BROWSERS))), reason="no Chromium"
)
PAGE = "<!doctype html><html><body><nav>{title}, aside</nav><article>{body}</article></body></html>"
WIDE = "+".join("abcdefghijklmnopqrstuvwxyzabcdefghij")
INDEX = """<section id="start"><h1>Start<a class="headerlink" href="#start">#</a></h1>
<p>See <a href="chapters/one.html#eq-a">(2.1)</a>, <a href="chapters/one.html">the chapter</a>,
<a href="https://example.org/">elsewhere</a> and <a href="figures/fig-a.csv">numbers</a>.</p></section>"""
ONE = f"""<section id="start"><h1>2.1 Kähler: <span class="math">\\(\\sigma \\to 10^5\\)</span></h1>
<p>Words of the chapter. <a href="#start">Up</a></p>
<div class="math" id="eq-a"><span class="eqno">(2.1)</span>\\[{WIDE}\\]</div>
<figure class="figure-card" id="fig-a"><a href="../figures/fig-a.svg">
<img class="only-light" src="../figures/fig-a.svg" alt="A line" loading="lazy">
<img class="only-dark" src="../figures/fig-a-dark.svg" alt="A line"></a>
<div class="figure-frames-slider"><button>Play</button></div>
<p class="figure-card-files"><span><a href="../figures/fig-a.svg">SVG</a></span>
<span>seed 7</span></p></figure>
<div class="cell"><div class="cell_input"><pre>secret = 1</pre></div>
<div class="cell_output"><pre>4.5</pre></div></div>
<details class="hide above-input"><summary>Show code</summary><div class="cell_input">x</div></details>
<details class="admonition"><summary>Derivation</summary><p>Folded step.</p></details>
<section id="sub"><h2>A part</h2><table><tr>{f"<td>{'w' * 17}</td>" * 5}</tr></table>
</section></section>"""
DRAWING = """<svg xmlns="http://www.w3.org/2000/svg" width="300pt" height="200pt" viewBox="0 0 300 200">
<path d="M 10 10 L 290 190" stroke="black"/></svg>"""
TOC = "root: index\nparts:\n  - caption: The paper\n    chapters:\n      - file: chapters/one\n"
EDITION = {
    "version": "9.8.7",
    "commit": "c0ffee" * 6 + "abcd",
    "tree": "clean",
    "date": "2026-03-04T05:06:07+00:00",
    "profile": "paper",
}


def write_site(root):
    site = root / "_build" / "html"
    for folder in ("chapters", "figures", "_static"):
        (site / folder).mkdir(parents=True)
    (site / "index.html").write_text(PAGE.format(title="Start", body=INDEX), encoding="utf-8")
    (site / "chapters" / "one.html").write_text(PAGE.format(title="One", body=ONE), encoding="utf-8")
    for name in ("fig-a.svg", "fig-a-dark.svg"):
        (site / "figures" / name).write_text(DRAWING)
    (site / "_static" / "mathjax").symlink_to(offline.mathjax())
    (site / "edition.json").write_text(json.dumps(EDITION))
    (root / "_toc.yml").write_text(TOC)
    shutil.copyfile(ROOT / "CITATION.cff", root / "CITATION.cff")
    return site


@pytest.fixture
def site(tmp_path):
    return write_site(tmp_path)


def edit(site, old, new, page="chapters/one.html"):
    text = (site / page).read_text(encoding="utf-8")
    assert old in text
    (site / page).write_text(text.replace(old, new), encoding="utf-8")


# --- the document ---------------------------------------------------------------------------------


def parsed(site):
    book = book_document.book(site, site.parents[1])
    return BeautifulSoup(book_document.document(book, site), "html.parser")


def test_each_link_leads_to_a_place_in_the_document_or_out_into_the_world(site):
    page = parsed(site)
    links = [a["href"] for a in page.select("a[href]")]
    ids = [tag["id"] for tag in page.find_all(id=True)]
    assert len(ids) == len(set(ids))  # both pages have a place called "start"
    assert all(link[1:] in ids for link in links if link.startswith("#"))
    assert [link for link in links if not link.startswith("#")] == ["https://example.org/"]
    assert "numbers" in page.get_text()
    (equation,) = [a for a in page.select("section a") if a.get_text() == "(2.1)"]
    assert page.find(id=equation["href"][1:]).name == "div"


def test_what_only_a_screen_needs_is_left_out(site):
    chapter = parsed(site).select_one("#chapters-one")
    text = chapter.get_text()
    assert all(words in text for words in ("Words of the chapter", "4.5", "Folded step", "seed 7"))
    assert not any(words in text for words in ("secret", "Show code", "Play", "SVG", "aside"))
    assert chapter.select_one("details.admonition").has_attr("open")
    assert [Path(img["src"]).name for img in chapter.select("img")] == ["fig-a.svg"]


def test_the_chapters_follow_the_table_of_contents(tmp_path):
    toc = tmp_path / "_toc.yml"
    toc.write_text(
        "root: a\nparts:\n  - caption: One\n    chapters:\n      - file: b\n        sections:\n"
        "          - file: c\n      - file: d\n  - chapters:\n      - file: e\n"
    )
    assert site_pages.contents(toc) == [(None, "a"), ("One", "b"), (None, "c"), (None, "d"), (None, "e")]


def test_a_page_that_was_not_built_is_told(site):
    (site / "chapters" / "one.html").unlink()
    with pytest.raises(ValueError, match=r"lacks chapters/one, .* run `make book`"):
        parsed(site)


def test_pages_without_an_edition_are_no_book(site):
    (site / "edition.json").unlink()
    with pytest.raises(ValueError, match="no finished book"):
        parsed(site)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"From \(\sigma \to 0\) on", "From σ → 0 on"),
        (r"\(10^5\) points, \(81 N^{2}\)", "10⁵ points, 81 N²"),
        (r"at \(x'\) and \(\Theta_{ij}\)", "at x′ and Θ_ij"),
        ("Plain\n words", "Plain words"),
    ],
)
def test_formulas_in_bookmarks_are_letters(text, expected):
    assert site_pages.plain(text) == expected


# --- the print ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    root = tmp_path_factory.mktemp("book")
    target = root / "book.pdf"
    print_book.make(write_site(root), target, root)
    assert sorted(path.name for path in root.iterdir()) == ["CITATION.cff", "_build", "_toc.yml", "book.pdf"]
    return PdfReader(target)


@needs_chromium
def test_the_print_has_a_title_page_contents_and_chapters_on_pages_of_their_own(printed):
    texts = [page.extract_text() for page in printed.pages]
    assert len(texts) == 4
    title = "".join(texts[0].split())
    assert all(words in title for words in ("9.8.7", "4March2026", EDITION["commit"], "CCBY4.0", "Halverson"))
    assert "Contents" in texts[1]
    assert "The paper" in texts[1]
    assert "See (2.1)" in texts[2]
    assert "Words of the chapter" in texts[3]
    assert texts[3].split().count("4") >= 1  # its page number, in the margin


@needs_chromium
def test_the_contents_name_the_pages(printed):
    lines = " ".join(printed.pages[1].extract_text().split())
    assert "Start 3" in lines
    assert "A part 4" in lines
    assert "000" not in lines


@needs_chromium
def test_bookmarks_and_metadata(printed):
    (start, one, below) = printed.outline
    assert (start["/Title"], one["/Title"], below[0]["/Title"]) == ("Start", "2.1 Kähler: σ → 10⁵", "A part")
    pages = [printed.get_destination_page_number(entry) for entry in (start, one, below[0])]
    assert pages == [2, 3, 3]
    assert one.top > below[0].top
    data = printed.metadata
    assert data.title.startswith("Metric Flows")
    assert data.author
    assert "metric flows" in data["/Keywords"]
    assert data.creation_date.isoformat() == EDITION["date"]


@needs_chromium
def test_links_lead_to_the_page_of_their_target(printed):
    targets = {}
    for annotation in printed.pages[2].annotations:
        place = annotation.get_object()
        if "/Dest" in place:
            name = str(place["/Dest"])
            targets[name.lstrip("/")] = printed.get_destination_page_number(printed.named_destinations[name])
    assert targets == {"chapters-one--eq-a": 3, "chapters-one": 3}


@needs_chromium
def test_letters_are_embedded_and_the_drawing_is_no_bitmap(printed):
    fonts = {
        str(font.get_object()["/BaseFont"])
        for page in printed.pages
        for font in page["/Resources"].get("/Font", {}).values()
        if "/BaseFont" in font.get_object()
    }
    assert fonts
    assert all("+" in name for name in fonts)
    assert not printed.pages[3].images


PLANTED = [
    (
        'src="../figures/fig-a.svg"',
        'src="../figures/fig-none.svg"',
        r"picture that does not load: .*fig-none\.svg",
    ),
    ("\\(\\sigma \\to 10^5\\)", "\\(\\frac{a}\\)", "formula with an error: Missing argument"),
    (WIDE, WIDE * 3, "too wide: <mjx-math>"),
    (
        "Folded step.",
        f"<span style='white-space: nowrap'>{'word ' * 99}</span>",
        "too wide: <span> word word",
    ),
    ("<p>Words of", f"<p style='white-space: nowrap'>{'word ' * 99}", r"\d+ pixels of it are too wide"),
]


@needs_chromium
def test_each_fault_is_told_and_no_file_is_left(site):
    for old, new, _ in PLANTED:
        edit(site, old, new)
    with pytest.raises(ValueError, match="the printed book has faults") as error:
        print_book.make(site, site.parents[1] / "book.pdf", site.parents[1])
    faults = str(error.value).splitlines()[1:]
    for _, _, message in PLANTED:
        assert any(re.match(f"  chapters-one: {message}", fault) for fault in faults), (message, faults)
    assert not (site.parents[1] / "book.pdf").exists()


def test_without_chromium_the_command_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CHROMIUM", raising=False)
    with pytest.raises(ValueError, match="no Chromium found"):
        print_book.chromium()


@pytest.mark.parametrize("name", sorted(path.name for path in book_document.STATIC.glob("*.css")))
def test_a_style_sheet_closes_every_block(name):
    # What follows an open block is lost: in the print, the paper itself.
    rules = re.sub(r"/\*.*?\*/", "", book_document.static(name), flags=re.DOTALL)
    assert rules.count("{") == rules.count("}")
