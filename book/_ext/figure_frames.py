"""``figure-frames``: a figure with a slider, from the frames that ``mfcore.figures.save_frames`` wrote.

::

    :::{figure-frames} fig-name
    :number: C2.4.1
    :alt: What the picture shows, for those who do not see it.
    :slider: time

    The caption.
    :::

A figure card in all else. The slider (named by ``slider``, "frame" if it is not given) is shown where scripts
run; in print, in LaTeX and text, and without scripts, the card shows its still. Frames are loaded when the
reader touches the slider. All this is done by ``book/_static/frames.js`` and the style sheet, from files
beside the pages.
"""

import json
from html import escape
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from figure_card import FigureCard, address, card_caption, directory, skip
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError


class frame_slider(nodes.General, nodes.Element):
    """Button, slider and label."""


class FigureFrames(FigureCard):
    option_spec: ClassVar[Any] = {**FigureCard.option_spec, "slider": directives.unchanged}

    def run(self) -> list[nodes.Node]:
        (figure,) = super().run()
        assert isinstance(figure, nodes.figure)
        figure["classes"].append("figure-frames")
        slider = self.options.get("slider", "").strip() or "frame"
        caption = next(i for i, child in enumerate(figure) if isinstance(child, card_caption))
        figure.insert(caption, frame_slider(name=self.arguments[0], slider=slider))
        return [figure]


def slider_html(self: Any, node: nodes.Element) -> None:
    name = node["name"]
    record = json.loads((directory() / f"{name}.json").read_text(encoding="utf-8"))
    frames = record.get("frames")
    if not frames:
        raise ExtensionError(
            f"figure {name!r} has no frames: it was not written by mfcore.figures.save_frames"
        )
    addresses = [address(self, frame["file"]) for frame in frames]
    dark = [address(self, f"{Path(frame['file']).stem}-dark.svg") for frame in frames]
    labels = [frame["label"] for frame in frames]
    still = record["still"]
    content = escape(json.dumps({"light": addresses, "dark": dark, "labels": labels}), quote=True)
    called = escape(node["slider"], quote=True)
    # The longest label keeps its room, so that the slider does not change its length.
    room = max(len(label) for label in labels)
    self.body.append(
        f'<div class="figure-frames-slider" data-frames="{content}">'
        f'<button type="button" aria-label="Play: {called}"></button>'
        f'<input type="range" min="0" max="{len(frames) - 1}" step="1" value="{still}" autocomplete="off" '
        f'aria-label="{called}" aria-valuetext="{escape(labels[still], quote=True)}">'
        f'<span class="figure-frames-label" aria-hidden="true" style="min-width: {room}ch">'
        f"{escape(labels[still])}</span></div>\n"
    )
    raise nodes.SkipNode


def add_script(app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """The script goes to the pages that have a slider, and to no others."""
    if doctree is not None and next(doctree.findall(frame_slider), None) is not None:
        app.add_js_file("frames.js", loading_method="defer")


def setup(app: Sphinx) -> dict[str, Any]:
    app.setup_extension("figure_card")
    app.add_directive("figure-frames", FigureFrames)
    app.add_node(frame_slider, html=(slider_html, None), latex=(skip, None), text=(skip, None))
    app.connect("html-page-context", add_script)
    return {"version": "1", "env_version": 1, "parallel_read_safe": False, "parallel_write_safe": True}
