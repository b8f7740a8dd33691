"""The book's extensions on small books of their own: what is printed, and that each fault fails the build."""

import io
import json
import os
import re
import traceback
from pathlib import Path

import pytest

pytest.importorskip("myst_nb")

from bs4 import BeautifulSoup
from PIL import Image
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

EXTENSIONS = Path(__file__).resolve().parents[1] / "book" / "_ext"
SUFFIXES = (".svg", "-dark.svg", ".pdf", ".png", ".csv", ".json")
CONF = """
import sys
sys.path.insert(0, {path!r})
extensions = ["myst_nb", *{extensions!r}]
html_theme = "basic"
numfig = math_numfig = True
numfig_format = {{"figure": "Figure %s"}}
myst_enable_extensions = ["colon_fence", "dollarmath"]
exclude_patterns = ["_build"]
suppress_warnings = ["toc.empty_glob"]
nb_execution_mode = {mode!r}
nb_execution_raise_on_error = nb_execution_show_tb = True
"""
RECORD = {
    "seed": 7,
    "commit": "abcdef0123",
    "tree": "clean",
    "wall_time_seconds": 1.5,
    "profile": "paper",
    "date": "2026-11-01T00:00:00+00:00",
    "csv_sha256": "0123456789abcdef" * 4,
    "versions": {"python": "3.11.2", "jax": "0.5.3"},
    "device": {"processor": "a processor", "cores": 2, "jax_platform": "cpu"},
}

pytestmark = pytest.mark.book


class Book:
    def __init__(self, root, extensions, mode="off"):
        self.root, self.figures = root, root / "_build" / "given"
        self.figures.mkdir(parents=True)
        (root / "notebooks").mkdir()
        conf = CONF.format(path=str(EXTENSIONS), extensions=extensions, mode=mode)
        (root / "conf.py").write_text(conf)
        (root / "index.md").write_text("# Index\n\n```{toctree}\n:glob:\n**\n```\n")

    def page(self, name, text):
        (self.root / f"{name}.md").write_text(f"# Page\n\n{text}\n")

    def notebook(self, name, code, text="Text."):
        cells = [
            {"cell_type": "markdown", "id": "a", "metadata": {}, "source": f"# Page\n\n{text}"},
            {
                "cell_type": "code",
                "id": "b",
                "metadata": {},
                "source": code,
                "outputs": [],
                "execution_count": None,
            },
            {"cell_type": "markdown", "id": "c", "metadata": {}, "source": "End."},
        ]
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        content = {"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
        (self.root / "notebooks" / f"{name}.ipynb").write_text(json.dumps(content))

    def figure(self, name, record=RECORD):
        for suffix in SUFFIXES:
            (self.figures / f"{name}{suffix}").write_text(json.dumps(record) if suffix == ".json" else suffix)
        Image.new("RGB", (900, 600)).save(self.figures / f"{name}.png")

    def build(self, builder="html", **environment):
        """Build from scratch, as `make book` does; return whether it passed, and what it printed."""
        printed = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, patch_docutils(), docutils_namespace():
            for name, value in {"MFCORE_FIGURES": str(self.figures), **environment}.items():
                patch.setenv(name, value)
            try:
                book = Sphinx(
                    self.root,
                    self.root,
                    self.root / "_build" / builder,
                    self.root / "_build" / "doctrees",
                    builder,
                    confoverrides={"nitpicky": True},
                    status=None,
                    warning=printed,
                    freshenv=True,
                    warningiserror=True,
                    keep_going=True,
                )
                book.build()
            except Exception:  # what ends a build is part of what it says
                return False, printed.getvalue() + traceback.format_exc()
        return book.statuscode == 0, printed.getvalue()

    def html(self, name):
        return BeautifulSoup((self.root / "_build" / "html" / f"{name}.html").read_text(), "html.parser")


# --- equation numbers -----------------------------------------------------------------------------


@pytest.fixture
def equations(tmp_path):
    return Book(tmp_path, ["sphinx.ext.mathjax", "eqtag"])


def test_an_equation_and_its_references_carry_the_tag_on_every_page(equations):
    equations.page(
        "one", "$$\na = b \\tag{B.11}\n$$ (eq-one)\n\n```{math}\n:label: eq-two\nc = d \\tag{3.2}\n```\n"
    )
    equations.page(
        "zwei", "$$\ne = f \\tag{2.8'}\n$$ (eq-three)\n\nSee {eq}`eq-one`, {eq}`eq-two` and {eq}`eq-three`."
    )
    passed, printed = equations.build()
    assert passed, printed
    one, two = equations.html("one"), equations.html("zwei")
    assert [number.get_text() for number in one.select(".eqno")] == ["(B.11)\xb6", "(3.2)\xb6"]
    assert (
        "See (B.11), (3.2) and (2.8’)." in two.get_text() or "See (B.11), (3.2) and (2.8')." in two.get_text()
    )
    assert two.select("a[href='one.html#equation-eq-one']")
    assert "tag" not in one.select_one("div.math").get_text()


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (
            "$$\na \\tag{3.2}\n$$ (eq-one)",
            "$$\nb \\tag{3.2}\n$$ (eq-two)",
            "equation (3.2) stands twice: in one and in zwei",
        ),
        ("$$\na \\tag{3.2}\n$$ (eq-one)", "$$\nb \\tag{3.2}\n$$", "equation (3.2) stands twice"),
        ("$$\na = b\n$$ (eq-one)", "Text.", "equation 'eq-one' has a label, but no"),
        ("$$\na \\tag{1.1} b \\tag{1.2}\n$$ (eq-one)", "Text.", "2 tags in one equation"),
        ("See {eq}`eq-none`.", "Text.", "eq-none"),
    ],
    ids=["twice", "twice-without-label", "no-tag", "two-tags", "unknown"],
)
def test_a_wrong_number_fails_the_build(equations, first, second, message):
    equations.page("one", first)
    equations.page("zwei", second)
    passed, printed = equations.build()
    assert not passed
    assert message in printed


# --- figure cards ---------------------------------------------------------------------------------

CARD = """:::{figure-card} fig-3-left
:number: 3 (left)
:alt: Three lines "that" fall & rise.

The gain against $d$, with a [link](https://example.org).

More text.
:::"""


@pytest.fixture
def given(tmp_path):
    """A book whose figures are there without a notebook."""
    book = Book(tmp_path, ["sphinx.ext.mathjax", "figure_card"])
    (tmp_path / "sub").mkdir()
    book.page("sub/one", CARD)
    book.figure("fig-3-left")
    return book


def test_a_card_shows_number_caption_files_and_record(given):
    given.page("aaa", "See {numref}`fig-3-left`.")
    passed, printed = given.build()
    assert passed, printed
    page = given.html("sub/one")
    (figure,) = page.select("figure#fig-3-left")
    assert figure.select_one("figcaption").get_text().startswith("Figure 3 (left). The gain against ")
    assert figure.select_one("figcaption .math")
    assert [(i["class"], i["src"], i["alt"]) for i in figure.select("img")] == [
        (["only-light"], "../figures/fig-3-left.svg", 'Three lines "that" fall & rise.'),
        (["only-dark"], "../figures/fig-3-left-dark.svg", 'Three lines "that" fall & rise.'),
    ]
    links = {a.get_text(): a["href"] for a in figure.select(".figure-card-files a")}
    assert links == {f: f"../figures/fig-3-left.{f.lower()}" for f in ("SVG", "PDF", "PNG", "CSV", "JSON")}
    line = figure.select_one(".figure-card-files").get_text().replace("\N{NO-BREAK SPACE}", " ")
    assert "seed 7 · commit abcdef0 · computed in 1.5 s" in line
    assert "More text." in figure.get_text()
    reference = given.html("aaa").select_one("a.reference.internal[href='sub/one.html#fig-3-left']")
    assert reference.get_text() == "Figure 3 (left)"
    published = given.root / "_build" / "html" / "figures"
    assert {p.name for p in published.iterdir()} == {f"fig-3-left{s}" for s in (*SUFFIXES, "-small.webp")}


def test_a_changed_tree_and_the_quick_profile_are_told(given):
    given.figure(
        "fig-3-left", {**RECORD, "tree": "dirty", "profile": "quick", "seed": None, "wall_time_seconds": 0}
    )
    passed, printed = given.build()
    assert passed, printed
    line = given.html("sub/one").select_one(".figure-card-files").get_text()
    assert "commit abcdef0 with changes · computed at once · quick profile, not the paper's scale" in line
    assert "seed" not in line


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (':alt: Three lines "that" fall & rise.', "", "has no :alt:"),
        (':alt: Three lines "that" fall & rise.', ":alt:", "has no :alt:"),
        (":number: 3 (left)", "", "has no :number:"),
        ("The gain against $d$, with a [link](https://example.org).\n\nMore text.", "", "has no caption"),
        ("{figure-card} fig-3-left", "{figure-card} fig-none", "no notebook has written fig-none.svg"),
    ],
    ids=["no-alt", "empty-alt", "no-number", "no-caption", "no-files"],
)
def test_an_unfinished_card_fails_the_build(given, old, new, message):
    assert old in CARD
    given.page("sub/one", CARD.replace(old, new))
    passed, printed = given.build()
    assert not passed
    assert message in printed


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_card_without_one_of_its_files_fails_the_build(given, suffix):
    (given.figures / f"fig-3-left{suffix}").unlink()
    passed, printed = given.build()
    assert not passed
    assert f"no notebook has written fig-3-left{suffix}" in printed


@pytest.mark.parametrize(
    ("card", "message"),
    [
        (CARD.replace("fig-3-left", "fig-4"), "figure number 3 (left) stands twice"),
        (CARD.replace("3 (left)", "4"), "figure fig-3-left stands twice"),
    ],
    ids=["number", "name"],
)
def test_a_number_or_figure_on_two_pages_fails_the_build(given, card, message):
    given.figure("fig-4")
    given.page("two", card)
    passed, printed = given.build()
    assert not passed
    assert message in printed


# --- figures with frames --------------------------------------------------------------------------

FRAMES = [{"file": f"fig-3-left-frame-0{k}.svg", "label": f"t = {k} & more"} for k in range(3)]
FRAME_FILES = [f"fig-3-left-frame-0{k}{suffix}" for k in range(3) for suffix in (".svg", "-dark.svg")]


@pytest.fixture
def moving(given):
    """The same book, its figure with three frames."""
    conf = given.root / "conf.py"
    conf.write_text(conf.read_text() + "extensions.append('figure_frames')\n")
    given.figure("fig-3-left", {**RECORD, "frames": FRAMES, "still": 1})
    for file in FRAME_FILES:
        (given.figures / file).write_text(file)
    given.page(
        "sub/one", CARD.replace("{figure-card}", "{figure-frames}").replace(":alt:", ":slider: time\n:alt:")
    )
    return given


def test_a_card_with_frames_has_a_slider_and_is_a_card_in_all_else(moving):
    moving.page("aaa", "See {numref}`fig-3-left`.")
    passed, printed = moving.build()
    assert passed, printed
    page = moving.html("sub/one")
    (figure,) = page.select("figure#fig-3-left.figure-card.figure-frames")
    assert [i["src"] for i in figure.select("img")] == [
        "../figures/fig-3-left.svg",
        "../figures/fig-3-left-dark.svg",
    ]
    assert figure.select_one("figcaption").get_text().startswith("Figure 3 (left). The gain against ")
    (controls,) = figure.select(".figure-frames-slider")
    assert json.loads(controls["data-frames"]) == {
        "light": [f"../figures/fig-3-left-frame-0{k}.svg" for k in range(3)],
        "dark": [f"../figures/fig-3-left-frame-0{k}-dark.svg" for k in range(3)],
        "labels": [frame["label"] for frame in FRAMES],
    }
    slider = controls.select_one("input[type=range]")
    said = {key: slider[key] for key in ("min", "max", "value", "aria-label", "aria-valuetext")}
    assert said == {
        "min": "0",
        "max": "2",
        "value": "1",
        "aria-label": "time",
        "aria-valuetext": "t = 1 & more",
    }
    assert controls.select_one("button")["aria-label"] == "Play: time"
    assert controls.select_one(".figure-frames-label").get_text() == "t = 1 & more"
    published = {p.name for p in (moving.root / "_build" / "html" / "figures").iterdir()}
    assert published == {*FRAME_FILES, *(f"fig-3-left{s}" for s in (*SUFFIXES, "-small.webp"))}
    scripts = [str(s.get("src")) for s in page.select("script[src]")]
    assert any("frames.js" in script for script in scripts)
    assert not any("frames.js" in str(s) for s in moving.html("aaa").select("script[src]"))


@pytest.mark.parametrize("builder", ["text", "latex"])
def test_without_scripts_a_card_with_frames_is_its_still(moving, builder):
    (moving.figures / "fig-3-left.pdf").write_text("%PDF")
    passed, printed = moving.build(builder)
    assert passed, printed
    (file,) = [
        p
        for p in (moving.root / "_build" / builder).rglob("*.t[ex][xt]*")
        if "The gain against" in p.read_text()
    ]
    assert "frame-0" not in file.read_text()
    assert "t = 1" not in file.read_text()


@pytest.mark.parametrize("file", FRAME_FILES)
def test_a_card_without_one_of_its_frames_fails_the_build(moving, file):
    (moving.figures / file).unlink()
    passed, printed = moving.build()
    assert not passed
    assert f"no notebook has written {file}" in printed


def test_a_figure_without_frames_has_no_slider_and_fails_the_build(moving):
    moving.figure("fig-3-left")
    passed, printed = moving.build()
    assert not passed
    assert "figure 'fig-3-left' has no frames" in printed


# --- execution ------------------------------------------------------------------------------------

# Writes a figure with as many characters as the book has seen executions, and prints the same number.
DRAW = """import os, pathlib
from PIL import Image
log = pathlib.Path("../log.txt")
log.write_text((log.read_text() if log.exists() else "") + "{mark}")
for suffix in {suffixes!r}:
    file = pathlib.Path(os.environ["MFCORE_FIGURES"]) / ("{name}" + suffix)
    file.write_text({record!r} if suffix == ".json" else log.read_text())
    if suffix == ".png":
        Image.new("RGB", (9, 6)).save(file)
print("seen", log.read_text())"""


def draw(name="fig-a", mark="x"):
    return DRAW.format(name=name, mark=mark, suffixes=SUFFIXES, record=json.dumps(RECORD))


def card(name="fig-a", number="1", caption="Caption."):
    return (
        f":::{{figure-card}} {name}\n:number: {number}\n:alt: A picture of nothing at all.\n\n{caption}\n:::"
    )


@pytest.fixture
def live(tmp_path):
    book = Book(tmp_path, ["execution", "figure_card"], mode="cache")
    (tmp_path / "mfcore").mkdir()
    (tmp_path / "mfcore" / "a.py").write_text("one = 1\n")
    book.notebook("one", draw(), card())
    return book


def shown(book):
    """The log at the last execution, as the output on the page has it and as the published figure has it."""
    output = re.search(r"seen (\w+)", book.html("notebooks/one").get_text())[1]
    return output, (book.root / "_build" / "html" / "figures" / "fig-a.svg").read_text()


def test_outputs_and_figures_are_kept_together_and_made_anew_together(live):
    passed, printed = live.build()
    assert passed, printed
    assert shown(live) == ("x", "x")

    live.notebook("one", draw(), card() + "\n\nMore prose.")
    assert live.build()[0]
    assert shown(live) == ("x", "x")  # prose alone executes nothing

    (next(live.root.glob("_build/executed/*/figures")) / "fig-a.pdf").unlink()
    assert live.build()[0]
    assert shown(live) == ("xx", "xx")  # a lost file

    live.notebook("one", draw(mark="y"), card())
    assert live.build()[0]
    assert shown(live) == ("xxy", "xxy")  # other code

    live.notebook("one", draw(), card())
    assert live.build()[0]
    assert shown(live) == ("xxyx", "xxyx")  # the old code again: its outputs are cached, its figures are not

    (live.root / "mfcore" / "a.py").write_text("one = 2\n")
    assert live.build()[0]
    assert shown(live) == ("xxyxx", "xxyxx")  # another mfcore

    assert live.build(MFCORE_PROFILE="quick")[0]
    assert shown(live) == ("xxyxxx", "xxyxxx")  # another profile
    assert live.build()[0]
    assert shown(live) == ("xxyxx", "xxyxx")  # and back, to its own outputs and figures


MORE = """
frames = ["fig-a-frame-00", "fig-a-frame-01"]
for stem in frames:
    for suffix in (".svg", "-dark.svg"):
        (pathlib.Path(os.environ["MFCORE_FIGURES"]) / (stem + suffix)).write_text(log.read_text())
record = {**RECORD, "frames": [{"file": stem + ".svg", "label": stem} for stem in frames], "still": 0}
(pathlib.Path(os.environ["MFCORE_FIGURES"]) / "fig-a.json").write_text(json.dumps(record))"""


def test_frames_are_kept_with_the_outputs_and_made_anew_when_one_is_lost(live):
    live.notebook("one", f"import json\nRECORD = {RECORD!r}\n{draw()}\n{MORE}", card())
    for _ in range(2):
        passed, printed = live.build()
        assert passed, printed
        assert shown(live) == ("x", "x")  # kept
        assert (live.root / "_build" / "html" / "figures" / "fig-a-frame-01-dark.svg").read_text() == "x"

    kept = next(live.root.glob("_build/executed/*/figures"))
    (kept / "fig-a-frame-01-dark.svg").unlink()
    assert live.build()[0]
    assert shown(live) == ("xx", "xx")
    assert (kept / "fig-a-frame-01-dark.svg").read_text() == "xx"

    live.notebook("one", draw(mark="y"), card())  # without frames: those of old go
    assert live.build()[0]
    assert shown(live) == ("xxy", "xxy")
    assert not list(kept.glob("*-frame-*"))


WAIT = """import pathlib, time
pathlib.Path("../{own}").touch()
end = time.time() + 30
while not pathlib.Path("../{other}").exists() and time.time() < end:
    time.sleep(0.1)
print("together" if time.time() < end else "alone")
"""


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core runs one notebook at a time")
def test_notebooks_are_executed_at_the_same_time_each_with_its_own_figures(live):
    live.notebook("one", f"{WAIT.format(own='a', other='b')}\n{draw('fig-a')}", card("fig-a"))
    live.notebook("two", f"{WAIT.format(own='b', other='a')}\n{draw('fig-b')}", card("fig-b", "2"))
    passed, printed = live.build()
    assert passed, printed
    assert all("together" in live.html(f"notebooks/{name}").get_text() for name in ("one", "two"))
    ledger = json.loads(next(live.root.glob("_build/executed/*/ledger.json")).read_text())
    assert {name: entry["figures"] for name, entry in ledger.items()} == {
        "notebooks/one": ["fig-a"],
        "notebooks/two": ["fig-b"],
    }


def test_a_failing_notebook_fails_the_build_every_time(live):
    live.notebook("two", "1 / 0")
    for _ in range(2):
        passed, printed = live.build()
        assert not passed
        assert "ZeroDivisionError" in printed


def test_a_cell_that_writes_to_the_error_stream_fails_the_build_every_time(live):
    conf = live.root / "conf.py"
    conf.write_text(conf.read_text() + 'nb_output_stderr = "warn"\n')
    live.notebook("two", "import sys; print('oh', file=sys.stderr)")
    for _ in range(2):
        passed, printed = live.build()
        assert not passed
        assert "stderr" in printed


def test_a_figure_that_the_notebook_no_longer_draws_fails_the_build(live):
    assert live.build()[0]
    live.notebook("one", draw(name="fig-b"), card())
    passed, printed = live.build()
    assert not passed
    assert "no notebook has written fig-a.svg" in printed


def test_a_figure_that_two_notebooks_draw_fails_the_build_every_time(live):
    live.notebook("two", draw(mark="z"))
    for _ in range(2):
        passed, printed = live.build()
        assert not passed
        assert "'fig-a' is written by two notebooks" in printed
