"""House style, and saving a figure together with the numbers behind it and where they come from.

The only module that imports matplotlib. The palette is that of Okabe and Ito without black and yellow, with
three colours darkened to stand out from white; it can be told apart with any colour vision, on white and on
dark pages. Text and axes are drawn in one ink, which the dark copy of a drawing swaps for a light one.
"""

import io
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.figure import Figure

from mfcore import provenance

INK, GRID = "#1c2733", "#c9d1da"
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY = "#0072b2", "#b54200", "#009e73", "#cc79a7", "#d28000", "#119aef"
PALETTE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
# Dark pages take Okabe and Ito's own values, but for the deep blue; it and the sky beside it are lightened.
DARK = {
    INK: "#e6ebf0",
    GRID: "#46515d",
    BLUE: "#3b9ae1",
    VERMILION: "#d55e00",
    ORANGE: "#e69f00",
    SKY: "#b3e2ff",
}
WIDTH, HEIGHT = 5.2, 3.6  # inches; text of 10 points stays above 9 pixels on a 390-pixel screen

NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
SUFFIXES = (".svg", "-dark.svg", ".pdf", ".png", ".csv", ".json")
OF_ANOTHER = re.compile(r"-dark$|-frame-\d+$")  # endings that name a copy for dark pages, or a frame
MOST_FRAMES, MOST_BYTES = 100, 3_000_000  # of one moving figure, both themes together


def use_house_style() -> None:
    """Set matplotlib's defaults to the house style, for this process; once, at the top of a notebook."""
    mpl.rcdefaults()
    mpl.rcParams.update(
        {
            "figure.figsize": (WIDTH, HEIGHT),
            "figure.constrained_layout.use": True,
            "figure.facecolor": "none",
            "axes.facecolor": "none",
            "axes.edgecolor": INK,
            "axes.labelcolor": INK,
            "axes.titlesize": "medium",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.axisbelow": True,
            "axes.prop_cycle": cycler(color=PALETTE),
            "grid.color": GRID,
            "grid.linewidth": 0.6,
            "text.color": INK,
            "xtick.color": INK,
            "ytick.color": INK,
            "font.size": 10,
            "legend.frameon": False,
            "lines.linewidth": 1.6,
            "lines.markersize": 5,
            "image.cmap": "viridis",
            "image.interpolation": "nearest",
        }
    )


def directory() -> Path:
    """Where figures go: the variable ``MFCORE_FIGURES``, else ``figures`` in the working directory."""
    return Path(os.environ.get("MFCORE_FIGURES") or "figures").resolve()


def save(
    fig: Figure,
    name: str,
    data: Mapping[str, Any],
    *,
    seed: int | None,
    params: Mapping[str, Any],
    wall_time: float | None = None,
    missing_allowed: bool = False,
) -> dict[str, Any]:
    """Write the figure, its numbers and its record; return the record.

    Files: NAME.svg, NAME-dark.svg (for dark pages), NAME.pdf, NAME.png (300 dpi, white), NAME.csv, NAME.json.
    `data` holds every number drawn, one column a name, all of one length (a long table, made by `long_table`,
    where curves differ in length). NaN and infinity are refused unless `missing_allowed` says that they are
    meant. The record is written last: where it is, the others are whole.
    """
    _check(name, data, missing_allowed)
    content = provenance.record(seed=seed, params=params, wall_time=wall_time)
    return _write(name, data, _files(fig, name), content)


def save_frames(
    frames: Iterable[Figure],
    name: str,
    labels: Sequence[str],
    data: Mapping[str, Any],
    *,
    still: int = 0,
    seed: int | None,
    params: Mapping[str, Any],
    wall_time: float | None = None,
    missing_allowed: bool = False,
) -> dict[str, Any]:
    """Write a figure with a slider: what `save` writes, of the frame `still`, and a drawing of each frame.

    Files besides those of `save`: NAME-frame-00.svg, NAME-frame-00-dark.svg, NAME-frame-01.svg, ...
    `frames` is best a generator that changes one figure in place and yields it for each frame: its axes stay
    where the first frame has them. Set the limits of the axes and the place of the legend by hand, or they
    jump. `labels`, one a frame, are plain text, shown and read out by the slider. `still`, counted from 0, is
    what the page shows first, and all there is in print and without JavaScript.
    """
    _check(name, data, missing_allowed)
    _check_labels(name, labels, still)
    content = provenance.record(seed=seed, params=params, wall_time=wall_time)
    files: dict[str, bytes] = {}
    places = []
    for k, fig in enumerate(frames):
        if k == still:
            files |= _files(fig, name)
        files |= _pair(fig, f"{name}-frame-{k:02d}")
        places.append([*fig.get_size_inches(), *(b for ax in fig.axes for b in ax.get_position(True).bounds)])
    listed = [{"file": f"{name}-frame-{k:02d}.svg", "label": label} for k, label in enumerate(labels)]
    weight = sum(len(drawing) for file, drawing in files.items() if file.startswith(f"{name}-frame-"))
    _check_frames(name, labels, places, weight)
    for old in directory().glob(f"{name}-frame-[0-9][0-9]*.svg"):  # an earlier run may have drawn more
        old.unlink()
    return _write(name, data, files, {"frames": listed, "frames_bytes": weight, "still": still, **content})


def long_table(tables: Mapping[str, Mapping[str, Any]], label: str = "series") -> dict[str, list[Any]]:
    """Stack tables with the same columns into one; the column `label` says which table a row is from."""
    columns = list(next(iter(tables.values()), {}))
    stacked: dict[str, list[Any]] = {label: [], **{column: [] for column in columns}}
    for key, table in tables.items():
        if list(table) != columns:
            raise ValueError(
                f"table {key!r} has the columns {list(table)}, the first has {columns}; use the same."
            )
        lengths = {column: len(table[column]) for column in columns}
        if len(set(lengths.values())) != 1:
            raise ValueError(
                f"columns of table {key!r} differ in length: {lengths}; bring them to one length."
            )
        stacked[label] += [key] * len(table[columns[0]])
        for column in columns:
            stacked[column] += np.asarray(table[column]).tolist()
    return stacked


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown, for a cell to display; every row must have a cell for each column."""
    lines = []
    for row in (columns, ["---"] * len(columns), *rows):
        if len(row) != len(columns):
            raise ValueError(
                f"a row of {len(row)} cells for {len(columns)} columns: {list(row)}; give one a column."
            )
        # A number and its error stay on one line.
        cells = (" ".join(cell.split()).replace("|", "\\|") for cell in row)
        lines.append([cell.replace(" ± ", "\u00a0±\u00a0") for cell in cells])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _check(name: str, data: Mapping[str, Any], missing_allowed: bool) -> None:
    if not NAME.fullmatch(name) or OF_ANOTHER.search(name):
        raise ValueError(
            f"{name!r} cannot name a figure: use lower-case letters, digits and single dashes, as in "
            "'fig-3-left', and neither '-dark' nor '-frame-1' at the end, which name copies and frames."
        )
    if not data or any(np.size(column) == 0 for column in data.values()):
        raise ValueError(f"figure {name!r} came without numbers; pass every number drawn as `data`.")
    for column, values in data.items():
        values = np.asarray(values)
        bad = 0 if values.dtype.kind not in "fc" else int(np.sum(~np.isfinite(values)))
        if bad and not missing_allowed:
            raise ValueError(
                f"column {column!r} of figure {name!r} has {bad} of {values.size} values NaN or infinite; "
                "mend them, or say `missing_allowed=True` if they are meant."
            )


def _check_labels(name: str, labels: Sequence[str], still: int) -> None:
    if not 2 <= len(labels) <= MOST_FRAMES or not all(label.strip() for label in labels):
        raise ValueError(
            f"figure {name!r} has the labels {list(labels)}; give one to each frame, none of them empty, "
            f"and 2 to {MOST_FRAMES} of them."
        )
    if not 0 <= still < len(labels):
        raise ValueError(f"figure {name!r} has no frame {still}; `still` counts from 0 to {len(labels) - 1}.")


def _check_frames(name: str, labels: Sequence[str], places: list[list[float]], weight: int) -> None:
    if len(places) != len(labels):
        raise ValueError(
            f"figure {name!r} has {len(places)} frames and {len(labels)} labels; make one a frame."
        )
    first = places[0]
    moved = [k for k, p in enumerate(places) if len(p) != len(first) or not np.allclose(p, first, atol=1e-3)]
    if moved:
        raise ValueError(
            f"frames {moved} of figure {name!r} have other axes than frame 0, or the same ones elsewhere; "
            "change one figure in place, and yield it for each frame."
        )
    if weight > MOST_BYTES:
        raise ValueError(
            f"the frames of figure {name!r} weigh {weight / 1e6:.1f} MB, light and dark together, over the "
            f"limit of {MOST_BYTES / 1e6:.1f} MB; draw fewer frames or points, or rasterise what is dense."
        )


def _files(fig: Figure, name: str) -> dict[str, bytes]:
    return {
        **_pair(fig, name),
        f"{name}.pdf": _drawing(fig, "pdf"),
        f"{name}.png": _drawing(fig, "png", dpi=300, facecolor="white"),
    }


def _pair(fig: Figure, stem: str) -> dict[str, bytes]:
    _freeze_layout(fig)
    light = _drawing(fig, "svg")
    return {f"{stem}.svg": light, f"{stem}-dark.svg": _darkened(light)}


def _write(
    name: str, data: Mapping[str, Any], files: Mapping[str, bytes], content: Mapping[str, Any]
) -> dict[str, Any]:
    table = provenance.write_csv(directory() / f"{name}.csv", data)
    for file, drawing in files.items():
        provenance.write_bytes(directory() / file, drawing)
    written = {"figure": name, "columns": list(data), "csv_sha256": provenance.sha256(table), **content}
    provenance.write_json(directory() / f"{name}.json", written)
    return written


def _freeze_layout(fig: Figure) -> None:
    # Laying out again before each format would move everything by a rounding error, and change the bytes.
    fig.draw_without_rendering()
    fig.set_layout_engine("none")


def _drawing(fig: Figure, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(form, {})
    # Fixed salt, no dates: the same drawing gives the same bytes. Letters are outlines: no font is needed.
    with mpl.rc_context({"svg.hashsalt": "mfcore", "svg.fonttype": "path", "pdf.fonttype": 42}):
        fig.savefig(buffer, format=form, metadata=metadata, **options)
    return buffer.getvalue()


def _darkened(drawing: bytes) -> bytes:
    # Raster parts stay as they are: '#' is no letter of base64.
    text = drawing.decode()
    for light, dark in DARK.items():
        text = text.replace(light, dark)
    return text.encode()
