"""Cells, fields, wells: units and names agree, and what responds says how."""

from __future__ import annotations

import re

import pytest

from phenotypes.columns.column import INTENSITY_ROLES, SHOLL_UM
from phenotypes.columns.images import CELL, FIELD, WELL

ALL = [*CELL, *FIELD, *WELL]
PHENOTYPES = [c for c in WELL if c.scale]
UNITS = {
    "",
    "1/100 µm",
    "1/mm²",
    "grey level",
    "h",
    "log2",
    "mm/mm²",
    "mm²",
    "mol/L",
    "°",
    "µm",
    "µm²",
}


@pytest.mark.parametrize(("table", "level"), [(CELL, "cell"), (FIELD, "field"), (WELL, "well")])
def test_a_table_holds_columns_of_its_own_level_under_names_of_their_own(table, level):
    assert {c.level for c in table} == {level}
    assert len({c.name for c in table}) == len(table)


def test_a_name_that_ends_in_a_unit_has_that_unit():
    ends = {
        "um": "µm",
        "um2": "µm²",
        "mm2": "mm²",
        "h": "h",
        "100um": "1/100 µm",
        "molar": "mol/L",
        "deg": "°",
    }
    wrong = [
        (c.level, c.name, c.unit)
        for c in ALL
        if (end := c.name.rsplit("_", 1)[-1]) in ends
        and c.unit != ends[end]
        and not c.name.startswith("sholl_")
    ]
    assert wrong == []
    assert {c.unit for c in ALL} == UNITS


def test_numbers_with_a_unit_are_real_and_text_has_none():
    assert {str(c.dtype) for c in ALL if c.unit} == {"Float64"}


def test_a_phenotype_is_a_real_number_of_a_well_and_its_scale_fits_its_unit():
    assert [c.name for c in [*CELL, *FIELD] if c.scale] == []
    assert {str(c.dtype) for c in PHENOTYPES} == {"Float64"}
    scales = {c.name: c.scale for c in PHENOTYPES}
    # The logarithm of a ratio may be zero or negative: no percentage of it means anything.
    assert {c.scale for c in PHENOTYPES if c.unit == "log2"} == {"difference"}
    assert {s for n, s in scales.items() if re.search("fraction|purity", n)} == {"difference"}
    assert {c.scale for c in PHENOTYPES if c.unit in ("µm", "1/mm²", "mm/mm²", "h")} == {"percent"}


def test_the_healthy_direction_of_what_a_disease_does():
    better = {c.name: c.better for c in PHENOTYPES}
    for name in ("live_density", "neurite_length_per_neuron", "nc_log2_aggregate", "survival_end"):
        assert better[name] == "higher"
    for name in (
        "pyknotic_fraction",
        "mislocalised_fraction",
        "puncta_per_neuron",
        "fragmentation_index",
        "beads_per_100um",
    ):
        assert better[name] == "lower"
    assert better["soma_area_mean"] is None
    assert [c.name for c in ALL if c.better and not c.scale] == []


def test_every_role_has_its_intensities_and_every_circle_its_column():
    names = {c.name for c in CELL}
    for part in ("soma_mean", "nucleus_mean", "nucleus_sum", "cytoplasm_mean", "nc_log2"):
        assert {f"{part}_{role}" for role in INTENSITY_ROLES} <= names
    assert [c.name for c in CELL if c.name.startswith("sholl_")] == [
        f"sholl_{r}um" for r in SHOLL_UM
    ]
    assert [c.name for c in WELL if c.name.startswith("sholl_")] == [
        f"sholl_{r}um_mean" for r in SHOLL_UM
    ]


def test_what_a_pixel_must_resolve_is_finer_the_smaller_the_structure():
    coarsest = {c.name: c.coarsest_pixel_um for c in WELL}
    assert (
        coarsest["neurite_length_density"],
        coarsest["branch_points_per_100um"],
        coarsest["puncta_per_neuron"],
        coarsest["beads_per_100um"],
        coarsest["rim_log2_mean"],
        coarsest["live_density"],
    ) == (1.5, 1.0, 0.7, 0.35, 0.2, None)
