"""Responses, quality, checks, tracks and hazards: names, intervals, reasons."""

from __future__ import annotations

import pytest

from phenotypes.columns.responses import CHECK, HAZARD, QUALITY, RESPONSE, TRACK

ALL = [*CHECK, *HAZARD, *QUALITY, *RESPONSE, *TRACK]


@pytest.mark.parametrize(
    ("table", "level"),
    [
        (CHECK, "check"),
        (HAZARD, "hazard"),
        (QUALITY, "quality"),
        (RESPONSE, "response"),
        (TRACK, "track"),
    ],
)
def test_a_table_holds_columns_of_its_own_level_under_names_of_their_own(table, level):
    assert {c.level for c in table} == {level}
    assert len({c.name for c in table}) == len(table)


def test_an_interval_has_two_ends_of_one_unit_and_type():
    units = {(c.level, c.name): (c.unit, c.dtype) for c in ALL}
    low = {name: unit for name, unit in units.items() if name[1].endswith("_low")}
    high = {
        (level, name.removesuffix("_high") + "_low"): unit
        for (level, name), unit in units.items()
        if name.endswith("_high")
    }
    assert low == high
    assert {str(dtype) for _, dtype in low.values()} == {"Float64"}


def test_a_status_has_its_reason():
    for table in (CHECK, HAZARD, QUALITY, RESPONSE, TRACK):
        names = {c.name for c in table}
        assert ("status" in names) <= ("reason" in names)


def test_doses_hours_and_counts_have_their_units_and_types():
    assert {c.unit for c in ALL if "molar" in c.name} == {"mol/L"}
    assert {c.unit for c in ALL if c.name.endswith("_h")} <= {"h"}
    assert {str(c.dtype) for c in ALL if c.name.startswith("n_")} == {"Int64"}
    assert {
        c.unit for c in ALL if c.name.endswith(("p_value", "q_value")) or c.name.startswith("n_")
    } == {""}
