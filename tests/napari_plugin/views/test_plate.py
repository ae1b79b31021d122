"""The plate as a picture: a square per well in the colour of its state, and a click that picks."""

from __future__ import annotations

import pytest

from napari_plugin.views.plate import COLOURS, PAPER, PlateView
from napari_plugin.views.wells import WellMark
from tests.colours import CONTRAST, SIGHT, contrast, too_alike

MARKS = [
    WellMark("B03", 2, 3, "open", "B03 · L1 · DMSO"),
    WellMark("C11", 3, 11, "rejected", "C11 · bubble"),
    WellMark("AF48", 32, 48, "failed", "AF48 · no image"),
]


@pytest.fixture
def view(qtbot):
    view = PlateView()
    qtbot.addWidget(view)
    view.show_plate(MARKS, 32, 48)
    return view


def ticks(view, side):
    return view.getPlotItem().getAxis(side)._tickLevels[0]


def test_a_well_lies_at_its_column_and_row_in_the_colour_of_its_state(view):
    assert [
        (p.data(), p.pos().x(), p.pos().y(), p.brush().color().name()) for p in view.spots.points()
    ] == [
        ("B03", 3, 2, COLOURS["open"]),
        ("C11", 11, 3, COLOURS["rejected"]),
        ("AF48", 48, 32, COLOURS["failed"]),
    ]
    assert view.getViewBox().yInverted()  # row A is at the top


def test_every_state_has_a_colour_of_its_own(view):
    marks = [WellMark(f"A{i}", 1, i, state, "") for i, state in enumerate(COLOURS, 1)]
    view.show_plate(marks, 8, 12)
    drawn = [p.brush().color().name() for p in view.spots.points()]
    assert drawn == list(COLOURS.values())
    assert len(set(drawn)) == 8


@pytest.mark.parametrize(
    ("rows", "columns", "letters", "numbers"),
    [
        (8, 12, list("ABCDEFGH"), [str(n) for n in range(1, 13)]),
        (16, 24, list("ABCDEFGHIJKLMNOP"), ["1", "4", "7", "10", "13", "16", "19", "22"]),
        (
            32,
            48,
            [*"ACEGIKMOQSUWY", "AA", "AC", "AE"],
            [str(n) for n in range(1, 49, 3)],
        ),
    ],
)
def test_rows_have_letters_and_columns_numbers_and_a_dense_plate_fewer(
    view, rows, columns, letters, numbers
):
    view.show_plate(MARKS[:1], rows, columns)
    assert [words for _, words in ticks(view, "left")] == letters
    assert [words for _, words in ticks(view, "top")] == numbers
    assert [n for n, _ in ticks(view, "top")] == [int(words) for words in numbers]


def test_the_whole_plate_is_in_sight_with_square_wells(view):
    view.resize(600, 300)
    (left, right), (top, bottom) = view.getPlotItem().viewRange()
    assert left <= 0.5
    assert right >= 48.5
    assert top <= 0.5
    assert bottom >= 32.5
    assert view.getViewBox().state["aspectLocked"] == 1.0


def test_a_click_on_a_well_picks_it_and_one_beside_it_does_not(view, qtbot):
    point = view.spots.points()[1]
    with qtbot.waitSignal(view.picked) as picked:
        view.spots.sigClicked.emit(view.spots, [point], None)
    assert picked.args == ["C11"]
    with qtbot.assertNotEmitted(view.picked):
        view.spots.sigClicked.emit(view.spots, [], None)


def test_the_well_that_is_looked_at_is_framed_and_only_that(view):
    assert len(view.here.points()) == 0
    for mark in MARKS[:2]:
        view.mark(mark.well)
        (frame,) = view.here.points()
        assert (frame.pos().x(), frame.pos().y()) == (mark.column, mark.row)
    view.mark("A01")  # not on this plate map
    assert len(view.here.points()) == 0


def test_the_tooltip_says_what_the_well_is_and_its_state(view):
    tip = view.spots.opts["tip"]
    assert [tip(x=m.column, y=m.row, data=m.well) for m in MARKS] == [
        "B03 · L1 · DMSO · open",
        "C11 · bubble · rejected",
        "AF48 · no image · failed",
    ]


@pytest.mark.parametrize("sight", SIGHT)
def test_states_are_told_apart_with_colour_vision_or_without(sight):
    assert too_alike(list(COLOURS.values()), sight) == {}


def test_every_state_stands_out_from_the_paper_whatever_the_theme():
    faint = {state: c for state, c in COLOURS.items() if contrast(c, PAPER) < CONTRAST}
    assert faint == {}
