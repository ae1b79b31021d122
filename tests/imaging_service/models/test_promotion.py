from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from imaging_service.errors import ModelRefused
from imaging_service.models.promotion import checked_lineage, judged, promote
from imaging_service.models.shifts import shift
from tests.messages import says, states

WHEN = datetime(2026, 5, 4, tzinfo=UTC)


def figure(value, half=0.01):
    low, high = (None, None) if half is None else (value - half, value + half)
    return {"value": value, "low": low, "high": high, "fields": 4, "wells": 4}


def content(*, level="plate", after=None, benchmark=None, accuracy=0.9, phenotypes=(), half=0.01):
    """A lineage as far as a promotion reads it: better on every count."""
    held = {"neurite_f1": 0.8, "nuclei_ap": 0.9}
    better = {"neurite_f1": 0.9, "nuclei_ap": 0.9} | (after or {})
    frozen = {"neurite_f1": 0.95, "nuclei_ap": 0.96}
    return {
        "split": {"level": level},
        "evidence": {
            "before": {
                "accuracy": 0.85,
                "held_out": {n: figure(v) for n, v in held.items()},
                "benchmark": frozen,
            },
            "after": {
                "accuracy": accuracy,
                "held_out": {n: figure(v, half) for n, v in better.items()},
                "benchmark": frozen | (benchmark or {}),
            },
            "phenotypes": [s.described() for s in phenotypes],
        },
    }


def test_a_better_model_has_no_reason_against_it():
    reasons, notes = judged(content(), {})
    assert reasons == []
    assert len(notes) == 1
    assert states("models.ec50_not_compared", notes[0])


@pytest.mark.parametrize(("fallen", "refused"), [(0.941, False), (0.939, True)])
def test_forgetting_is_refused_beyond_a_hundredth(fallen, refused):
    reasons, _ = judged(content(benchmark={"neurite_f1": fallen}), {})
    assert len(reasons) == refused
    if refused:
        assert states("models.frozen_benchmark_falls", reasons[0], what="neurite_f1")


@pytest.mark.parametrize("half", [0.05, 0.099, 0.101, None])
def test_a_gain_that_may_be_chance_is_said_to_be_one(half):
    reasons, notes = judged(content(half=half), {})
    assert reasons == []
    said = [states("models.gain_may_be_chance", n, level="plate") for n in notes]
    assert any(said) is (half is None or half > 0.1)


def test_a_length_that_is_surely_nearer_is_a_gain():
    better = content(half=0.2)
    for part, error in (("before", 0.3), ("after", 0.05)):
        better["evidence"][part]["held_out"]["length_error"] = figure(error, 0.2)
    assert not states("models.gain_may_be_chance", judged(better, {})[1][0], level="plate")
    better["evidence"]["before"]["held_out"]["length_error"]["value"] = 0.24
    assert states("models.gain_may_be_chance", judged(better, {})[1][0], level="plate")


@pytest.mark.parametrize("accuracy", [0.85, 0.8])
def test_held_out_plates_must_improve(accuracy):
    reasons, _ = judged(content(accuracy=accuracy), {})
    assert states("models.does_not_improve", reasons[0], level="plate")


def test_one_compartment_may_not_pay_for_another():
    reasons, _ = judged(content(after={"nuclei_ap": 0.88}), {})
    assert states("models.held_out_falls", reasons[0], what="nuclei_ap")
    assert judged(content(after={"nuclei_ap": 0.895}), {})[0] == []


def test_a_phenotype_that_moves_is_refused_unless_towards_what_was_traced():
    moved = shift("nc_log2", [(1.0, 1.2), (2.0, 2.2)])
    reasons, _ = judged(content(phenotypes=[moved]), {})
    assert states("models.phenotype_moves", reasons[0], what="nc_log2")
    towards = shift("neurite_length_density", [(150.0, 101.0)], [100.0])
    reasons, notes = judged(content(phenotypes=[towards]), {})
    assert reasons == []
    assert states("models.moves_towards_truth", notes[0], what="neurite_length_density")
    away = shift("neurite_length_density", [(101.0, 150.0)], [100.0])
    assert len(judged(content(phenotypes=[away]), {})[0]) == 1


def test_an_ec50_may_not_move_on_a_whole_plate():
    still = shift("log10_ec50", [(-6.0, -5.95)])
    assert judged(content(), {"P4": [still]}) == ([], [])
    moved = shift("log10_ec50", [(-6.0, -5.5)])
    reasons, _ = judged(content(), {"P4": [moved]})
    assert states("models.phenotype_moves", reasons[0], what="log10_ec50")


def test_what_was_not_compared_is_named():
    nothing = shift("puncta_per_cell", [], reason="no aggregate channel")
    _, notes = judged(content(level="well", phenotypes=[nothing]), {"P4": []})
    assert states("models.no_plate_held_out", notes[0])
    assert states("models.not_compared", notes[1], what="puncta_per_cell")


def test_a_refusal_and_a_promotion_are_written_down(model):
    refused = promote(model, "ann", now=lambda: WHEN)
    assert not refused.promoted
    written = json.loads((model / "decision.json").read_text())
    assert (written["promoted"], written["by"], written["time"]) == (False, "ann", WHEN.isoformat())
    assert written["reasons"] == list(refused.reasons)
    assert "Refused" in (model / "card.md").read_text()
    lineage = json.loads((model / "lineage.json").read_text())
    (model / "lineage.json").write_text(json.dumps(lineage | {"evidence": content()["evidence"]}))
    granted = promote(model, " bob ", now=lambda: WHEN)
    assert (granted.promoted, granted.by) == (True, "bob")
    assert (
        json.loads((model / "decision.json").read_text())["weights_sha256"]
        == (lineage["weights_sha256"])
    )
    assert states("models.card_promoted", (model / "card.md").read_text())


def test_weights_that_were_exchanged_are_refused(model):
    weights = model / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    with pytest.raises(ModelRefused, match=says("models.other_weights")):
        promote(model, "ann")


def test_a_name_and_a_model_are_needed(model, tmp_path):
    with pytest.raises(ModelRefused, match=says("models.name_needed")):
        promote(model, " ")
    with pytest.raises(ModelRefused, match=says("models.not_a_model")):
        checked_lineage(tmp_path)
    (model / "lineage.json").write_text("{}")
    with pytest.raises(ModelRefused, match=says("models.lineage_lacks")):
        promote(model, "ann")
