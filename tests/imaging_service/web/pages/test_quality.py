from __future__ import annotations

from imaging_service.web.pages.quality import (
    checks_by_finding,
    controls_over_plates,
    odd_vehicles,
    plate_summary,
)


def check(status, name="edge_effect", subject="p"):
    return {"status": status, "check": name, "subject": subject}


def quality(line, ssmd, mean=1.0, phenotype="p"):
    return {
        "line": line,
        "phenotype": phenotype,
        "robust_z_prime": 0.5,
        "ssmd": ssmd,
        "ssmd_low": -8.0,
        "ssmd_high": -4.0,
        "vehicle_mean": mean,
    }


def test_warnings_come_first():
    rows = [check("ok"), check("not_assessable"), check("warning")]
    assert [c["status"] for c in checks_by_finding(rows)] == ["warning", "not_assessable", "ok"]


def test_a_plate_is_summed_up_for_one_phenotype_and_its_warnings_for_all():
    rows = [quality("A", -6.0), quality("B", None), quality("A", 3.0, phenotype="other")]
    edge, trend = check("warning"), check("ok", "row_trend")
    checks = [edge, trend, check("warning", subject="other"), check("ok", "row_difference")]
    wells = [{"control": "vehicle", "status": "excluded"}, {"control": "none", "status": "failed"}]
    assert plate_summary(rows, checks, wells, "p") == {
        "lines": rows[:2],
        "even": {"edge_effect": edge, "row_trend": trend},
        "warnings": 2,
        "odd_vehicles": 1,
    }


def test_vehicle_wells_that_do_not_count_are_named():
    wells = [
        {"well": "A01", "control": "vehicle", "status": "excluded"},
        {"well": "A02", "control": "vehicle", "status": "done"},
        {"well": "A03", "control": "none", "status": "failed"},
    ]
    assert [w["well"] for w in odd_vehicles(wells)] == ["A01"]


def test_controls_over_plates_are_of_one_phenotype():
    rows = [quality("A", -6.0), quality("A", -6.0, 9.0, "other")]
    assert controls_over_plates("P", "2026", rows, "p") == [
        {
            "plate": "P",
            "submitted": "2026",
            "line": "A",
            "mean": 1.0,
            "ssmd": -6.0,
            "low": -8.0,
            "high": -4.0,
            "z": 0.5,
        }
    ]
