"""Pages that the build makes of what notebooks computed: ledger, indexes, facts, citation; on small books."""

import json
import re
import sys

import pytest

pytest.importorskip("myst_nb")

import yaml
from test_book_extensions import EXTENSIONS, RECORD, Book, card, draw

pytestmark = pytest.mark.book

FINDING = """from IPython.display import display
row = {row!r}
data = {{"text/plain": "table", "text/markdown": '<span id="claim-t1">T1</span>'}}
display(data, metadata={{"mfcore_findings": [row]}}, raw=True)"""
ROW = {
    "claim": "T1",
    "paper": "slope two",
    "verdict": "reproduced",
    "here": "slope $1.99$",
    "checks": {"within a tenth": True},
    "anchor": "claim-t1",
    "profile": "paper",
}


@pytest.fixture
def ledger(tmp_path):
    book = Book(tmp_path, ["sphinx.ext.mathjax", "execution", "claims_ledger"], mode="cache")
    (tmp_path / "mfcore").mkdir()
    (tmp_path / "book").mkdir()
    book.claim_list = [{"id": "T1", "where": "(2.1)", "claim": "The slope is two."}]
    book.page("book/claims", "```{claims-summary}\n```\n\n```{claims-ledger}\n```")
    book.page("book/differences", "```{claims-with}\nnot reproduced\n```")
    return book


def built(book, *rows):
    for name, row in zip("ab", rows, strict=False):
        book.notebook(name, FINDING.format(row=row))
    (book.root / "book" / "claims.yml").write_text(yaml.safe_dump(book.claim_list))
    return book.build()


def test_the_ledger_shows_what_cells_found_and_counts_the_least_favourable(ledger):
    other = {**ROW, "verdict": "not reproduced", "here": "slope three"}
    beyond = {**ROW, "claim": "", "verdict": "found here", "here": "a fourth", "anchor": "claim-c"}
    ledger.notebook("c", FINDING.format(row=beyond))
    passed, printed = built(ledger, ROW, other)
    assert passed, printed
    page = ledger.html("book/claims")
    (claim,) = page.select("div.claim")
    assert "The slope is two." in claim.get_text()
    assert [(a.get_text(), a["href"]) for a in page.select(".claims-jump a")] == [("T1", f"#{claim['id']}")]
    assert [mark.get_text() for mark in claim.select(".claim-head .verdict")] == ["not reproduced"]
    assert [box.select_one("a")["href"] for box in claim.select(".finding")] == [
        "../notebooks/a.html#claim-t1",
        "../notebooks/b.html#claim-t1",
    ]
    assert claim.select_one(".finding a").get_text() == "Page"  # the heading of the notebook
    assert "within a tenth" in claim.select_one("details li").get_text()
    summary = page.select_one(".claims-summary").get_text().replace("\N{NO-BREAK SPACE}", " ")
    assert "not reproduced 1" in summary
    assert "misprint 0" in summary
    assert "a fourth" in page.get_text()
    different = ledger.html("book/differences").get_text()
    assert "slope three" in different
    assert "1.99" not in different


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"claim": "T9"}, "T9' is not in book/claims.yml"),
        ({"checks": {}}, "no check"),
        ({"checks": {"within a tenth": False}}, "failed: .'within a tenth'"),
    ],
)
def test_what_must_not_stand_in_the_ledger_fails_the_build(ledger, change, message):
    passed, printed = built(ledger, ROW | change)
    assert not passed
    assert re.search(message, printed)


def test_a_claim_that_no_cell_answers_fails_the_build(ledger):
    ledger.claim_list.append({"id": "N1", "where": "section 3", "claim": "A gain."})
    passed, printed = built(ledger, ROW)
    assert not passed
    assert "no executed cell answers the claims N1" in printed


@pytest.fixture
def drawn(tmp_path):
    book = Book(tmp_path, ["execution", "figure_index", "chapter_facts"], mode="cache")
    (tmp_path / "mfcore").mkdir()
    saved = draw() + "\n# figures.save(fig, 'fig-a')\nresult = 'runner.load(\"table_1\")'"
    book.notebook(
        "one", saved, card(number="3 (left)") + "\n\n## Part\n\n| gain $k < 2$ | at |\n|---|---|\n| 1 | 2 |\n"
    )
    book.page(
        "figures",
        "```{figure-index}\n```\n\n```{table-index}\n```\n\n```{figure-showcase}\nfig-a: A line.\n```",
    )
    return book


def test_figures_and_tables_are_listed_with_links_to_their_places(drawn):
    passed, printed = drawn.build()
    assert passed, printed
    page, chapter = drawn.html("figures"), drawn.html("notebooks/one")
    entry = page.select_one(".figure-index-entry")
    target, anchor = entry.select_one("a")["href"].split("#")
    assert target == "notebooks/one.html"
    assert chapter.find(id=anchor).name == "figure"
    thumbnail = drawn.root / "_build" / "html" / entry.select_one("img")["src"]
    assert 0 < thumbnail.stat().st_size < 5_000
    assert [a.get_text() for a in entry.select(".figure-index-files a")] == [
        "SVG",
        "PDF",
        "PNG",
        "CSV",
        "JSON",
    ]
    (row,) = (a for a in page.select("li a") if "table-1" in a["href"])
    assert row.get_text() == "Part"
    assert r"gain \(k < 2\) · at" in row.parent.get_text()
    assert chapter.find(id="table-1").name == "table"
    assert "A line." in page.select_one("a.figure-showcase-entry").get_text()


def test_the_index_says_of_a_figure_the_first_sentence_of_its_caption(tmp_path):
    book = Book(tmp_path, ["sphinx.ext.mathjax", "eqtag", "execution", "figure_index"], mode="cache")
    (tmp_path / "mfcore").mkdir()
    caption = "The slope $k < 2$ of {eq}`eq-a` in {numref}`fig-a`, 3e-05. More of it."
    equation = "\n\n```{math}\n:label: eq-a\na = b \\tag{1.1}\n```\n"
    book.notebook("one", draw(), card(caption=caption) + equation)
    book.page("figures", "```{figure-index}\n```")
    passed, printed = book.build()
    assert passed, printed
    page = book.html("figures")
    words = page.select_one(".figure-index-entry > span").get_text().replace("\N{NO-BREAK SPACE}", " ")
    assert words == r"The slope \(k < 2\) of (1.1) in Figure 1, 3 × 10⁻⁵."
    assert page.select("script[src*=mathjax]")  # though the page itself has no formula


def test_the_published_record_names_the_figure_and_its_licence(drawn):
    passed, printed = drawn.build()
    assert passed, printed
    record = json.loads((drawn.root / "_build" / "html" / "figures" / "fig-a.json").read_text())
    assert record["card"] == {"number": "3 (left)", "caption": "Caption.", "page": "notebooks/one"}
    assert "CC BY 4.0" in record["licence"]
    assert len(record["csv_sha256"]) == 64


def test_a_citation_says_if_the_code_was_not_that_of_the_commit():
    sys.path.insert(0, str(EXTENSIONS))
    import figure_citation

    for tree, said in (("clean", False), ("dirty", True)):
        record = RECORD | {"tree": tree}
        for cited in (figure_citation.plain_text, figure_citation.bibtex):
            assert ("with uncommitted changes" in cited("fig-a", "3 (left)", record, "")) == said
    address = "https://example.org/"
    assert f"url = {{{address}figures/fig-a.svg}}" in figure_citation.bibtex("fig-a", "1", RECORD, address)
    assert "url" not in figure_citation.bibtex("fig-a", "1", RECORD, "")


def test_how_to_cite_has_the_companion_and_the_paper(tmp_path):
    book = Book(tmp_path, ["how_to_cite"])
    book.page("cite", "```{how-to-cite}\n```")
    passed, printed = book.build()
    assert passed, printed
    texts = [box.get_text() for box in book.html("cite").select("pre")]
    assert len(texts) == 4
    assert "no public address or DOI yet" in texts[0]
    assert texts[1].startswith("@misc{metricflows-companion,")
    assert texts[3].startswith("@article{halverson2024,")
    assert "arXiv:2310.19870" in texts[2]


def test_a_showcase_of_a_figure_that_is_nowhere_fails_the_build(drawn):
    drawn.page("figures", "```{figure-showcase}\nfig-z: A line.\n```")
    passed, printed = drawn.build()
    assert not passed
    assert "no page has the figures ['fig-z']" in printed


def test_a_card_says_how_to_cite_it_and_which_cell_drew_it(drawn):
    passed, printed = drawn.build()
    assert passed, printed
    more = drawn.html("notebooks/one").select_one("details.figure-card-more")
    text, bibtex = (pre.get_text() for pre in more.select("pre"))
    citation = yaml.safe_load((EXTENSIONS.parents[1] / "CITATION.cff").read_text())
    for given in (text, bibtex):
        assert citation["title"] in given
        assert str(citation["version"]) in given
        assert "Figure 3 (left)" in given
        assert "arXiv:2310.19870" in given  # the number is the paper's
        assert RECORD["commit"] in given
    assert "figures/fig-a.svg" in text
    assert RECORD["csv_sha256"] in bibtex
    assert bibtex.count("{") == bibtex.count("}")
    cell = more.select_one("a[href='#cell-1']")
    assert cell.parent.get_text() == "cell 1 of notebooks/one.ipynb"
    assert drawn.html("notebooks/one").find(id="cell-1") is not None
    facts = more.select_one("dl").get_text()
    assert all(part in facts for part in ("a processor, 2 cores", "jax 0.5.3", "seed7", "1.5 s"))


def test_a_figure_of_ours_is_not_cited_as_the_papers(drawn):
    drawn.notebook("one", draw(), card(number="C3.2.1"))
    assert drawn.build()[0]
    assert "2310.19870" not in drawn.html("notebooks/one").select_one(".figure-card-more").get_text()


def test_a_chapter_says_what_it_took_and_what_it_loads(drawn):
    drawn.notebook("two", 'runner = type("R", (), {"load": str})\nrunner.load("table_1")')
    passed, printed = drawn.build()
    assert passed, printed
    facts = drawn.html("notebooks/two").select_one("p.chapter-facts").get_text()
    assert re.match(r"Ran in \d+ s when this book was built, at most 0\.\d GB\.", facts)
    assert "Loads stored runs: table_1." in facts
    assert not drawn.html("notebooks/two").select("a.launch")
    assert not drawn.html("figures").select("p.chapter-facts")


def test_binder_and_colab_open_the_notebook_of_a_known_repository(drawn):
    passed, printed = drawn.build(MFCORE_REPOSITORY="https://github.com/someone/companion@v1.0")
    assert passed, printed
    links = [a["href"] for a in drawn.html("notebooks/one").select("a.launch")]
    assert links == [
        "https://mybinder.org/v2/gh/someone/companion/v1.0?urlpath=lab/tree/notebooks/one.ipynb",
        "https://colab.research.google.com/github/someone/companion/blob/v1.0/notebooks/one.ipynb",
    ]


def test_an_address_that_is_no_repository_fails_the_build(drawn):
    passed, printed = drawn.build(MFCORE_REPOSITORY="example.org/companion")
    assert not passed
    assert "https://github.com/owner/name" in printed


def test_binder_installs_what_make_does():
    root = EXTENSIONS.parents[1]
    make = (root / "Makefile").read_text()
    binder = (root / ".binder" / "postBuild").read_text()
    assert "-r ../requirements.lock" in (root / ".binder" / "requirements.txt").read_text()
    for options in (
        "--no-deps --require-hashes -r requirements-nt.lock",
        "--no-deps --no-build-isolation -e .",
    ):
        assert options in make
        assert options in binder
    assert "tensorflow==" not in (root / "requirements.lock").read_text()
