from __future__ import annotations

import json
import shutil
from types import SimpleNamespace

import pytest

from imaging_service.errors import ModelRefused, StoreError
from imaging_service.models import whole_plates as module
from imaging_service.models.whole_plates import checked_run, whole_plates
from imaging_service.review.local import LocalRun
from tests.messages import says


def content(run, *, learnt=(), weights=""):
    """A lineage as far as whole plates are concerned."""
    digest = LocalRun(run).record["plate_digest"]
    train = [{"plate_digest": digest, "well": w} for w in learnt]
    return {"split": {"train": train}, "parent": {"name": "motornet", "sha256": weights}}


def test_a_plate_that_was_learnt_from_is_refused(small_run):
    with pytest.raises(ModelRefused, match=says("models.plate_was_learnt_from")):
        checked_run(LocalRun(small_run), content(small_run, learnt=("B03", "B02")))
    assert checked_run(LocalRun(small_run), content(small_run)).plate_name == "Small-1"


def test_a_run_of_another_network_is_refused(small_run):
    with pytest.raises(ModelRefused, match=says("models.run_of_another_network")):
        checked_run(LocalRun(small_run), content(small_run, weights="ab" * 32))


def test_a_run_without_its_record_cannot_be_compared(own_run):
    shutil.rmtree(own_run / "work")
    with pytest.raises(StoreError, match=says("models.run_without_record")):
        checked_run(LocalRun(own_run), content(own_run))


def test_the_plate_is_analysed_by_the_candidate_and_compared(small_run, tmp_path, monkeypatch):
    asked = SimpleNamespace()

    def analyze(read, out, *, device, progress):
        asked.inputs, asked.out, asked.device = read(), out, device
        shutil.copytree(small_run, out)

    monkeypatch.setattr(module, "analyze", analyze)
    shifts = whole_plates(tmp_path, content(small_run), [small_run], device="cpu")
    assert asked.inputs.engine == f"motornet:{tmp_path / 'weights.safetensors'}"
    assert asked.inputs.protocol.segmentation.checkpoint_sha256 is None
    run_id = json.loads((small_run / "run.json").read_text())["run_id"]
    assert asked.out == tmp_path / "plates" / run_id[:12]
    by_name = {s.phenotype: s for s in shifts["Small-1"]}
    assert (by_name["live_density"].bias, by_name["live_density"].n) == (0, 6)
    assert by_name["nc_log2"].bias == 0
    assert by_name["log10_ec50"].bias is None
