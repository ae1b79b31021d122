from __future__ import annotations

import hashlib
import pickle

import numpy as np
import pytest

from segmentation import Field, load, segment_all
from segmentation.engines.cellpose import halving
from segmentation.engines.weights import WeightsError
from segmentation.filters.labels import link_somas
from tests.messages import says, states

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"
)


def test_somas_take_the_label_of_their_nucleus():
    nuclei = np.zeros((20, 40), np.int32)
    nuclei[5:10, 5:10], nuclei[5:10, 25:30] = 1, 2
    bodies = np.zeros_like(nuclei)
    bodies[2:14, 22:34], bodies[2:14, 2:14], bodies[16:19, 16:19] = 1, 2, 3
    linked = link_somas(bodies, nuclei)
    assert linked[7, 7] == 1
    assert linked[7, 27] == 2
    assert linked[17, 17] == 0  # no nucleus, no neuron


def test_a_linked_nucleus_lies_wholly_in_its_soma():
    nuclei, bodies = np.zeros((2, 20, 20), np.int32)
    nuclei[5:12, 5:12] = 1
    bodies[8:18, 4:14] = 7
    assert (link_somas(bodies, nuclei)[nuclei == 1] == 1).all()


def test_two_bodies_cannot_both_have_the_nucleus():
    nuclei, bodies = np.zeros((2, 10, 20), np.int32)
    nuclei[2:8, 5:15] = 1
    bodies[:, :9], bodies[:, 9:] = 1, 2
    linked = link_somas(bodies, nuclei)
    assert linked[0, 0] == 0
    assert linked[0, 19] == 1


class Full(RuntimeError):
    pass


@pytest.mark.parametrize(("fits", "tried"), [(64, [64]), (40, [64, 32]), (16, [64, 32, 16])])
def test_the_batch_is_halved_twice_at_most(fits, tried):
    seen = []

    def run(batch):
        seen.append(batch)
        if batch > fits:
            raise Full("out of memory")
        return batch

    assert halving(run, 64, Full) == tried[-1]
    assert seen == tried


def test_a_device_that_is_too_small_is_the_machines_fault():
    def run(batch):
        raise Full("out of memory")

    with pytest.raises(MemoryError, match=says("cellpose.out_of_memory", tiles="16")):
        halving(run, 64, Full)
    with pytest.raises(MemoryError, match=says("cellpose.out_of_memory", tiles="1")):
        halving(run, 1, Full)


@pytest.mark.slow
class TestCheckpoints:
    def test_unknown_names_and_absent_files(self, tmp_path):
        with pytest.raises(WeightsError, match=says("cellpose.unknown_model")):
            load("cellpose:cyto9", device="cpu")
        with pytest.raises(WeightsError, match=says("cellpose.no_checkpoint")):
            load(f"cellpose:{tmp_path / 'none.pt'}", device="cpu")

    def test_a_published_name_without_network_says_where_to_put_the_file(
        self, tmp_path, monkeypatch
    ):
        from cellpose import models

        def no_network(*_args, **_more):
            raise OSError("Network is unreachable")

        monkeypatch.setenv("CELLPOSE_LOCAL_MODELS_PATH", str(tmp_path))
        monkeypatch.setattr(models, "cache_model_path", no_network)
        with pytest.raises(
            WeightsError,
            match=(says("cellpose.not_downloaded")),
        ):
            load("cellpose:cpsam_v2", device="cpu")

    def test_a_pickle_is_refused_and_not_run(self, tmp_path):
        canary = tmp_path / "ran"

        class Trap:
            def __reduce__(self):
                return (canary.write_text, ("ran",))

        path = tmp_path / "trap.pt"
        path.write_bytes(pickle.dumps(Trap()))
        with pytest.raises(WeightsError, match=says("cellpose.checkpoint_not_plain_weights")):
            load(f"cellpose:{path}", device="cpu")
        assert not canary.exists()

    def test_another_digest_than_the_pinned_is_refused(self, tmp_path):
        path = tmp_path / "w.pt"
        path.write_bytes(b"weights")
        with pytest.raises(WeightsError, match=says("weights.pinned")):
            load(f"cellpose:{path}", device="cpu", sha256="0" * 64)

    def test_cuda_without_one_is_refused(self):
        import torch

        if torch.cuda.is_available():
            assert load  # a machine with a GPU cannot show the refusal
            return
        with pytest.raises(RuntimeError, match=says("cellpose.no_gpu")):
            load("cellpose:cpsam_v2", device="cuda")

    def test_a_checkpoint_of_the_true_architecture_segments(self, tmp_path):
        import torch
        from cellpose.vit import CPSAM

        from segmentation.phantoms.render import Culture, Optics, render

        torch.manual_seed(0)
        path = tmp_path / "own.pt"
        torch.save(CPSAM(dtype=torch.float32).state_dict(), path)
        engine = load(
            f"cellpose:{path}", device="cpu", sha256=hashlib.sha256(path.read_bytes()).hexdigest()
        )
        described = engine.describe()
        assert described["device"] == "cpu"
        assert described["checkpoint"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert states("weights.no_commercial_use", described["checkpoint"]["licence"])
        field = render(Culture(), Optics(shape=(224, 224)), 1).field
        labels = engine.segment(field).labels
        # Random weights find what they find; names, shapes and links must hold all the same.
        assert set(labels) == {"nuclei", "somas", "neurites", "puncta"}
        assert labels["nuclei"].shape == (224, 224)
        assert set(np.unique(labels["somas"])) <= set(np.unique(labels["nuclei"])) | {0}
        # Beside another field the labels are the same, and each is normalised by itself.
        dna = Field(field.channel("dna")[None], ("dna",), field.pixel_size_um)
        brighter = Field(dna.pixels * 3 + 500, ("dna",), field.pixel_size_um)
        together = [s.labels["nuclei"] for s in segment_all(engine, [dna, brighter])]
        assert np.array_equal(together[0], labels["nuclei"])
        assert together[1].max() == together[0].max()
