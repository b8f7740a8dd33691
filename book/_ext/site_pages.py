"""The built pages as chapters of one document: in order, without what only a screen needs, links inside it.

An id becomes unique by the name of its page, and a link from page to page becomes a link to a place. A link
to a file of the site (the data of a figure) has no place to lead to: its text stays.
"""

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import yaml
from bs4 import BeautifulSoup, Tag

# Controls, copies for dark pages, code, and lists of files: they say nothing on paper.
SCREEN_ONLY = """
    script, style, noscript, template, iframe, button, input, .screen-only, .headerlink, .only-dark, .launch,
    .cell_input, details.hide > summary, .prev-next-area, .toctree-wrapper,
    .figure-frames-slider, .figure-card-files > span:first-child, .figure-card-more, .figure-index-files,
    .finding-checks
"""
HEADINGS = {"h1": 1, "h2": 2, "h3": 3}
FORMULA = re.compile(r"\\\((.*?)\\\)")
SUPERSCRIPTS = str.maketrans("0123456789+-n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ")
SYMBOLS = {"to": "→", "infty": "∞", "times": "×", "le": "≤", "ge": "≥", "approx": "≈", "prime": "′"}


class Heading(NamedTuple):
    """A place in the document with a name: its level is 1 for a chapter."""

    level: int
    id: str
    html: str
    text: str


class Chapter(NamedTuple):
    """One page of the site; `part` is the caption above it in the table of contents, if there is one."""

    docname: str
    part: str | None
    article: Tag

    @property
    def slug(self) -> str:
        return slug(self.docname)

    @property
    def headings(self) -> list[Heading]:
        return [
            Heading(HEADINGS[tag.name], str(tag["id"]), tag.decode_contents().strip(), plain(tag.get_text()))
            for tag in self.article.find_all(list(HEADINGS))
        ]


def slug(docname: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", docname)


def plain(text: str) -> str:
    """Text with formulas in letters, for places that hold no formula: bookmarks and running heads."""
    return " ".join(FORMULA.sub(lambda match: letters(match[1]), text).split())


def letters(tex: str) -> str:
    """A short formula in letters of Unicode: of use for those that stand in headings."""
    tex = re.sub(r"\^\{?([0-9n+-]+)\}?", lambda match: match[1].translate(SUPERSCRIPTS), tex)
    tex = re.sub(r"\\([A-Za-z]+)", lambda match: symbol(match[1]), tex)
    return re.sub(r"[{}\\]", "", tex).replace("'", "′")


def symbol(command: str) -> str:
    size = "CAPITAL" if command[0].isupper() else "SMALL"
    try:
        return unicodedata.lookup(f"GREEK {size} LETTER {command.upper()}")
    except KeyError:
        return SYMBOLS.get(command, "")


def contents(toc: Path) -> list[tuple[str | None, str]]:
    """The pages of `_toc.yml` in order, each with the caption of the part that it begins, if it does."""
    tree = yaml.safe_load(toc.read_text(encoding="utf-8"))
    rows: list[tuple[str | None, str]] = [(None, tree["root"])]
    for part in tree.get("parts") or [tree]:
        names = list(files(part))
        rows += [(part.get("caption"), names[0]), *((None, name) for name in names[1:])] if names else []
    return rows


def files(entry: dict) -> Iterator[str]:
    for child in [*entry.get("chapters", []), *entry.get("sections", [])]:
        if "file" in child:
            yield child["file"]
        yield from files(child)


def chapters(site: Path, toc: Path) -> list[Chapter]:
    """All pages of the table of contents, ready to stand one after the other in one document."""
    rows = contents(toc)
    missing = [name for _, name in rows if not (site / f"{name}.html").is_file()]
    if missing:
        raise ValueError(f"{site} lacks {', '.join(missing)}, which {toc.name} names: run `make book`.")
    pages = {(site / f"{name}.html").resolve(): slug(name) for _, name in rows}
    return [Chapter(name, part, article(site, name, pages)) for part, name in rows]


def article(site: Path, docname: str, pages: dict[Path, str]) -> Tag:
    page = (site / f"{docname}.html").resolve()
    soup = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
    found = soup.select_one("article") or soup.select_one("main")
    if found is None or found.find("h1") is None:
        raise ValueError(f"{docname}.html has no article with a heading")
    for tag in found.select(SCREEN_ONLY):
        tag.decompose()
    for tag in found.find_all("details"):
        tag["open"] = ""
        if not tag.get_text(strip=True) and tag.find("img") is None:
            tag.decompose()
    name_headings(found)
    for tag in found.find_all(True):
        localise(tag, page, site.resolve(), pages)
    return found


def name_headings(found: Tag) -> None:
    # Sphinx gives the id to the section around a heading; contents and bookmarks need the heading itself.
    for count, tag in enumerate(found.find_all(list(HEADINGS))):
        section = tag.find_parent("section")
        own = section.get("id") if section and section.find(list(HEADINGS)) is tag else None
        tag["id"] = f"h-{own or count}"


def localise(tag: Tag, page: Path, site: Path, pages: dict[Path, str]) -> None:
    """Ids, links and sources of one tag, as the document has them."""
    name = pages[page]
    for attribute in ("id", "name", "for", "aria-labelledby", "aria-describedby"):
        if tag.get(attribute):
            tag[attribute] = f"{name}--{tag[attribute]}"
    if tag.get("src"):
        tag["src"] = address(str(tag["src"]), page)
    for attribute in ("loading", "srcset"):
        tag.attrs.pop(attribute, None)
    if tag.name == "a" and tag.get("href"):
        place = target(str(tag["href"]), page, pages)
        if place is None:
            tag.name = "span"
            del tag["href"]
        else:
            tag["href"] = place


def address(source: str, page: Path) -> str:
    if urlsplit(source).scheme:
        return source
    return (page.parent / unquote(urlsplit(source).path)).resolve().as_uri()


def target(href: str, page: Path, pages: dict[Path, str]) -> str | None:
    """Where a link leads in the document; None for a file of the site, which is not part of it."""
    parts = urlsplit(href)
    if parts.scheme or parts.netloc:
        return href
    file = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if file not in pages:
        return None
    return f"#{pages[file]}--{unquote(parts.fragment)}" if parts.fragment else f"#{pages[file]}"
