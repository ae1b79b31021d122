from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from segmentation.engines.motornet.network import MotorNet
from segmentation.engines.motornet.samples import flows_of
from segmentation.engines.motornet.train import (
    SHARES,
    Batches,
    Plan,
    batches,
    load_samples,
    loss_of,
    train,
    write_weights,
)
from tests.messages import says

PLAN = Plan(steps=4, batch=2, side=32)


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(0)
    made = {}
    for kind, known, present in (
        ("nuclei", (1, 0, 0, 0), (1, 0, 0)),
        ("phantom", (1, 1, 1, 1), (1, 1, 1)),
    ):
        nucleus = np.zeros((64, 64), np.int32)
        nucleus[20:40, 20:40] = 1
        flows = flows_of(nucleus)
        made[kind] = [
            {
                "image": rng.random((3, 64, 64)).astype(np.float16),
                "truth": 15 * nucleus.astype(np.uint8),
                "flows": np.concatenate([flows, flows]),
                "known": np.array(known, bool),
                "present": np.array(present, bool),
            }
        ]
    return made


def test_a_killed_training_ends_with_the_same_weights(samples, tmp_path):
    def weights(out):
        write_weights(train(samples, PLAN, out, device="cpu", every=2), PLAN, out / "w.safetensors")
        return (out / "w.safetensors").read_bytes()

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    expected = weights(whole)
    from segmentation.engines.motornet import train as module

    class Killed(Exception):
        pass

    steps = []

    def until_third(*arguments):
        steps.append(1)
        if len(steps) == 3:
            raise Killed
        return loss_of(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "loss_of", until_third)
        with pytest.raises(Killed):
            weights(killed)
    assert weights(killed) == expected


def test_a_checkpoint_of_another_plan_is_refused(samples, tmp_path):
    train(samples, PLAN, tmp_path, device="cpu")
    with pytest.raises(ValueError, match=says("motornet.checkpoint_of_another_plan")):
        train(samples, Plan(steps=5, batch=2, side=32), tmp_path, device="cpu")


def test_no_samples_say_how_to_make_them(tmp_path):
    with pytest.raises(FileNotFoundError, match=says("motornet.no_samples")):
        load_samples(tmp_path)


def test_unknown_truth_weighs_nothing():
    generator = torch.Generator().manual_seed(0)
    flows, logits = (
        torch.randn(1, 4, 16, 16, generator=generator),
        torch.randn(1, 4, 32, 32, generator=generator),
    )
    wanted, known = torch.zeros(1, 4, 32, 32), torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    changed = logits.clone()
    changed[:, 1:] += 3
    no_flow, sure = torch.zeros(1, 4, 16, 16), torch.ones(1, 32, 32)
    base = loss_of(flows, logits, wanted, no_flow, known, sure)
    assert loss_of(flows, changed, wanted, no_flow, known, sure) == base
    changed[:, 0] += 3
    assert loss_of(flows, changed, wanted, no_flow, known, sure) > base


def test_pixels_that_are_not_sure_weigh_nothing_for_neurites_only():
    generator = torch.Generator().manual_seed(0)
    flows, logits = (
        torch.randn(1, 4, 16, 16, generator=generator),
        torch.randn(1, 4, 32, 32, generator=generator),
    )
    wanted, known, no_flow = torch.zeros(1, 4, 32, 32), torch.ones(1, 4), torch.zeros(1, 4, 16, 16)
    sure = torch.ones(1, 32, 32)
    sure[:, :16] = 0
    base = loss_of(flows, logits, wanted, no_flow, known, sure)
    for channel in range(4):
        changed = logits.clone()
        changed[:, channel, :16] += 3
        moved = loss_of(flows, changed, wanted, no_flow, known, sure) != base
        assert bool(moved) == (channel != 2)
    # Nor has what is wanted there.
    wanted[:, 2, :16] = 1
    assert loss_of(flows, logits, wanted, no_flow, known, sure) == base


def test_a_batch_is_made_of_all_kinds_and_is_the_same_in_any_process(samples):
    every_kind = samples | dict.fromkeys(("negative", "traced"), samples["phantom"])
    plan = Plan(steps=2, batch=16, side=32)
    kinds = Batches(every_kind, plan).kinds
    assert {kind: kinds.count(kind) for kind in SHARES} == SHARES
    assert Batches(samples, plan).kinds.count("nuclei") == SHARES["nuclei"]
    assert Batches(samples, plan).kinds.count("phantom") == 16 - SHARES["nuclei"]
    alone, apart = (list(batches(every_kind, plan, 0, workers)) for workers in (0, 2))
    assert len(alone) == len(apart) == 2
    for one, other in zip(alone, apart, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_no_process_is_forked_while_opencv_has_threads(samples, monkeypatch):
    """A forked process would wait for threads that it does not have, now and then for ever."""
    at_fork, start = [], DataLoader.__iter__

    def noted(loader):
        at_fork.append(cv2.getNumThreads())
        return start(loader)

    monkeypatch.setattr(DataLoader, "__iter__", noted)
    cv2.setNumThreads(2)
    made = batches(samples, Plan(steps=1, batch=2, side=32), 0, 1)
    assert (at_fork, cv2.getNumThreads()) == ([1], 2)
    assert len(list(made)) == 1


def test_a_training_goes_on_from_weights_of_any_width(samples, tmp_path):
    narrow = MotorNet((8, 8, 8, 8))
    write_weights(narrow, PLAN, tmp_path / "narrow.safetensors")
    plan = Plan(steps=1, batch=2, side=32, rate=1e-9)
    network = train(samples, plan, tmp_path, device="cpu", start=tmp_path / "narrow.safetensors")
    assert torch.allclose(network.head.weight, narrow.head.weight, atol=1e-6)
