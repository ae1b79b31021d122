"""Colours that are seen side by side are told apart, with colour vision or without.

Dichromacy is simulated by the matrices of severity 1.0 of Machado, Oliveira & Fernandes (2009), "A
Physiologically-based Model for Simulation of Color Vision Deficiency", IEEE Transactions on
Visualization and Computer Graphics 15(6), 1291-1298, table 1; they act on linear RGB.
"""

from __future__ import annotations

import re
from itertools import combinations

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from imaging_service.web.assets import STATIC
from imaging_service.web.charts import PALETTE, colours_of
from imaging_service.web.light import OUTLINES

SIGHT = {
    "colour vision": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
# CIEDE2000: 1 is the least difference that is seen between large fields side by side. Marks are
# small, apart from each other, and compared from memory.
APART = 10.0
# WCAG 2.2, 1.4.11: what is needed to understand a graphic.
CONTRAST = 3.0

PAGES_CSS = (STATIC / "pages.css").read_text(encoding="utf-8")
PLATE_CSS = (STATIC / "plate.css").read_text(encoding="utf-8")
DARK_CSS = PAGES_CSS[PAGES_CSS.index("/* The darkest squares") :].split("\n}\n")[0]
PAPER = re.findall(r"--chart: (#\w+);", PAGES_CSS)[:2]
INKS = dict(
    re.findall(
        r'"?(#\w+|white)"?: "(#\w+)"',
        re.search(r"const INKS = \{(.*?)\};", (STATIC / "pages.js").read_text(encoding="utf-8"))[1],
    )
)


def rgb(colour: str) -> np.ndarray:
    digits = colour.removeprefix("#")
    digits = digits if len(digits) == 6 else "".join(2 * d for d in digits)
    return np.array([int(digits[i : i + 2], 16) for i in (0, 2, 4)]) / 255


def linear(colour: np.ndarray) -> np.ndarray:
    return np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)


def encoded(light: np.ndarray) -> np.ndarray:
    light = np.clip(light, 0, 1)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def contrast(one: str, other: str) -> float:
    high, low = sorted(
        (float(linear(rgb(c)) @ (0.2126, 0.7152, 0.0722)) for c in (one, other)), reverse=True
    )
    return (high + 0.05) / (low + 0.05)


def difference(one: str, other: str, sight: str) -> float:
    seen = [encoded(SIGHT[sight] @ linear(rgb(c))) for c in (one, other)]
    return float(deltaE_ciede2000(*(rgb2lab(c[None, None])[0, 0] for c in seen)))


def too_alike(colours: list[str], sight: str) -> dict[tuple[str, str], float]:
    pairs = {p: round(difference(*p, sight), 1) for p in combinations(colours, 2)}
    return {pair: value for pair, value in pairs.items() if value < APART}


def of_class(css: str, name: str) -> str:
    return re.search(rf"\.swatch\.{name}\b[^{{]*\{{ background: (#\w+)", css)[1]


def whole(colour: str) -> str:
    return "#" + "".join(f"{round(255 * v):02x}" for v in rgb(colour))


LINES = [f"line-{i}" for i in range(len(PALETTE))]
# On the plate: how a well ended. "Nothing" is the pale colour of what is not there.
ENDED = [of_class(PLATE_CSS, name) for name in ("done", "failed", "excluded")]
SIDE_BY_SIDE = {
    "charts": (PALETTE, PAPER[0]),
    "charts in the dark": ([INKS.get(c, c) for c in PALETTE], PAPER[1]),
    "wells that ended": (ENDED, PAPER[0]),
    "wells that ended in the dark": (ENDED, PAPER[1]),
    "windows": ([PALETTE[0], "#888"], PAPER[0]),
    "windows in the dark": ([PALETTE[0], "#888"], PAPER[1]),
    "outlines over pixels": (
        ["#" + "".join(f"{v:02x}" for v in reversed(bgr)) for bgr in OUTLINES.values()],
        "#000",
    ),
    "neurons that died or were lost": (
        [
            re.search(r"\.mark \{[^}]*border: 2px solid (#\w+)", PAGES_CSS)[1],
            re.search(r"\.mark\.lost \{ border: 2px dashed (#\w+)", PAGES_CSS)[1],
        ],
        "#000",
    ),
}


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("palette", SIDE_BY_SIDE)
def test_two_colours_side_by_side_are_told_apart(palette, sight):
    assert too_alike(SIDE_BY_SIDE[palette][0], sight) == {}


@pytest.mark.parametrize("palette", SIDE_BY_SIDE)
def test_every_colour_stands_out_from_what_it_is_drawn_on(palette):
    colours, paper = SIDE_BY_SIDE[palette]
    faint = {c: round(contrast(c, paper), 2) for c in colours if contrast(c, paper) < CONTRAST}
    assert faint == {}


def test_a_line_has_the_same_colour_on_the_plate_and_in_charts_by_day_and_in_the_dark():
    for i, name in enumerate(LINES):
        light = of_class(PLATE_CSS, name)
        assert whole(light) == PALETTE[i].lower()
        dark = of_class(DARK_CSS, name) if f".swatch.{name} " in DARK_CSS else light
        assert whole(dark) == INKS.get(PALETTE[i], PALETTE[i]).lower()
        for css, colour in ((PLATE_CSS, light), (DARK_CSS, dark)):
            if f".plate .{name} rect" in css:
                assert re.search(rf"\.plate \.{name} rect \{{ fill: (#\w+)", css)[1] == colour


def test_the_legend_of_outlines_has_the_colours_that_are_drawn():
    for name, bgr in OUTLINES.items():
        drawn = "#" + "".join(f"{v:02x}" for v in reversed(bgr))
        assert whole(of_class(PAGES_CSS, name)) == drawn


def test_colours_of_many_lines_are_seen_on_paper_and_in_the_dark():
    """So many are not told apart by colour alone: charts name each mark in words."""
    many = colours_of([f"L{i}" for i in range(20)])
    faint = [(c, p) for c in many for p in PAPER if contrast(c, p) < CONTRAST]
    assert faint == []
    assert len({whole(c) for c in many}) == 20


def test_signs_of_wells_are_read_on_their_squares():
    """White with a dark edge by day, black in the dark."""
    dark = [INKS.get(c, c) for c in PALETTE]
    assert [c for c in dark if contrast(c, "#000") < CONTRAST] == []
    assert [c for c in PALETTE if contrast(c, "#fff") < CONTRAST] == []
