"""What helps the reader of the pages, on small books of their own: theorems, derivations, boxes."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("myst_nb")

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "book" / "_ext"), str(ROOT / "tests")]

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
