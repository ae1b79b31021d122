"""The parts that columns are made of."""

from __future__ import annotations

from phenotypes.columns.column import INTENSITY_ROLES, REAL, SHOLL_UM, Column, condition, per_role


def test_an_intensity_is_one_column_per_role():
    made = per_role("cell", "nc_log2", "log2", "Ratio of {role}.", "difference", 1.0)
    assert [c.name for c in made] == [f"nc_log2_{role}" for role in INTENSITY_ROLES]
    assert made[3] == Column(
        "nc_log2_aggregate", "cell", "log2", REAL, "Ratio of aggregate.", "difference", 1.0
    )
    assert len(set(INTENSITY_ROLES)) == len(INTENSITY_ROLES) == 7


def test_a_condition_has_a_dose_and_a_part_on_the_plate_only_where_asked():
    def names(**more):
        return [c.name for c in condition("well", **more)]

    assert names(dose=False, control=False) == ["line", "genotype", "compound"]
    assert names(control=False) == ["line", "genotype", "compound", "dose_molar"]
    assert names() == ["line", "genotype", "compound", "dose_molar", "control", "batch"]
    assert {c.name: c.unit for c in condition("well") if c.unit} == {"dose_molar": "mol/L"}


def test_circles_of_sholl_go_outwards():
    assert list(SHOLL_UM) == sorted(set(SHOLL_UM))
