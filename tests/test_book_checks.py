"""Each check of the built pages passes a sound small site, and fails on a fault planted in it."""

import csv
import hashlib
import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book" / "_ext"))

import check_site

ALT = "Three lines that fall from left to right."
PAGE = f"""<!doctype html><html><head><link rel="stylesheet" href="../_static/a.css">
<link rel="canonical" href="https://example.org/"></head><body><article>
<h1 id="title">Title</h1>
<a href="https://example.org/">elsewhere</a> <a href="../index.html#start">start</a> <a href="#title">here</a>
<figure class="figure-card"><img src="../figures/fig-a.svg" alt="{ALT}"></figure>
</article></body></html>"""
INDEX = '<!doctype html><html><body><article><h1 id="start">Start</h1></article></body></html>'


@pytest.fixture
def site(tmp_path):
    check_site.parsed.cache_clear()
    check_site.anchors.cache_clear()
    root = tmp_path / "site"
    for folder in ("chapters", "figures", "_static"):
        (root / folder).mkdir(parents=True)
    (root / "index.html").write_text(INDEX)
    (root / "chapters" / "one.html").write_text(PAGE)
    (root / "_static" / "a.css").write_text("/* https://example.org */ p { background: url(b.png) }")
    for suffix in check_site.SUFFIXES:
        (root / "figures" / f"fig-a{suffix}").write_text("<svg></svg>")
    with (root / "figures" / "fig-a.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["x"], [1]])
    numbers = hashlib.sha256((root / "figures" / "fig-a.csv").read_bytes()).hexdigest()
    record = {"csv_sha256": numbers, "commit": "c", "seed": 0, "params": {}, "versions": {}, "device": {}}
    (root / "figures" / "fig-a.json").write_text(json.dumps(record))
    return root


@pytest.fixture
def toc(tmp_path):
    path = tmp_path / "_toc.yml"
    path.write_text("root: index\nparts:\n  - chapters:\n      - file: chapters/one\n")
    return path


BY_CONTENTS = (check_site.missing_pages, check_site.unexpected_pages)  # they take a table of contents


def edit(site, old, new, page="chapters/one.html"):
    text = (site / page).read_text()
    assert old in text
    (site / page).write_text(text.replace(old, new))


def test_a_sound_site_has_no_faults(site, toc):
    checks = [check for check in check_site.CHECKS if check not in (*BY_CONTENTS, check_site.stale_results)]
    assert [fault for check in checks for fault in check(site)] == []
    assert [fault for check in BY_CONTENTS for fault in check(site, toc)] == []


@pytest.mark.parametrize(
    "planted",
    [
        '<script src="https://cdn.example.org/a.js"></script>',
        '<script src="//cdn.example.org/a.js"></script>',
        '<link rel="stylesheet" href="https://example.org/a.css">',
        '<link rel="preconnect" href="https://example.org">',
        '<img src="http://example.org/a.png" alt="A picture from elsewhere">',
        '<img srcset="a.png 1x, https://example.org/a.png 2x" alt="A picture from elsewhere">',
        '<iframe src="https://example.org"></iframe>',
        '<p style="background: url(https://example.org/a.png)">x</p>',
        "<style>@import 'https://example.org/a.css';</style>",
        "<style>@font-face { src: url('//example.org/a.woff2') }</style>",
        '<script>fetch("https://example.org/a.json")</script>',
        '<script type="module">import x from "https://example.org/a.mjs"</script>',
        '<svg><use href="https://example.org/a.svg#x"></use></svg>',
    ],
)
def test_a_request_to_elsewhere_is_found(site, planted):
    edit(site, "</article>", planted + "</article>")
    assert len(check_site.outside_requests(site)) == 1


@pytest.mark.parametrize("suffix", [".css", ".svg"])
def test_a_request_from_a_style_sheet_or_drawing_is_found(site, suffix):
    (site / "_static" / f"b{suffix}").write_text("@font-face { src: url(https://example.org/a.woff2) }")
    assert len(check_site.outside_requests(site)) == 1


@pytest.mark.parametrize(
    "link",
    ["missing.html", "../index.html#nowhere", "#nowhere", "/index.html", "../../outside.html", "../_static/"],
)
def test_a_broken_link_is_found(site, link):
    edit(site, "</article>", f'<a href="{link}">x</a></article>')
    assert len(check_site.broken_links(site)) == 1


def test_a_missing_picture_is_found(site):
    edit(site, "</article>", '<img src="lost.png" alt="A picture that was lost"></article>')
    assert len(check_site.broken_links(site)) == 1


@pytest.mark.parametrize(
    "alt",
    [
        "",
        "   ",
        "plot",
        "_images/0f3a.png",
        "../_images/" + "0123456789abcdef" * 2 + ".png",
        "<Figure size 640x480 with 1 Axes>",
    ],
)
def test_a_picture_without_words_is_found(site, alt):
    edit(site, f'alt="{ALT}"', f'alt="{alt.replace("<", "&lt;")}"')
    assert len(check_site.silent_pictures(site)) == 1


def test_a_picture_without_alt_is_found(site):
    edit(site, f' alt="{ALT}"', "")
    assert len(check_site.silent_pictures(site)) == 1


UNREAD = [r"\\( ({glue:text}`a:.2f` \\)", "see {eq}`b`", "| a | |\u2014|\u2014| | b |", "| a | | --- | --- |"]


@pytest.mark.parametrize("text", UNREAD)
def test_markup_that_was_not_read_is_found(site, text):
    edit(site, "</h1>", f"</h1><p>{text}</p>")
    assert len(check_site.unread_markup(site)) == 1


@pytest.mark.parametrize("text", UNREAD)
def test_markup_may_stand_in_code(site, text):
    edit(site, "</h1>", f"</h1><pre>{text}</pre>")
    assert check_site.unread_markup(site) == []


def test_a_page_that_was_not_built_is_found(site, toc):
    (site / "chapters" / "one.html").unlink()
    assert check_site.missing_pages(site, toc) == ["chapters/one.html is in _toc.yml, but was not built"]


def test_a_page_without_heading_is_found(site, toc):
    edit(site, "h1", "p")
    assert check_site.missing_pages(site, toc) == ["chapters/one.html has no heading"]


def test_a_page_outside_the_table_of_contents_is_found(site, toc):
    for name in ("search", "genindex", "chapters/two"):
        (site / f"{name}.html").write_text(INDEX)
    assert check_site.unexpected_pages(site, toc) == ["chapters/two.html is not in _toc.yml"]
    toc.write_text(
        "root: index\nchapters:\n  - file: chapters/one\n    sections:\n      - file: chapters/two\n"
    )
    assert check_site.unexpected_pages(site, toc) == []


@pytest.mark.parametrize("suffix", check_site.SUFFIXES)
@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_text("")], ids=["missing", "empty"])
def test_a_figure_without_one_of_its_files_is_found(site, suffix, spoil):
    spoil(site / "figures" / f"fig-a{suffix}")
    (fault,) = check_site.incomplete_figures(site)
    assert f"figures/fig-a{suffix}" in fault


@pytest.fixture
def slider(site):
    """The same site, its figure with two frames."""
    files = [f"fig-a-frame-0{k}{suffix}" for suffix in (".svg", "-dark.svg") for k in range(2)]
    for file in files:
        (site / "figures" / file).write_text("<svg></svg>")
    addresses = [f"../figures/{file}" for file in files]
    frames = {"light": addresses[:2], "dark": addresses[2:], "labels": ["a", "b"]}
    edit(site, "</figure>", f"<div data-frames='{json.dumps(frames)}'></div></figure>")
    return site


def test_a_slider_with_all_its_frames_has_no_faults(slider):
    assert check_site.incomplete_figures(slider) == []


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_text("")], ids=["missing", "empty"])
@pytest.mark.parametrize("file", ["fig-a-frame-01.svg", "fig-a-frame-00-dark.svg"])
def test_a_slider_without_one_of_its_frames_is_found(slider, file, spoil):
    spoil(slider / "figures" / file)
    (fault,) = check_site.incomplete_figures(slider)
    assert fault == f"chapters/one.html: the frame figures/{file} is missing or empty"


@pytest.mark.parametrize("labels", [["a"], ["a", "b", "c"]])
def test_a_slider_with_other_labels_than_frames_is_found(slider, labels):
    edit(slider, '"labels": ["a", "b"]', f'"labels": {json.dumps(labels)}')
    (fault,) = check_site.incomplete_figures(slider)
    assert "a slider with [2, 2, " in fault


def test_changed_numbers_and_a_short_record_are_found(site):
    (site / "figures" / "fig-a.csv").write_text("x\n2\n")
    assert "not those that the record was made for" in check_site.incomplete_figures(site)[0]
    record = json.loads((site / "figures" / "fig-a.json").read_text())
    del record["seed"]
    (site / "figures" / "fig-a.json").write_text(json.dumps(record))
    assert any("lacks seed" in fault for fault in check_site.incomplete_figures(site))


def test_a_table_without_rows_is_found(site):
    (site / "figures" / "fig-a.csv").write_text("x\n")
    assert any("no rows" in fault for fault in check_site.incomplete_figures(site))


def test_the_command_fails_on_a_fault_and_on_an_empty_folder(site, tmp_path, capsys, monkeypatch):
    aside = (*BY_CONTENTS, check_site.stale_results)
    sound = tuple(check for check in check_site.CHECKS if check not in aside)
    monkeypatch.setattr(check_site, "CHECKS", sound)
    assert check_site.main(site) == 0
    (site / "figures" / "fig-a.pdf").unlink()
    assert check_site.main(site) == 1
    assert "fig-a.pdf" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert check_site.main(tmp_path / "empty") == 1
