from __future__ import annotations

import pytest

from plate_maps.readers.headers import dose_unit, is_condition, is_treatment, read_header
from tests.messages import says


@pytest.mark.parametrize(
    ("header", "name", "unit"),
    [
        ("dose (uM)", "dose", "uM"),
        ("Conc. [nM]", "dose", "nM"),
        ("Dose_uM", "dose", "um"),
        ("conc in nM", "dose", "nm"),
        ("Cell Line", "line", None),
        ("\ufeffWell", "well", None),
        ("Well #", "well", None),
        ("Compound 1", "compound", None),
        ("compound2", "compound_2", None),
        ("Drug B", "compound_2", None),
        ("second compound", "compound_2", None),
        ("dose2 (µM)", "dose_2", "µM"),
        ("compound 2 dose", "dose_2", None),
        ("unit_2", "unit_2", None),
        ("operator", "operator", None),
        ("edaravone (µM)", "edaravone_(µm)", "µM"),
    ],
)
def test_the_words_of_bench_sheets_are_read(header, name, unit):
    assert read_header(header)[0] == name
    assert (read_header(header)[1] or "").lower() == (unit or "").lower()


def test_a_unit_in_a_header_is_a_concentration():
    assert dose_unit("dose_2", "nM") == ("unit_2", "nM")
    assert dose_unit("note", "nM") is None
    with pytest.raises(ValueError, match=says("dose.unit_unknown")):
        dose_unit("dose", "% v/v")


@pytest.mark.parametrize(
    ("name", "values", "treatment"),
    [
        ("sirna", ["scr"], True),
        ("stimulus", ["glutamate"], True),
        ("density", ["20000"], True),
        ("cells_per_well", ["20000"], True),
        ("cells/well", ["20000"], True),
        ("cell_number_per_well", ["20000"], True),
        ("bdnf_(ng/ml)", ["10"], True),
        ("edaravone_(µm)", ["3"], True),
        ("edaravone", ["3 µM"], True),
        ("growth_condition", ["no BDNF"], True),
        ("pre_treatment", ["x"], True),
        ("co_compound", ["x"], True),
        ("knock_down", ["scr"], True),
        ("h2o2", ["100"], True),
        ("barcode", ["1"], False),
        ("row", ["A"], False),
        ("comment", ["bubble"], False),
        ("operator", ["kim"], False),
        ("passage", ["31"], False),
        ("dose_index", ["3"], False),
        ("compound_lot", ["7"], False),
        ("stock_(mm)", ["10"], False),
        ("optical_density", ["0.3"], False),
        ("plated_by", ["kim"], False),
    ],
)
def test_treatments_are_told_from_notes(name, values, treatment):
    assert is_treatment(name, values) == treatment


def test_a_label_of_the_condition_is_one():
    assert is_condition("condition")
    assert not is_condition("compound_id")
    assert not is_condition("operator")
