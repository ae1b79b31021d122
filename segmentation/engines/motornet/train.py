"""Train `motornet` from samples on disk: seeded, resumable, on a GPU where there is one.

    python -m segmentation.engines.motornet.train --samples SAMPLES --out FOLDER --steps 10000

Step n draws the same samples whatever came before it, so that a training that was killed and
started again with the same command continues from its last checkpoint with the next step. The
weights that are kept are an exponential average over the steps.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils.data import DataLoader

from segmentation.engines.motornet.augment import Sample, augment
from segmentation.engines.motornet.network import PROBABILITIES, MotorNet
from segmentation.engines.weights import sha256_of

# What a batch is made of, in sixteenths. A kind without samples leaves its part to the phantoms.
# Photographs with neurites are among them: where photographs are only ever without, "a photograph"
# is learnt as "no neurites".
SHARES = {"phantom": 4, "nuclei": 6, "traced": 3, "negative": 3}
# Kinds without which nothing would be learnt of nuclei, or of somas.
_NEEDED = ("nuclei", "phantom")
# Thin structures are few of the pixels: a missed one must weigh.
_POSITIVE_WEIGHT = (1.0, 1.0, 2.0, 10.0)
_FLOW_SCALE = 5.0
_NEURITES = PROBABILITIES.index("neurites")


@dataclass(frozen=True)
class Plan:
    """What decides the weights, apart from the samples."""

    steps: int = 10000
    batch: int = 8
    side: int = 256
    rate: float = 2e-3
    decay: float = 1e-3
    average: float = 0.998
    seed: int = 0
    start: str = ""  # sha256 of the weights that it starts from


def load_samples(folder: Path) -> dict[str, list[Sample]]:
    """Samples in memory, by kind (see SHARES), in name order.

    Raises FileNotFoundError if there are no phantoms or no nuclei.
    """
    samples_of: dict[str, list[Sample]] = {kind: [] for kind in SHARES}
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as stored:
            samples_of[path.name.split("-")[0]].append(dict(stored))
    for kind in _NEEDED:
        if not samples_of[kind]:
            raise FileNotFoundError(
                f"no {kind} samples in {folder}; make them with python -m"
                " segmentation.engines.motornet.samples"
            )
    return samples_of


class Batches:
    """Batch n of a plan: `augment`'s arrays, stacked; the same for every number of workers."""

    def __init__(self, samples: Mapping[str, Sequence[Sample]], plan: Plan) -> None:
        self.samples, self.plan = samples, plan
        kinds = [k for k, share in SHARES.items() for _ in range(share)]
        self.kinds = [k if samples.get(k) else "phantom" for k in kinds]

    def __getitem__(self, step: int) -> tuple[Tensor, ...]:
        """The batch of step `step`."""
        rng = np.random.default_rng([self.plan.seed, step])
        chosen = []
        for i in range(self.plan.batch):
            pool = self.samples[self.kinds[i * len(self.kinds) // self.plan.batch]]
            chosen.append(augment(pool[int(rng.integers(len(pool)))], rng, self.plan.side))
        return tuple(torch.from_numpy(np.stack(parts)) for parts in zip(*chosen, strict=True))


def batches(
    samples: Mapping[str, Sequence[Sample]], plan: Plan, first: int, workers: int = 1
) -> Iterator[tuple[Tensor, ...]]:
    """Batches from step `first` on, made ahead by `workers` processes (0: in this one).

    OpenCV's threads are ended before the processes are forked: a process has none of the threads
    of the one that it comes from, and waits for ever when it asks OpenCV to end them.
    """
    loader: Iterable[tuple[Tensor, ...]] = DataLoader(
        Batches(samples, plan),
        batch_size=None,
        sampler=range(first, plan.steps),
        num_workers=workers,
    )
    threads = cv2.getNumThreads()
    # What the processes inherit: threads of their own would fight for the others' cores.
    cv2.setNumThreads(1)
    try:
        return iter(loader)
    finally:
        cv2.setNumThreads(threads)


def loss_of(
    flows: Tensor,
    logits: Tensor,
    wanted: Tensor,
    wanted_flows: Tensor,
    known: Tensor,
    sure: Tensor,
) -> Tensor:
    """Cellpose's loss for nuclei and somas; cross entropy and Dice for neurites and puncta.

    Unknown truth has no weight, nor have pixels that are not `sure` to be neurite or not.
    """
    counted = torch.ones_like(wanted)
    counted[:, _NEURITES] = sure
    weight = torch.tensor(_POSITIVE_WEIGHT, device=logits.device)[None, :, None, None]
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(
        logits, wanted, weight=counted, pos_weight=weight, reduction="none"
    ).mean((2, 3))
    chance, wanted = torch.sigmoid(logits) * counted, wanted * counted
    both, either = (chance * wanted).sum((2, 3)), (chance + wanted).sum((2, 3))
    dice = 1 - (2 * both + 2) / (either + 2)
    pull = ((flows - _FLOW_SCALE * wanted_flows) ** 2).mean((2, 3)).reshape(-1, 2, 2).mean(2) / 2
    thin = torch.tensor([0.0, 0.0, 1.0, 1.0], device=logits.device)
    total = (known * (entropy + 0.5 * thin * dice)).sum() + (known[:, :2] * pull).sum()
    return total / known.sum().clamp(min=1)


def train(
    samples: Mapping[str, Sequence[Sample]],
    plan: Plan,
    out: Path,
    *,
    device: str,
    every: int = 250,
    start: Path | None = None,
    workers: int = 1,
) -> MotorNet:
    """Train, from `start` if given; returns the averaged network.

    A checkpoint is written to `out` every `every` steps. `workers` processes make the batches.
    """
    torch.manual_seed(plan.seed)
    network = MotorNet()
    if start is not None:
        given = load_file(start)
        network = MotorNet.like(given)
        network.load_state_dict(given, strict=False)
    network = network.to(device, memory_format=torch.channels_last)
    average: MotorNet = copy.deepcopy(network)
    optimizer = torch.optim.AdamW(network.parameters(), lr=plan.rate, weight_decay=plan.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, plan.rate, total_steps=plan.steps, pct_start=0.05
    )
    checkpoint = out / "checkpoint.pt"
    first = 0
    if checkpoint.exists():
        state: dict[str, Any] = torch.load(checkpoint, map_location=device, weights_only=True)
        if state["plan"] != asdict(plan):
            raise ValueError(
                f"{checkpoint} belongs to another plan: {state['plan']}; use another --out"
            )
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        first = state["step"]
    network.train()
    began, seen = time.monotonic(), 0.0
    for step, (images, *truth) in enumerate(
        batches(samples, plan, first, workers), start=first + 1
    ):
        with torch.autocast(device, torch.bfloat16):
            flows, logits = network(images.to(device, memory_format=torch.channels_last))
        loss = loss_of(flows.float(), logits.float(), *(part.to(device) for part in truth))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        follow(average, network, min(plan.average, step / (step + 10)))
        value = float(loss.detach())
        seen = 0.98 * seen + 0.02 * value if seen else value
        if step % 50 == 0:
            print(
                f"step {step} loss {seen:.4f} {(time.monotonic() - began) / (step - first):.3f}"
                " s/step",
                flush=True,
            )
        if step % every == 0 or step == plan.steps:
            _save(checkpoint, plan, step, network, average, optimizer, schedule)
    return average


def follow(average: MotorNet, network: MotorNet, keep: float) -> None:
    """Move the averaged network towards the trained one: `keep` of what it was stays."""
    with torch.no_grad():
        for mine, theirs in zip(
            average.state_dict().values(), network.state_dict().values(), strict=True
        ):
            if mine.is_floating_point():
                mine.lerp_(theirs, 1 - keep)
            else:
                mine.copy_(theirs)


def _save(
    path: Path,
    plan: Plan,
    step: int,
    network: MotorNet,
    average: MotorNet,
    optimizer: Any,
    schedule: Any,
) -> None:
    state = {
        "plan": asdict(plan),
        "step": step,
        "network": network.state_dict(),
        "average": average.state_dict(),
        "optimizer": optimizer.state_dict(),
        "schedule": schedule.state_dict(),
    }
    temporary = path.with_suffix(".tmp")
    torch.save(state, temporary)
    temporary.rename(path)


def write_weights(network: MotorNet, plan: Plan, path: Path) -> None:
    """Write float32 safetensors with the plan in their metadata.

    Parts of the network stand in name order, so that bytes are equal.
    """
    state: dict[str, NDArray[np.generic] | Tensor] = {
        name: tensor.detach().float().cpu().contiguous()
        for name, tensor in sorted(network.state_dict().items())
        if tensor.is_floating_point()
    }
    # One key: safetensors writes several in an order that changes from run to run.
    about = {"plan": asdict(plan), "outputs": PROBABILITIES}
    save_file(state, path, metadata={"motornet": json.dumps(about, sort_keys=True)})


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=Plan.steps)
    parser.add_argument("--batch", type=int, default=Plan.batch)
    parser.add_argument("--seed", type=int, default=Plan.seed)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--workers", type=int, default=1, help="processes that make batches")
    parser.add_argument("--rate", type=float, default=Plan.rate, help="highest learning rate")
    parser.add_argument(
        "--start", type=Path, help="weights to go on from, such as the shipped ones"
    )
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    digest = sha256_of(arguments.start) if arguments.start else ""
    plan = Plan(
        steps=arguments.steps,
        batch=arguments.batch,
        rate=arguments.rate,
        seed=arguments.seed,
        start=digest,
    )
    network = train(
        load_samples(arguments.samples),
        plan,
        arguments.out,
        device=arguments.device,
        start=arguments.start,
        workers=arguments.workers,
    )
    write_weights(network, plan, arguments.out / "motornet.safetensors")


if __name__ == "__main__":
    main()
