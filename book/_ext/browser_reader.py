"""What a reader does with the built site: opens it, searches it, waits for figures, downloads their files."""

import asyncio
import base64
import re
from pathlib import Path
from typing import Any

from browser_session import TYPESET, Session

FRONT = "index.html"
LARGEST_FRONT = 1_000_000  # bytes
SLOWEST_FRONT = 1000  # milliseconds
LOADS = 5  # of which the fastest counts: the others say how busy the machine was
LARGEST_SHIFT = 0.02
# How a file of each kind must begin, and what a web host must call it.
KINDS = {
    ".svg": ("image/svg+xml", rb"(<\?xml.*?\?>\s*)?(<!DOCTYPE.*?>\s*)?<svg\b"),
    ".pdf": ("application/pdf", rb"%PDF-"),
    ".png": ("image/png", rb"\x89PNG\r\n\x1a\n"),
    ".csv": ("text/csv", rb"[^\n]+\r?\n[^\n]"),
    ".json": ("application/json", rb"\s*[{\[]"),
    ".bib": ("", rb"\s*@\w+\{"),
    ".txt": ("text/plain", rb"."),
}

DOWNLOADS = """() => [...document.querySelectorAll(".figure-card-files a[href], a[download]")]
  .map((link) => link.href.split("#")[0])"""
FETCH = """async (addresses) => {
  const found = {};
  await Promise.all(addresses.map(async (address) => {
    const answer = await fetch(address);
    const bytes = new Uint8Array(await answer.arrayBuffer());
    found[address] = [answer.status, answer.headers.get("content-type") ?? "", bytes.length,
      btoa(String.fromCharCode(...bytes.slice(0, 2000)))];
  }));
  return found;
}"""
# The number of results is said once all are there.
FOUND = """() => {
  const summary = document.querySelector("#search-results .search-summary");
  const title = document.querySelector("#search-results h2")?.textContent;
  return summary?.textContent && !title?.includes("Searching");
}"""
TIMES = """() => {
  const [page] = performance.getEntriesByType("navigation");
  return { ready_ms: Math.round(page.domContentLoadedEventEnd), load_ms: Math.round(page.loadEventEnd) };
}"""
ROOM = """() => [...document.querySelectorAll("figure img")].filter((image) => image.checkVisibility())
  .map((image) => image.getBoundingClientRect().height)"""
SHIFT = "() => window.shifts.reduce((total, entry) => total + entry.value, 0)"


async def check_front(session: Session) -> dict[str, Any]:
    """How soon the front page can be used, by the fastest of a few loads: told, as machines are busy."""
    loads: list[dict[str, Any]] = []
    while len(loads) < LOADS and all(load["ready_ms"] >= SLOWEST_FRONT for load in loads):
        async with session.visit(FRONT) as visit:
            loads.append(await visit.page.evaluate(TIMES))
    return min(loads, key=lambda load: load["ready_ms"])


async def check_search(session: Session, page: str, word: str) -> None:
    """Whoever types a word finds the page on which it stands."""
    async with session.visit(FRONT) as visit:
        await visit.page.keyboard.press("Control+k")
        await visit.page.keyboard.type(word)
        await visit.page.keyboard.press("Enter")
        await visit.page.wait_for_url("**/search.html*")
        try:
            await visit.page.wait_for_function(FOUND, timeout=60_000)
        except Exception as error:  # whatever it was, the reader has found nothing
            visit.fault(f"search for {word!r}: {str(error).splitlines()[0]}")
        links = visit.page.locator("#search-results li a[href]")
        found = await links.evaluate_all("links => links.map((link) => link.href)")
        if not any(address.split("#")[0].split("?")[0] == session.base + page for address in found):
            visit.fault(f"search for {word!r} does not find {page}, where it stands")


async def check_downloads(session: Session, addresses: set[str]) -> dict[str, int]:
    """Every file under a figure is there, and is what its name says."""
    async with session.visit(FRONT) as visit:
        found = await visit.page.evaluate(FETCH, sorted(addresses))
    kinds: dict[str, int] = {}
    for address, (status, kind, size, head) in found.items():
        name, suffix = address.removeprefix(session.base), Path(address).suffix
        kinds[suffix] = kinds.get(suffix, 0) + 1
        fault = wrong_file(suffix, status, kind, size, head)
        if fault:
            visit.fault(f"the download {name} {fault}")
    return kinds


def wrong_file(suffix: str, status: int, kind: str, size: int, head: str) -> str | None:
    if status != 200:
        return f"gives {status}"
    if not size:
        return "is empty"
    called, beginning = KINDS.get(suffix, ("", rb"."))
    if called not in kind:
        return f"is called {kind!r}"
    if not re.match(beginning, base64.b64decode(head), re.DOTALL):
        return f"is no {suffix[1:].upper()}"
    return None


async def check_shift(session: Session, name: str) -> dict[str, float]:
    """Figures that arrive last move nothing: they are held back until all else stands."""
    released = asyncio.Event()
    async with session.visit(name, hold=released, wait_until="domcontentloaded") as visit:
        page = visit.page
        await page.evaluate(TYPESET)
        await page.evaluate("document.fonts.ready.then(() => true)")
        await page.evaluate("document.querySelector('figure img')?.scrollIntoView()")
        await page.wait_for_timeout(500)
        before = await page.evaluate(ROOM)
        await page.evaluate("window.shifts.length = 0")
        released.set()
        await page.wait_for_load_state("load")
        await page.wait_for_timeout(500)
        after, shift = await page.evaluate(ROOM), await page.evaluate(SHIFT)
        pixels = max((abs(a - b) for a, b in zip(before, after, strict=True)), default=0.0)
        # A drawing keeps the shape of its whole pixels until it is there: half a pixel is nothing.
        if shift > LARGEST_SHIFT or pixels > 1:
            visit.fault(f"its figures move the text: layout shift {shift:.3f}, {pixels:.0f} pixels a figure")
    return {"layout_shift": shift, "pixels": pixels}
