from __future__ import annotations

from imaging_service.web.pages.plates import measured_phenotypes, ranked_wells


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
