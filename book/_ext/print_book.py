"""The built pages as one PDF that looks like a book: python book/_ext/print_book.py _build/html OUT.pdf

Chromium typesets: one document of all chapters, the formulas by the MathJax of the pages, the layout by
``print-book.css``. It prints twice, since only the first print knows the pages for the table of contents.
What is wider than the page is made smaller; what is still wider, a formula that was not typeset, and a
picture that is not there end in an error. pypdf then adds bookmarks and metadata.

Code is left out: it stands in the notebooks, and on the pages.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from book_document import ROOT, Book, book, document
from playwright.sync_api import Page, sync_playwright
from pypdf import PdfReader, PdfWriter
from pypdf.generic import Fit

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = ("--no-sandbox", "--disable-gpu")
MOST_PRINTS = 4
PATIENCE = 600_000  # milliseconds for a step of the browser, on a busy machine


# --- the browser --------------------------------------------------------------------------------------------


def chromium() -> str:
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if not found:
        raise ValueError(
            "no Chromium found: install it (Debian: apt install chromium), or name it: CHROMIUM=/path"
        )
    return found


def typeset(page: Page, file: Path) -> None:
    """Lay the document out; an error says what is not as it should be."""
    page.set_default_timeout(PATIENCE)
    page.emulate_media(media="print")
    page.goto(file.as_uri(), timeout=PATIENCE)
    page.evaluate("typeset()")
    page.evaluate("fit()")
    faults = page.evaluate("faults()")
    if faults:
        raise ValueError("the printed book has faults:\n" + "\n".join(f"  {fault}" for fault in faults))


def page_numbers(pdf: PdfReader, ids: Iterable[str]) -> dict[str, int]:
    """The page of each heading: Chromium names every place that a link leads to."""
    places = {name.lstrip("/"): place for name, place in pdf.named_destinations.items()}
    lost = [name for name in ids if name not in places]
    if lost:
        raise ValueError(f"the PDF has no place for the headings {', '.join(lost[:5])}")
    return {name: (pdf.get_destination_page_number(places[name]) or 0) + 1 for name in ids}


def print_book(book: Book, site: Path, folder: Path) -> Path:
    """Print until the numbers in the table of contents are those of the pages."""
    file, target = folder / "book.html", folder / "printed.pdf"
    file.write_text(document(book, site), encoding="utf-8")
    numbers: dict[str, int] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=OPTIONS)
        page = browser.new_page()
        typeset(page, file)
        for _ in range(MOST_PRINTS):
            page.evaluate("number", numbers)
            page.pdf(path=target, prefer_css_page_size=True, print_background=True, tagged=True)
            before, numbers = numbers, page_numbers(PdfReader(target), [entry.id for entry in book.entries])
            if numbers == before:
                return target
    raise ValueError(f"the page numbers still change after {MOST_PRINTS} prints")


# --- the file -----------------------------------------------------------------------------------------------


def finish(printed: Path, book: Book, target: Path) -> None:
    """Add bookmarks and metadata, and write the file whole or not at all."""
    reader = PdfReader(printed)
    writer = PdfWriter(clone_from=reader)
    places = {name.lstrip("/"): place for name, place in reader.named_destinations.items()}
    parents: dict[int, Any] = {}
    for heading in book.entries:
        place = places[heading.id]
        number, top = reader.get_destination_page_number(place), float(place.top or 0)
        parents[heading.level] = writer.add_outline_item(
            title=heading.text,
            page_number=number,
            parent=parents.get(heading.level - 1),
            fit=Fit.xyz(left=0, top=top),
            is_open=False,
        )
    when = datetime.fromisoformat(book.date).strftime("D:%Y%m%d%H%M%S+00'00'")
    writer.pdf_header = reader.pdf_header
    writer.metadata = None
    writer.add_metadata(
        {
            "/Title": book.title,
            "/Author": ", ".join(book.authors),
            "/Subject": f"Version {book.version}, commit {book.commit}",
            "/Keywords": ", ".join(book.keywords),
            "/CreationDate": when,
            "/ModDate": when,
        }
    )
    partial = target.with_suffix(".partial")
    writer.write(partial)
    partial.replace(target)


def make(site: Path, target: Path, root: Path = ROOT) -> None:
    """Print the pages of a site into a file; ValueError says what stands against it."""
    site, target = site.resolve(), target.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    made = book(site, root)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        finish(print_book(made, site, Path(folder)), made, target)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("site", type=Path)
    parser.add_argument("target", type=Path)
    given = parser.parse_args(arguments)
    try:
        make(given.site, given.target)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    pages, size = len(PdfReader(given.target).pages), given.target.stat().st_size / 1e6
    print(f"{given.target}: {pages} pages, {size:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
