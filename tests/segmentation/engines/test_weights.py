from __future__ import annotations

import hashlib

import pytest

from segmentation.engines import weights
from segmentation.engines.weights import (
    WeightsError,
    known_models,
    motornet_checkpoint,
    pull_model,
    sha256_of,
    verify_model,
)
from tests.messages import says, states


@pytest.fixture
def cellpose_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CELLPOSE_LOCAL_MODELS_PATH", str(tmp_path))
    return tmp_path


@pytest.fixture
def checkpoint(tmp_path):
    import torch

    path = tmp_path / "own.pt"
    torch.save({"weight": torch.zeros(3)}, path)
    return path


def test_the_shipped_weights_are_the_released_ones_and_small():
    found = motornet_checkpoint()
    assert found.sha256 == weights.MOTORNET_SHA256 == sha256_of(weights.motornet_path())
    assert weights.motornet_path().stat().st_size <= 16 * 2**20
    assert found.licence == "BSD-3-Clause"
    card = (weights.motornet_path().parent / "README.md").read_text(encoding="utf-8")
    sources = ("Data Science Bowl 2018", "phantoms", "BBBC013", "CellProfiler's examples", "MIT")
    for text in (card, found.training_data):
        assert [source for source in sources if source not in text] == []


def test_the_shipped_weights_figures_are_those_of_their_card():
    card = (weights.motornet_path().parent / "README.md").read_text(encoding="utf-8")
    assert len(weights.MOTORNET_FIGURES) == 5
    for figure in weights.MOTORNET_FIGURES.values():
        assert figure in card.replace("**", "")


def test_a_byte_flipped_in_the_shipped_weights_is_noticed(tmp_path, monkeypatch):
    changed = bytearray(weights.motornet_path().read_bytes())
    changed[-1] ^= 1
    copy = tmp_path / "motornet.safetensors"
    copy.write_bytes(changed)
    monkeypatch.setattr(weights, "motornet_path", lambda: copy)
    with pytest.raises(WeightsError, match=says("weights.pinned")):
        motornet_checkpoint()


def test_every_model_has_a_licence_and_says_whether_it_is_commercial(cellpose_folder):
    models = {m.engine: m for m in known_models()}
    assert set(models) == {
        "motornet",
        "cellpose:cpsam_v2",
        "cellpose:cpsam",
        "cellpose:cpdino",
        "cellpose:cpdino-vitb",
    }
    assert all(
        states("weights.no_commercial_use", m.card.licence)
        for name, m in models.items()
        if name.startswith("cellpose")
    )
    assert models["motornet"].sha256 == weights.MOTORNET_SHA256
    assert models["cellpose:cpsam"].sha256 is None


def test_the_digest_of_the_first_load_binds_all_later_ones(cellpose_folder):
    from segmentation.engines.weights import cellpose_checkpoint

    (cellpose_folder / "cpsam").write_bytes(b"first")
    assert cellpose_checkpoint("cpsam").sha256 == hashlib.sha256(b"first").hexdigest()
    assert {m.engine: m.sha256 for m in known_models()}["cellpose:cpsam"] == hashlib.sha256(
        b"first"
    ).hexdigest()
    (cellpose_folder / "cpsam").write_bytes(b"second")
    with pytest.raises(WeightsError, match=says("weights.pinned")):
        cellpose_checkpoint("cpsam")


def test_pull_knows_what_can_be_pulled(cellpose_folder):
    assert pull_model("motornet").sha256 == weights.MOTORNET_SHA256
    with pytest.raises(
        WeightsError,
        match=says("weights.cannot_be_pulled", named="classical"),
    ):
        pull_model("classical")


def test_verify(cellpose_folder, checkpoint):
    _, against = verify_model("motornet")
    assert states("weights.is_pinned", against)
    own, against = verify_model(str(checkpoint))
    assert states("weights.not_compared", against)
    assert states("weights.is_given", verify_model(f"cellpose:{checkpoint}", own.sha256)[1])
    with pytest.raises(WeightsError, match=says("weights.pinned")):
        verify_model(str(checkpoint), "0" * 64)
    with pytest.raises(
        WeightsError,
        match=says("weights.not_here"),
    ):
        verify_model("cellpose:cpsam")


@pytest.mark.parametrize("name", ["trap.pt", "trap.safetensors"])
def test_a_file_that_is_no_table_of_weights_is_refused(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(WeightsError):
        verify_model(str(path))
