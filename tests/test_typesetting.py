"""Numbers that cells write are printed as numbers are, and code is left alone."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("myst_nb")

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "book" / "_ext"), str(ROOT / "tests")]

from test_book_extensions import Book
from typesetting import typeset

pytestmark = pytest.mark.book


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        ("2e-08 of the way", "2 × 10⁻⁸ of the way"),
        ("1e-10", "10⁻¹⁰"),
        ("1e5 points, 3.3e+02.", "10⁵ points, 3.3 × 10²."),
        ("-0.467 ± 0.039 (-1)", "−0.467 ± 0.039 (−1)"),
        ("-2.5e-3", "−2.5 × 10⁻³"),
        ("constant to 0e+00", "constant to 0"),
        ("commit 86666019e3", None),
        ("on 2026-11-28, commit 86e4012345, a-1, x1e5, 1e5x, 1e-3.csv", None),
    ],
)
def test_powers_of_ten_and_minus_signs(written, printed):
    assert typeset(written).replace("\N{NO-BREAK SPACE}", " ") == (printed or written)


def test_glued_numbers_are_typeset_and_code_is_not(tmp_path):
    book = Book(tmp_path, ["typesetting"], mode="force")
    code = "from myst_nb import glue\nglue('small', '2e-08', display=False)"
    book.notebook("one", code, "By {glue:text}`small:s`, `goal=2e-08`.\n\n| a |\n|---|\n| -3e-4 |\n")
    book.page("two", "By {glue:text}`notebooks/one.ipynb::small:s`.")
    passed, printed = book.build()
    assert passed, printed
    one, two = (
        book.html(name).get_text().replace("\N{NO-BREAK SPACE}", " ") for name in ("notebooks/one", "two")
    )
    assert "By 2 × 10⁻⁸, goal=2e-08." in one
    assert "'small', '2e-08'" in one
    assert "−3 × 10⁻⁴" in one
    assert "By 2 × 10⁻⁸." in two


def test_defaults_in_a_signature_are_code(tmp_path):
    book = Book(tmp_path, ["typesetting"])
    book.page("one", "```{eval-rst}\n.. py:function:: flow(goal=1e-12)\n\n   To 1e-12.\n```")
    passed, printed = book.build()
    assert passed, printed
    text = book.html("one").get_text()
    assert "goal=1e-12" in text
    assert "To 10⁻¹²." in text


def test_a_mark_stays_at_its_formula(tmp_path):
    book = Book(tmp_path, ["sphinx.ext.mathjax", "typesetting"])
    book.page("one", "Of $a$, and (of $b$). And $c$ and $d$")
    passed, printed = book.build()
    assert passed, printed
    page = book.html("one")
    assert [frame.get_text() for frame in page.select(".with-mark")] == [r"\(a\),", r"\(b\))."]
    assert r"Of \(a\), and (of \(b\)). And \(c\) and \(d\)" in page.get_text()
