"""The pages about `mfcore`: all of it, as it stands in the tree, with its names and equations linked."""

import random
import re
import sys

import pytest

pytest.importorskip("myst_nb")

from test_book_extensions import EXTENSIONS, Book

sys.path.insert(0, str(EXTENSIONS))
from equation_links import order
from package_source import Package
from plain_docstrings import as_rst

pytestmark = pytest.mark.book
ROOT = EXTENSIONS.parents[1]


# --- the real package -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def package():
    return Package(ROOT)


def names_by_line(path, module):
    """Public functions, classes and methods, by how their lines begin."""
    found, owner = [], ""
    for line in path.read_text().splitlines():
        top = re.match(r"(?:async )?(def|class) (\w+)", line)
        if top:
            owner = top[2] if top[1] == "class" else ""
            found += [f"{module}.{top[2]}"] if not top[2].startswith("_") else []
        elif line[:1].strip() and not line.startswith((")", "@", "#")):
            owner = ""
        method = re.match(r"    def (?!_)(\w+)", line)
        if method and owner and not owner.startswith("_"):
            found.append(f"{module}.{owner}.{method[1]}")
    return found


def test_every_public_module_class_and_function_is_there_once(package):
    listed = [
        entry.name
        for module in package.modules.values()
        for item in module.items
        for entry in (item, *item.members)
        if entry.kind != "data" and not entry.name.endswith("__")
    ]
    files = {
        path: path.relative_to(ROOT).with_suffix("").as_posix().removesuffix("/__init__").replace("/", ".")
        for path in (ROOT / "mfcore").rglob("*.py")
    }
    assert sorted(m.full for m in package.modules.values()) == sorted(files.values())
    expected = [name for path, module in files.items() for name in names_by_line(path, module)]
    assert len(expected) > 300
    assert sorted(listed) == sorted(expected)


def test_everything_public_says_what_it_is(package):
    items = [(m.full, m.text) for m in package.modules.values()]
    items += [
        (e.name, e.text)
        for m in package.modules.values()
        for item in m.items
        for e in (item, *item.members)
        if e.kind != "data" and "__" not in e.name
    ]
    assert [name for name, text in items if not text.strip()] == []


# --- docstrings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sum_i |z_i|^2 * 2", r"sum\_i \|z\_i\|^2 \* 2"),
        ("the *end* of l*(s)", r"the \ *end*\  of l\*(s)"),
        ("``a_b`` and `f`ed", r"\ ``a_b``\  and \ <f>\ ed"),
        ("1. First, 2. second\nline", "\\1. First, 2. second\nline"),
        ("Text::\n\n    a_b  c\n\nMore_", "Text::\n\n    a_b  c\n\nMore\\_"),
    ],
    ids=["mathematics", "stress", "code-and-name", "no-list", "block"],
)
def test_a_docstring_keeps_its_letters(text, expected):
    assert as_rst(text, lambda name: f"<{name}>") == expected


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("Paper (2.12), section 3.2.", ["2.12"]),
        ("(paper 2.8, 2.12, 2.14, 2.30)", ["2.8", "2.12", "2.14", "2.30"]),
        ("paper 2.40-2.42 and paper\nB.10, B.11", ["2.40", "2.42", "B.10", "B.11"]),
        ("(B.4) to (B.9)", ["B.4", "B.9"]),
        ("as in (C2.4d.1) and (CBa.2)", ["C2.4d.1", "CBa.2"]),
        ("paper section 3.1, f(1.5) and 2.8 of it, sections 2.1, 2.3 (2.19)", ["2.19"]),
        ("``(2.12)`` is code", []),
    ],
)
def test_numbers_of_equations_are_found_and_those_of_sections_are_not(text, numbers):
    found = re.findall(r":equation-number:`[^<]*<([^>]*)>`", as_rst(text, str))
    assert [number for number in found if number != "1.5"] == numbers


def test_equations_follow_one_another_as_in_the_paper():
    numbers = [
        "2.2",
        "2.10",
        "3.1",
        "A.3",
        "B.4",
        "B.13",
        "C2.1.1",
        "C2.4.2",
        "C2.4d.1",
        "C2.4d.10",
        "CB.1",
        "CBa.1",
    ]
    assert sorted(random.Random(0).sample(numbers, len(numbers)), key=order) == numbers


# --- a small package ------------------------------------------------------------------------------

SOURCES = {
    "__init__": '"""The package of this tree."""\n',
    "_typing": '"""Axes: ``points`` a sample."""\n\nfrom jaxtyping import Array, Float\n',
    "low": '''"""Below, by paper (2.8). Two lines

    z_i = a_i * |x|
"""

from pathlib import Path
from typing import NamedTuple

from mfcore._typing import Array, Float

SIZE = 4  # rows at once, see `smooth`


class Path_(NamedTuple):
    """Private in no way."""


class Path(NamedTuple):
    """A record with ``end``."""

    end: Float[Array, " points"]
    steps: int = 3

    @property
    def length(self) -> int:
        """Of the `Path`, or `smooth`."""
        return 3

    def after(self, time: float) -> "Path":
        """Later."""
        return self


def smooth(x: Float[Array, " points"], /, *, width: float = 1e-3) -> Float[Array, ""]:
    """sum_i x_i^2 for ``width`` (2.12), see `Path.after` and `high.flow`; (9.9) is in no book."""
    return x


def _hidden():
    """Not there."""
''',
    "high": '''"""Above `low`."""

from pathlib import Path

from mfcore import low
from mfcore.low import smooth


def flow(start: low.Path, to: Path) -> Path:
    """By `smooth` to `to`; (2.12)."""
    return smooth(start)
''',
}
FLOORS = """[[tool.importlinter.contracts]]
type = "layers"
layers = ["high", "low", "_typing"]
"""


@pytest.fixture
def small(tmp_path):
    book = Book(tmp_path, ["sphinx.ext.mathjax", "api_reference"])
    (tmp_path / "mfcore").mkdir()
    for name, source in SOURCES.items():
        (tmp_path / "mfcore" / f"{name}.py").write_text(source)
    (tmp_path / "pyproject.toml").write_text(FLOORS)
    (tmp_path / "book" / "api").mkdir(parents=True)
    book.page("book/api/index", "```{eval-rst}\n.. api-floors::\n```")
    book.page("book/api/equations", "```{eval-rst}\n.. equation-index::\n```")
    book.page("one", "$$\na = b \\tag{2.12}\n$$ (eq-one)\n\n$$\na = b \\tag{2.8}\n$$ (eq-two)")
    conf = tmp_path / "conf.py"
    conf.write_text(
        conf.read_text() + "python_maximum_signature_line_length = 60\nadd_module_names = False\n"
    )
    return book


def links(page, place=None):
    found = page.find(id=place).parent if place else page
    return {a.get_text(): a["href"] for a in found.select("a.reference.internal")}


def test_the_pages_show_the_package_of_the_tree_with_its_links(small):
    passed, printed = small.build()
    assert passed, printed
    low, high = small.html("book/api/mfcore.low"), small.html("book/api/mfcore.high")
    assert not low.find(id="mfcore.low._hidden")
    signature = re.sub(r"[\s\xb6]+", "", low.find(id="mfcore.low.smooth").get_text())
    assert (
        signature
        == "smooth(x:Float[Array,'points'],/,*,width:float=0.001,)\N{RIGHTWARDS ARROW}Float[Array,'']"
    )
    assert "sum_i x_i^2" in low.get_text()
    assert "z_i = a_i * |x|" in low.get_text()
    inside = links(low, "mfcore.low.smooth")
    assert inside["Path.after"] == "#mfcore.low.Path.after"
    assert inside["high.flow"] == "mfcore.high.html#mfcore.high.flow"
    assert inside["(2.12)"] == "../../one.html#equation-eq-one"
    assert inside["Float"] == "mfcore._typing.html#module-mfcore._typing"
    assert links(low, "mfcore.low.Path.after")["Path"] == "#mfcore.low.Path"  # quoted in the source
    assert "(9.9)" not in inside
    assert "(9.9) is in no book" in low.get_text()
    of_flow = links(high, "mfcore.high.flow")
    assert of_flow["low.Path"] == "mfcore.low.html#mfcore.low.Path"
    assert "Path" not in of_flow  # that of pathlib
    assert "to" not in of_flow  # an argument
    assert "rows at once" in low.find(id="mfcore.low.SIZE").parent.get_text()
    assert "(end: Float[Array, 'points'], steps: int = 3)" in low.find(id="mfcore.low.Path").get_text()


def test_a_page_tells_its_floor_and_its_neighbours(small):
    small.notebook("ten", "with hook():\n    from mfcore import (\n        high,\n    )")
    (small.root / "_toc.yml").write_text("chapters:\n- file: notebooks/ten\n")
    passed, printed = small.build()
    assert passed, printed
    rows = {
        dt.get_text(strip=True).removesuffix(":"): dt.find_next("dd")
        for dt in small.html("book/api/mfcore.high").select("dl.field-list dt")
    }
    assert rows["floor"].get_text(strip=True).startswith("3 of 3")
    assert list(links(rows["imports"])) == ["low"]
    assert links(rows["chapters"]) == {"Page": "../../notebooks/ten.html"}
    low = small.html("book/api/mfcore.low").select_one("dl.field-list").get_text()
    assert "imported by" in low
    assert "chapters" not in low
    floors = small.html("book/api/index")
    assert [p.get_text() for p in floors.select("p.rubric")] == ["Floor 3", "Floor 2", "Floor 1"]
    assert links(floors)["high"] == "mfcore.high.html#module-mfcore.high"


def test_the_table_leads_from_every_equation_to_the_code_that_names_it(small):
    passed, printed = small.build()
    assert passed, printed
    table = small.html("book/api/equations").select("table tbody tr")
    rows = [[cell.get_text(strip=True) for cell in row.select("td")] for row in table]
    assert rows == [["(2.8)", "Page", "low"], ["(2.12)", "Page", "high.flow,low.smooth"]]
    assert links(table[1])["low.smooth"] == "mfcore.low.html#mfcore.low.smooth"
    assert links(table[0])["(2.8)"] == "../../one.html#equation-eq-two"


def test_a_name_in_backquotes_that_means_nothing_fails_the_build(small):
    (small.root / "mfcore" / "low.py").write_text('"""Text with `lost_name`."""\n')
    (small.root / "mfcore" / "high.py").write_text('"""Above."""\n')
    passed, printed = small.build()
    assert not passed
    assert "mfcore.low: a docstring speaks of `lost_name`, which names nothing" in printed


def test_a_module_that_is_gone_leaves_no_page(small):
    assert small.build()[0]
    (small.root / "mfcore" / "high.py").unlink()
    low = small.root / "mfcore" / "low.py"
    low.write_text(low.read_text().replace(" and `high.flow`", ""))
    passed, printed = small.build()
    assert passed, printed
    assert not (small.root / "book" / "api" / "mfcore.high.rst").exists()
