"""CITATION.cff, the one place that says how to cite: for the title page of the book and for the archive."""

from importlib import import_module
from pathlib import Path
from typing import Any

import yaml
from figure_citation import authors

FILE = "CITATION.cff"


def citation(root: Path) -> dict[str, Any]:
    return yaml.safe_load((root / FILE).read_text(encoding="utf-8"))


def licences(entry: dict[str, Any]) -> list[str]:
    found = entry["license"]
    return found if isinstance(found, list) else [found]


def in_words(entry: dict[str, Any], year: str | int) -> str:
    """One entry as a reference list would print it."""
    parts = [f"{', '.join(authors(entry['authors']))} ({year}). {entry['title']}"]
    if "version" in entry:
        parts.append(f"version {entry['version']}")
    if "journal" in entry:
        parts.append(f"{entry['journal']} {entry['volume']}")
    parts += [i["value"] for i in entry.get("identifiers", [])]
    return ", ".join(parts) + "."


def validate(root: Path) -> None:
    """Hold CITATION.cff to the schema of its format; ValueError says what is wrong."""
    try:
        cffconvert = import_module("cffconvert")  # here: only the archive needs it
    except ModuleNotFoundError as error:
        raise ValueError("cffconvert is not installed: it stands in requirements-nt.lock") from error
    try:
        cffconvert.Citation((root / FILE).read_text(encoding="utf-8")).validate()
    except Exception as error:  # cffconvert has no class of its own: it passes on those of its parsers
        raise ValueError(f"{FILE} is not valid: {str(error).splitlines()[0]}") from error


def zenodo(root: Path, version: str, date: str) -> dict[str, Any]:
    """The same in the words of Zenodo's deposit form (`.zenodo.json`)."""
    entry = citation(root)
    papers = [
        {
            "scheme": "arxiv",
            "identifier": i["value"],
            "relation": "isSupplementTo",
            "resource_type": "publication",
        }
        for paper in entry.get("references", [])
        for i in paper.get("identifiers", [])
        if i["value"].startswith("arXiv:")
    ]
    first, *more = licences(entry)
    return {
        "upload_type": "software",
        "title": entry["title"],
        "description": entry["abstract"].strip(),
        "creators": [{"name": name} for name in authors(entry["authors"])],
        "version": version,
        "publication_date": date[:10],
        "access_right": "open",
        "license": first,  # Zenodo takes one
        "notes": f"Licences: {first} for code; {', '.join(more)} for text and figures." if more else "",
        "keywords": entry["keywords"],
        "language": "eng",
        "related_identifiers": papers,
    }
