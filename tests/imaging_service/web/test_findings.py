from __future__ import annotations

import pytest

from imaging_service.web.findings import ANSWERED, by_evidence, findings, sentence


def row(**more):
    return {
        "line": "L1",
        "compound": "x",
        "phenotype": "live_density",
        "status": "ok",
        "reason": "",
        "unit": "%",
        "effect": -50.0,
        "effect_low": -60.0,
        "effect_high": -40.0,
        "ec50_molar": 1e-7,
        "ec50_low": 5e-8,
        "ec50_high": None,
        "q_value": 0.01,
    } | more


WELL = {"status": "done", "reason": ""}


def test_curves_come_before_flat_rows_and_refusals_by_q_and_effect():
    rows = [
        row(line="refused", status="too_few_wells", effect=None, effect_low=None, q_value=None),
        row(line="flat", status="flat", q_value=0.001),
        row(line="beyond", status="above_tested_range", q_value=0.0001),
        row(line="weak", q_value=0.04),
        row(line="wide", effect_low=-99.0, effect_high=-1.0),
        row(line="sure"),
    ]
    assert [r["line"] for r in by_evidence(rows)] == [
        "sure",
        "wide",
        "weak",
        "beyond",
        "flat",
        "refused",
    ]


def test_the_first_screen_counts_every_row_once():
    rows = [
        row(),
        row(line="L2", status="not_determined", q_value=0.2),
        row(line="L3", status="flat"),
        row(line="L4", status="no_vehicle", reason="no vehicle well", effect=None, q_value=None),
    ]
    wells = [WELL, {"status": "failed", "reason": "blank"}, {"status": "failed", "reason": "dim"}]
    checks = [
        {"check": "edge_effect", "subject": "p", "status": "warning", "reason": "high"},
        {"check": "row_trend", "subject": "p", "status": "ok", "reason": ""},
    ]
    found = findings(rows, wells, checks, None)
    assert (found.rows, found.responding, found.flat) == (4, 1, 1)
    assert [int(n) for n in found.headline if n.isdigit()] == [4, 1, 0, 0, 5, 1, 1, 1]
    assert found.refused == (("no_vehicle", 1, "no vehicle well"),)
    assert found.wells_lost == (("failed", 2, "blank"),)
    assert found.warnings == ("edge effect, p: high",)
    assert [f.row["line"] for f in found.strongest] == ["L1"]


def test_rows_that_were_refused_are_not_taken_for_compounds_without_effect():
    refused = row(status="no_vehicle", effect=None, q_value=None)
    tested = row(status="flat", q_value=0.5)
    said = [findings(rows, [], [], None).unmoved for rows in ([refused], [refused, tested])]
    assert [words.split()[4] for words in said] == ["tested:", "be"]
    assert findings([row()], [], [], None).unmoved == findings([], [], [], None).unmoved == ""


def test_a_flat_row_with_a_small_q_is_not_a_response():
    assert findings([row(status="flat", q_value=0.001)], [], [], None).responding == 0


def test_masks_are_trusted_only_where_they_were_measured():
    assert not findings([], [], [], None).measured
    refused = {"status": "other_engine", "reason": "classical-2", "figures": {}}
    found = findings([], [], [], refused)
    assert (found.measured, "classical-2" in found.trust) == (False, True)
    known = {
        "status": "measured",
        "reason": "",
        "fields": 9,
        "wells": 4,
        "figures": {"neurite_f1": [0.91, 0.88, 0.93]},
    }
    found = findings([], [], [], known)
    assert found.measured
    assert "0.910 (0.880 … 0.930)" in found.trust


@pytest.mark.parametrize("status", sorted(ANSWERED))
@pytest.mark.parametrize(
    "missing", [("effect_low",), ("effect_high",), ("effect_low", "effect_high")]
)
def test_a_response_without_an_interval_is_told_without_one(status, missing):
    """A step between two doses can be sure of an effect and know nothing of its error."""
    open_end = row(status=status, ec50_molar=None, q_value=0.02, **dict.fromkeys(missing))
    words = sentence(open_end)
    assert words.startswith("x on L1: live_density falls by 50 (no interval) %")
    assert words.endswith(", q 0.02")
    found = findings([open_end, row()], [WELL], [], None)
    assert found.responding == (1 if status == "flat" else 2)
    assert by_evidence([open_end, row()])[0]["ec50_molar"] == 1e-7


def test_an_interval_over_zero_keeps_its_signs():
    assert "95 (80 … 100) %" in sentence(row(effect=-95.0, effect_low=-110.0, effect_high=-80.0))
    assert "-5 (-20 … 10) %" in sentence(row(effect=-5.0, effect_low=-20.0, effect_high=10.0))
    rising = sentence(row(effect=2.0, effect_low=1.0, effect_high=3.0, status="lack_of_fit"))
    assert "2 (1 … 3) %" in rising
    assert "EC50 100 nM" not in rising
    assert sentence(row(effect=None, status="no_vehicle")).endswith(", no vehicle wells")
