from __future__ import annotations

from imaging_service.web.charts import svg
from imaging_service.web.specifications.quality import (
    control_windows,
    separation_over_plates,
    vehicle_drift,
)


def quality(line, ssmd):
    return {
        "line": line,
        "phenotype": "p",
        "ssmd": ssmd,
        "ssmd_low": -8.0,
        "ssmd_high": -4.0,
        "robust_z_prime": 0.4,
    }


def test_only_lines_with_both_controls_are_drawn():
    spec = control_windows([quality("A", -6.0), quality("B", None)])
    assert spec["data"]["values"] == [
        {"line": "A", "phenotype": "p", "ssmd": -6.0, "low": -8.0, "high": -4.0, "z": 0.4}
    ]
    assert "<svg" in svg(spec)
    assert control_windows([quality("B", None)]) == {}


def test_drift_needs_two_plates():
    first = {"plate": "P", "submitted": "2026-01-01T00:00:00", "line": "A", "mean": 1.0}
    second = first | {"plate": "Q", "submitted": "2026-01-02T00:00:00"}
    assert vehicle_drift([first, first | {"line": "B"}], "p", "µm") == {}
    # Plates that were submitted at once stand beside each other.
    spec = vehicle_drift([second, first, first | {"plate": "R"}], "p", "µm")
    places = spec["layer"][0]["encoding"]["x"]["sort"]
    assert [place.split("|")[0] for place in places] == ["P", "R", "Q"]
    spec = vehicle_drift([first, second], "p", "µm")
    assert len(spec["data"]["values"]) == 2
    assert spec["layer"][0]["encoding"]["y"]["title"].rsplit(", ")[-1] == "µm"
    assert "<svg" in svg(spec)


def test_the_separation_of_controls_over_plates_has_its_interval():
    first = {"plate": "P", "submitted": "2026-01-01T00:00:00", "line": "A"}
    first |= {"ssmd": -6.0, "low": -8.0, "high": -4.0, "z": 0.4}
    second = first | {"plate": "Q", "submitted": "2026-01-02T00:00:00"}
    assert separation_over_plates([first, second | {"ssmd": None}], "p") == {}
    spec = separation_over_plates([first, second], "p")
    ends = spec["layer"][1]["encoding"]
    assert (ends["y"]["field"], ends["y2"]["field"]) == ("low", "high")
    assert "<svg" in svg(spec)
