"""The house colours can be told apart with any colour vision, and seen on white and on dark pages."""

from itertools import combinations

import numpy as np
import pytest

from mfcore import figures

WHITE, DARK_PAGE = "#ffffff", "#121212"  # the second is the theme's
# Machado, Oliveira and Fernandes 2009, table of the simulation matrices at severity 1, for linear RGB.
VISIONS = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
# sRGB to CIE XYZ, white point D65.
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
LEAST_DISTANCE = 12  # in CIELAB, where 2.3 is just noticed side by side
LEAST_CONTRAST = 3  # WCAG 2.1, 1.4.11, for graphics


def linear(colour):
    values = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    ratios = TO_XYZ @ rgb / np.array([0.95047, 1.0, 1.08883])
    f = np.where(ratios > (6 / 29) ** 3, np.cbrt(ratios), ratios / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def seen(colour, vision):
    return lab(np.clip(np.array(VISIONS[vision]) @ linear(colour), 0, 1))


def contrast(one, other):
    low, high = sorted(float(TO_XYZ[1] @ linear(colour)) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def palette(theme):
    return [figures.DARK.get(c, c) if theme == "dark" else c for c in figures.PALETTE]


def test_the_measures_give_known_values():
    assert contrast("#ffffff", "#000000") == pytest.approx(21, abs=1e-3)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)  # WebAIM's example
    assert lab(linear("#ff0000")) == pytest.approx([53.24, 80.09, 67.20], abs=0.02)  # Lindbloom's calculator
    for matrix in VISIONS.values():  # grey stays grey
        assert np.array(matrix).sum(axis=1) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_any_two_colours_can_be_told_apart(theme, vision):
    distances = {
        (one, other): np.linalg.norm(seen(one, vision) - seen(other, vision))
        for one, other in combinations(palette(theme), 2)
    }
    pair = min(distances, key=distances.__getitem__)
    assert distances[pair] > LEAST_DISTANCE, pair


@pytest.mark.parametrize(("theme", "page"), [("light", WHITE), ("dark", DARK_PAGE)])
def test_every_colour_stands_out_from_the_page(theme, page):
    contrasts = {colour: contrast(colour, page) for colour in palette(theme)}
    colour = min(contrasts, key=contrasts.__getitem__)
    assert contrasts[colour] >= LEAST_CONTRAST, colour


def test_no_colour_of_dark_pages_is_swapped_again():
    assert not set(figures.DARK) & set(figures.DARK.values())
