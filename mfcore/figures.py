"""House style, and saving a figure together with the numbers behind it and where they come from.

The only module that imports matplotlib. The palette is that of Okabe and Ito without black and yellow; it
can be told apart with any colour vision, on white and on dark pages. Text and axes are drawn in one ink,
which the dark copy of a drawing swaps for a light one.
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
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"
PALETTE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
# On dark pages the deep blue is too dim to read, so it is lightened with the ink.
DARK = {INK: "#e6ebf0", GRID: "#46515d", BLUE: "#3b9ae1"}
WIDTH, HEIGHT = 5.2, 3.6  # inches; text of 10 points stays above 9 pixels on a 390-pixel screen

NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
SUFFIXES = (".svg", "-dark.svg", ".pdf", ".png", ".csv", ".json")


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
    where = directory()
    content = provenance.record(seed=seed, params=params, wall_time=wall_time)
    table = provenance.write_csv(where / f"{name}.csv", data)
    _freeze_layout(fig)
    light = _drawing(fig, "svg")
    provenance.write_bytes(where / f"{name}.svg", light)
    provenance.write_bytes(where / f"{name}-dark.svg", _darkened(light))
    provenance.write_bytes(where / f"{name}.pdf", _drawing(fig, "pdf"))
    provenance.write_bytes(where / f"{name}.png", _drawing(fig, "png", dpi=300, facecolor="white"))
    content = {"figure": name, "columns": list(data), "csv_sha256": provenance.sha256(table), **content}
    provenance.write_json(where / f"{name}.json", content)
    return content


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
    lines = [list(columns), ["---"] * len(columns)]
    for row in rows:
        if len(row) != len(columns):
            raise ValueError(
                f"a row of {len(row)} cells for {len(columns)} columns: {list(row)}; give one a column."
            )
        lines.append([" ".join(cell.split()).replace("|", "\\|") for cell in row])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _check(name: str, data: Mapping[str, Any], missing_allowed: bool) -> None:
    if not NAME.fullmatch(name) or name.endswith("-dark"):
        raise ValueError(
            f"{name!r} cannot name a figure: use lower-case letters, digits and single dashes, as in "
            "'fig-3-left', and no '-dark' at the end, which names the copy for dark pages."
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
