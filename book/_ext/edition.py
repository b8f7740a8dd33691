"""Which edition of the book this is: the version of ``mfcore``, and the commit the pages were built from.

The version is Sphinx's ``version`` and ``release``, and stands in the footer of every page. The pages carry
an ``edition.json``, by which the printed book and the archive know what they are made of.
"""

import json
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config

from mfcore import __version__
from mfcore.profile import profile
from mfcore.provenance import commit, write_json

ROOT = Path(__file__).resolve().parents[2]
FILE = "edition.json"
CHANGELOG = "book/changelog"


def edition() -> dict[str, str]:
    """Version, commit, its date and the state of the tree, and profile."""
    return {"version": __version__, **commit(), "date": date(), "profile": profile()}


def date() -> str:
    """The date of the commit in UTC, so that one commit makes one book; today's where there is no commit."""
    said = subprocess.run(
        ["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()
    return datetime.fromtimestamp(int(said) if said else time.time(), UTC).isoformat(timespec="seconds")


def read(site: Path) -> dict[str, str]:
    """The edition of built pages; an error where there are none."""
    file = site / FILE
    if not file.is_file():
        raise ValueError(f"{site} holds no finished book ({FILE} is missing): run `make book`.")
    return json.loads(file.read_text(encoding="utf-8"))


def use(app: Sphinx, config: Config) -> None:
    config["version"] = config["release"] = __version__


def remember(app: Sphinx) -> None:
    # At the start: what is committed while notebooks run is not in the pages.
    app.env.__dict__["edition"] = edition()


def footer(app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    version = f"Version {__version__}"
    if CHANGELOG in app.env.found_docs:
        version = f'<a href="{context["pathto"](CHANGELOG)}">{version}</a>'
    said = str(context.get("theme_extra_footer") or "")
    context["theme_extra_footer"] = f"<p>{version}</p>{said}"


def publish(app: Sphinx, exception: Exception | None) -> None:
    if exception is None and app.builder.format == "html":
        write_json(Path(app.outdir) / FILE, app.env.__dict__["edition"])


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("config-inited", use)
    app.connect("builder-inited", remember)
    app.connect("html-page-context", footer)
    app.connect("build-finished", publish)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
