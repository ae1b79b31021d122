"""One number for what lies apart: refused where a correction made it, and only there."""

from __future__ import annotations

import numpy as np
import pytest

from imaging_service.errors import ReviewRefused
from imaging_service.review.pieces import APART_PX, box_around, box_gap, check_pieces
from tests.messages import says

SIDE = 120


def field(**squares):
    """Labels with squares of 10 pixels: compartment ► (number, y, x)."""
    labels = {}
    for name, places in squares.items():
        labels[name] = np.zeros((SIDE, SIDE), np.int32)
        for number, y, x in places:
            labels[name][y : y + 10, x : x + 10] = number
    return labels


CELL = field(nuclei=[(7, 20, 20)], somas=[(7, 20, 20)])


def test_gaps_are_counted_between_boxes():
    boxes = [box_around(image > 0) for image in field(a=[(1, 20, 20)], b=[(1, 20, 30)]).values()]
    assert (boxes[0], box_gap(*boxes)) == ((20, 29, 20, 29), 1)


@pytest.mark.parametrize(
    ("empty", "refused"), [(0, False), (13, False), (14, True), (15, True), (60, True)]
)
@pytest.mark.parametrize("name", ["nuclei", "somas"])
def test_a_number_in_use_is_not_painted_elsewhere(name, empty, refused):
    """`empty` pixels lie between the cell and what is painted."""
    after = {**CELL, name: CELL[name].copy()}
    after[name][20:30, 30 + empty : 40 + empty] = 7
    if not refused:
        check_pieces(CELL, after, "well B03")
        return
    with pytest.raises(
        ReviewRefused, match=says("pieces.number_painted_elsewhere", what=name, gap=empty + 1)
    ):
        check_pieces(CELL, after, "well B03")


def test_a_soma_far_from_the_nucleus_of_its_number_is_not_its_cell():
    before = field(nuclei=[(7, 20, 20), (8, 80, 80)], somas=[(8, 80, 80)])
    after = field(nuclei=[(7, 20, 20), (8, 80, 80)], somas=[(8, 80, 80), (7, 20, 90)])
    with pytest.raises(ReviewRefused, match=says("pieces.of_a_cell_apart")):
        check_pieces(before, after, "w")


def test_a_new_number_is_one_cell_too():
    after = field(nuclei=[(7, 20, 20), (9, 80, 20), (9, 80, 80)], somas=[(7, 20, 20)])
    with pytest.raises(ReviewRefused, match=says("pieces.of_nuclei_apart")):
        check_pieces(CELL, after, "w")


def test_a_cell_is_not_cut_into_two_of_one_number():
    long = field(nuclei=[(7, 20, x) for x in range(20, 90, 10)])
    cut = field(nuclei=[(7, 20, 20), (7, 20, 80)])
    with pytest.raises(ReviewRefused, match=says("pieces.apart", gap=51)):
        check_pieces(long, cut, "w")
    check_pieces(long, field(nuclei=[(7, 20, 20), (7, 20, 30)]), "w")


def test_what_the_engine_gave_in_pieces_stays_and_gets_no_further_piece():
    before = field(nuclei=[(7, 20, 20), (7, 20, 80), (8, 80, 80)])
    elsewhere = field(nuclei=[(7, 20, 20), (7, 20, 80), (8, 80, 70)])
    check_pieces(before, elsewhere, "w")
    check_pieces(before, field(nuclei=[(7, 22, 20), (7, 20, 80), (8, 80, 80)]), "w")
    check_pieces(before, field(nuclei=[(9, 20, 20), (9, 20, 80), (8, 80, 80)]), "w")
    check_pieces(before, field(nuclei=[(7, 20, 20), (8, 80, 80)]), "w")
    for more in ([(7, 20, 20), (7, 20, 80), (7, 80, 20)], [(7, 20, 20), (7, 80, 20), (8, 80, 80)]):
        with pytest.raises(ReviewRefused, match=says("pieces.nuclei_named")):
            check_pieces(before, field(nuclei=more), "w")


def test_filling_another_cell_with_a_number_is_merging():
    far = field(nuclei=[(7, 20, 20), (8, 20, 90)])
    with pytest.raises(ReviewRefused, match=says("pieces.apart", gap=61)):
        check_pieces(far, field(nuclei=[(7, 20, 20), (7, 20, 90)]), "w")
    for gap, refused in ((APART_PX, False), (APART_PX + 1, True)):
        both = [(7, 20, 20), (8, 20, 29 + gap)]
        one = field(nuclei=[(7, y, x) for _, y, x in both])
        if not refused:
            check_pieces(field(nuclei=both), one, "w")  # as the key M would do it
            continue
        with pytest.raises(ReviewRefused, match=says("pieces.apart", gap=16)):
            check_pieces(field(nuclei=both), one, "w")


def test_puncta_are_counted_by_their_numbers_so_each_is_one_piece():
    before = field(puncta=[(1, 20, 20)])
    check_pieces(before, field(puncta=[(1, 20, 20), (1, 30, 30), (2, 60, 60)]), "w")
    with pytest.raises(ReviewRefused, match=says("pieces.of_a_punctum")):
        check_pieces(before, field(puncta=[(1, 20, 20), (1, 20, 31)]), "w")
    check_pieces(field(neurites=[]), field(neurites=[(1, 20, 20), (1, 80, 80)]), "w")


def test_compartments_that_were_not_touched_need_not_be_given():
    check_pieces(CELL, {}, "w")
    check_pieces(CELL, {"nuclei": CELL["nuclei"]}, "w")
