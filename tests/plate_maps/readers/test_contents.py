from __future__ import annotations

import pytest

from plate_maps.readers.contents import compounds_of, condition_from
from tests.messages import says

EDARAVONE = {"compound_2": "edaravone", "dose_2": "3"}


def condition(**cells):
    return condition_from({"line": "L1", "unit": "uM"} | cells)


def test_a_combination_is_a_condition_of_its_own_in_either_order():
    one = condition(compound="riluzole", dose="1", **EDARAVONE)
    other = condition(
        compound="edaravone", dose="3", compound_2="riluzole", dose_2="1000", unit_2="nM"
    )
    assert one.compound == other.compound == "edaravone 3 µM + riluzole 1 µM"
    assert one.dose_molar == other.dose_molar == 4e-6
    assert not one.is_vehicle
    assert compounds_of(one) == ["edaravone", "riluzole"]
    assert dict(one.annotations) == EDARAVONE


@pytest.mark.parametrize(
    ("cells", "compound", "dose"),
    [
        ({"compound": "riluzole", "dose": "1"}, "riluzole", 1e-6),
        ({"compound": "riluzole", "dose": "1", "compound_2": "DMSO"}, "riluzole", 1e-6),
        (
            {"compound": "riluzole", "dose": "1", "compound_2": "edaravone", "dose_2": "0"},
            "riluzole",
            1e-6,
        ),
        ({"compound": "DMSO", **EDARAVONE}, "edaravone", 3e-6),
        ({**EDARAVONE}, "edaravone", 3e-6),
        ({"compound": "riluzole", "dose": "0", **EDARAVONE}, "edaravone", 3e-6),
        ({"compound": "DMSO", "compound_2": "edaravone 3 µM"}, "edaravone", 3e-6),
    ],
)
def test_solvents_and_doses_of_zero_are_no_part(cells, compound, dose):
    got = condition(**cells)
    assert (got.compound, got.dose_molar, got.is_vehicle) == (compound, dose, False)


def test_close_doses_have_different_names():
    one, other = (
        condition(compound="riluzole", dose=d, **EDARAVONE).compound for d in ("1.0001", "1.0002")
    )
    assert one != other


def test_a_vehicle_holds_solvents_only():
    assert condition(compound="DMSO", control="vehicle", compound_2="water").is_vehicle
    with pytest.raises(ValueError, match=says("map.vehicle_with_a_second_compound")):
        condition(compound="DMSO", control="vehicle", **EDARAVONE)


@pytest.mark.parametrize(
    ("cells", "sentence"),
    [
        (
            {"compound": "riluzole", "dose": "1", "compound_2": "edaravone"},
            says("map.compound_without_dose", what="edaravone"),
        ),
        ({"compound": "riluzole", **EDARAVONE}, says("map.compound_without_dose", what="riluzole")),
        (
            {"compound": "riluzole", "dose": "1", "dose_2": "3"},
            says("map.second_dose_without_compound"),
        ),
        ({"compound": "Edaravone", "dose": "1", **EDARAVONE}, says("map.compound_twice")),
        ({"compound": "DMSO", "compound_2": "DMSO"}, says("map.vehicle_not_marked")),
    ],
)
def test_what_a_well_cannot_hold_is_refused(cells, sentence):
    with pytest.raises(ValueError, match=sentence):
        condition(**cells)


@pytest.mark.parametrize(
    ("name", "text", "made"),
    [
        ("compound", "2025-09-01 00:00:00", "a date"),
        ("compound", "1-Sep", "a date"),
        ("compound", "01.09.2025", "a date"),
        ("compound", "10:30:00", "a date"),
        ("dose", "2025-02-01", "a date"),
        ("line", "Mar-01", "a date"),
        ("compound", "1.50E+10", "a number in scientific notation"),
        ("line", "2e+05", "a number in scientific notation"),
        ("compound", "#N/A", "the error of a formula"),
        ("line", " #REF!", "the error of a formula"),
        ("dose", "#DIV/0!", "the error of a formula"),
        ("batch", "#NAME?", "the error of a formula"),
        ("note", "Err:502", "the error of a formula"),
    ],
)
def test_what_a_spreadsheet_made_of_a_cell_is_refused(name, text, made):
    sentence = says("map.entry_became", what=f"{name} {text!r}", made=made)
    with pytest.raises(ValueError, match=sentence):
        condition(**{"compound": "x", "dose": "1", name: text})


@pytest.mark.parametrize("name", ["15E9", "E+10", "MARCH1", "#4", "45000"])
def test_a_name_that_no_spreadsheet_made_is_one(name):
    assert condition(compound=name, dose="1").compound == name


def test_a_batch_may_be_a_date():
    assert condition(compound="x", dose="1", batch="2025-09-01").batch == "2025-09-01"
    assert condition(compound="MW150", dose="1").compound == "MW150"
