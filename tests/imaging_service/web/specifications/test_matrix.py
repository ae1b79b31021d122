from __future__ import annotations

import pytest

from imaging_service.web.charts import svg
from imaging_service.web.specifications.matrix import certainty, plate_matrix


def row(line="L1", compound="x", **more):
    return {
        "line": line,
        "compound": compound,
        "phenotype": "p",
        "status": "ok",
        "reason": "",
        "unit": "%",
        "effect": -30.0,
        "effect_low": -40.0,
        "effect_high": -20.0,
        "q_value": 0.01,
    } | more


@pytest.mark.parametrize(
    ("effect", "low", "high", "share"),
    [
        (-30.0, -40.0, -20.0, 1.0),
        (5.0, -5.0, 15.0, pytest.approx(0.5 / 3)),
        (5.0, 5.0, 5.0, 0.0),
        (None, None, None, 0.0),
    ],
)
def test_certainty_is_counted_in_half_intervals(effect, low, high, share):
    assert certainty(effect, low, high) == share


def test_a_refusal_is_a_cross_and_a_small_q_a_ring():
    rows = [
        row(),
        row("L2", q_value=0.5),
        row(
            "L3", status="no_vehicle", effect=None, effect_low=None, effect_high=None, q_value=None
        ),
        row("L4", phenotype="other"),
    ]
    values = plate_matrix(rows, "p", lambda line, compound: f"/{line}/{compound}")["data"]["values"]
    assert [(v["line"], v["hit"], v["nothing"]) for v in values] == [
        ("L1", True, False),
        ("L2", False, False),
        ("L3", False, True),
    ]
    assert values[0]["page"] == "/L1/x"


def test_without_an_effect_there_is_no_matrix():
    assert plate_matrix([row(effect=None, effect_low=None)], "p") == {}
    assert plate_matrix([], "p") == {}


def test_it_compiles():
    assert "<svg" in svg(plate_matrix([row(), row("L2")], "p"))
