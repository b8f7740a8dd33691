"""What ``--share`` and ``--once`` keep of a folder of toy tests, by pytest in a process without jax."""

import os
import subprocess
import sys
from pathlib import Path

TOYS = {
    "test_cases.py": """
        @pytest.mark.parametrize("n", [1, 2, 3])
        def test_of_many(n): pass
        @pytest.mark.slow
        def test_slow(): pass
        class TestIn:
            def test_of_class(self): pass
    """,
    "test_slow_alone.py": """
        pytestmark = pytest.mark.slow
        @pytest.mark.parametrize("n", [1, 2])
        def test_first(n): pass
        def test_second(): pass
    """,
    "test_book.py": """
        pytestmark = pytest.mark.book
        def test_page(): pass
    """,
}


def collected(folder, *options, more=()):
    """The tests that pytest would run, by their names."""
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = slow\n    book\n")
    for name, text in {**TOYS, **dict(more)}.items():
        (folder / name).write_text("import pytest\n" + "\n".join(line[8:] for line in text.splitlines()))
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "selection", "--collect-only", "-q", *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return [line.partition("::")[2] for line in found.stdout.splitlines() if "::" in line]


def test_once_keeps_first_cases_that_are_not_slow_and_something_of_each_file(tmp_path):
    assert sorted(collected(tmp_path, "--once", "-m", "not book")) == [
        "TestIn::test_of_class",
        "test_first[1]",
        "test_of_many[1]",
    ]


def test_each_test_is_in_one_share_and_what_needs_the_library_in_the_locked_one(tmp_path):
    more = {f"test_{k}.py": f"        def test_{k}(): pass" for k in "vwxy"}
    more["test_z.py"] = "        def test_z(): pytest.importorskip('neural_tangents')"
    shares = {name: collected(tmp_path, "--share", name, more=more) for name in ("locked", "newest")}
    assert sorted(shares["locked"] + shares["newest"]) == sorted(collected(tmp_path, more=more))
    assert "test_z" in shares["locked"]
    assert "test_page" in shares["locked"]
    assert {"test_v", "test_w", "test_x", "test_y"} & set(shares["newest"]) in (
        {"test_v", "test_x"},
        {"test_w", "test_y"},
    )


def test_without_it_everything_runs(tmp_path):
    assert len(collected(tmp_path)) == 9
