"""The archive on a small repository: what is in it, that it comes out the same, and what is refused."""

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.book
pytest.importorskip("rocrate")

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book" / "_ext"))

import archive
import citation
import print_book
import release
from rocrate.rocrate import ROCrate

RECORD = {
    "seed": 7,
    "commit": "c0ffee",
    "tree": "clean",
    "profile": "paper",
    "csv_sha256": "5e5e",
    "date": "2026-01-02T03:04:05+00:00",
    "params": {"points": 3},
    "versions": {"jax": "0.5.3"},
}
CARD = """<figure class="figure-card"><img src="../figures/fig-a.svg"><img src="../figures/fig-a-dark.svg">
</figure>"""
NAME = "metric-flows-companion-9.8.7"


def git(root, *arguments):
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    return subprocess.run(
        ["git", *identity, *arguments], cwd=root, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A repository with a book of its commit; printing and cffconvert have tests of their own."""
    monkeypatch.setattr(print_book, "make", lambda _site, target, _root: target.write_bytes(b"%PDF"))
    monkeypatch.setattr(citation, "validate", lambda _root: None)
    root = tmp_path / "tree"
    for folder in ("book/results", "book/data", "notebooks", "_build/html/figures", "_build/html/notebooks"):
        (root / folder).mkdir(parents=True)
    for file in release.COPIED:
        shutil.copyfile(ROOT / file, root / file)
    (root / ".gitignore").write_text("_build\n")
    (root / "_toc.yml").write_text("root: index\nparts:\n  - chapters:\n      - file: notebooks/one\n")
    (root / "book" / "results" / "long.json").write_text("{}")
    (root / "book" / "data" / "read-off.csv").write_text("x\n1\n")
    (root / "notebooks" / "one.ipynb").write_text("{}")
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "All", "--date", "2026-03-04T05:06:07Z")
    site = root / "_build" / "html"
    (site / "index.html").write_text("<h1>Start</h1>")
    (site / "notebooks" / "one.html").write_text(f"<h1>One</h1>{CARD}")
    for suffix in (".svg", "-dark.svg", ".csv", ".pdf"):
        (site / "figures" / f"fig-a{suffix}").write_text(suffix)
    (site / "figures" / "fig-a.json").write_text(json.dumps(RECORD))
    write_edition(root)
    return root


def write_edition(root, **changes):
    made = {"version": "9.8.7", "commit": git(root, "rev-parse", "HEAD"), "tree": "clean", "profile": "paper"}
    made = {**made, "date": "2026-03-04T05:06:06+00:00", **changes}
    (root / "_build" / "html" / "edition.json").write_text(json.dumps(made))


def pack(root, **options):
    target = root / "_build" / "release"
    release.release(root, root / "_build" / "html", target, **options)
    return target


def test_everything_is_in_the_archive(root):
    made = pack(root)
    assert {path.name for path in made.iterdir()} == {
        *(f"{NAME}{suffix}" for suffix in (".pdf", "-html.zip", "-data.zip", "-source.tar.gz")),
        *("CITATION.cff", "LICENSE", "CHANGELOG.md", "README.md"),
        *("requirements.lock", "requirements-nt.lock", "requirements-newest-jax.lock"),
        *(".zenodo.json", "ro-crate-metadata.json", "SHA256SUMS"),
    }
    with zipfile.ZipFile(made / f"{NAME}-data.zip") as data:
        assert data.namelist() == [
            "digitised/read-off.csv",
            "figures/fig-a.csv",
            "figures/fig-a.json",
            "results/long.json",
        ]
        assert json.loads(data.read("figures/fig-a.json")) == RECORD
        assert data.infolist()[0].date_time == (2026, 3, 4, 5, 6, 6)
    with zipfile.ZipFile(made / f"{NAME}-html.zip") as pages:
        assert {"html/index.html", "html/figures/fig-a.svg"} <= set(pages.namelist())
    with tarfile.open(made / f"{NAME}-source.tar.gz") as source:
        names = source.getnames()
    assert f"{NAME}/notebooks/one.ipynb" in names
    assert not any("_build" in name for name in names)


def test_the_checksums_are_those_that_sha256sum_finds(root):
    made = pack(root)
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=made, check=True)
    listed = {line.split("  ")[1] for line in (made / "SHA256SUMS").read_text().splitlines()}
    assert listed == {path.name for path in made.iterdir()} - {"SHA256SUMS"}


def test_the_same_commit_makes_the_same_archive(root):
    first = (pack(root) / "SHA256SUMS").read_text()
    for path in (root / "_build" / "html").rglob("*"):
        path.touch()
    assert (pack(root) / "SHA256SUMS").read_text() == first


def test_the_crate_describes_every_file_and_what_made_each_figure(root):
    made = pack(root)
    crate = ROCrate(made)  # an error where a file it names is missing
    files = {entity.id for entity in crate.data_entities}
    assert files == {path.name for path in made.iterdir()} - {"SHA256SUMS", "ro-crate-metadata.json"}
    for name in files:
        content = (made / name).read_bytes()
        assert crate.dereference(name)["sha256"] == hashlib.sha256(content).hexdigest()
    (figure,) = crate.root_dataset["mentions"]
    assert figure["isPartOf"].id == f"{NAME}-data.zip"
    assert figure["isBasedOn"]["name"] == "notebooks/one.ipynb"
    run = crate.dereference("#run-fig-a")
    assert run["result"].id == figure.id
    assert {(value["name"], value["value"]) for value in run["object"]} >= {("seed", 7), ("commit", "c0ffee")}
    assert '"points": 3' in run["description"]
    assert crate.root_dataset["datePublished"] == "2026-03-04T05:06:06+00:00"
    assert {entity["identifier"] for entity in crate.root_dataset["license"]} == {"MIT", "CC-BY-4.0"}


def test_the_deposit_form_says_what_the_citation_says(root):
    form = json.loads((pack(root) / ".zenodo.json").read_text())
    entry = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (form["title"], form["keywords"]) == (entry["title"], entry["keywords"])
    assert form["creators"] == [{"name": "The Metric Flows companion authors"}]
    assert (form["version"], form["publication_date"]) == ("9.8.7", "2026-03-04")
    assert [(p["identifier"], p["relation"]) for p in form["related_identifiers"]] == [
        ("arXiv:2310.19870", "isSupplementTo")
    ]


def dirty(root):
    (root / "notebooks" / "one.ipynb").write_text("{ }")


def other_commit(root):
    git(root, "commit", "-q", "--allow-empty", "-m", "More")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (dirty, "changes that are not committed:\n.*one.ipynb"),
        (other_commit, "the pages are of commit .* run `make book`"),
        (lambda root: write_edition(root, tree="dirty"), "built from a tree with changes"),
        (lambda root: write_edition(root, profile="quick"), "quick profile"),
    ],
    ids=["dirty", "other-commit", "built-dirty", "quick"],
)
def test_what_is_no_release_is_refused_and_packed_only_as_a_trial(root, spoil, message):
    spoil(root)
    with pytest.raises(ValueError, match=message):
        pack(root)
    assert not (root / "_build" / "release").exists()
    trial = pack(root, force=True) / "NOT-A-RELEASE.txt"
    assert trial.read_text()
    assert "NOT-A-RELEASE.txt" in (trial.parent / "SHA256SUMS").read_text()


def test_a_missing_book_is_refused_even_by_force(root):
    (root / "_build" / "html" / "edition.json").unlink()
    for force in (False, True):
        with pytest.raises(ValueError, match=r"no finished book .*make book"):
            pack(root, force=force)


def test_a_failure_leaves_the_older_archive_as_it_was(root, monkeypatch):
    before = archive.tree(pack(root))

    def fail(_site, target, _root):
        target.write_bytes(b"half")
        raise ValueError("the printed book has faults")

    monkeypatch.setattr(print_book, "make", fail)
    with pytest.raises(ValueError, match="faults"):
        pack(root)
    assert archive.tree(root / "_build" / "release") == before
    assert sorted(path.name for path in (root / "_build").iterdir()) == ["html", "release"]


# --- version and citation of this repository -----------------------------------------------------


def test_the_changelog_is_about_the_version():
    import mfcore

    heads = [line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if line.startswith("## ")]
    assert heads[0].removeprefix("## ").split()[0] == mfcore.__version__


def test_the_citation_is_valid_and_a_fault_in_it_is_found(tmp_path):
    citation.validate(ROOT)
    text = (ROOT / "CITATION.cff").read_text()
    for old, new in [
        ("authors:", "authorz:"),
        ("type: software", "type: poem"),
        ("cff-version: 1.2.0\n", ""),
    ]:
        assert old in text
        (tmp_path / "CITATION.cff").write_text(text.replace(old, new, 1))
        with pytest.raises(ValueError, match=r"CITATION\.cff is not valid"):
            citation.validate(tmp_path)
