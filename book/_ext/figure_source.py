"""Which cell of a notebook draws a figure, and places on the page to link to.

Code cells are counted as Jupyter does when a notebook runs from top to bottom, from 1. Each one that is shown
gets the anchor ``cell-3`` on its page.
"""

import re
from typing import Any

import nbformat
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment


def drawing_cell(env: BuildEnvironment, docname: str, name: str) -> int | None:
    """The number of the code cell that saves the figure ``name``; None where the page has none."""
    path = env.doc2path(docname)
    if not path.endswith(".ipynb"):
        return None
    saves = re.compile(rf"""figures\.save(?:_frames)?\(.*["']{re.escape(name)}["']""", re.DOTALL)
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    return next((k for k, cell in enumerate(cells, 1) if saves.search(cell.source)), None)


def mark_cells(app: Sphinx, doctree: nodes.document) -> None:
    """Give the code cells of a page their anchors."""
    path = app.env.doc2path(app.env.docname)
    if not path.endswith(".ipynb"):
        return
    kinds = [cell.cell_type for cell in nbformat.read(path, as_version=4).cells]
    for cell in doctree.findall(nodes.container):
        index = cell.get("cell_index")
        if cell.get("nb_element") == "cell_code" and index is not None:
            cell["ids"].append(f"cell-{kinds[: index + 1].count('code')}")


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("doctree-read", mark_cells)
    return {"version": "1", "env_version": 1, "parallel_read_safe": True, "parallel_write_safe": True}
