"""RO-Crate metadata of the archive: what each file is, and for each figure what made it."""

import json
from pathlib import Path
from typing import Any

import citation
import site_pages
from archive import sha256
from bs4 import BeautifulSoup
from rocrate.model.contextentity import ContextEntity
from rocrate.rocrate import ROCrate

LICENCES = {
    "MIT": ("https://spdx.org/licenses/MIT", "MIT License"),
    "CC-BY-4.0": (
        "https://creativecommons.org/licenses/by/4.0/",
        "Creative Commons Attribution 4.0 International",
    ),
}
FORMATS = {
    ".pdf": "application/pdf",
    ".epub": "application/epub+zip",
    ".zip": "application/zip",
    ".gz": "application/gzip",
    ".cff": "application/yaml",
    ".json": "application/json",
    ".md": "text/markdown",
}


def figures(site: Path, toc: Path) -> dict[str, str]:
    """The name of each figure on a page of the site, and the page that shows it."""
    found: dict[str, str] = {}
    for _, docname in site_pages.contents(toc):
        soup = BeautifulSoup((site / f"{docname}.html").read_text(encoding="utf-8"), "html.parser")
        for picture in soup.select("figure.figure-card img[src]"):
            found.setdefault(Path(str(picture["src"])).stem.removesuffix("-dark"), docname)
    return found


def describe(
    folder: Path, parts: dict[str, str], root: Path, site: Path, toc: Path, made: dict[str, str], data: str
) -> None:
    """Write `ro-crate-metadata.json` for the files of the archive (`parts`: name and what it is)."""
    crate, entry = ROCrate(), citation.citation(root)
    crate.name, crate.description = entry["title"], entry["abstract"].strip()
    crate.datePublished = made["date"]
    crate.root_dataset["version"] = made["version"]
    crate.root_dataset["keywords"] = ", ".join(entry["keywords"])
    crate.root_dataset["license"] = [licence(crate, name) for name in citation.licences(entry)]
    crate.root_dataset["author"] = [
        add(crate, f"#author-{number}", "Organization", name=name)
        for number, name in enumerate(citation.authors(entry["authors"]), 1)
    ]
    crate.root_dataset["citation"] = [
        add(
            crate,
            paper["url"],
            "ScholarlyArticle",
            name=paper["title"],
            author=citation.authors(paper["authors"]),
        )
        for paper in entry["references"]
    ]
    for name, description in parts.items():
        crate.add_file(
            folder / name,
            dest_path=name,
            properties={
                "name": name,
                "description": description,
                "encodingFormat": FORMATS.get(Path(name).suffix, "text/plain"),
                "contentSize": str((folder / name).stat().st_size),
                "sha256": sha256(folder / name),
            },
        )
    crate.root_dataset["mentions"] = [
        figure(crate, name, docname, site, root, data) for name, docname in figures(site, toc).items()
    ]
    crate.metadata.write(folder)


def add(crate: ROCrate, name: str, kind: str, /, **properties: Any) -> ContextEntity:
    entity = ContextEntity(crate, name, properties={"@type": kind, **properties})
    crate.add(entity)
    return entity


def licence(crate: ROCrate, name: str) -> ContextEntity:
    address, words = LICENCES[name]
    return add(crate, address, "CreativeWork", name=words, identifier=name)


def figure(crate: ROCrate, name: str, docname: str, site: Path, root: Path, data: str) -> ContextEntity:
    """A figure, its files in the data, and the run that made it: notebook, seed, commit, versions."""
    record = json.loads((site / "figures" / f"{name}.json").read_text(encoding="utf-8"))
    source = next((s for s in (".ipynb", ".md") if (root / f"{docname}{s}").is_file()), "")
    notebook = crate.dereference(f"#{docname}") or add(
        crate, f"#{docname}", "SoftwareSourceCode", name=f"{docname}{source}", version=record["commit"]
    )
    numbers = {key: record.get(key) for key in ("seed", "commit", "tree", "profile", "csv_sha256")}
    run = add(
        crate,
        f"#run-{name}",
        "CreateAction",
        name=f"run that made {name}",
        instrument=notebook,
        endTime=record.get("date"),
        description=json.dumps(
            {"params": record.get("params"), "versions": record.get("versions")}, sort_keys=True
        ),
        object=[
            add(crate, f"#{name}-{key}", "PropertyValue", name=key, value=value)
            for key, value in numbers.items()
            if value is not None
        ],
    )
    made = add(
        crate,
        f"#{name}",
        "CreativeWork",
        name=name,
        description=f"figures/{name}.csv holds its numbers, figures/{name}.json its record",
        isPartOf={"@id": data},
        isBasedOn=notebook,
    )
    run["result"] = made
    return made
