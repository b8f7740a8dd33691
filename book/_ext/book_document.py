"""The book as one document: title page, table of contents, and the chapters one after the other."""

import json
from datetime import datetime
from html import escape
from pathlib import Path
from string import Template
from typing import NamedTuple

import citation
import edition
import site_pages
from site_pages import Chapter, Heading

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "book" / "_static"
STYLES = ("custom.css", "reading.css", "print-book.css")  # those of the pages, and what paper has of its own
IMPRINT = """Code is left out of this edition. It stands in the notebooks, in the folder
<code>notebooks</code> of the repository, and on the pages, where it can be opened; so do the numbers behind
each figure."""
DEEPEST = 2  # level of the headings in the table of contents and the bookmarks
DOCUMENT = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>$title</title>
<style>$style</style>
<script>window.MathJax = $mathjax</script>
<script>$checks</script>
<script src="$script"></script>
</head><body class="document">
$front
$contents
$chapters
</body></html>
""")
# No menu and no copy of each formula for screen readers: they would stand in the file thousands of times.
MATHJAX = {
    "options": {
        "enableMenu": False,
        "processHtmlClass": "math|output_area",
        "ignoreHtmlClass": "document",
        "menuOptions": {"settings": {"assistiveMml": False}},
    }
}


class Book(NamedTuple):
    """What is printed: the chapters, and what the title page says."""

    chapters: list[Chapter]
    title: str
    authors: list[str]
    keywords: list[str]
    licence: str
    cite: list[str]
    version: str
    commit: str
    date: str  # of the commit: the same book from the same commit

    @property
    def entries(self) -> list[Heading]:
        """The headings that the table of contents and the bookmarks show."""
        found = [heading for chapter in self.chapters for heading in chapter.headings]
        return [heading for heading in found if heading.level <= DEEPEST]


def book(site: Path, root: Path = ROOT) -> Book:
    """The book that these pages are, as `CITATION.cff` and the pages' `edition.json` describe it."""
    made, entry = edition.read(site), citation.citation(root)
    year = made["date"][:4]
    return Book(
        site_pages.chapters(site, root / "_toc.yml"),
        entry["title"],
        citation.authors(entry["authors"]),
        entry["keywords"],
        "Code: MIT licence. Text and figures: Creative Commons Attribution 4.0 International (CC BY 4.0).",
        [citation.in_words(entry, year), *(citation.in_words(e, e["year"]) for e in entry["references"])],
        made["version"],
        made["commit"] + (" with changes" if made["tree"] == "dirty" else ""),
        made["date"],
    )


# --- the document -------------------------------------------------------------------------------------------


def document(book: Book, site: Path) -> str:
    """The book as HTML. The numbers in the table of contents are not known yet."""
    return DOCUMENT.substitute(
        title=escape(book.title),
        style="\n".join([*map(static, STYLES), fonts(), *map(running_head, book.chapters)]),
        checks=static("print-book.js"),
        mathjax=json.dumps(MATHJAX),
        script=(site / "_static" / "mathjax" / "tex-chtml.js").resolve().as_uri(),
        front=front(book),
        contents=contents(book),
        chapters="\n".join(map(chapter, book.chapters)),
    )


def static(name: str) -> str:
    return (STATIC / name).read_text(encoding="utf-8")


def fonts() -> str:
    """STIX from matplotlib: the same letters on every machine, and they suit the formulas."""
    import matplotlib as mpl

    folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
    faces = [
        ("Book", "STIXGeneral", "normal", "normal"),
        ("Book", "STIXGeneralItalic", "normal", "italic"),
        ("Book", "STIXGeneralBol", "bold", "normal"),
        ("Book", "STIXGeneralBolIta", "bold", "italic"),
        ("Book Mono", "DejaVuSansMono", "normal", "normal"),
        ("Book Mono", "DejaVuSansMono-Bold", "bold", "normal"),
    ]
    return "\n".join(
        f"@font-face {{ font-family: '{family}'; font-weight: {weight}; font-style: {style}; "
        f"src: url('{(folder / f'{file}.ttf').as_uri()}'); }}"
        for family, file, weight, style in faces
    )


def running_head(chapter: Chapter) -> str:
    # A named page for each chapter: a page cannot ask which chapter it belongs to.
    title = json.dumps(chapter.headings[0].text, ensure_ascii=False)
    name = f"chapter-{chapter.slug}"
    return f"\n#{chapter.slug} {{ page: {name}; }}\n@page {name} {{ @top-left {{ content: {title}; }} }}"


def front(book: Book) -> str:
    title, _, subtitle = book.title.partition(": ")
    lines = [
        f"Version {book.version}, {datetime.fromisoformat(book.date):%-d %B %Y}",
        f"Commit {book.commit}",
        book.licence,
        IMPRINT,
    ]
    cite = "".join(f"<li>{escape(entry)}</li>" for entry in book.cite)
    return (
        f'<section class="title-page"><p class="book-title">{escape(title)}</p>'
        f'<p class="book-subtitle">{escape(subtitle)}</p>'
        f'<p class="book-authors">{escape(", ".join(book.authors))}</p>'
        f'<div class="imprint">{"".join(f"<p>{line}</p>" for line in lines)}'
        f"<p>How to cite:</p><ul>{cite}</ul></div></section>"
    )


def contents(book: Book) -> str:
    rows = []
    for chapter in book.chapters:
        if chapter.part:
            rows.append(f'<li class="part">{escape(chapter.part)}</li>')
        rows += [row(heading) for heading in chapter.headings if heading.level <= DEEPEST]
    return f'<nav id="table-of-contents"><p class="contents-title">Contents</p><ol>{"".join(rows)}</ol></nav>'


def row(heading: Heading) -> str:
    return (
        f'<li class="level-{heading.level}"><a href="#{heading.id}"><span>{heading.html}</span>'
        f'<span class="dots"></span><span class="page">000</span></a></li>'
    )


def chapter(chapter: Chapter) -> str:
    return f'<section class="chapter" id="{chapter.slug}">{chapter.article.decode_contents()}</section>'
