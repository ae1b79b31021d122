"""One colour per line, in every picture of the same lines."""

from __future__ import annotations

import pytest

from plate_maps.colours import PALETTE, colours_of
from tests.colours import CONTRAST, SIGHT, contrast, too_alike


@pytest.mark.parametrize("sight", SIGHT)
def test_up_to_seven_lines_are_told_apart_with_colour_vision_or_without(sight):
    assert too_alike(colours_of([f"L{i}" for i in range(7)]), sight) == {}


@pytest.mark.parametrize("count", [1, 7, 8, 20])
def test_each_line_has_a_colour_of_its_own_that_is_seen_on_paper(count):
    colours = colours_of([f"L{i}" for i in range(count)])
    assert len(set(colours)) == len(colours) == count
    assert [c for c in colours if contrast(c, "#fff") < CONTRAST] == []


def test_from_the_21st_line_colours_repeat():
    colours = colours_of([f"L{i}" for i in range(25)])
    assert colours[20:] == colours[:5]


def test_without_a_line_there_is_a_colour_for_a_chart_s_range():
    assert colours_of([]) == PALETTE[:1]
