"""Colours that are seen side by side are told apart, with colour vision or without."""

from __future__ import annotations

import re

import pytest

from imaging_service.web.assets import STATIC
from imaging_service.web.light import OUTLINES
from plate_maps.colours import PALETTE, colours_of
from tests.colours import CONTRAST, SIGHT, contrast, rgb, too_alike

PAGES_CSS = (STATIC / "pages.css").read_text(encoding="utf-8")
PLATE_CSS = (STATIC / "plate.css").read_text(encoding="utf-8")
DARK_CSS = PAGES_CSS[PAGES_CSS.index("/* The darkest squares") :].split("\n}\n")[0]
PAPER = re.findall(r"--chart: (#\w+);", PAGES_CSS)[:2]
INKS = dict(
    re.findall(
        r'"?(#\w+|white)"?: "(#\w+)"',
        re.search(
            r"const INKS = \{(.*?)\};",
            (STATIC / "pages.js").read_text(encoding="utf-8"),
            re.DOTALL,
        )[1],
    )
)


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
