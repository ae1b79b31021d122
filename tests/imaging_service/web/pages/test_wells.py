from __future__ import annotations

import polars as pl
import pytest

from imaging_service.web.pages.wells import beside_vehicle, field_rows, measured_values, neighbours
from phenotypes.statistics.robust import robust_z
from tests.messages import states


def well(name, value, control="vehicle", line="L1", status="done"):
    return {
        "well": name,
        "line": line,
        "control": control,
        "status": status,
        "live_density": value,
        "n_fields": 2,
    }


WELLS = [
    well("A01", 100.0),
    well("A02", 110.0),
    well("A03", 120.0),
    well("A04", 130.0),
    well("A05", 999.0, status="excluded"),
    well("A06", 999.0, line="L2"),
    well("A07", 999.0, control="none"),
    well("B01", 55.0, control="none"),
]


def test_a_well_is_compared_with_vehicle_wells_of_its_line_that_count():
    (value,) = beside_vehicle(WELLS[-1], WELLS, ["live_density"])
    assert (value.vehicle, value.low, value.high, value.n) == (115.0, 100.0, 130.0, 4)
    assert value.robust_z == pytest.approx((55 - 115) / (1.4826 * 10))
    assert value.unit == "1/mm²"


def test_robust_z_is_the_one_that_the_review_queue_ranks_by():
    z = robust_z(pl.DataFrame(WELLS), "live_density").to_list()
    for row, expected in zip(WELLS, z, strict=True):
        if expected is not None:
            (value,) = beside_vehicle(row, WELLS, ["live_density"])
            assert value.robust_z == pytest.approx(expected)
    assert z[0] == pytest.approx(-15 / 14.826)  # a vehicle well is one of those it is compared with
    assert z.count(None) == 2


def test_a_well_that_is_left_out_still_shows_how_far_off_it_is():
    (value,) = beside_vehicle(WELLS[4], WELLS, ["live_density"])
    assert (value.n, value.robust_z) == (4, pytest.approx((999 - 115) / 14.826))


def test_without_vehicle_there_is_no_comparison():
    (value,) = beside_vehicle(well("C01", 1.0, "none", "L3"), WELLS, ["live_density"])
    assert (value.vehicle, value.low, value.n, value.robust_z) == (None, None, 0, None)
    assert states("well.few_vehicles", value.no_z, count=0)
    assert value.why == ""


def test_a_well_without_a_value_says_why_it_has_none():
    empty = well("B02", None, "none") | {"reason": "", "live_count": 0}
    (value,) = beside_vehicle(empty | {"puncta_per_neuron": None}, WELLS, ["puncta_per_neuron"])
    assert states("well.few_cells", value.why, count=0, least=20)
    assert value.no_z == value.why
    crossed = empty | {"live_count": 90, "attribution_conflict_fraction": 0.62}
    (value,) = beside_vehicle(crossed, WELLS, ["max_process_mean"])
    assert states("well.crossing", value.why, share="62%")
    (value,) = beside_vehicle(empty | {"live_count": 90}, WELLS, ["puncta_per_neuron"])
    assert states("pages.not_measured", value.why)
    (value,) = beside_vehicle(empty | {"reason": "vehicle_empty: 3"}, WELLS, ["live_density"])
    assert value.why == "empty vehicle well: 3"


def test_values_have_unit_and_meaning_in_the_dictionary_s_order():
    values = measured_values({"live_density": 0.0, "line": "L1", "reason": ""}, "well", ["well"])
    assert [(v.name, v.value) for v in values] == [("line", "L1"), ("live_density", 0.0)]
    assert values[1].unit == "1/mm²"
    assert values[1].meaning


def test_neighbours_are_analysed_wells():
    wells = [well("A01", 1.0), well("A02", 1.0) | {"n_fields": 0}, well("A03", 1.0)]
    assert neighbours(wells, "A01") == ("", "A03")
    assert neighbours(wells, "A03") == ("A01", "")
    assert neighbours(wells, "A02") == ("", "")


def test_a_field_s_values_are_per_its_valid_area():
    fields = [
        {"field": 1, "valid_area_mm2": 0.5, "nuclei_count": 20, "neurite_length_um": 3000.0},
        {"field": 2, "valid_area_mm2": 0.0, "nuclei_count": 20, "neurite_length_um": 3000.0},
        {"field": 3, "valid_area_mm2": 0.5, "nuclei_count": None, "neurite_length_um": None},
    ]
    rows = field_rows(fields)
    assert [(r["nuclei_density"], r["neurite_density"]) for r in rows] == [
        (40.0, 6.0),
        (None, None),
        (None, None),
    ]
    assert states("field.no_area", rows[1]["no_nuclei"])
    assert states("field.not_traced", rows[2]["no_neurites"])
