"""How to cite a figure, and where it comes from: the part of a figure card that unfolds.

Author, title, version and the paper come from ``CITATION.cff``; commit, date, seed, versions, device, time
and the hash of the numbers from the figure's record.
"""

from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
LICENCE = "figure and numbers: CC BY 4.0; code: MIT"


@cache
def companion() -> dict[str, Any]:
    """What ``CITATION.cff`` says."""
    return yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def own(number: str) -> bool:
    """Whether a number is ours (C3.2.1) and not the paper's."""
    return number.startswith("C")


def authors(people: list[dict[str, str]]) -> list[str]:
    return [person.get("name") or f"{person['given-names']} {person['family-names']}" for person in people]


def paper() -> str:
    reference = companion()["references"][0]
    (preprint,) = reference["identifiers"]
    people = " and ".join(authors(reference["authors"]))
    return f"{people}, {reference['title']}, {preprint['value']} (first version, 2023)"


def commit(record: dict[str, Any]) -> str:
    """The commit that drew the figure; whoever looks it up must know if the code was another."""
    changed = " with uncommitted changes" if record["tree"] == "dirty" else ""
    return f"commit {record['commit'][:10]}{changed}"


def place(name: str, address: str) -> str:
    """The figure's address; while the book has none in public, the file in it."""
    return f"{address}figures/{name}.svg" if address else f"figures/{name}.svg of the book"


def plain_text(name: str, number: str, record: dict[str, Any], address: str) -> str:
    """One line for a list of references."""
    book = companion()
    after = "" if own(number) else f" After Figure {number} of {paper()}."
    return (
        f"{', '.join(authors(book['authors']))}, {book['title']}, version {book['version']} "
        f"({record['date'][:4]}), Figure {number}, {place(name, address)}, "
        f"{commit(record)}, data SHA-256 {record['csv_sha256'][:16]}... (CSV).{after}"
    )


def bibtex(name: str, number: str, record: dict[str, Any], address: str) -> str:
    """An entry for BibTeX."""
    book = companion()
    after = "" if own(number) else f"; after Figure {number} of {paper()}"
    fields = {
        "author": "{" + " and ".join(authors(book["authors"])) + "}",
        # Braces keep styles from writing it in lower case.
        "title": f"{{{book['title']}: Figure {number}}}",
        "year": record["date"][:4],
        "howpublished": place(name, address),
        **({"url": place(name, address)} if address else {}),
        "note": f"version {book['version']}, {commit(record)}, data SHA-256 {record['csv_sha256']}{after}",
    }
    return "\n".join([f"@misc{{metricflows-{name},", *(f"  {k} = {{{v}}}," for k, v in fields.items()), "}"])


def facts(record: dict[str, Any], cell: str | None) -> dict[str, str]:
    """Where the figure comes from, as HTML."""
    device, versions = record["device"], record["versions"]
    seconds = record["wall_time_seconds"]
    found = {
        "drawn by": cell or "",
        "commit": f"<code>{escape(record['commit'])}</code>"
        + (" with uncommitted changes" if record["tree"] == "dirty" else ""),
        "seed": "none: no chance in it" if record["seed"] is None else str(record["seed"]),
        "computed": f"{escape(record['date'][:10])}"
        + (f", in {seconds:.3g} s" if seconds is not None else ""),
        "on": escape(f"{device['processor']}, {device['cores']} cores, JAX on {device['jax_platform']}"),
        "with": escape(", ".join(f"{name} {version}" for name, version in versions.items())),
        "SHA-256 of the numbers (CSV)": f"<code>{record['csv_sha256']}</code>",
        "licence": LICENCE,
    }
    return {term: words for term, words in found.items() if words}


def details(name: str, number: str, record: dict[str, Any], cell: str | None, address: str) -> str:
    """The part that unfolds, as HTML. ``cell`` is a link; ``address`` the book's public one, or ""."""

    def box(label: str, text: str) -> str:
        # In the frame of a listing the copy button finds it.
        return (
            f'<p class="figure-card-label">{label}</p><div class="highlight"><pre>{escape(text)}</pre></div>'
        )

    rows = "".join(
        f"<div><dt>{term}</dt><dd>{words}</dd></div>" for term, words in facts(record, cell).items()
    )
    return (
        '<details class="figure-card-more"><summary>Cite this figure; where it comes from</summary>'
        + box("As text", plain_text(name, number, record, address))
        + box("BibTeX", bibtex(name, number, record, address))
        + f'<dl class="figure-card-facts">{rows}</dl></details>\n'
    )
