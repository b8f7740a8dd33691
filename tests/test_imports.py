"""The floors hold, and their guard fails on what it must; importing mfcore leaves the process as it was."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LINT_IMPORTS = Path(sysconfig.get_path("scripts")) / "lint-imports"


def lint_imports(tree):
    return subprocess.run(
        [sys.executable, LINT_IMPORTS, "--no-cache"],
        cwd=tree,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def tree(tmp_path):
    """A copy of the package with its contract."""
    shutil.copytree(ROOT / "mfcore", tmp_path / "mfcore", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def add_line(file, line):
    file.write_text(file.read_text() + f"\n{line}\n")


def test_the_floors_hold(tree):
    result = lint_imports(tree)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("projective", "from mfcore import hypersurface"),
        ("hypersurface", "import mfcore.sampling"),
        ("provenance", "from mfcore.figures import save"),
        ("_typing", "from mfcore import profile"),
        ("energies", "from mfcore import kernels"),
        ("clustering", "from mfcore import neighbours"),
        ("projective", "def late():\n    from mfcore import flows"),
    ],
)
def test_an_import_of_the_same_or_a_higher_floor_fails(tree, module, line):
    add_line(tree / "mfcore" / f"{module}.py", line)
    result = lint_imports(tree)
    assert result.returncode == 1
    assert "Modules stand on floors and import only from lower ones BROKEN" in result.stdout


def test_a_module_on_no_floor_fails(tree):
    (tree / "mfcore" / "helpers.py").write_text('"""Unlisted."""\n')
    result = lint_imports(tree)
    assert result.returncode != 0
    assert "helpers" in result.stdout


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("neighbours", "import matplotlib.pyplot", "Only figures draws"),
        ("flows", "import neural_tangents", "Only kernels and infinite_networks know neural-tangents"),
    ],
)
def test_a_library_with_one_importer_has_one(tree, module, line, contract):
    add_line(tree / "mfcore" / f"{module}.py", line)
    result = lint_imports(tree)
    assert result.returncode == 1
    assert f"{contract} BROKEN" in result.stdout


NUMERICS = sorted(p.stem for p in (ROOT / "mfcore").glob("*.py") if p.stem not in ("__init__", "figures"))

QUIET = """
import logging, os, sys, warnings
import jax, numpy, scipy, sklearn  # what these change is theirs
def state():
    return [*jax.config.values.items(), *os.environ.items(), *warnings.filters, logging.root.level,
            *logging.root.handlers, *numpy.geterr().items()]
before = state()
import mfcore
IMPORTS
changed = [entry for entry in state() if entry not in before]
assert not changed and len(before) == len(state()), changed
heavy = [m for m in sys.modules if m.split(".")[0] in ("matplotlib", "neural_tangents", "tensorflow")]
assert not heavy, heavy
"""


@pytest.mark.parametrize("modules", [[], NUMERICS], ids=["package", "modules"])
def test_importing_mfcore_changes_and_prints_nothing(modules, tmp_path):
    # In a process of its own: this one has changed its configuration and imported everything.
    code = QUIET.replace("IMPORTS", "\n".join(f"import mfcore.{module}" for module in modules))
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_importing_the_package_alone_loads_nothing_heavy(tmp_path):
    code = "import sys, mfcore; assert not {'jax', 'numpy', 'scipy', 'matplotlib'} & set(sys.modules)"
    here = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=here, check=True, timeout=60)
