from __future__ import annotations

from imaging_service.web.pages.quality import (
    checks_by_finding,
    odd_vehicles,
    plate_summary,
    vehicle_means,
)


def check(status, name="edge_effect"):
    return {"status": status, "check": name, "subject": "p"}


def quality(line, z, ssmd, mean=1.0, phenotype="p"):
    return {
        "line": line,
        "phenotype": phenotype,
        "robust_z_prime": z,
        "ssmd": ssmd,
        "vehicle_mean": mean,
    }


def test_warnings_come_first():
    rows = [check("ok"), check("not_assessable"), check("warning")]
    assert [c["status"] for c in checks_by_finding(rows)] == ["warning", "not_assessable", "ok"]


def test_a_plate_is_as_good_as_its_worst_line():
    rows = [quality("A", 0.5, -6.0), quality("B", -0.2, 3.0), quality("C", None, None)]
    assert plate_summary(rows, [check("warning"), check("ok")]) == {
        "lowest_z": -0.2,
        "lowest_ssmd": 3.0,
        "warnings": 1,
        "lines": 3,
    }
    assert plate_summary([], [])["lowest_z"] is None


def test_vehicle_wells_that_do_not_count_are_named():
    wells = [
        {"well": "A01", "control": "vehicle", "status": "excluded"},
        {"well": "A02", "control": "vehicle", "status": "done"},
        {"well": "A03", "control": "none", "status": "failed"},
    ]
    assert [w["well"] for w in odd_vehicles(wells)] == ["A01"]


def test_means_are_of_one_phenotype():
    rows = [quality("A", 1, 1), quality("B", 1, 1, None), quality("A", 1, 1, 9.0, "other")]
    assert vehicle_means("P", "2026", rows, "p") == [
        {"plate": "P", "submitted": "2026", "line": "A", "mean": 1.0}
    ]
