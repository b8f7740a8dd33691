"""A hash of the code that decides a result: a module and all of mfcore that it imports, comments left out.

Whoever stores a result keeps the hash beside it, and sees later whether the code is still the same. White
space, comments and docstrings do not count, nor does the list of trials that a module names ``EXPERIMENT``.
"""

import ast
import hashlib
import io
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
NO_NUMBERS = ("code_version", "figures", "profile", "provenance", "runner")  # they decide no value of a trial


def code_version(module: str) -> str:
    """SHA-256 over this module of mfcore (such as "experiments.table_1") and those below that it imports."""
    names = sorted(_closure(module))
    return hashlib.sha256(
        "\n".join(f"{name} {_bare(_path(name).read_text())}" for name in names).encode()
    ).hexdigest()


def _closure(module: str) -> set[str]:
    found, waiting = set(), [module]
    while waiting:
        name = waiting.pop()
        if name in found or name in NO_NUMBERS:
            continue
        found.add(name)
        waiting.extend(_imports(_path(name).read_text()))
    return found


@cache  # of the text, not of the file, which may change; the stored results share most modules
def _imports(source: str) -> tuple[str, ...]:
    return tuple(_names(ast.parse(source)))


def _names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "mfcore":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mfcore."):
            yield str(node.module).removeprefix("mfcore.")
        elif isinstance(node, ast.Import):
            yield from (a.name.removeprefix("mfcore.") for a in node.names if a.name.startswith("mfcore."))


def _path(module: str) -> Path:
    path = PACKAGE.joinpath(*module.split(".")).with_suffix(".py")
    if not path.exists():
        raise ValueError(f"mfcore.{module} is no module: {path} does not exist")
    return path


@cache
def _bare(source: str) -> str:
    left_out = {line for first, last in _asides(ast.parse(source)) for line in range(first, last + 1)}
    words = [
        token.string
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type != tokenize.COMMENT and token.start[0] not in left_out
    ]
    # Without white space, the tokens of every version of Python spell the same text.
    return "".join("".join(words).split())


def _asides(tree: ast.Module) -> Iterator[tuple[int, int]]:
    # Lines of docstrings, and of the assignment to EXPERIMENT.
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef)
            and ast.get_docstring(node) is not None
        ):
            yield node.body[0].lineno, node.body[0].end_lineno or node.body[0].lineno
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(t, ast.Name) and t.id == "EXPERIMENT" for t in node.targets
        ):
            yield node.lineno, node.end_lineno or node.lineno
