from __future__ import annotations

import pytest

from phenotypes.columns.channels import details_of, levels_of, neurites_of
from phenotypes.columns.column import INTENSITY_ROLES
from phenotypes.columns.dictionary import columns
from phenotypes.columns.disturbances import groups_of

# What is the same whatever a channel shows: names, outlines, and calls.
FORM = ("area", "nucleus", "shape", "soma")


@pytest.mark.parametrize("role", INTENSITY_ROLES)
def test_all_columns_of_a_role_exist(role):
    known = columns("cell")
    assert [n for n in (*levels_of(role), *details_of(role)) if n not in known] == []
    assert {n for n in known if n.endswith(f"_{role}")} <= {*levels_of(role), *details_of(role)}


def test_every_measured_column_of_a_cell_rests_on_a_channel_or_is_a_form():
    """A new column must be placed, or it would stay where its channel cannot be read."""
    placed = {n for role in INTENSITY_ROLES for n in (*levels_of(role), *details_of(role))}
    placed |= set(neurites_of("cell"))
    left = {
        group.name
        for name, column in columns("cell").items()
        if column.dtype.is_numeric() and name not in placed
        for group in groups_of(column)
    }
    assert left == {"nucleus", "shape", "soma", "image"}


def test_the_parts_of_a_channel_are_its_own():
    assert "puncta_count" in details_of("aggregate")
    assert "granule_count" in details_of("granule")
    assert {"manders_m1", "manders_null", "manders_z"} <= {*details_of("aggregate")}
    assert {"manders_m1", "manders_null", "manders_z"} <= {*details_of("granule")}
    assert details_of("dna") == ["nc_log2_dna"]


def test_neurites_of_a_field_are_all_but_its_cells_and_its_light():
    assert neurites_of("field") == [
        "confluence",
        "neurite_length_um",
        "neurite_area_um2",
        "neurite_unattributed_um",
        "length_ratio_floor_0",
        "length_ratio_floor_30",
        "length_ratio_floor_70",
        "attribution_conflict_fraction",
        "neurite_branch_points",
        "neurite_tips",
        "neurite_straightness",
        "neurite_width_um",
        "neurite_beads",
        "neurite_fragment_um2",
    ]
