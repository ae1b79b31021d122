"""Marks are on cells of the matrix that exist, once each, and say which fault it is."""

from __future__ import annotations

from itertools import product

from phenotypes.columns.disturbances import disturbance, expected_of, groups_named
from phenotypes.columns.known_faults import FAULTS, KNOWN_FAULTS, known_fault


def test_a_mark_is_on_cells_that_are_measured():
    for known in KNOWN_FAULTS:
        row = disturbance(known.disturbance)
        assert set(known.levels) <= set(row.levels), known
        for group in groups_named(*known.groups):
            assert expected_of(row, group).verdict != "not measured", known


def test_every_mark_says_which_fault_and_every_fault_is_marked():
    assert {known.fault for known in KNOWN_FAULTS} == set(FAULTS)


def test_a_cell_is_marked_once():
    marked = [
        (known.disturbance, *cell)
        for known in KNOWN_FAULTS
        for cell in product(known.levels, known.engines, known.groups)
    ]
    assert len(marked) == len(set(marked))


def test_the_mark_of_a_cell_is_found():
    first = KNOWN_FAULTS[0]
    where = (first.disturbance, first.levels[0], first.engines[0], first.groups[0])
    assert known_fault(*where) == first.fault
    assert known_fault(*where[:3], "no group") == ""
    assert known_fault("no disturbance", *where[1:]) == ""
