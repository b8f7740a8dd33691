import csv
import hashlib
import json
import re

import matplotlib as mpl
import numpy as np
import pytest

mpl.use("agg")

import matplotlib.pyplot as plt

from mfcore import figures


@pytest.fixture(autouse=True)
def own_style_and_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("MFCORE_FIGURES", str(tmp_path))
    with mpl.rc_context():
        figures.use_house_style()
        yield
    plt.close("all")


def drawing():
    fig, axes = plt.subplots()
    axes.loglog([1, 2, 3], [1, 4, 9], "o-", label="square")
    axes.legend()
    axes.set_xlabel("distance")
    return fig


DATA = {"x": [1, 2, 3], "y": [1, 4, 9]}


def save(name="fig-a", data=DATA, **options):
    return figures.save(drawing(), name, data, **{"seed": 0, "params": {}, **options})


def test_all_files_are_written_with_numbers_and_record(tmp_path):
    record = save(seed=5, params={"n": 3}, wall_time=2.0)
    assert {p.name for p in tmp_path.iterdir()} == {"fig-a" + suffix for suffix in figures.SUFFIXES}
    assert json.loads((tmp_path / "fig-a.json").read_text()) == record
    assert record["csv_sha256"] == hashlib.sha256((tmp_path / "fig-a.csv").read_bytes()).hexdigest()
    assert (record["seed"], record["params"], record["columns"]) == (5, {"n": 3}, ["x", "y"])
    with (tmp_path / "fig-a.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["x", "y"], ["1", "1"], ["2", "4"], ["3", "9"]]


def test_the_same_drawing_gives_the_same_bytes(tmp_path):
    def drawn(directory):
        return {p.name: p.read_bytes() for p in directory.iterdir() if p.suffix != ".json"}

    save()
    first = drawn(tmp_path)
    save()
    assert drawn(tmp_path) == first
    fig = drawing()
    for _ in range(2):  # the same object twice: its layout must not wander
        figures.save(fig, "fig-a", DATA, seed=0, params={})
        assert drawn(tmp_path) == first


def test_the_dark_copy_differs_in_ink_alone_and_neither_has_a_background(tmp_path):
    save()
    light, dark = ((tmp_path / name).read_text() for name in ("fig-a.svg", "fig-a-dark.svg"))
    assert figures.INK in light
    assert figures.INK not in dark
    assert re.sub("#[0-9a-f]{6}", "", light) == re.sub("#[0-9a-f]{6}", "", dark)
    assert set(re.findall("#[0-9a-f]{6}", dark)) & set(figures.DARK.values())
    for text in (light, dark):
        assert "<text" not in text  # letters are outlines
        assert not re.search(r"fill: (#ffffff|white)", text)


def test_the_png_is_large_on_white(tmp_path):
    save()
    image = plt.imread(tmp_path / "fig-a.png")
    assert image.shape[:2] == (round(300 * figures.HEIGHT), round(300 * figures.WIDTH))
    assert image[0, 0, :3].min() == 1.0
    assert image[..., 3:].size == 0 or image[..., 3].min() == 1.0


def relative_luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def contrast(one, other):
    low, high = sorted((relative_luminance(one), relative_luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_ink_and_first_colours_can_be_read_on_both_backgrounds():
    on_dark = {c: figures.DARK.get(c, c) for c in (figures.INK, *figures.PALETTE)}
    assert contrast(figures.INK, "#ffffff") > 7
    assert contrast(on_dark[figures.INK], "#121212") > 7
    for colour in figures.PALETTE[:3]:
        assert contrast(colour, "#ffffff") > 3
        assert contrast(on_dark[colour], "#121212") > 4.5


@pytest.mark.parametrize("name", ["Fig", "fig_1", "../a", "", "-a", "a-", "a--b", "a.b", "fig-dark"])
def test_a_name_that_makes_no_address_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match="lower-case letters, digits and single dashes"):
        save(name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("data", [{}, {"x": []}, {"x": [1.0], "y": np.zeros(0)}])
def test_a_figure_without_numbers_is_refused(tmp_path, data):
    with pytest.raises(ValueError, match="without numbers"):
        save(data=data)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_missing_values_are_refused_unless_meant(tmp_path, bad):
    data = {"x": [1.0, 2.0], "y": [1.0, bad]}
    with pytest.raises(ValueError, match="'y'.*1 of 2 values"):
        save(data=data)
    assert list(tmp_path.iterdir()) == []
    save(data=data, missing_allowed=True)
    assert (tmp_path / "fig-a.csv").exists()


def test_a_long_table_names_the_origin_of_each_row():
    tables = {"train": {"x": [1, 2], "y": [3, 4]}, "test": {"x": np.array([5]), "y": np.array([6])}}
    assert figures.long_table(tables, "points") == {
        "points": ["train", "train", "test"],
        "x": [1, 2, 5],
        "y": [3, 4, 6],
    }
    with pytest.raises(ValueError, match="'b'.*columns"):
        figures.long_table({"a": {"x": [1]}, "b": {"y": [1]}})
    with pytest.raises(ValueError, match="'a' differ in length"):
        figures.long_table({"a": {"x": [1], "y": [1, 2]}})


def test_the_default_directory_is_here(tmp_path, monkeypatch):
    monkeypatch.delenv("MFCORE_FIGURES")
    monkeypatch.chdir(tmp_path)
    assert figures.directory() == tmp_path / "figures"


def test_a_markdown_table_has_a_line_a_row_and_cells_without_breaks():
    table = figures.markdown_table(["kernel", "|g|"], [["ReLU", "4.8 ± 0.1"], ["|x|", "of\n  two lines"]])
    assert table.splitlines() == [
        "| kernel | \\|g\\| |",
        "| --- | --- |",
        "| ReLU | 4.8\u00a0±\u00a00.1 |",
        "| \\|x\\| | of two lines |",
    ]
    with pytest.raises(ValueError, match="a row of 1 cells for 2 columns"):
        figures.markdown_table(["kernel", "gain"], [["ReLU"]])


# --- frames ---------------------------------------------------------------------------------------


def moving(heights=(1.0, 2.0, 3.0), **options):
    fig, axes = plt.subplots(**options)
    axes.set(xlim=(0, 1), ylim=(0, 4))
    (line,) = axes.plot([0, 1], [0, 0])
    for height in heights:
        line.set_ydata([0, height])
        yield fig


LABELS = ["t = 0", "t = 1/2", "t = 1"]


def save_frames(frames=None, labels=LABELS, **options):
    options = {"seed": 0, "params": {}, **options}
    return figures.save_frames(moving() if frames is None else frames, "fig-a", labels, DATA, **options)


def test_each_frame_is_drawn_in_both_themes_and_the_still_is_one_of_them(tmp_path):
    record = save_frames(still=1)
    stems = [f"fig-a-frame-0{k}" for k in range(3)]
    expected = {"fig-a" + suffix for suffix in figures.SUFFIXES}
    expected |= {stem + suffix for stem in stems for suffix in (".svg", "-dark.svg")}
    assert {p.name for p in tmp_path.iterdir()} == expected
    assert json.loads((tmp_path / "fig-a.json").read_text()) == record
    assert [(f["file"], f["label"]) for f in record["frames"]] == list(
        zip([f"{stem}.svg" for stem in stems], LABELS, strict=True)
    )
    drawings = [(tmp_path / f"{stem}.svg").read_bytes() for stem in stems]
    assert len(set(drawings)) == 3
    assert (tmp_path / "fig-a.svg").read_bytes() == drawings[1]
    assert figures.INK not in (tmp_path / "fig-a-frame-02-dark.svg").read_text()
    assert record["frames_bytes"] == sum(p.stat().st_size for p in tmp_path.glob("*-frame-*"))
    assert (record["still"], record["columns"]) == (1, ["x", "y"])


def test_frames_of_an_earlier_run_go_and_those_of_another_figure_stay(tmp_path):
    save_frames()
    figures.save_frames(moving(), "fig-a-b", LABELS, DATA, seed=0, params={})
    save_frames(moving((1.0, 2.0)), LABELS[:2])
    assert len(list(tmp_path.glob("fig-a-frame-*"))) == 4
    assert len(list(tmp_path.glob("fig-a-b-frame-*"))) == 6


def test_axes_stand_still_and_the_bytes_are_the_same_again(tmp_path):
    save_frames()
    first = {p.name: p.read_bytes() for p in tmp_path.glob("*.svg")}
    axes = [re.findall(r'<g id="patch_2">\s*<path d="([^"]+)"', text.decode()) for text in first.values()]
    assert all(len(found) == 1 and found == axes[0] for found in axes)
    save_frames()
    assert {p.name: p.read_bytes() for p in tmp_path.glob("*.svg")} == first


@pytest.mark.parametrize(
    "other", [{"figsize": (4, 3)}, {"subplot_kw": {"ylabel": "two\nlines"}}, {"ncols": 2}]
)
def test_frames_with_axes_elsewhere_are_refused(tmp_path, other):
    def two_figures():
        yield from moving((1.0,))
        fig, axes = plt.subplots(**other)
        np.ravel(axes)[0].plot([0, 1], [0, 1e6])
        yield fig

    with pytest.raises(ValueError, match=r"frames \[1\] of figure 'fig-a' have other axes"):
        save_frames(two_figures(), LABELS[:2])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("labels", "still", "message"),
    [
        (LABELS[:2], 0, "3 frames and 2 labels"),
        ([*LABELS, "t = 2"], 0, "3 frames and 4 labels"),
        (LABELS[:1], 0, "2 to 100 of them"),
        (["a", " ", "c"], 0, "none of them empty"),
        (LABELS, 3, "no frame 3; `still` counts from 0 to 2"),
        (LABELS, -1, "no frame -1"),
    ],
)
def test_labels_that_do_not_fit_are_refused(tmp_path, labels, still, message):
    with pytest.raises(ValueError, match=message):
        save_frames(labels=labels, still=still)
    assert list(tmp_path.iterdir()) == []


def test_frames_that_are_too_heavy_are_refused(monkeypatch):
    light = save_frames()["frames_bytes"]
    monkeypatch.setattr(figures, "MOST_BYTES", light)
    save_frames()
    monkeypatch.setattr(figures, "MOST_BYTES", light - 1)
    with pytest.raises(ValueError, match=r"weigh 0\.\d MB.*draw fewer frames"):
        save_frames()


@pytest.mark.parametrize("name", ["fig-frame-1", "fig-a-frame-00", "fig-frame-00-dark"])
def test_a_name_that_is_that_of_a_frame_is_refused(name):
    with pytest.raises(ValueError, match="name copies and frames"):
        save(name)
