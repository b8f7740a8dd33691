"""One list of dependencies: the locks are made from it, and the conda file leads to the same locks."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ("requirements.lock", "requirements-nt.lock", "requirements-newest-jax.lock")
REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?\s*(.*)$")


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(lock):
    """Package to its pinned versions (one for each range of Python)."""
    found = {}
    for name, version in re.findall(
        r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", (ROOT / lock).read_text(), re.MULTILINE
    ):
        found.setdefault(normal(name), set()).add(version)
    return found


def required(*extras):
    requirements = [*project()["dependencies"]]
    for extra in extras:
        requirements += project()["optional-dependencies"][extra]
    return [(normal(match[1]), match[2]) for match in map(REQUIREMENT.match, requirements)]


def satisfies(version, specifier):
    """Whether a version lies in a comma-separated list of ==, >=, < (all that pyproject.toml uses)."""
    numbers = tuple(int(part) for part in re.findall(r"\d+", version))
    for clause in filter(None, specifier.split(",")):
        operator, bound = re.fullmatch(r"\s*(==|>=|<)\s*([\d.]+(?:post\d+)?)\s*", clause).groups()
        limit = tuple(int(part) for part in re.findall(r"\d+", bound))
        holds = {"==": numbers == limit, ">=": numbers >= limit, "<": numbers[: len(limit)] < limit}[operator]
        if not holds:
            return False
    return True


@pytest.mark.parametrize(
    ("lock", "extras"),
    [("requirements.lock", ("ntk", "book", "test")), ("requirements-newest-jax.lock", ("test",))],
)
def test_every_dependency_is_in_its_lock(lock, extras):
    pinned = pins(lock)
    for name, specifier in required(*extras):
        assert name in pinned, f"{name} is not in {lock}: run make lock"
        for version in pinned[name]:
            assert satisfies(version, specifier), f"{lock} has {name} {version}, not {specifier}: make lock"


def test_what_asks_for_too_much_is_locked_apart():
    lines = (ROOT / "requirements-nt.in").read_text().split()
    wanted = {normal(name): version for name, version in (line.split("==") for line in lines)}
    assert pins("requirements-nt.lock") == {name: {version} for name, version in wanted.items()}
    assert {"neural-tangents", "cffconvert"} <= set(wanted)
    assert not {*wanted, "tensorflow"} & set(pins("requirements.lock"))


def test_the_newest_jax_is_newer():
    def release(versions):
        return min(tuple(map(int, version.split("."))) for version in versions)

    assert release(pins("requirements-newest-jax.lock")["jax"]) > release(pins("requirements.lock")["jax"])


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_and_hashes_everything_and_names_no_index(lock):
    text = (ROOT / lock).read_text()
    assert not re.search(r"index-url|find-links|trusted-host|file:|https?:|git\+|^-|^/", text, re.MULTILINE)
    entries = re.findall(r"^[^#\s].*(?:\n[ \t]+.*)*", text, re.MULTILINE)
    assert entries
    for entry in entries:
        assert re.match(r"[A-Za-z0-9._-]+==\S+", entry), entry
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry


def test_the_conda_file_is_python_and_the_lock():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    plain = {}
    for entry in environment["dependencies"]:
        if isinstance(entry, str):
            name, version = re.fullmatch(r"([a-z]+)(.*)", entry).groups()
            plain[name] = version
    (pip,) = (entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    assert set(plain) == {"python", "pip", "make"}
    assert pip == ["-r requirements.lock"]
    assert satisfies(plain["python"].lstrip("="), project()["requires-python"])


@pytest.mark.parametrize(
    ("version", "specifier", "expected"),
    [
        ("1.4.0", ">=1.4,<2", True),
        ("2.0.0", ">=1.4,<2", False),
        ("1.3.9", ">=1.4", False),
        ("0.5.3", "==0.5.3", True),
        ("0.5.4", "==0.5.3", False),
        ("2.5.0", "<2.5", False),
        ("9.9", "", True),
    ],
)
def test_the_comparison_of_versions(version, specifier, expected):
    assert satisfies(version, specifier) is expected


def test_the_version_is_one():
    import mfcore

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert mfcore.__version__ == project()["version"] == citation["version"]
