from __future__ import annotations

import csv
import json

import pytest

from imaging_service.errors import EngineError, ModelRefused
from imaging_service.models import training
from imaging_service.models.scores import score
from imaging_service.models.training import accuracy, train_model
from segmentation.engines.weights import sha256_of
from tests.imaging_service.models.conftest import EFFORT
from tests.imaging_service.models.drawn_fields import four_plates, traced
from tests.messages import says


def lineage(folder):
    return json.loads((folder / "lineage.json").read_text())


def test_a_model_is_a_folder_of_weights_and_where_they_come_from(trained, narrow):
    assert {p.name for p in trained.iterdir() if not p.name.startswith(".")} == {
        "weights.safetensors",
        "lineage.json",
        "curve.csv",
        "card.md",
    }
    content = lineage(trained)
    assert content["weights_sha256"] == sha256_of(trained / "weights.safetensors")
    assert content["parent"]["sha256"] == sha256_of(narrow)
    assert content["split"]["level"] == "plate and line"
    every = content["split"]["train"] + content["split"]["held_out"]
    assert len(every) == 8
    assert {(f["revision"], f["label_version"], f["consent"]) for f in every} == {(3, 2, "")}
    assert every[0]["traced"] == {
        "nuclei": "corrected",
        "somas": "accepted",
        "neurites": "corrected",
    }
    assert content["consent"] == {"L0": "unknown", "L1": "unknown"}
    assert content["left_out"] == ["P9: NMDS"]
    assert content["seeds"] == {"training": 0, "frozen": 7_000_000, "benchmark": 9_000_000}
    assert content["packages"]["torch"]
    assert set(content["evidence"]) == {"before", "after", "phenotypes"}


def test_the_curve_has_the_held_out_plates_and_the_frozen_benchmark(trained):
    rows = list(csv.DictReader((trained / "curve.csv").read_text().splitlines()))
    assert [r["step"] for r in rows] == ["0", "1", "2"]
    assert {"held_out_neurite_f1", "held_out_length_error", "frozen_neurite_f1"} <= set(rows[0])
    best = max(rows[1:], key=lambda r: float(r["held_out_accuracy"]))
    content = lineage(trained)
    assert float(best["held_out_accuracy"]) == pytest.approx(
        content["evidence"]["after"]["accuracy"], abs=1e-5
    )


def test_a_killed_training_ends_with_the_same_weights(trained, narrow, tmp_path, monkeypatch):
    class Killed(Exception):
        pass

    seen = []

    def say(text):
        seen.append(text)
        if text.startswith("step 1"):
            raise Killed

    out = tmp_path / "killed"
    arguments = {"start": narrow, "device": "cpu", "effort": EFFORT}
    with pytest.raises(Killed):
        train_model(four_plates(), out, say=say, **arguments)
    # Between the weights and the lineage, which is the commit point.
    with monkeypatch.context() as patch:
        patch.setattr(training, "write_card", lambda _: (_ for _ in ()).throw(Killed))
        patch.setattr(training, "_lineage", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            train_model(four_plates(), out, **arguments)
    train_model(four_plates(), out, **arguments)
    assert (out / "weights.safetensors").read_bytes() == (
        trained / "weights.safetensors"
    ).read_bytes()
    assert (out / "curve.csv").read_text() == (trained / "curve.csv").read_text()


def test_a_folder_with_a_model_is_refused(trained):
    with pytest.raises(ModelRefused, match=says("models.holds_a_model")):
        train_model(four_plates(), trained)


def test_without_a_field_every_reason_is_given(tmp_path):
    with pytest.raises(ModelRefused, match=says("models.no_field")):
        train_model([], tmp_path / "m", left_out=["P1 B02 field 1: NMDS"])


def test_weights_of_another_kind_are_refused(tmp_path):
    import torch
    from safetensors.torch import save_file

    save_file({"encoder.weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(ModelRefused, match=says("weights.not_of_motornet")):
        train_model(four_plates(), tmp_path / "m", start=tmp_path / "other.safetensors")
    with pytest.raises(ModelRefused, match=says("weights.no_checkpoint")):
        train_model(four_plates(), tmp_path / "m", start=tmp_path / "none.safetensors")


def test_a_gpu_that_is_not_there_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(EngineError, match=says("models.no_cuda_device")):
        train_model(four_plates(), tmp_path / "m", device="cuda")


def test_accuracy_is_the_mean_over_what_was_traced():
    field = traced()
    assert accuracy([score(field, field.labels)]) == 1
    # Nuclei and somas are missed, and so are neurites: nothing is right.
    assert accuracy([score(field, {})]) == 0
    only_nuclei = {"nuclei": field.labels["nuclei"]}
    assert accuracy([score(field, only_nuclei)]) == pytest.approx(1 / 3)
    lines = traced(traced={"neurites": "corrected"})
    assert accuracy([score(lines, lines.labels)]) == 1
