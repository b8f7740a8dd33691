"""What the boxes "Change this and see" tell the reader to look for stands in the notebook."""

import json
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.book

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
CELL = re.compile(r"cell that begins `([^`]+)`")
REPLACED = re.compile(r"`[^`]+` (?:for|in place of|instead of) `([^`]+)`")
BOX = re.compile(r":::\{admonition\} Change this and see\n(.*?)\n:::", re.DOTALL)


def missing(cells):
    """The cells a box names that are not there, and the code to be replaced that is in none."""
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    boxes = "\n".join(BOX.findall(text))
    begins = [start for start in CELL.findall(boxes) if not any(c.startswith(shortened(start)) for c in code)]
    return begins + [old for old in REPLACED.findall(boxes) if not any(old in c for c in code)]


def shortened(start):
    return start.split("...")[0]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_and_every_piece_of_code_that_a_box_names_is_there(notebook):
    assert missing(json.loads(notebook.read_text(encoding="utf-8"))["cells"]) == []


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("In the cell that begins `steps = ...`, write `(2, 4)` for `(2, 8)`.", []),
        ("In the cell that begins `epochs = `.", ["epochs = "]),
        ("Put `(2, 4)` for `(2, 16)`.", ["(2, 16)"]),
    ],
)
def test_what_is_not_there_is_found(told, expected):
    box = f":::{{admonition}} Change this and see\n:class: change-this\n\n- {told}\n:::\n"
    cells = [{"cell_type": "code", "source": "steps = (2, 8)"}, {"cell_type": "markdown", "source": box}]
    assert missing(cells) == expected
