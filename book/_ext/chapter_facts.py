"""Under the heading of each notebook: how long it ran, what it holds and loads, and where to run it again.

The times are those of the build. Buttons for Binder and Colab appear when the book knows the repository's
public address: the configuration value ``public_repository``, by default from ``MFCORE_REPOSITORY``, such as
``https://github.com/owner/name``; with a branch or tag after ``@``, else ``main``.
"""

import os
import re
from typing import Any
from urllib.parse import quote

from docutils import nodes
from execution import Executed, executed
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

ADDRESS = re.compile(r"https://(github\.com/[\w.-]+/[\w.-]+?)(?:@([\w./-]+))?")
LOADS = re.compile(r"""runner\.load\(\s*["'](\w+)["']""")


def spoken(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} minutes"


def needs(notebook: Executed) -> str:
    """What running took, in words."""
    memory = "" if notebook.gigabytes is None else f", at most {notebook.gigabytes:.1f} GB"
    return f"Ran in {spoken(notebook.seconds)} when this book was built{memory}."


def stored_results(notebook: Executed) -> list[str]:
    """Names of the stored results that a notebook loads."""
    source = "\n".join(cell.source for cell in notebook.content.cells if cell.cell_type == "code")
    return list(dict.fromkeys(LOADS.findall(source)))


def launchers(repository: str, docname: str) -> dict[str, str]:
    """Addresses at which Binder and Colab open the notebook."""
    if not repository:
        return {}
    found = ADDRESS.fullmatch(repository)
    if not found:
        raise ExtensionError(
            f"the repository's address is {repository!r}; give it as https://github.com/owner/name, or with "
            "@branch after it, or leave it empty"
        )
    owner_and_name, branch = found[1].removeprefix("github.com/"), found[2] or "main"
    where = f"{docname}.ipynb"
    return {
        "Binder": f"https://mybinder.org/v2/gh/{owner_and_name}/{quote(branch, safe='')}"
        f"?urlpath=lab/tree/{quote(where)}",
        "Colab": f"https://colab.research.google.com/github/{owner_and_name}/blob/{branch}/{where}",
    }


def insert(app: Sphinx, doctree: nodes.document) -> None:
    docname = app.env.docname
    notebook = executed(app, docname)
    heading = next(doctree.findall(nodes.title), None)
    if notebook is None or heading is None:
        return
    line = nodes.paragraph(classes=["chapter-facts"])
    line += nodes.Text(needs(notebook))
    stored = stored_results(notebook)
    if stored:
        line += [nodes.Text(" Loads stored runs: "), nodes.literal("", ", ".join(stored)), nodes.Text(".")]
    links = launchers(app.config.public_repository, docname)
    for name, target in links.items():
        line += [nodes.Text(" "), nodes.reference("", f"Open in {name}", refuri=target, classes=["launch"])]
    heading.parent.insert(heading.parent.index(heading) + 1, line)


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_config_value("public_repository", os.environ.get("MFCORE_REPOSITORY", ""), "env", [str])
    app.connect("doctree-read", insert)
    return {"version": "1", "env_version": 1, "parallel_read_safe": False, "parallel_write_safe": True}
