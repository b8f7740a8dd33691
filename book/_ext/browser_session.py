"""The built site in Chromium: served on this machine, all else out of reach, and what goes wrong noted.

The browser is the system's own, driven by Playwright. A proxy that nobody answers stands before every address
but 127.0.0.1, so that a page which asks for something elsewhere does not get it; that it asked is a fault.
"""

import functools
import gzip
import os
import shutil
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from playwright.async_api import Browser, ConsoleMessage, Page, Playwright, Request, Response, Route

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--proxy-server=http://127.0.0.1:9")
DESKTOP, PHONE = (1440, 900), (390, 844)
PATIENCE = 120_000  # milliseconds; a slow machine is no fault of the book
PACKED = (".html", ".css", ".js", ".svg", ".json", ".csv")  # what web hosts send as gzip

# Before anything of the page: count layout shifts, and keep the list of what was fetched from overflowing.
WATCH = """
performance.setResourceTimingBufferSize(2000);
window.shifts = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts.push(entry);
}).observe({ type: "layout-shift", buffered: true });
"""
STILL = "* { transition: none !important; animation: none !important; scroll-behavior: auto !important; }"
TYPESET = "() => window.MathJax?.startup?.promise?.then(() => true) ?? true"


def chromium() -> str | None:
    """The browser: the one that CHROMIUM names, or the first one found."""
    named = os.environ.get("CHROMIUM")
    return named or next((path for name in NAMES if (path := shutil.which(name))), None)


class Handler(SimpleHTTPRequestHandler):
    """Files of the site, packed as a web host packs them."""

    protocol_version = "HTTP/1.1"  # keeps connections open

    def log_message(self, *args: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The browser's own records say more."""

    def send_head(self) -> Any:
        path = Path(self.translate_path(self.path))
        accepted = "gzip" in self.headers.get("Accept-Encoding", "")
        if not accepted or path.suffix not in PACKED or not path.is_file():
            return super().send_head()
        content = packed(path)
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        return BytesIO(content)


@functools.cache
def packed(path: Path) -> bytes:
    return gzip.compress(path.read_bytes(), 6, mtime=0)


@contextmanager
def served(site: Path) -> Iterator[str]:
    """Address of the site, as long as the context lasts."""
    packed.cache_clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Visit(NamedTuple):
    """A page in the browser, and what went wrong on it so far."""

    page: Page
    name: str
    faults: list[str]

    def fault(self, text: str) -> None:
        line = f"{self.name}: {text}"
        if line not in self.faults:
            self.faults.append(line)


class Session(NamedTuple):
    """A running browser, the address of the site, and the faults of all visits."""

    browser: Browser
    base: str  # http://127.0.0.1:port/ or the file:// address of the folder; ends with a slash
    faults: list[str]
    manner: str = ""  # said of each page in a fault

    @asynccontextmanager
    async def visit(
        self,
        name: str,
        size: tuple[int, int] = DESKTOP,
        scheme: str = "light",
        *,
        hold: Any = None,
        wait_until: Any = "load",
        **options: Any,
    ) -> AsyncIterator[Visit]:
        """Open a page of the site with nothing in the cache, and wait until its formulas are set.

        With ``hold``, an `asyncio.Event`, figures are held back until it is set; formulas are not waited for.
        """
        context = await self.browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme=scheme,  # pyright: ignore[reportArgumentType]
            **options,
        )
        context.set_default_timeout(PATIENCE)
        try:
            page = await context.new_page()
            visit = Visit(page, name + self.manner, self.faults)
            listen(visit, self.base)
            await page.add_init_script(WATCH)
            if hold is not None:
                await page.route("**/figures/**", functools.partial(held, hold))
            await page.goto(self.base + name, wait_until=wait_until, timeout=PATIENCE)
            if hold is None:
                await page.evaluate(TYPESET)
            yield visit
        finally:
            await context.close()


async def held(event: Any, route: Route) -> None:
    await event.wait()
    await route.continue_()


def listen(visit: Visit, base: str) -> None:
    """Note errors of scripts and the console, requests that fail, and requests to elsewhere."""

    def console(message: ConsoleMessage) -> None:
        # A file that is missing is told below, with its address.
        if message.type == "error" and "Failed to load resource" not in message.text:
            visit.fault(f"console error: {message.text[:200]}")

    def request(request: Request) -> None:
        if not request.url.startswith((base, "data:", "blob:", "about:")):
            visit.fault(f"asks for {request.url}, outside the site")

    def failed(request: Request) -> None:
        # A page that is left gives up what it was still loading.
        if "ERR_ABORTED" not in (request.failure or "") and request.url.startswith(base):
            visit.fault(f"{request.url.removeprefix(base)} could not be loaded: {request.failure}")

    def response(response: Response) -> None:
        if response.status >= HTTPStatus.BAD_REQUEST:
            visit.fault(f"{response.url.removeprefix(base)} gives {response.status}")

    visit.page.on("console", console)
    visit.page.on("pageerror", lambda error: visit.fault(f"error of a script: {str(error)[:200]}"))
    visit.page.on("request", request)
    visit.page.on("requestfailed", failed)
    visit.page.on("response", response)


@asynccontextmanager
async def started(playwright: Playwright, path: str) -> AsyncIterator[Browser]:
    browser = await playwright.chromium.launch(executable_path=path, args=[*ARGUMENTS])
    try:
        yield browser
    finally:
        await browser.close()
