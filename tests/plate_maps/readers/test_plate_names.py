from __future__ import annotations

import pytest

from plate_maps.readers.plate_names import choose_plate, fitting_plates, unknown_plate
from tests.messages import states

NUMBERS = ["1", "2", "3"]


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        ("", None),
        ("bc1", "BC1"),
        ("BC12", "BC12"),
        ("run_BC12", "BC12"),
        ("BC123", None),
        ("BC1-BC12", None),
        ("other", None),
    ],
)
def test_names_match_whole_words_only_and_one_of_them(wanted, chosen):
    assert choose_plate(["BC1", "BC12"], wanted) == chosen


@pytest.mark.parametrize(
    ("known", "wanted", "chosen"),
    [
        (NUMBERS, "screen 1 plate 2", None),
        (NUMBERS, "screen plate 2", "2"),
        (NUMBERS, "screen_Plate02", "2"),
        # A number of the measurement or the day is not the plate's.
        (NUMBERS, "screen 2", None),
        (NUMBERS, "plate__2026-03-01T10_22_33-Measurement 1", None),
        (NUMBERS, "2", "2"),
        (["plate 2", "2"], "screen plate 2", None),
        (["BC1", "BC1-b"], "run BC1-b", "BC1-b"),
        (["BC1", "BC1-b"], "run BC1-b of BC1", None),
        (["plate 1", "plate 2"], "screen 1 plate 2", "plate 2"),
        (["P1", "P2"], "screen P1 plate 2", None),
        (["P1", "P2"], "screen plate 2", "P2"),
        (["A", "B"], "assay a_plateB", None),
        (["A", "B"], "assay plate B", "B"),
        (["A", "B"], "assay B", None),
        (["BC1", "bc1"], "BC1", "BC1"),
        (["BC1", "bc1"], "Bc1", None),
        (["0012345", "0012346"], "0012345 plate 3", "0012345"),
    ],
)
def test_a_plate_is_taken_where_it_alone_fits(known, wanted, chosen):
    assert choose_plate(known, wanted) == chosen
    assert choose_plate(known[::-1], wanted) == chosen


def test_the_refusal_lists_the_plates_that_fit():
    assert fitting_plates(NUMBERS, "screen 1 plate 2") == ["1", "2"]
    assert states("map.several_plates_fit", unknown_plate(NUMBERS, "screen 1 plate 2"))
    assert states("map.plate_name_too_short", unknown_plate(NUMBERS, "screen 2"), plate="2")
    assert states("map.no_plate_called", unknown_plate(NUMBERS, "BC"), plate="BC")
