from __future__ import annotations

import json
import shutil

import pytest

import segmentation
from segmentation.engines.model_folder import CANDIDATE, own_models
from segmentation.engines.weights import (
    MOTORNET_SHA256,
    WeightsError,
    inherited,
    local_checkpoint,
    motornet_path,
)
from tests.messages import says, states

PROMOTED = "promoted by ann on 2026-05-04"


@pytest.fixture
def folder(tmp_path):
    """A model with the shipped weights."""
    model = tmp_path / "models" / "assay-1"
    model.mkdir(parents=True)
    shutil.copy(motornet_path(), model / "weights.safetensors")
    content = {
        "name": "assay-1",
        "licence": "BSD-3-Clause, of the weights that it began from",
        "training_data": "phantoms; 8 traced fields",
        "origin": "imaging-service models train",
        "weights_sha256": MOTORNET_SHA256,
    }
    (model / "lineage.json").write_text(json.dumps(content))
    return model


def decide(folder, **more):
    decision = {
        "promoted": True,
        "by": "ann",
        "time": "2026-05-04T12:00:00+00:00",
        "weights_sha256": MOTORNET_SHA256,
    }
    (folder / "decision.json").write_text(json.dumps(decision | more))


def test_a_promoted_model_is_an_engine_with_its_card(folder):
    decide(folder)
    engine = segmentation.load(f"motornet:{folder}", device="cpu", sha256=MOTORNET_SHA256)
    described = engine.describe()
    assert described["engine"] == f"motornet:{folder}"
    lineage = json.loads((folder / "lineage.json").read_text())
    lineage["sha256"] = lineage.pop("weights_sha256")
    assert described["checkpoint"] == lineage | {"promotion": PROMOTED}


@pytest.mark.parametrize("decision", [None, {"promoted": False}, {"weights_sha256": "0" * 64}])
def test_a_model_that_is_not_promoted_is_refused(folder, decision):
    if decision is not None:
        decide(folder, **decision)
    with pytest.raises(WeightsError, match=says("weights.not_promoted")):
        segmentation.load(f"motornet:{folder}", device="cpu")
    # Its weights can be tried, and the record says what they are.
    candidate = local_checkpoint(folder / "weights.safetensors")
    assert (candidate.name, candidate.promotion) == ("assay-1", CANDIDATE)


def test_a_pinned_digest_holds_for_a_model_too(folder):
    decide(folder)
    with pytest.raises(WeightsError, match=says("weights.pinned")):
        local_checkpoint(folder, pinned_sha256="0" * 64)


def test_weights_that_were_exchanged_are_refused(folder):
    decide(folder)
    lineage = json.loads((folder / "lineage.json").read_text())
    (folder / "lineage.json").write_text(json.dumps(lineage | {"weights_sha256": "1" * 64}))
    with pytest.raises(WeightsError, match=says("weights.lineage_of_others")):
        local_checkpoint(folder)


def test_a_damaged_folder_is_refused(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(WeightsError, match=says("models.not_a_model")):
        local_checkpoint(tmp_path / "empty")
    (folder / "decision.json").write_text("{")
    with pytest.raises(WeightsError, match=says("weights.decision_unreadable")):
        local_checkpoint(folder)
    (folder / "lineage.json").write_text("[]")
    with pytest.raises(WeightsError, match=says("models.lineage_lacks")):
        local_checkpoint(folder)


def test_own_models_are_listed_by_name(folder, tmp_path):
    shutil.copytree(folder, folder.with_name("assay-0"))
    decide(folder)
    (folder.parent / "notes").mkdir()
    listed = own_models(folder.parent)
    assert [(m.folder.name, m.promotion) for m in listed] == [
        ("assay-0", ""),
        ("assay-1", PROMOTED),
    ]
    assert own_models(tmp_path / "nowhere") == []


def test_a_laboratorys_cellpose_checkpoint_inherits_the_non_commercial_licence(tmp_path):
    (tmp_path / "own").write_bytes(b"weights")
    licence = inherited(local_checkpoint(tmp_path / "own")).licence
    assert states("weights.no_commercial_use", licence)
