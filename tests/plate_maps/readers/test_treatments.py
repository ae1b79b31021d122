from __future__ import annotations

import pytest

from plate_maps import Condition, Control, Well
from plate_maps.readers.treatments import divided_wells
from tests.messages import states

VEHICLE = ("L1", "DMSO", 0.0, Control.VEHICLE)
RILUZOLE = ("L1", "riluzole", 1e-6, Control.NONE)


def divided(name, *wells):
    return divided_wells(
        {
            Well(1, i): Condition(*held, annotations=((name, value),) if value else ())
            for i, (held, value) in enumerate(wells, 1)
        }
    )


@pytest.mark.parametrize("name", ["density", "stimulus", "sirna", "background", "bdnf_(ng/ml)"])
def test_a_treatment_that_differs_within_a_line_is_named_with_values_and_wells(name):
    [sentence] = divided(name, (VEHICLE, "a"), (RILUZOLE, "a"), (RILUZOLE, "b"))
    assert states("treatments.differs", sentence, column=name, line="L1")
    assert "a at A01, A02; b at A03" in sentence


def test_a_treatment_of_the_treated_wells_only_is_not_the_compounds():
    assert divided("stimulus", (VEHICLE, ""), (RILUZOLE, "glutamate"))
    assert divided("stimulus", (VEHICLE, "glutamate"), (RILUZOLE, "glutamate")) == []


def test_notes_and_other_lines_do_not_divide():
    other = ("L2", "DMSO", 0.0, Control.VEHICLE)
    assert divided("operator", (VEHICLE, "kim"), (VEHICLE, "lee")) == []
    assert divided("density", (VEHICLE, "20000"), (other, "30000")) == []
    blank = ("L1", "", None, Control.NEGATIVE)
    assert divided("density", (VEHICLE, "20000"), (blank, "0")) == []
    assert divided("sirna", (VEHICLE, ""), (RILUZOLE, "riluzole")) == []


def test_a_label_of_the_condition_may_repeat_it_but_not_divide_it():
    assert divided("condition", (VEHICLE, "ctrl"), (RILUZOLE, "drug")) == []
    assert divided("condition", (VEHICLE, "ctrl"), (RILUZOLE, "a"), (RILUZOLE, "b"))


def test_a_column_named_by_a_compound_of_the_map_is_a_treatment():
    assert divided("riluzole", (VEHICLE, "0"), (RILUZOLE, "1"))
