"""What ``mfcore`` offers, read from its source: public names, signatures, docstrings, floors, imports.

Nothing is imported. So a build shows the package of the tree it stands in and no other copy, a compiled or
wrapped function looks like any other, and a signature has the words of the source: names of types stay names.
"""

import ast
import copy
import re
import tomllib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, TypeAlias

PACKAGE = "mfcore"
LONGEST_VALUE = 72  # characters of a constant that are worth reading on a page
SPECIAL = ("__call__", "__matmul__")  # methods that are called without their names
FIELDS_OF = ("NamedTuple", "eqx.Module")  # bases whose class attributes are arguments

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


class Item(NamedTuple):
    """A public name: ``kind`` as the Python domain of Sphinx calls it, ``name`` from the package on."""

    kind: str
    name: str
    signature: str
    text: str
    members: tuple["Item", ...] = ()


class Module:
    """One file of the package; ``name`` is that inside the package, empty for the package itself."""

    def __init__(self, name: str, source: str) -> None:
        self.name, self.source, self.tree = name, source, ast.parse(source)
        self.full = f"{PACKAGE}.{name}" if name else PACKAGE
        self.text = ast.get_docstring(self.tree) or ""

    @cached_property
    def items(self) -> tuple[Item, ...]:
        """Functions and classes, then constants, each in the order of the source."""
        defined = [found for node in self.tree.body if (found := _definition(node, self.full, ""))]
        return (*defined, *_constants(self))

    @cached_property
    def aliases(self) -> dict[str, str]:
        """What each imported name stands for."""
        found: dict[str, str] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                found |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
            elif isinstance(node, ast.Import):
                found |= {a.asname or a.name: a.name for a in node.names}
        return found

    @cached_property
    def words(self) -> set[str]:
        """Every name that the source uses: arguments, fields, attributes of other libraries."""
        names = {node.id for node in ast.walk(self.tree) if isinstance(node, ast.Name)}
        names |= {node.attr for node in ast.walk(self.tree) if isinstance(node, ast.Attribute)}
        names |= {node.arg for node in ast.walk(self.tree) if isinstance(node, ast.arg)}
        return (
            names | set(self.aliases) | {part for full in self.aliases.values() for part in full.split(".")}
        )

    @cached_property
    def imports(self) -> set[str]:
        """Modules of the package that this one imports, wherever the import stands."""
        return {name for name in map(inside, self.aliases.values()) if name}


class Package:
    """All modules of the tree at ``root``, by their names inside the package."""

    def __init__(self, root: Path) -> None:
        self.root = root
        paths = sorted((root / PACKAGE).rglob("*.py"))
        named = {_module_name(path.relative_to(root / PACKAGE)): path for path in paths}
        self.modules = {name: Module(name, path.read_text(encoding="utf-8")) for name, path in named.items()}

    @cached_property
    def names(self) -> set[str]:
        """The full names of everything that has a place in the reference."""
        items = [item for module in self.modules.values() for item in module.items]
        members = [member for item in items for member in item.members]
        return {item.name for item in [*items, *members]} | {module.full for module in self.modules.values()}

    @cached_property
    def floors(self) -> list[list[str]]:
        """The modules of each floor, the lowest first, as ``pyproject.toml`` has them."""
        content = tomllib.loads((self.root / "pyproject.toml").read_text(encoding="utf-8"))
        contracts = content["tool"]["importlinter"]["contracts"]
        (layers,) = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
        return [[name.strip() for name in layer.split("|")] for layer in reversed(layers)]

    def floor_of(self, module: str) -> int:
        """Counted from 1, the lowest; an experiment stands on the floor of its folder."""
        top = module.split(".", 1)[0]
        return next(number for number, floor in enumerate(self.floors, 1) if top in floor)

    def imported_modules(self, module: str) -> list[str]:
        return sorted(self.known(self.modules[module].imports) - {module, ""})

    def importers(self, module: str) -> list[str]:
        return sorted(n for n, m in self.modules.items() if n != module and module in self.known(m.imports))

    def known(self, imports: set[str]) -> set[str]:
        """Of dotted names inside the package, the modules that they lie in."""
        found = set()
        for name in imports:
            parts = name.split(".")
            prefixes = [".".join(parts[:k]) for k in range(len(parts), 0, -1)]
            found |= set([p for p in prefixes if p in self.modules][:1])
        return found

    def role(self, full: str) -> str:
        """How the Python domain of Sphinx calls what has this full name."""
        return "mod" if full == PACKAGE or inside(full) in self.modules else "obj"

    def find(self, name: str, module: str, owner: str = "", *, alike: bool = True) -> str | None:
        """The full name that a docstring or a type of this module means by ``name``, if it has a place.

        A name that the module does not know is looked for in all others, if ``alike``.
        """
        head, _, rest = name.partition(".")
        home, aliases = self.modules[module].full, self.modules[module].aliases
        tried = [f"{home}.{owner}.{name}"] if owner else []
        tried += [f"{home}.{name}"]
        tried += [".".join(filter(None, (aliases[head], rest)))] if head in aliases else []
        tried += [name, f"{PACKAGE}.{name}"]
        for full in tried:
            if full in self.names:
                return full
            if full.startswith(f"{PACKAGE}._typing."):  # axes and array types are explained at the top of it
                return f"{PACKAGE}._typing"
        others = [full for full in self.names if alike and full.endswith(f".{name}")]
        return others[0] if len(others) == 1 else None


def inside(full: str) -> str:
    """The part of a dotted name after the package, empty where it is of another one."""
    return full.removeprefix(f"{PACKAGE}.") if full.startswith(f"{PACKAGE}.") else ""


def _module_name(path: Path) -> str:
    parts = [part for part in path.with_suffix("").parts if part != "__init__"]
    return ".".join(parts)


# --- items --------------------------------------------------------------------------------------------------


def public(name: str) -> bool:
    return not name.startswith("_") or name in SPECIAL


def _definition(node: ast.stmt, home: str, owner: str) -> Item | None:
    if not isinstance(node, Function | ast.ClassDef) or not public(node.name):
        return None
    name, text = f"{home}.{owner}{node.name}", ast.get_docstring(node) or ""
    if isinstance(node, ast.ClassDef):
        members = tuple(m for part in node.body if (m := _definition(part, home, f"{node.name}.")))
        return Item("class", name, _constructor(node), text, members)
    if any(ast.unparse(decorator).endswith("property") for decorator in node.decorator_list):
        return Item("property", name, _type(node.returns), text)
    return Item("method" if owner else "function", name, _signature(node, bound=bool(owner)), text)


def _signature(node: Function, *, bound: bool) -> str:
    arguments = _Tidy().visit(copy.deepcopy(node.args))
    if bound:
        (arguments.posonlyargs or arguments.args).pop(0)
    returned = f" -> {_type(node.returns)}" if node.returns else ""
    return f"({ast.unparse(arguments)}){returned}"


def _type(node: ast.expr | None) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value  # a class that is not yet defined where its name stands
    return ast.unparse(_Tidy().visit(copy.deepcopy(node))) if node else ""


class _Tidy(ast.NodeTransformer):
    """Axes without the space that linters ask for in front of a single one."""

    def visit_Subscript(self, node: ast.Subscript) -> ast.Subscript:
        self.generic_visit(node)
        for part in ast.walk(node.slice):
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                part.value = part.value.strip()
        return node


def _constructor(node: ast.ClassDef) -> str:
    """Arguments of ``__init__``, or the fields of a record."""
    for part in node.body:
        if isinstance(part, ast.FunctionDef) and part.name == "__init__":
            return _signature(part, bound=True).removesuffix(" -> None")
    bases = {ast.unparse(base) for base in node.bases}
    decorators = {ast.unparse(decorator).split("(")[0] for decorator in node.decorator_list}
    if not (bases & set(FIELDS_OF) or "dataclass" in decorators):
        return ""
    fields = [part for part in node.body if isinstance(part, ast.AnnAssign)]
    return f"({', '.join(_field(field) for field in fields)})"


def _field(node: ast.AnnAssign) -> str:
    default = node.value
    if isinstance(default, ast.Call) and ast.unparse(default.func).endswith("field"):
        default = next((k.value for k in default.keywords if k.arg == "default"), None)
    return f"{ast.unparse(node.target)}: {_type(node.annotation)}" + (
        f" = {ast.unparse(default)}" if default else ""
    )


def _constants(module: Module) -> Iterator[Item]:
    """Module-level names in capitals or not, with the comment beside or above as their text."""
    lines = module.source.splitlines()
    for node in module.tree.body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        names = [n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name) and public(n.id)]
        value = ast.unparse(node.value)
        if value.startswith("TypeVar("):
            continue
        shown = f" = {value}" if len(names) == 1 and len(value) <= LONGEST_VALUE else ""
        for name in names:
            yield Item("data", f"{module.full}.{name}", shown, _comment(lines, node))


def _comment(lines: list[str], node: ast.stmt) -> str:
    assert node.end_lineno is not None
    beside = re.search(r"#\s*(.*)$", lines[node.end_lineno - 1][node.end_col_offset :])
    if beside:
        return beside[1]
    above: list[str] = []
    for line in reversed(lines[: node.lineno - 1]):
        if not line.startswith("# "):
            break
        above.insert(0, line.removeprefix("# "))
    return "\n".join(above)
