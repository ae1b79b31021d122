from __future__ import annotations

from imaging_service.web.pages.plates import extreme_wells, measured_phenotypes, ranked_wells


def test_only_phenotypes_that_have_a_number_are_offered():
    wells = [
        {"live_density": None, "nc_log2_aggregate": 1.0, "n_fields": 3},
        {"live_density": None, "nc_log2_aggregate": None, "n_fields": 3},
    ]
    assert measured_phenotypes(wells) == {"nc_log2_aggregate": "log2"}


def test_wells_without_a_number_come_last_in_either_order():
    wells = [{"n": "a", "v": 2.0}, {"n": "b", "v": None}, {"n": "c", "v": 1.0}]
    assert [w["n"] for w in ranked_wells(wells, "v", "low")] == ["c", "a", "b"]
    assert [w["n"] for w in ranked_wells(wells, "v", "high")] == ["a", "c", "b"]
    assert ranked_wells(wells, "v", "well") == wells


def test_a_plate_s_extreme_wells_are_those_with_the_lowest_and_highest_values():
    wells = [{"n": i, "v": v} for i, v in enumerate((5.0, 1.0, None, 4.0, 2.0, 3.0))]
    ends = extreme_wells(wells, "v", 2)
    assert {end: [w["v"] for w in few] for end, few in ends.items()} == {
        "Lowest": [1.0, 2.0],
        "Highest": [5.0, 4.0],
    }


def test_no_well_is_both_lowest_and_highest():
    wells = [{"v": 1.0}, {"v": 2.0}, {"v": 3.0}]
    assert extreme_wells(wells, "v") == {"Lowest": [{"v": 1.0}], "Highest": [{"v": 3.0}]}
