"""Each check in the browser passes a sound small site, and fails on a fault planted in it."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

pytest.importorskip("playwright")
pytest.importorskip("axe_playwright_python")

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book" / "_ext"))

import browser_page
import browser_reader
import browser_session
import check_browser
from browser_access import check_axe, check_keyboard
from browser_session import Session
from playwright.async_api import async_playwright

CHROMIUM = browser_session.chromium()
pytestmark = [
    pytest.mark.book,
    pytest.mark.browser,
    # Where CI is set, a missing browser is a failure.
    pytest.mark.skipif(
        CHROMIUM is None and not os.environ.get("CI"), reason="no Chromium (Debian: apt install chromium)"
    ),
]

DRAWING = '<svg xmlns="http://www.w3.org/2000/svg" width="200" height="100" viewBox="0 0 2 1"></svg>'
STYLE = """
body { margin: 0; font: 16px sans-serif; color: #111; background: #fff; }
html[data-theme=dark] body { color: #eee; background: #111; }
html[data-theme=light] .only-dark, html[data-theme=dark] .only-light { display: none; }
a { color: #00c; } html[data-theme=dark] a { color: #aaf; }
.wide { overflow-x: auto; } .wide div { width: 3000px; }
"""
THEME = """
const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => { document.documentElement.dataset.theme = dark.matches ? "dark" : "light"; };
follow(); dark.addEventListener("change", follow);
"""
SEARCH = """
const word = new URLSearchParams(location.search).get("q");
const found = word === "kernels" ? '<ul><li><a href="chapter.html?highlight=kernels">x</a></li></ul>' : "";
document.querySelector("#search-results").innerHTML = `<p class="search-summary">That is all.</p>${found}`;
"""
KEYS = """addEventListener("keydown", (event) => {
  if (event.ctrlKey && event.key === "k") { event.preventDefault(); document.querySelector("input").focus(); }
});"""
BODY = """<div class="skip-link"><a href="#main">Skip to the text</a></div>
<form action="search.html"><input type="search" name="q" aria-label="Search"></form>
<nav class="bd-links" aria-label="Main"><a href="index.html">Front page</a></nav>
<main id="main" tabindex="-1"><h1>The chapter of kernels</h1>
<p>Let <span class="math"><mjx-container>x</mjx-container></span> be <code>\\(code\\)</code>.</p>
<div class="wide" tabindex="0" role="region" aria-label="Wide"><div>wide</div></div>
<figure class="figure-card" id="fig-a"><a href="figures/a.svg">
<img class="only-light" src="figures/a.svg" alt="A drawing" width="200" height="100">
<img class="only-dark" src="figures/a-dark.svg" alt="A drawing" width="200" height="100"></a>
<figcaption>A caption.</figcaption>
<p class="figure-card-files"><a href="figures/a.svg">SVG</a> <a href="figures/a.csv">CSV</a></p></figure>
</main>"""


def html(body, script=""):
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A page</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<style>{STYLE}</style><script>{THEME}{KEYS}</script></head>"
        f"<body>{body}<script>{script}</script></body></html>"
    )


@pytest.fixture
def site(tmp_path):
    root = tmp_path / "html"
    (root / "figures").mkdir(parents=True)
    (root / "chapter.html").write_text(html(BODY))
    (root / "index.html").write_text(html(BODY.replace("chapter of kernels", "front page")))
    (root / "search.html").write_text(html('<main><div id="search-results"></div></main>', SEARCH))
    for file in ("a.svg", "a-dark.svg"):
        (root / "figures" / file).write_text(DRAWING)
    (root / "figures" / "a.csv").write_text("x\n1\n")
    return root


@pytest.fixture(scope="module")
def browser():
    """One browser, and the loop in which it runs, for all tests."""
    loop = asyncio.new_event_loop()
    playwright = loop.run_until_complete(async_playwright().start())
    running = loop.run_until_complete(
        playwright.chromium.launch(executable_path=CHROMIUM, args=[*browser_session.ARGUMENTS])
    )
    yield loop, running
    loop.run_until_complete(running.close())
    loop.run_until_complete(playwright.stop())
    loop.close()


@pytest.fixture
def run(browser, site):
    """Run a check with a session of the site; return its faults, without the name of the page."""
    loop, running = browser

    def run(check):
        with browser_session.served(site) as base:
            session = Session(running, base, [])
            loop.run_until_complete(check(session))
        return [fault.partition(": ")[2] for fault in session.faults]

    return run


async def look(session):
    async with session.visit("chapter.html") as visit:
        await browser_page.check_page(visit)


def plant(site, old, new, page="chapter.html"):
    text = (site / page).read_text()
    assert old in text
    (site / page).write_text(text.replace(old, new))


def test_a_sound_page_has_no_faults(run):
    assert run(look) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("<h1>", "<script>console.error('oh')</script><h1>", "console error: oh"),
        ("<h1>", "<script>const a = 1</script><script>const a = 1</script><h1>", "error of a script"),
        ("<h1>", "<img alt='x' src='http://192.0.2.1/a.png'><h1>", "asks for http://192.0.2.1/a.png"),
        ("<h1>", "<script>fetch('https://example.org/a')</script><h1>", "asks for https://example.org/a"),
        ("<h1>", "<script src='lost.js'></script><h1>", "lost.js gives 404"),
        ("<mjx-container>x</mjx-container>", "\\(x\\)", "a formula is not typeset"),
        ("<mjx-container>x</mjx-container>", "<mjx-container></mjx-container>", "have no width"),
        ("<h1>", "<mjx-container>y</mjx-container><h1>", "1 formulas in the text, but 2 typeset"),
        ("x</mjx-container>", "<mjx-merror>x</mjx-merror></mjx-container>", "a formula has an error"),
        ("be <code>", "be $$y$$ <code>", "TeX stands on the page as letters"),
        ("be <code>", "be \\begin{x} <code>", "TeX stands on the page as letters"),
        ('src="figures/a.svg"', 'src="figures/a.csv"', "the picture figures/a.csv is not loaded"),
        ("overflow-x: auto", "", "pixels wider than a window of 1440"),
        ("overflow-x: auto", "overflow: hidden", "stick out of a window of 1440"),
        ("<h1>", '<p style="width: 600px">x</p><h1>', "pixels wider than a window of 390"),
        ('class="only-dark" ', 'class="only-light" ', "figure fig-a shows 2 drawings on a light page"),
        ('class="only-light" ', "", "figure fig-a shows 2 drawings on a dark page"),
        ("body { color: #eee;", "body { color: #222;", "in the dark, text of luminance 0.02"),
        ("dark.addEventListener", "void ", "is 'light' where the reader asks for dark"),
    ],
)  # fmt: skip
def test_a_fault_of_a_page_is_found(site, run, old, new, message):
    plant(site, old, new)
    faults = run(look)
    assert any(message in fault for fault in faults), faults


def test_a_heavy_page_is_found(site, run):
    noise = os.urandom(browser_page.LARGEST_PAGE)
    (site / "figures" / "a.png").write_bytes(noise)
    # Waited for, so that the page is not complete before it has all.
    get = "const a = new XMLHttpRequest(); a.open('GET', 'figures/a.png', false); a.send();"
    plant(site, "<h1>", f"<script>{get}</script><h1>")
    faults = run(look)
    assert any("weighs 5.0 MB" in fault for fault in faults), faults


def test_what_a_host_packs_is_weighed_packed(site, browser):
    loop, running = browser
    (site / "a.js").write_text("// " + "x" * 200_000)
    plant(site, "<h1>", "<script src='a.js'></script><h1>")

    async def weigh(base):
        async with Session(running, base, []).visit("chapter.html") as visit:
            return await browser_page.weight(visit)

    with browser_session.served(site) as base:
        figures = loop.run_until_complete(weigh(base))
    assert figures["bytes"] < 20_000
    assert figures["bytes_unpacked"] > 200_000


# --- what a reader does ---------------------------------------------------------------------------


def test_search_finds_the_page_of_a_word_and_no_other(run):
    assert run(lambda session: browser_reader.check_search(session, "chapter.html", "kernels")) == []
    (fault,) = run(lambda session: browser_reader.check_search(session, "index.html", "kernels"))
    assert "does not find index.html" in fault


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("a.svg", DRAWING, None),
        ("a.svg", "<html></html>", "is no SVG"),
        ("a.svg", "", "is empty"),
        ("a.csv", "only a heading\n", "is no CSV"),
        ("a.pdf", "%PDF-1.4", None),
        ("a.pdf", "no", "is no PDF"),
        ("a.png", "no", "is no PNG"),
        ("a.json", "no", "is no JSON"),
        ("a.bib", "@article{a,", None),
        ("lost.csv", None, "gives 404"),
    ],
)
def test_a_download_is_what_its_name_says(site, run, file, content, message):
    if content is not None:
        (site / "figures" / file).write_text(content)

    async def check(session):
        await browser_reader.check_downloads(session, {f"{session.base}figures/{file}"})

    faults = run(check)
    assert any(message in fault for fault in faults) if message else faults == [], faults


@pytest.mark.parametrize("page", ["sized", "unsized"])
def test_figures_that_move_the_text_are_found(site, run, page):
    if page == "unsized":
        plant(site, ' width="200" height="100"', "")
    faults = run(lambda session: browser_reader.check_shift(session, "chapter.html"))
    assert [("move the text" in fault) for fault in faults] == ([True] if page == "unsized" else [])


# --- axe and the keyboard -------------------------------------------------------------------------


async def axe(session):
    async with session.visit("chapter.html") as visit:
        await check_axe(visit, "light")


def test_axe_finds_nothing_on_a_sound_page_and_a_grave_fault_where_one_is(site, run):
    assert run(axe) == []
    plant(site, "<h1>", '<p style="color: #ccc">pale</p><button></button><h1>')
    faults = run(axe)
    assert {fault.split(" (")[0] for fault in faults} == {
        "axe, light: color-contrast",
        "axe, light: button-name",
    }


EXPECTED = ("skip link", "search", "navigation", "downloads")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("<h1>", "<h1>", None),
        ("a { color", "a:focus { outline: none } a { color", "no focus is to be seen on"),
        ('href="figures/a.csv"', 'tabindex="1" href="figures/a.csv"', "the Tab key goes back up the page"),
        ('href="index.html"', 'style="position: absolute; left: -99px" href="index.html"', "is not seen"),
        ('href="index.html"', 'tabindex="-1" href="index.html"', "does not reach the navigation"),
        ('class="skip-link"', "", "does not reach the skip link"),
        ('href="#main"', 'href="#nowhere"', "does not lead into the text"),
    ],
)  # fmt: skip
def test_the_keyboard_reaches_everything_in_order_and_shows_it(site, run, old, new, message):
    plant(site, old, new)
    faults = run(lambda session: check_keyboard(session, "chapter.html", EXPECTED))
    assert any(message in fault for fault in faults) if message else faults == [], faults


# --- the command ----------------------------------------------------------------------------------


def test_the_command_writes_a_report_and_fails_on_a_fault(site, capsys):
    assert check_browser.main(site) == 0, capsys.readouterr()
    report = json.loads((site.parent / "browser-report.json").read_text())
    assert report["faults"] == []
    assert set(report["pages"]) == {"index.html", "chapter.html", "search.html"}
    assert report["pages"]["chapter.html"]["formulas"] == 1
    assert report["downloads"] == {".svg": 1, ".csv": 1}
    plant(site, "<h1>", "<script>console.error('oh')</script><h1>")
    assert check_browser.main(site) == 1
    assert "chapter.html: console error: oh" in capsys.readouterr().err


def test_a_page_that_is_not_looked_at_in_full_must_still_fit_a_phone(site, capsys):
    (site / "api").mkdir()
    for k in range(check_browser.PLAIN + 1):
        (site / "api" / f"m{k}.html").write_text(html("<main><h1>Module</h1></main>" + "word " * 30 * k))
    assert check_browser.main(site) == 0, capsys.readouterr()
    plant(site, "<h1>Module", f"<h1>{'Module' * 9}", "api/m0.html")
    assert "api/m0.html" not in check_browser.Site(site).opened
    assert check_browser.main(site) == 1
    assert "api/m0.html: is " in capsys.readouterr().err


def test_without_a_browser_that_is_said_and_fails_only_in_ci(site, capsys, monkeypatch):
    monkeypatch.setattr(check_browser, "chromium", lambda: None)
    monkeypatch.delenv("CI", raising=False)
    assert check_browser.main(site) == 0
    assert "not opened in a browser" in capsys.readouterr().out
    monkeypatch.setenv("CI", "true")
    assert check_browser.main(site) == 1


def test_of_many_plain_pages_the_largest_are_opened_and_all_with_formulas(tmp_path):
    (tmp_path / "api").mkdir()
    for k in range(9):
        (tmp_path / "api" / f"m{k}.html").write_text(html("<h1>Module</h1>" + "word " * k))
    (tmp_path / "api" / "formula.html").write_text(html('<h1>M</h1><span class="math">x</span>'))
    (tmp_path / "index.html").write_text(html(BODY))
    opened = check_browser.Site(tmp_path).opened
    assert {"index.html", "api/formula.html", *(f"api/m{k}.html" for k in range(4, 9))} == set(opened)
