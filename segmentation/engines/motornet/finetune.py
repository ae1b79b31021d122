"""Train shipped weights further on a laboratory's own fields, among samples that are frozen.

Every batch is half the laboratory's and half frozen samples, so that what was learnt is not
forgotten, and the statistics of the batch normalisation stay those of the shipped weights: a few
fields are too few to estimate them from. After every `every` steps the averaged network is
evaluated. Where it forgot too much, so are networks on the straight line from it back to the
weights that it began from, which forget less and keep most of what was learnt (Wortsman et al.,
CVPR 2022). The best one is kept, and training stops when `patience` evaluations brought no better
one. A training that was killed goes on from its last evaluation with the same numbers.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from segmentation.engines.motornet.augment import Sample, augment
from segmentation.engines.motornet.network import MotorNet
from segmentation.engines.motornet.train import Plan, follow, loss_of, write_weights

CHECKPOINT, BEST = "checkpoint.pt", "weights.safetensors"
# Share of the laboratory's samples in a batch.
_TRACED = 1 / 2
_WARM_UP = 20
# How far from the start to the trained network, where that one forgot too much.
_SHARES = (1.0, 0.5, 0.25)


@dataclass(frozen=True)
class FinePlan(Plan):
    """What decides the weights, apart from the samples."""

    steps: int = 600
    batch: int = 8
    rate: float = 2e-4
    average: float = 0.98
    samples: str = ""  # digest of what it is trained on
    every: int = 50
    patience: int = 4


@dataclass(frozen=True)
class Evaluated:
    """One evaluation: `score` decides which network is kept, `row` goes into the curve.

    `forgot` says that the network lost more of the frozen benchmark than it may.
    """

    score: float
    row: Mapping[str, float | None]
    forgot: bool = False


@dataclass(frozen=True)
class Trained:
    """How a training ended: the curve, the step whose weights were kept, and why it stopped."""

    curve: tuple[dict[str, float | None], ...]
    best_step: int
    ended: str


def finetune(
    traced: Sequence[Sample],
    frozen: Sequence[Sample],
    plan: FinePlan,
    start: Path,
    out: Path,
    evaluate: Callable[[MotorNet], Evaluated],
    *,
    device: str = "cpu",
    seen: Callable[[Sequence[dict[str, float | None]]], None] = lambda curve: None,
) -> Trained:
    """Train from `start`; the weights with the best score are OUT/weights.safetensors.

    The first row of the curve, step 0, is the network as it was. `seen` is called with
    the curve after each evaluation.
    Raises ValueError for a checkpoint of another plan in `out`.
    """
    torch.manual_seed(plan.seed)
    given = load_file(start)
    network = MotorNet.like(given)
    network.load_state_dict(given, strict=False)
    network = network.to(device, memory_format=torch.channels_last)
    began: MotorNet = copy.deepcopy(network)
    average: MotorNet = copy.deepcopy(network)
    optimizer = torch.optim.AdamW(network.parameters(), lr=plan.rate, weight_decay=plan.decay)
    checkpoint = out / CHECKPOINT
    curve: list[dict[str, float | None]] = []
    first, best, best_step = 0, float("-inf"), 0
    if checkpoint.exists():
        state: dict[str, Any] = torch.load(checkpoint, map_location=device, weights_only=True)
        if state["plan"] != asdict(plan):
            raise ValueError(
                f"{checkpoint} belongs to another plan: {state['plan']}; use another --out"
            )
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        curve, first = state["curve"], state["step"]
        best, best_step = state["best"], state["best_step"]
    else:
        curve.append(_row(0, None, evaluate(average)))
        seen(curve)
    _frozen_statistics(network)
    losses: list[float] = []
    ended = _end(plan, first, best_step)
    for step, batch in enumerate(
        () if ended else _batches(traced, frozen, plan, first), start=first + 1
    ):
        for group in optimizer.param_groups:
            group["lr"] = plan.rate * _course(step, plan.steps)
        images, *truth = (part.to(device) for part in batch)
        with torch.autocast(device, torch.bfloat16):
            flows, logits = network(images.to(memory_format=torch.channels_last))
        loss = loss_of(flows.float(), logits.float(), *truth)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        follow(average, network, min(plan.average, step / (step + 10)))
        losses.append(float(loss.detach()))
        if step % plan.every and step != plan.steps:
            continue
        share, kept, answer = _least_forgetful(began, average, evaluate)
        curve.append(_row(step, float(np.mean(losses)), answer, share))
        seen(curve)
        losses = []
        if answer.score > best:
            best, best_step = answer.score, step
            write_weights(kept, plan, out / BEST)
        _save(
            checkpoint,
            {
                "plan": asdict(plan),
                "step": step,
                "network": network.state_dict(),
                "average": average.state_dict(),
                "optimizer": optimizer.state_dict(),
                "curve": curve,
                "best": best,
                "best_step": best_step,
            },
        )
        ended = _end(plan, step, best_step)
        if ended:
            break
    return Trained(tuple(curve), best_step, ended)


def _least_forgetful(
    began: MotorNet, average: MotorNet, evaluate: Callable[[MotorNet], Evaluated]
) -> tuple[float, MotorNet, Evaluated]:
    """The first network on the way back to the start that did not forget.

    The best one where all did.
    """
    tried = []
    for share in _SHARES:
        mixed = copy.deepcopy(average)
        follow(mixed, began, share)
        answer = evaluate(mixed)
        tried.append((share, mixed, answer))
        if not answer.forgot:
            return tried[-1]
    return max(tried, key=lambda one: one[2].score)


def _row(
    step: int, loss: float | None, answer: Evaluated, share: float = 0.0
) -> dict[str, float | None]:
    row: dict[str, float | None] = {"step": step, "loss": loss, "share": share}
    return row | dict(answer.row)


def _end(plan: FinePlan, step: int, best_step: int) -> str:
    """Why training ends after a step; empty where it goes on."""
    if best_step and step - best_step >= plan.patience * plan.every:
        return f"{plan.patience} evaluations brought no better network"
    return "all steps were taken" if step >= plan.steps else ""


def _course(step: int, steps: int) -> float:
    """Share of the learning rate: a short rise, then half a cosine down to a tenth."""
    rise = min(1.0, step / _WARM_UP)
    return float(rise * (0.55 + 0.45 * np.cos(np.pi * min(1.0, step / steps))))


def _frozen_statistics(network: MotorNet) -> None:
    network.train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


def _batches(
    traced: Sequence[Sample], frozen: Sequence[Sample], plan: FinePlan, first: int
) -> Iterator[tuple[Tensor, ...]]:
    """Batches from step `first` on; step n draws the same whatever came before it."""

    def make(step: int) -> tuple[Tensor, ...]:
        rng = np.random.default_rng([plan.seed, step])
        chosen = []
        for i in range(plan.batch):
            kind = traced if i < round(_TRACED * plan.batch) else frozen
            chosen.append(augment(kind[int(rng.integers(len(kind)))], rng, plan.side))
        return tuple(torch.from_numpy(np.stack(parts)) for parts in zip(*chosen, strict=True))

    with ThreadPoolExecutor(1) as ahead:
        waiting = ahead.submit(make, first)
        for step in range(first, plan.steps):
            ready = waiting.result()
            if step + 1 < plan.steps:
                waiting = ahead.submit(make, step + 1)
            yield ready


def _save(path: Path, state: dict[str, Any]) -> None:
    temporary = path.with_suffix(".tmp")
    torch.save(state, temporary)
    temporary.rename(path)
