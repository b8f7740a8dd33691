"""The built pages opened in Chromium, as a reader opens them: python book/_ext/check_browser.py _build/html

Prints one line for each fault, and ends with 1 if there is any. What was measured (weights, times, layout
shift, counts) is printed, and written to ``browser-report.json`` beside the site. Without Chromium nothing is
checked; that is said, and is a failure where the environment variable CI is set.

The checks are in ``browser_page`` (each page by itself), ``browser_reader`` (search, downloads, figures that
arrive late) and ``browser_access`` (axe, the keyboard).
"""

import asyncio
import json
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Awaitable
from functools import cached_property
from pathlib import Path
from typing import Any

from browser_access import check_axe, check_keyboard
from browser_page import check_page, overflow, turn
from browser_reader import (
    DOWNLOADS,
    FRONT,
    LARGEST_FRONT,
    check_downloads,
    check_front,
    check_search,
    check_shift,
)
from browser_session import PHONE, Session, Visit, chromium, served, started
from check_site import pages
from playwright.async_api import async_playwright

AT_ONCE = 4  # pages; each keeps less than one core busy
# Of the pages of a folder without formulas and figures, such as those of the code, so many are looked at in
# full, the others on a phone only.
PLAIN = 5
NO_TEXT = ("search.html", "genindex.html", FRONT)
# The browser reads the pages; to choose among them a parser would take a quarter of a minute.
CARD = re.compile(r'<figure\b[^>]*\bclass="[^"]*\bfigure-card\b')
TITLE, TAG = re.compile(r"<h1\b[^>]*>(.*?)</h1>", re.DOTALL), re.compile(r"<[^>]+>")


class Site:
    """The pages of the folder, and which of them stand for others."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names = [page.relative_to(folder).as_posix() for page in pages(folder)]
        self.figures = {name: len(CARD.findall(self.text(name))) for name in self.names}

    @cached_property
    def most_figures(self) -> str:
        return max(self.names, key=lambda name: (self.figures[name], name))

    @cached_property
    def short(self) -> str:
        """For checks that take long: the shortest page with a figure, beside that with the most."""
        beside = [
            n for n in self.names if self.figures[n] and Path(n).parent == Path(self.most_figures).parent
        ]
        return min(beside or self.names, key=self.size)

    @property
    def opened(self) -> list[str]:
        """All pages but of those without formulas and figures, where a folder has many, the largest."""
        plain: dict[str, list[str]] = {}
        for name in self.names:
            if not re.search(r'class="math|figure-card', self.text(name)):
                plain.setdefault(Path(name).parent.as_posix(), []).append(name)
        for names in plain.values():
            names.sort(key=self.size, reverse=True)
        left_out = {name for names in plain.values() for name in names[PLAIN:]} - self.templates
        return [name for name in self.names if name not in left_out]

    def text(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="utf-8")

    def size(self, name: str) -> int:
        return (self.folder / name).stat().st_size

    @cached_property
    def templates(self) -> set[str]:
        """Pages made in different ways: all but chapters, and of these the shortest that has a figure.

        Pages that are written alike stand in one folder; ``book`` holds those that are each of its own kind.
        axe takes a minute and more for a long chapter, and finds there what it finds on a short one. In a
        folder without figures it is the largest page.
        """
        alike: dict[str, list[str]] = {}
        for name in self.names:
            folder = Path(name).parent.as_posix()
            alike.setdefault(name if folder in (".", "book") else folder, []).append(name)
        with_figures = [[name for name in names if self.figures[name]] for names in alike.values()]
        return {
            min(chosen, key=self.size) if chosen else max(names, key=self.size)
            for chosen, names in zip(with_figures, alike.values(), strict=True)
        }

    def themes(self, name: str) -> tuple[str, ...]:
        """In which axe looks at a page: both where most colours are, one on other kinds of page."""
        if name not in self.templates:
            return ()
        return ("dark", "light") if name == FRONT or self.figures[name] else ("light",)

    def word(self) -> tuple[str, str]:
        """A page, and the longest word of its title that stands in no other title."""
        titles = {name: self.title_words(name) for name in self.names if name not in NO_TEXT}
        count = Counter(word for words in titles.values() for word in words)
        own = [(len(w), w, name) for name, words in titles.items() for w in words if count[w] == 1]
        _, word, name = max(own)
        return name, word

    def title_words(self, name: str) -> set[str]:
        title = TITLE.search(self.text(name))
        return set(re.findall(r"[a-z]{5,}", TAG.sub(" ", title[1]).lower())) if title else set()


class Report:
    """What was measured, and the faults."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.pages: dict[str, dict[str, Any]] = {}
        self.figures: dict[str, Any] = {}
        self.downloads: set[str] = set()

    async def attempt(self, what: str, check: Awaitable[Any]) -> Any:
        """A check that ends in an error is a fault, and does not end the others."""
        try:
            return await check
        except Exception as error:
            self.faults.append(f"{what}: {type(error).__name__}: {str(error).splitlines()[0][:200]}")
            return None


async def look_at(report: Report, session: Session, name: str, *, with_axe: tuple[str, ...]) -> None:
    """Everything that is to be seen on one page, opened once."""
    start = time.perf_counter()
    async with session.visit(name) as visit:
        figures = await check_page(visit)
        report.downloads |= set(await visit.page.evaluate(DOWNLOADS))
        if with_axe:
            figures["axe"] = await in_themes(visit, with_axe)
    report.pages[name] = {**figures, "seconds": round(time.perf_counter() - start, 1)}


async def in_themes(visit: Visit, themes: tuple[str, ...]) -> dict[str, dict[str, int]]:
    found = {}
    for theme in themes:
        await turn(visit, theme)
        found[theme] = await check_axe(visit, theme)
    return found


async def look_at_width(session: Session, name: str) -> None:
    """A page like others already seen: its own names may still be too long for a phone."""
    async with session.visit(name, PHONE) as visit:
        await overflow(visit, PHONE)


async def look_at_all(report: Report, session: Session, site: Site) -> None:
    free, opened = asyncio.Semaphore(min(AT_ONCE, 2 * (os.cpu_count() or 1))), set(site.opened)

    async def one(name: str) -> None:
        async with free:
            if name in opened:
                await report.attempt(name, look_at(report, session, name, with_axe=site.themes(name)))
            else:
                await report.attempt(name, look_at_width(session, name))

    # The long pages first, so that none is left to run alone at the end.
    order = sorted(site.names, key=lambda name: (name in opened, site.size(name)), reverse=True)
    await asyncio.gather(*(one(name) for name in order))


async def look_from_a_file(report: Report, session: Session, site: Site) -> None:
    """The same pages without a server: the front page, a chapter, and the search."""
    for name in (FRONT, site.short):
        async with session.visit(name) as visit:
            await check_page(visit)
    await check_search(session, *site.word())


async def examine(folder: Path, path: str) -> Report:
    site, report = Site(folder), Report()
    with served(folder) as base:
        async with async_playwright() as playwright, started(playwright, path) as browser:
            session = Session(browser, base, report.faults)
            from_file = Session(browser, folder.as_uri() + "/", report.faults, " from a file")
            report.figures["chromium"] = browser.version
            report.figures["alike"] = len(site.names) - len(site.opened)
            report.figures["front"] = await report.attempt(FRONT, check_front(session))
            await look_at_all(report, session, site)
            named = {
                "search": check_search(session, *site.word()),
                "downloads": check_downloads(session, report.downloads),
                "figures_late": check_shift(session, site.most_figures),
                "keyboard": keyboard(session, site),
                "from_a_file": look_from_a_file(report, from_file, site),
            }
            ended = await asyncio.gather(*(report.attempt(what, check) for what, check in named.items()))
            report.figures |= dict(zip(named, ended, strict=True))
    front = report.pages.get(FRONT, {}).get("bytes", 0)
    if front > LARGEST_FRONT:
        report.faults.append(f"{FRONT}: weighs {front / 1e6:.2f} MB, more than {LARGEST_FRONT / 1e6:.0f}")
    return report


async def keyboard(session: Session, site: Site) -> dict[str, int]:
    usual = ("skip link", "search", "navigation")
    return {
        FRONT: await check_keyboard(session, FRONT, usual),
        site.short: await check_keyboard(session, site.short, (*usual, "downloads")),
    }


def summary(report: Report) -> str:
    """What was measured, in a few lines."""
    pages, figures = report.pages, report.figures
    heaviest = max(pages, key=lambda name: pages[name]["bytes"])
    front, late = figures["front"] or {}, figures["figures_late"] or {}
    axe = [name for name, page in pages.items() if "axe" in page]

    def total(key: str) -> int:
        return sum(page[key] for page in pages.values())

    def weight(name: str) -> str:
        page = pages.get(name, {"bytes": 0, "bytes_unpacked": 0})
        return f"{page['bytes'] / 1e6:.2f} MB as sent, {page['bytes_unpacked'] / 1e6:.2f} MB unpacked"

    return f"""\
{len(pages)} pages in Chromium {figures["chromium"]} ({figures["alike"]} alike, on a phone), {len(axe)} by axe
{total("formulas")} formulas typeset, {total("pictures")} pictures loaded
heaviest page: {heaviest}, {weight(heaviest)}
front page: {weight(FRONT)}; interactive in {front.get("ready_ms")} ms, loaded in {front.get("load_ms")} ms
layout shift when figures arrive: {late.get("layout_shift")}
layout shift of whole pages: at most {max(page["layout_shift"] for page in pages.values()):.3f}
downloads: {figures["downloads"]}
stops of the Tab key: {figures["keyboard"]}"""


def main(folder: Path) -> int:
    folder = folder.resolve()
    path = chromium()
    if path is None:
        print("not opened in a browser: no Chromium (Debian: apt install chromium; or name it: CHROMIUM=...)")
        return 1 if os.environ.get("CI") else 0
    if not pages(folder):
        print(f"{folder} holds no pages", file=sys.stderr)
        return 1
    start = time.perf_counter()
    report = asyncio.run(examine(folder, path))
    report.figures["seconds"] = round(time.perf_counter() - start, 1)
    content = {**report.figures, "pages": dict(sorted(report.pages.items())), "faults": report.faults}
    (folder.parent / "browser-report.json").write_text(json.dumps(content, indent=1) + "\n")
    print(summary(report) if report.pages else "no page could be opened")
    for fault in report.faults:
        print(f"  {fault}", file=sys.stderr)
    count, seconds = len(report.faults) or "none", report.figures["seconds"]
    print(f"faults in the browser: {count}, after {seconds:.0f} seconds")
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
