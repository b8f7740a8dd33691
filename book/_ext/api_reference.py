"""The reference of ``mfcore``: a page for each module, made from its source before the pages are read.

The pages, ``book/api/mfcore.NAME.rst``, are not kept in git: `_toc.yml` takes them in by a pattern, and a new
module needs nothing but its floor. ``api-floors`` lists all modules by floor. Names in docstrings and types
in signatures link to their entries; a name in single backquotes that means nothing fails the build.
"""

import json
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from equation_links import equation_number
from package_source import PACKAGE, Item, Module, Package, inside
from plain_docstrings import as_rst, escaped, first_paragraph
from sphinx.addnodes import desc_signature, pending_xref
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

log = logging.getLogger(__name__)
FOLDER = "book/api"
PLAIN_NAME = re.compile(r"[A-Za-z_][\w.]*")


class Writer:
    """The text of pages about one package."""

    def __init__(self, package: Package, chapters: dict[str, set[str]]) -> None:
        self.package, self.chapters = package, chapters

    def page(self, module: Module) -> str:
        title = module.name or PACKAGE
        heading = f"{escaped(title)}\n{'=' * len(escaped(title))}"
        head = [heading, f".. py:module:: {module.full}", self.text(module.text, module)]
        holds = ", ".join(f":py:obj:`{item.name.rsplit('.', 1)[1]} <{item.name}>`" for item in module.items)
        entries = [self.entry(item, module) for item in module.items]
        return "\n\n".join([*head, holds, *entries, ".. rubric:: Where it stands", self.place(module)]) + "\n"

    def text(self, text: str, module: Module, owner: str = "") -> str:
        return as_rst(text, lambda name: self.link(name, module, owner))

    def link(self, name: str, module: Module, owner: str) -> str:
        """A name in backquotes: a link to what it means, code if it is an argument or of another library."""
        full = self.package.find(name, module.name, owner)
        if full:
            return f":py:{self.package.role(full)}:`{name} <{full}>`"
        if not PLAIN_NAME.fullmatch(name) or not set(name.split(".")) <= module.words:
            log.warning("%s: a docstring speaks of `%s`, which names nothing", module.full, name)
        return f"``{name}``"

    def place(self, module: Module) -> str:
        """Where the module stands: its floor, what it imports, what imports it, the chapters that use it."""
        package, name = self.package, module.name
        rows = {
            "floor": self.floor(name) if name else "",
            "imports": self.listed(package.imported_modules(name)),
            "imported by": self.listed(package.importers(name)) if name else "",
            "chapters": ", ".join(f":doc:`/{page}`" for page, used in self.chapters.items() if name in used),
        }
        return "\n".join(f":{what}: {said}" for what, said in rows.items() if said)

    def floor(self, name: str) -> str:
        return f"{self.package.floor_of(name)} of {len(self.package.floors)} (:doc:`all floors <index>`)"

    def listed(self, names: list[str]) -> str:
        return ", ".join(f":py:mod:`{name} <{PACKAGE}.{name}>`" for name in names)

    def entry(self, item: Item, module: Module, owner: str = "") -> str:
        local = item.name.removeprefix(f"{module.full}.")
        options = [f":module: {module.full}"]
        if item.kind == "property":
            options.append(f":type: {item.signature}")
        elif item.kind == "data" and item.signature:
            options.append(f":value: {item.signature.removeprefix(' = ')}")
        signature = item.signature if item.kind in ("class", "function", "method") else ""
        inner = self.text(item.text, module, owner or (local if item.members else ""))
        members = [self.entry(member, module, local) for member in item.members]
        body = "\n\n".join(["\n".join(options), inner, *members])
        return f".. py:{item.kind}:: {local}{signature}\n{indented(body)}"


def indented(text: str) -> str:
    return "\n".join(f"   {line}" if line else "" for line in text.split("\n"))


# --- files --------------------------------------------------------------------------------------------------


def used_modules(notebook: Path, package: Package) -> set[str]:
    """Modules of the package that a notebook imports."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return package.known(Module("", "\n".join(code)).imports)


def chapters(root: Path, package: Package) -> dict[str, set[str]]:
    """The notebooks of the table of contents, in its order, with the modules that each imports."""
    toc = root / "_toc.yml"
    named = re.findall(r"file: (notebooks/[\w-]+)", toc.read_text(encoding="utf-8")) if toc.exists() else []
    return {name: used_modules(root / f"{name}.ipynb", package) for name in named}


def write_pages(app: Sphinx) -> None:
    """Write what has changed, and remove pages of modules that are no more."""
    root = Path(app.srcdir)
    package = Package(root)
    app.__dict__["mfcore_source"] = package
    writer, folder = Writer(package, chapters(root, package)), root / FOLDER
    pages = {f"{module.full}.rst": writer.page(module) for module in package.modules.values()}
    folder.mkdir(parents=True, exist_ok=True)
    for old in {path.name for path in folder.glob(f"{PACKAGE}*.rst")} - set(pages):
        (folder / old).unlink()
    for name, text in pages.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def package_of(app: Sphinx) -> Package:
    return app.__dict__["mfcore_source"]


class Floors(SphinxDirective):
    """All modules by floor, the highest first, each with the first paragraph of its docstring."""

    def run(self) -> list[nodes.Node]:
        package = package_of(self.env.app)
        writer = Writer(package, {})
        lines: list[str] = []
        for number, floor in reversed(list(enumerate(package.floors, 1))):
            lines += [f".. rubric:: Floor {number}", ""]
            for name in (n for top in floor for n in package.modules if n == top or n.startswith(f"{top}.")):
                module = package.modules[name]
                said = writer.text(first_paragraph(module.text), module)
                lines += [f"- :py:mod:`{name} <{module.full}>`: {said}"]
            lines.append("")
        listed = self.parse_text_to_nodes("\n".join(lines))
        for number in (n for node in listed for n in node.findall(equation_number)):
            number["quoted"] = True  # the module itself names the equation
        return listed


def settle_types(app: Sphinx, doctree: nodes.document) -> None:
    """Link the types in signatures, by the imports of their module.

    Left to itself, Sphinx takes any object whose name ends alike: our ``Path`` for that of ``pathlib``.
    """
    package = package_of(app)
    for signature in doctree.findall(desc_signature):
        module = package.modules.get(inside(signature.get("module") or ""))
        if module is None:
            continue
        for node in list(signature.findall(pending_xref)):
            full = package.find(node["reftarget"], module.name, alike=False)
            if full:
                node.attributes.pop("refspecific", None)
                node["reftarget"], node["reftype"] = full, package.role(full)
            elif node["reftarget"].split(".")[0] in module.words:
                node.replace_self(node.children)


def add_style(app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    if pagename.startswith(f"{FOLDER}/"):
        app.add_css_file("api.css")


def keep_menus_short(app: Sphinx, config: Config) -> None:
    """Menus show the modules only on pages about one, and no functions: they are made anew for each page."""
    config.toc_object_entries = False
    if config.html_theme == "sphinx_book_theme":
        config.html_theme_options = {**config.html_theme_options, "collapse_navigation": True}


def setup(app: Sphinx) -> dict[str, Any]:
    app.setup_extension("equation_links")
    app.add_directive("api-floors", Floors)
    app.connect("config-inited", keep_menus_short)
    app.connect("builder-inited", write_pages)
    app.connect("doctree-read", settle_types)
    app.connect("html-page-context", add_style)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}
