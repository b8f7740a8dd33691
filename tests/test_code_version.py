"""The hash of the code behind a result: it follows what is computed, and nothing else."""

import shutil

import pytest

from mfcore import code_version


@pytest.fixture
def package(tmp_path, monkeypatch):
    (tmp_path / "experiments").mkdir()
    (tmp_path / "base.py").write_text(
        '"""Doc."""\n\n\ndef f(x):\n    """Doc of f."""\n    return x + 1  # reason\n'
    )
    (tmp_path / "other.py").write_text("value = 1\n")
    (tmp_path / "experiments" / "one.py").write_text(
        "from mfcore import base, runner\n\n\ndef trial(params):\n    return base.f(params)\n\n\n"
        "EXPERIMENT = (trial, 1)\n"
    )
    monkeypatch.setattr(code_version, "PACKAGE", tmp_path)
    return tmp_path


def change(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("file", "old", "new", "same"),
    [
        ("base.py", "x + 1", "x + 2", False),
        ("base.py", "Doc of f.", "Another doc.", True),
        ("base.py", "# reason", "# another reason", True),
        ("base.py", "x + 1", "x  +  1", True),
        ("other.py", "1", "2", True),
        ("experiments/one.py", "(trial, 1)", "(trial, 1, 2)", True),
        ("experiments/one.py", "base.f(params)", "base.f(2)", False),
        ("experiments/one.py", "import base, runner", "import base, runner, other", False),
    ],
)
def test_it_changes_with_the_code_and_with_nothing_else(package, file, old, new, same):
    before = code_version.code_version("experiments.one")
    change(package / file, old, new)
    assert (code_version.code_version("experiments.one") == before) == same


def test_a_module_that_is_not_there_is_refused(package):
    shutil.rmtree(package / "experiments")
    with pytest.raises(ValueError, match=r"experiments\.one is no module"):
        code_version.code_version("experiments.one")
