"""The archive of a version, ready for Zenodo: python book/_ext/release.py [--force]

Writes ``_build/release``: the pages, the printed book, the data behind figures and results, the locks, the
source, how to cite, checksums, and RO-Crate metadata. The folder is whole or absent. It is refused where what
is packed would not be one thing: a tree with changes, or a book of another commit. ``--force`` packs it all
the same, for a trial, and says so in a file.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import archive
import citation
import edition
import print_book
import research_object

from mfcore.provenance import write_json

ROOT = Path(__file__).resolve().parents[2]
NAME = "metric-flows-companion"
TRIAL = "NOT-A-RELEASE.txt"
COPIED = {
    "CITATION.cff": "How to cite",
    "LICENSE": "Licences of code, and of text and figures",
    "CHANGELOG.md": "What changed from version to version",
    "README.md": "What this is, and how to build it",
    "requirements.lock": "Versions and hashes of all packages",
    "requirements-nt.lock": "Packages that are installed without what they ask for",
    "requirements-newest-jax.lock": "Versions and hashes for the tests on the newest jax",
}
DATA = ("*.csv", "*.json")  # of a figure: its numbers and its record
DATA_IN_WORDS = (
    "figures/: numbers (CSV) and record (JSON) of each figure; results/: stored results of long runs; "
    "digitised/: points read off the paper's figures"
)


def reasons_against(root: Path, site: Path) -> list[str]:
    """Why what is here is no release, in words."""
    made = edition.read(site)
    head, changes = git(root, "rev-parse", "HEAD"), git(root, "status", "--porcelain")
    reasons = []
    if changes:
        reasons.append(f"the tree has changes that are not committed:\n{changes}")
    if made["commit"] != head:
        reasons.append(
            f"the pages are of commit {made['commit'][:12]}, the tree is at {head[:12]}: run `make book`"
        )
    if made["tree"] != "clean":
        reasons.append("the pages were built from a tree with changes: run `make book`")
    if made["profile"] != "paper":
        reasons.append(
            f"the pages show the {made['profile']} profile, not the paper's scale: run `make book`"
        )
    return reasons


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=root, capture_output=True, text=True, check=True
    ).stdout.strip()


def pack(root: Path, site: Path, folder: Path) -> None:
    """Fill a folder with the archive."""
    made = edition.read(site)
    name, date = f"{NAME}-{made['version']}", made["date"]
    parts = {
        f"{name}.pdf": "The book, printed",
        f"{name}-html.zip": "The book as pages: open html/index.html",
        f"{name}-data.zip": DATA_IN_WORDS,
        f"{name}-source.tar.gz": f"The source at commit {made['commit']}",
        **COPIED,
        ".zenodo.json": "The deposit form of Zenodo, filled in",
    }
    print_book.make(site, folder / f"{name}.pdf", root)
    archive.write_zip(folder / f"{name}-html.zip", archive.tree(site, "html/"), date)
    archive.write_zip(folder / f"{name}-data.zip", data(root, site), date)
    archive.write_source(root, folder / f"{name}-source.tar.gz", name)
    for file in COPIED:
        shutil.copyfile(root / file, folder / file)
    write_json(folder / ".zenodo.json", citation.zenodo(root, made["version"], date))
    research_object.describe(folder, parts, root, site, root / "_toc.yml", made, f"{name}-data.zip")


def data(root: Path, site: Path) -> dict[str, Path]:
    of_figures = {f"figures/{p.name}": p for pattern in DATA for p in (site / "figures").glob(pattern)}
    return {
        **of_figures,
        **archive.tree(root / "book" / "results", "results/"),
        **archive.tree(root / "book" / "data", "digitised/"),
    }


def release(root: Path, site: Path, target: Path, *, force: bool = False) -> None:
    """Make the archive under another name, and put it in the place of an older one when it is complete."""
    citation.validate(root)
    reasons = reasons_against(root, site)
    if reasons and not force:
        raise ValueError("this is no release:\n" + "\n".join(reasons))
    with tempfile.TemporaryDirectory(dir=target.parent) as temporary:
        made = Path(temporary) / "made"
        made.mkdir()
        if reasons:
            (made / TRIAL).write_text("\n".join(reasons) + "\n", encoding="utf-8")
        pack(root, site, made)
        archive.write_sums(made)
        if target.exists():
            target.rename(Path(temporary) / "old")
        made.rename(target)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--force", action="store_true", help="pack a trial, whatever stands against a release"
    )
    given = parser.parse_args(arguments)
    target = ROOT / "_build" / "release"
    try:
        release(ROOT, ROOT / "_build" / "html", target, force=given.force)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    for name, path in sorted(archive.tree(target).items()):
        print(f"{path.stat().st_size / 1e6:8.2f} MB  {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
