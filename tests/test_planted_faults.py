"""A small copy of the book passes, and fails once any one of these faults is planted in it.

The copy has the book's own configuration, extensions, templates and bibliography, two short pages, and one
tiny notebook with a figure. It is built as `make book` builds it, in this process, and its pages are read by
the checks that `make book` ends with. What each extension and check does by itself is tested in
test_book_extensions.py and test_book_checks.py; the checks in the browser, in test_browser_checks.py.
"""

import io
import json
import os
import shutil
import subprocess
import sys
import traceback
from pathlib import Path

import pytest

pytest.importorskip("jupyter_book")

from jupyter_book.config import get_final_config
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

from mfcore.code_version import code_version

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.book

INDEX = """# A small book

It has the chapter {doc}`notebooks/tiny`, with {numref}`fig-tiny` and equation {eq}`eq-tiny`, and it follows
{cite:t}`halverson2024`. Conventions: {doc}`book/notation`.
"""
TEXT = """# A tiny chapter

```{math}
:label: eq-tiny
a = b \\tag{C9.1}
```

:::{figure-card} fig-tiny
:number: C9.1
:alt: A line that rises from left to right.

The caption.
:::
"""
CODE = """import matplotlib.pyplot as plt
from mfcore import figures

fig, axes = plt.subplots()
axes.plot([0, 1], [0, 1])
figures.save(fig, "fig-tiny", {"x": [0, 1]}, seed=None, params={})
print("drawn")"""
TOC = """format: jb-book
root: index
chapters:
  - file: book/notation
  - file: notebooks/tiny
  - file: book/bibliography
"""


def notebook(path, text=TEXT, code=CODE):
    cells = [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": text},
        {
            "cell_type": "code",
            "id": "b",
            "metadata": {"tags": ["remove-output"]},
            "source": code,
            "outputs": [],
            "execution_count": None,
        },
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path.write_text(json.dumps({"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}))


def build(root):
    """Build from scratch, as `make book` does; return whether it passed, and what it printed."""
    shutil.rmtree(root / "_build" / ".doctrees", ignore_errors=True)
    shutil.rmtree(root / "_build" / "html", ignore_errors=True)
    printed = io.StringIO()
    config, _ = get_final_config(
        user_yaml=root / "_config.yml", cli_config={"latex_individualpages": False}, sourcedir=root
    )
    config["external_toc_path"] = str(root / "_toc.yml")
    with pytest.MonkeyPatch.context() as patch, patch_docutils(), docutils_namespace():
        patch.delenv("MFCORE_PROFILE", raising=False)
        patch.setenv("MFCORE_FIGURES", "")  # the build sets it, and it must not outlive it
        patch.syspath_prepend(str(ROOT / "book" / "_ext"))
        patch.setenv("PYTHONPATH", str(ROOT))  # the kernel's mfcore is the one under test
        html, doctrees = root / "_build" / "html", root / "_build" / ".doctrees"
        try:
            app = Sphinx(
                root, None, html, doctrees, "html", {**config, "nitpicky": True},
                status=None, warning=printed, freshenv=True, warningiserror=True, keep_going=True,
            )  # fmt: skip
            app.build()
            passed = app.statuscode == 0
        except Exception:  # what ends a build is part of what it says
            passed = False
            printed.write(traceback.format_exc())
    return passed, printed.getvalue()


def check(root):
    """What the checks at the end of `make book` say of the pages of the copy."""
    command = [sys.executable, "book/_ext/check_site.py", "_build/html"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    return ended.returncode == 0, ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """The small book, built."""
    root = tmp_path_factory.mktemp("sound") / "book"
    (root / "notebooks").mkdir(parents=True)
    shutil.copytree(
        ROOT / "book" / "_ext", root / "book" / "_ext", ignore=shutil.ignore_patterns("__pycache__")
    )
    for folder in ("_static", "_templates"):
        shutil.copytree(ROOT / "book" / folder, root / "book" / folder)
    for file in ("_config.yml", "book/bibliography.md", "book/references.bib"):
        shutil.copyfile(ROOT / file, root / file)
    (root / "index.md").write_text(INDEX)
    (root / "book" / "notation.md").write_text("# Conventions\n\nThe metric is positive.\n")
    (root / "_toc.yml").write_text(TOC)
    notebook(root / "notebooks" / "tiny.ipynb")
    passed, printed = build(root)
    assert passed, printed
    return root


@pytest.fixture
def book(sound, tmp_path):
    """A copy of it, to plant a fault in; the executed notebook comes along."""
    root = tmp_path / "book"
    shutil.copytree(sound, root)
    return root


def edit(file, old, new):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_the_sound_book_passes(sound):
    passed, printed = check(sound)
    assert passed, printed


# --- faults that fail the build -------------------------------------------------------------------


def test_a_broken_notebook(book):
    notebook(book / "notebooks" / "tiny.ipynb", code="1 / 0")
    passed, printed = build(book)
    assert not passed
    assert "ZeroDivisionError" in printed


@pytest.mark.parametrize(
    ("planted", "message"),
    [
        ("{doc}`notebooks/none`", "notebooks/none"),
        ("{numref}`fig-none`", "fig-none"),
        ("{cite:t}`nobody1905`", "nobody1905"),
        ("[there](book/none.md)", "book/none.md"),
        ("[there](book/notation.md#nowhere)", "nowhere"),
        ("[here](#nowhere)", "nowhere"),
        ("{glue:text}`notebooks/tiny.ipynb::none`", "found in glue data"),
        ("{nosuchrole}`x`", "nosuchrole"),
    ],
)
def test_a_broken_reference_or_anchor(book, planted, message):
    (book / "index.md").write_text(f"{INDEX}\nSee {planted}.\n")
    passed, printed = build(book)
    assert not passed
    assert message in printed


def test_a_page_that_is_missing_from_the_sources(book):
    (book / "book" / "bibliography.md").unlink()
    passed, printed = build(book)
    assert not passed
    assert "book/bibliography" in printed


# --- faults that the pages show -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("planted", "message"),
    [
        ("![](book/_static/readme-figure-3.png)", "has the alt text ''"),
        ('<script src="https://example.org/a.js"></script>', "<script> fetches https://example.org/a.js"),
        ('<a href="book/notation.html#nowhere">there</a>', "no such place on that page"),
    ],
    ids=["no-alt-text", "outside-request", "broken-anchor"],
)
def test_a_fault_that_the_build_lets_pass(book, planted, message):
    (book / "index.md").write_text(f"{INDEX}\n{planted}\n")
    passed, printed = build(book)
    assert passed, printed
    passed, printed = check(book)
    assert not passed
    assert message in printed


def test_a_page_too_few_and_a_page_too_many(book):
    page = book / "_build" / "html" / "book" / "bibliography.html"
    page.rename(page.with_name("stray.html"))
    passed, printed = check(book)
    assert not passed
    assert "book/bibliography.html is in _toc.yml, but was not built" in printed
    assert "book/stray.html is not in _toc.yml" in printed


# --- stored results -------------------------------------------------------------------------------


RESULT = ROOT / "book" / "results" / "table_1.json"  # one without arrays


def store(book, code):
    content = json.loads(RESULT.read_text())
    assert content["arrays_sha256"] is None
    content["provenance"] = {**content["provenance"], "code": code, "checked": {}}
    (book / "book" / "results").mkdir()
    (book / "book" / "results" / RESULT.name).write_text(json.dumps(content))


def test_a_stored_result_of_the_present_code(book):
    store(book, code_version("experiments.table_1"))
    passed, printed = check(book)
    assert passed, printed


def test_a_stored_result_that_is_older_than_its_code(book):
    store(book, "0" * 64)
    passed, printed = check(book)
    assert not passed
    assert "the stored result table_1 is older than its code" in printed
