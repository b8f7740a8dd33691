"""Checks of the built pages: python book/_ext/check_site.py _build/html

Each check takes the folder of the site and returns its faults, one line each. They read files and need no
network: no page may ask for anything outside the site, every link and anchor inside it leads somewhere,
every picture says in words what it shows, the pages are those of the table of contents, every figure has all
its files and frames, and no stored result is older than the code that made it.
"""

import csv
import gc
import hashlib
import json
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml
from bs4 import BeautifulSoup, Tag
from check_results import stale_results

ROOT = Path(__file__).resolve().parents[2]
SUFFIXES = (".svg", "-dark.svg", ".pdf", ".png", ".csv", ".json")
# Attributes by which a page makes the browser fetch something, without a click.
FETCHES = {
    "script": ("src",),
    "link": ("href",),
    "img": ("src", "srcset"),
    "source": ("src", "srcset"),
    "iframe": ("src",),
    "embed": ("src",),
    "object": ("data",),
    "video": ("src", "poster"),
    "audio": ("src",),
    "track": ("src",),
    "input": ("src",),
    "use": ("href", "xlink:href"),
    "image": ("href", "xlink:href"),
}
LINK_RELATIONS_NOT_FETCHED = {
    "canonical",
    "alternate",
    "author",
    "license",
    "prev",
    "next",
    "search",
    "index",
}
OUTSIDE = re.compile(r"^\s*([a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
CSS_URL = re.compile(r"""(?:url\(\s*|@import\s+(?:url\(\s*)?)["']?([^"')\s;]+)""", re.IGNORECASE)
SCRIPT_FETCH = re.compile(
    r"""(?:import\s*\(?|from|fetch\(|src\s*=|href\s*=|importScripts\()\s*["'`]((?:https?:)?//[^"'`]+)"""
)
MACHINE_NAME = re.compile(
    r"[0-9a-f]{16,}|^\S+\.(?:png|svg|jpe?g|gif|webp)$|^<?Figure size|^_images/", re.IGNORECASE
)
UNREAD = re.compile(r"\{(?:glue|eq|numref|ref|doc|cite)(?::\w+)?\}|\|\s*(?:-{2,}|[\u2013\u2014]+)\s*\|")
SHORTEST_ALT = 15  # characters; fewer say nothing
MADE_BY_SPHINX = {"search.html", "genindex.html", "404.html"}
SOURCE_PAGES = "_modules/"  # of documented code


def pages(site: Path) -> list[Path]:
    # The theme's own files, and those of the reader's search, are not pages.
    return sorted(p for p in site.rglob("*.html") if "_static" not in p.relative_to(site).parts)


@cache
def parsed(page: Path) -> BeautifulSoup:
    return BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")


def outside_requests(site: Path) -> list[str]:
    """Everything that a page, style sheet or drawing would fetch from elsewhere."""
    faults = []
    for page in pages(site):
        where = page.relative_to(site)
        faults += [
            f"{where}: <{tag}> fetches {url}" for tag, url in fetched(parsed(page)) if OUTSIDE.match(url)
        ]
    for file in sorted([*site.rglob("*.css"), *site.rglob("*.svg")]):
        text = file.read_text(encoding="utf-8", errors="replace")
        # Style sheets keep the addresses of their authors in comments.
        urls = CSS_URL.findall(re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL))
        faults += [f"{file.relative_to(site)}: fetches {url}" for url in urls if OUTSIDE.match(url)]
    return faults


def fetched(page: BeautifulSoup) -> Iterator[tuple[str, str]]:
    for name, attributes in FETCHES.items():
        for tag in page.find_all(name):
            relations = {r.lower() for r in (tag.get("rel") or [])}
            if name == "link" and relations and relations <= LINK_RELATIONS_NOT_FETCHED:
                continue
            for attribute in attributes:
                value = str(tag.get(attribute) or "")
                for part in value.split(",") if attribute == "srcset" else [value]:
                    yield name, part.strip()
    for tag in page.find_all(style=True):
        yield from (("style", url) for url in CSS_URL.findall(str(tag["style"])))
    for tag in page.find_all("style"):
        yield from (("style", url) for url in CSS_URL.findall(tag.get_text()))
    for tag in page.find_all("script"):
        yield from (("script", url) for url in SCRIPT_FETCH.findall(tag.get_text()))


def broken_links(site: Path) -> list[str]:
    """Links and sources inside the site that lead to no file, or to no place in it."""
    faults = []
    for page in pages(site):
        for tag in parsed(page).find_all(["a", "img", "script", "link", "source", "iframe", "object"]):
            for attribute in ("href", "src", "data"):
                fault = broken(site, page, str(tag.get(attribute) or ""), tag)
                if fault:
                    faults.append(f"{page.relative_to(site)}: {fault}")
    return sorted(set(faults))


def broken(site: Path, page: Path, url: str, tag: Tag) -> str | None:
    parts = urlsplit(url)
    if not url or parts.scheme or parts.netloc:
        return None
    if parts.path.startswith("/"):
        return f"{url} starts at the root of the server, and fails in a folder or from a file"
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not target.is_relative_to(site):
        return f"{url} leads out of the site"
    if not target.is_file():
        return f"{url} leads to no file"
    anchor = unquote(parts.fragment)
    if tag.name == "a" and anchor and target.suffix == ".html" and anchor not in anchors(target):
        return f"{url}: no such place on that page"
    return None


@cache
def anchors(page: Path) -> set[str]:
    named = {str(tag["id"]) for tag in parsed(page).find_all(id=True)}
    return named | {str(tag["name"]) for tag in parsed(page).find_all("a", attrs={"name": True})} | {"top"}


def silent_pictures(site: Path) -> list[str]:
    """Pictures in the text of a page without words for them, or with words made by a machine."""
    faults = []
    for page in pages(site):
        for picture in parsed(page).select("article img, main img"):
            alt, source = str(picture.get("alt") or "").strip(), str(picture.get("src") or "")
            if len(alt) < SHORTEST_ALT or MACHINE_NAME.search(alt) or alt == source:
                faults.append(
                    f"{page.relative_to(site)}: the picture {source[-60:]} has the alt text {alt!r}"
                )
    return sorted(set(faults))


def unread_markup(site: Path) -> list[str]:
    """Roles and tables of the source that stand on a page as letters, outside code."""
    faults = []
    for page in pages(site):
        for article in parsed(page).select("article, main"):
            texts = article.find_all(string=UNREAD)
            faults += [
                f"{page.relative_to(site)}: markup not read in {str(text).strip()[:70]!r}"
                for text in texts
                if not text.find_parent(["pre", "code", "script", "style"])
            ]
    return sorted(set(faults))


def contents(toc: Path) -> list[str]:
    """Names of the pages in the table of contents, the root first."""
    content = yaml.safe_load(toc.read_text(encoding="utf-8"))

    def below(entry: dict[str, Any]) -> Iterator[str]:
        if "file" in entry:
            yield entry["file"]
        if "glob" in entry:
            found = toc.parent.glob(f"{entry['glob']}.*")
            yield from sorted(path.relative_to(toc.parent).with_suffix("").as_posix() for path in found)
        for part in ("parts", "chapters", "sections", "subtrees", "entries"):
            for inner in entry.get(part) or []:
                yield from below(inner)

    return [content["root"], *below(content)]


def missing_pages(site: Path, toc: Path = ROOT / "_toc.yml") -> list[str]:
    """Pages of the table of contents that are not there or have no heading."""
    faults = []
    for name in contents(toc):
        page = site / f"{name}.html"
        if not page.is_file():
            faults.append(f"{name}.html is in {toc.name}, but was not built")
        elif not parsed(page).select("article h1, main h1"):
            faults.append(f"{name}.html has no heading")
    return faults


def unexpected_pages(site: Path, toc: Path = ROOT / "_toc.yml") -> list[str]:
    """Pages that nothing leads to: neither in the table of contents, nor made for it by Sphinx."""
    known = {f"{name}.html" for name in contents(toc)} | MADE_BY_SPHINX
    names = [page.relative_to(site).as_posix() for page in pages(site)]
    return [
        f"{name} is not in {toc.name}"
        for name in names
        if name not in known and not name.startswith(SOURCE_PAGES)
    ]


def incomplete_figures(site: Path) -> list[str]:
    """Figures on a page that lack a file, or whose numbers are not those of the record."""
    names = {
        Path(str(picture["src"])).stem.removesuffix("-dark")
        for page in pages(site)
        for picture in parsed(page).select("figure.figure-card img[src]")
    }
    faults = []
    for name in sorted(names):
        files = [site / "figures" / f"{name}{suffix}" for suffix in SUFFIXES]
        empty = [file.name for file in files if not file.is_file() or not file.stat().st_size]
        faults += [f"figure {name}: figures/{file} is missing or empty" for file in empty]
        if not empty:
            faults += [f"figure {name}: {fault}" for fault in record_faults(site / "figures", name)]
    return faults + lost_frames(site)


def lost_frames(site: Path) -> list[str]:
    """Frames that a slider would ask for, and that are not there."""
    faults = []
    for page in pages(site):
        for slider in parsed(page).select("[data-frames]"):
            frames, where = json.loads(str(slider["data-frames"])), page.relative_to(site)
            lists = [frames.get(key, []) for key in ("light", "dark", "labels")]
            if len({len(entries) for entries in lists}) != 1 or len(lists[0]) < 2:
                faults.append(
                    f"{where}: a slider with {[len(entries) for entries in lists]} frames and labels"
                )
            files = [(page.parent / unquote(address)).resolve() for address in lists[0] + lists[1]]
            faults += [
                f"{where}: the frame figures/{file.name} is missing or empty"
                for file in files
                if not file.is_file() or not file.stat().st_size
            ]
    return faults


def record_faults(figures: Path, name: str) -> list[str]:
    record, table = json.loads((figures / f"{name}.json").read_text()), figures / f"{name}.csv"
    faults = []
    if record.get("csv_sha256") != hashlib.sha256(table.read_bytes()).hexdigest():
        faults.append("the numbers are not those that the record was made for")
    with table.open(newline="", encoding="utf-8") as file:
        if len(list(csv.reader(file))) < 2:
            faults.append("its table has no rows")
    faults += [
        f"its record lacks {key}"
        for key in ("commit", "seed", "params", "versions", "device")
        if key not in record
    ]
    return faults


CHECKS = (
    outside_requests,
    broken_links,
    silent_pictures,
    unread_markup,
    missing_pages,
    unexpected_pages,
    incomplete_figures,
    stale_results,
)


def main(site: Path) -> int:
    site = site.resolve()
    if not pages(site):
        print(f"{site} holds no pages", file=sys.stderr)
        return 1
    count = 0
    for check in CHECKS:
        faults = check(site)
        count += len(faults)
        print(f"{check.__name__.replace('_', ' ')}: {len(faults) or 'none'}")
        for fault in faults:
            print(f"  {fault}", file=sys.stderr)
    print(f"{len(pages(site))} pages checked")
    return 1 if count else 0


if __name__ == "__main__":
    gc.disable()  # the pages stay in memory to the end, and nothing else is large
    sys.exit(main(Path(sys.argv[1])))
