from __future__ import annotations

from plate_maps import Condition, Control, PlateMap, Well, check, plate_format


def plate(*conditions):
    return PlateMap(plate_format(96), {Well(1, i): c for i, c in enumerate(conditions, 1)}, "map.csv")


def test_a_sound_map_has_no_findings():
    vehicle = [Condition("L1", "DMSO", 0.0, Control.VEHICLE)] * 3
    positive = [Condition("L1", "ref", 1e-5, Control.POSITIVE)]
    treated = [Condition("L1", "ril", d * 1e-6) for d in (1, 2, 4, 8)]
    assert check(plate(*vehicle, *positive, *treated)) == []


def test_findings_name_line_compound_and_wells_errors_first():
    findings = check(plate(Condition("L1", "DMSO", 0.0, Control.VEHICLE), Condition("L1", "ril", 1e-6), Condition("L2", "ril", 1e-6)))
    assert [f.code for f in findings] == ["no_vehicle_for_line", "few_vehicle_wells", "few_doses", "few_doses", "no_positive"]
    assert "line L2" in findings[0].message
    assert "A01" in findings[1].message
    assert "ril on line L1 has 1 dose" in findings[2].message


def test_no_vehicle_at_all():
    assert check(plate(Condition("L1", "ril", 1e-6)))[0].code == "no_vehicle"
