from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from segmentation.engines.motornet import finetune as module
from segmentation.engines.motornet.finetune import BEST, Evaluated, FinePlan, finetune
from segmentation.engines.motornet.network import MotorNet
from segmentation.engines.motornet.train import Plan, write_weights
from tests.messages import says, states

PLAN = FinePlan(steps=6, batch=2, side=32, every=2, patience=2)


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(0)
    truth = np.zeros((64, 64), np.uint8)
    truth[20:40, 20:40] = 15
    return [
        {
            "image": rng.random((3, 64, 64)).astype(np.float16),
            "truth": truth,
            "flows": rng.random((4, 32, 32)).astype(np.float16),
            "known": np.ones(4, bool),
            "present": np.ones(3, bool),
        }
    ]


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    path = tmp_path_factory.mktemp("start") / "narrow.safetensors"
    torch.manual_seed(0)
    write_weights(MotorNet((8, 8, 8, 8)), Plan(), path)
    return path


def scores(*values):
    """An evaluation that gives one value after the other, step 0 first."""
    left = list(values)
    return lambda network: Evaluated(left[0], {"score": left.pop(0)})


def test_the_best_network_is_kept_and_the_curve_says_which(samples, start, tmp_path):
    done = finetune(samples, samples, PLAN, start, tmp_path, scores(0.5, 0.6, 0.9, 0.7))
    assert [(row["step"], row["score"]) for row in done.curve] == [
        (0, 0.5),
        (2, 0.6),
        (4, 0.9),
        (6, 0.7),
    ]
    assert done.best_step == 4
    assert states("motornet.all_steps", done.ended)
    other = tmp_path / "last"
    other.mkdir()
    finetune(samples, samples, PLAN, start, other, scores(0.5, 0.6, 0.7, 0.9))
    kept, last = load_file(tmp_path / BEST), load_file(other / BEST)
    assert not torch.equal(kept["head.weight"], last["head.weight"])


def test_a_network_that_forgot_is_drawn_back_to_where_it_began(samples, start, tmp_path):
    networks, answers = [], [Evaluated(0.5, {})]
    # Of the first evaluation the quarter keeps enough; of the others none does, the half is best.
    for values in ((-0.1, -0.2, 0.6), (-0.3, -0.1, -0.2), (-0.3, -0.1, -0.2)):
        answers += [Evaluated(v, {"score": v}, v < 0) for v in values]

    def evaluate(network):
        networks.append(network.head.weight.detach().clone())
        return answers.pop(0)

    done = finetune(samples, samples, PLAN, start, tmp_path, evaluate)
    assert [(row["share"], row.get("score")) for row in done.curve] == [
        (0.0, None),
        (0.25, 0.6),
        (0.5, -0.1),
        (0.5, -0.1),
    ]
    began, whole, half, quarter = networks[:4]
    assert torch.allclose(half - began, (whole - began) / 2, atol=1e-7)
    assert torch.allclose(quarter - began, (whole - began) / 4, atol=1e-7)
    assert torch.equal(load_file(tmp_path / BEST)["head.weight"], quarter)


def test_it_stops_when_nothing_gets_better(samples, start, tmp_path):
    plan = replace(PLAN, steps=100)
    done = finetune(samples, samples, plan, start, tmp_path, scores(0.5, 0.6, 0.5, 0.4))
    assert (done.best_step, len(done.curve)) == (2, 4)
    assert states("motornet.no_better_network", done.ended)
    # Called again it is still at its end, and evaluates nothing.
    again = finetune(samples, samples, plan, start, tmp_path, scores())
    assert again == done


def test_a_killed_training_ends_with_the_same_weights(samples, start, tmp_path, monkeypatch):
    def weights(out, *values):
        finetune(samples, samples, PLAN, start, out, scores(*values))
        return (out / BEST).read_bytes()

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    expected = weights(whole, 0.5, 0.6, 0.7, 0.8)

    class Killed(Exception):
        pass

    calls = []
    real = module.loss_of

    def until_fifth(*arguments):
        calls.append(1)
        if len(calls) == 4:
            raise Killed
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(module, "loss_of", until_fifth)
        with pytest.raises(Killed):
            weights(killed, 0.5, 0.6, 0.7, 0.8)
    assert weights(killed, 0.7, 0.8) == expected


def test_other_samples_are_another_plan(samples, start, tmp_path):
    finetune(samples, samples, PLAN, start, tmp_path, scores(1, 2, 3, 4))
    with pytest.raises(ValueError, match=says("motornet.checkpoint_of_another_plan")):
        finetune(samples, samples, replace(PLAN, samples="ab"), start, tmp_path, scores())


def test_the_statistics_of_the_shipped_weights_stay(samples, start, tmp_path):
    finetune(samples, samples, PLAN, start, tmp_path, scores(1, 2, 3, 4))
    before, after = load_file(start), load_file(tmp_path / BEST)
    statistics = [n for n in before if n.endswith(("running_mean", "running_var"))]
    assert statistics
    assert all(torch.allclose(before[n], after[n]) for n in statistics)
    assert not torch.equal(before["head.weight"], after["head.weight"])
