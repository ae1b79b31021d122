"""`models train`: from traced fields to a model's folder (`segmentation.engines.model_folder`).

What is measured while it trains, and once more on the network that is kept, is what a promotion
decides on: accuracy on the fields held out, the frozen benchmark, and the phenotypes of the fields
held out by the old and by the new network.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imaging_service import __version__
from imaging_service.errors import EngineError, ModelRefused
from imaging_service.files import only_one, write_bytes
from imaging_service.jobs.plan import package_versions
from imaging_service.models.benchmark import (
    FIRST_SEED,
    FROZEN_SEED,
    benchmark_phantoms,
    benchmark_scores,
    frozen_samples,
)
from imaging_service.models.card import write_card
from imaging_service.models.evaluation import scores_of, segmented
from imaging_service.models.fields import TracedField
from imaging_service.models.promotion import MOST_FORGOTTEN
from imaging_service.models.scores import ERRORS, FIGURES, FieldScore, figures, score
from imaging_service.models.shifts import field_shifts
from imaging_service.models.split import Split, split_fields
from segmentation.engines import model_folder
from segmentation.engines.weights import (
    Checkpoint,
    WeightsError,
    local_checkpoint,
    motornet_checkpoint,
    sha256_of,
)
from segmentation.phantoms.render import Phantom

if TYPE_CHECKING:
    from segmentation.engines.motornet.finetune import Evaluated, FinePlan
    from segmentation.engines.motornet.network import MotorNet

WORK = "work"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Effort:
    """How long to train, on how many frozen samples, and on how many phantoms to measure."""

    steps: int = 600
    every: int = 50
    batch: int = 8
    side: int = 256
    frozen: int = 64
    benchmark: int = 4
    benchmark_side: int = 512


def train_model(
    fields: Sequence[TracedField],
    out: Path,
    *,
    left_out: Sequence[str] = (),
    start: Path | None = None,
    seed: int = 0,
    device: str = "auto",
    effort: Effort | None = None,
    say: Say = lambda text: None,
) -> Path:
    """Train on traced fields and write a model's folder; returns it.

    The same call after a kill goes on where it stopped.

    Parameters
    ----------
    fields, left_out
        As `traced_fields` gives them.
    start
        Weights to train further, a file or a promoted model's folder; the shipped ones if not
        given.

    Raises
    ------
    ModelRefused
        Too few fields, weights that are not motornet's, or a folder that holds a model already.
    EngineError
        A package or device that training needs is not here.
    """
    effort = effort or Effort()
    with only_one(out):
        if model_folder.is_model(out):
            raise ModelRefused(f"{out} holds a model already; give another --out")
        if not fields:
            why = "".join(f"\n  - {one}" for one in left_out)
            raise ModelRefused(f"there is no field to learn from{why}")
        split = split_fields(fields, seed)
        parent = _parent(start)
        return _train(split, left_out, parent, out, seed, _device(device), effort, say)


def _parent(start: Path | None) -> Checkpoint:
    try:
        parent = motornet_checkpoint() if start is None else local_checkpoint(start)
    except WeightsError as error:
        raise ModelRefused(str(error)) from error
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from segmentation.engines.motornet.network import MotorNet

    try:
        MotorNet.like(load_file(parent.path)).load_state_dict(load_file(parent.path), strict=False)
    except (SafetensorError, KeyError, RuntimeError) as error:
        raise ModelRefused(
            f"{parent.name} does not hold motornet's weights, which are what is trained further;"
            " a Cellpose checkpoint is trained with Cellpose's own command, and named as"
            " cellpose:FILE it keeps the non-commercial licence of the weights that it began from"
        ) from error
    return parent


def _device(wanted: str) -> str:
    import torch

    if wanted not in ("auto", "cpu", "cuda"):
        raise EngineError(f"unknown device {wanted!r}; known: auto, cpu, cuda")
    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise EngineError("device cuda was asked for, but torch sees no CUDA device")
    return "cuda" if there and wanted != "cpu" else "cpu"


def _train(
    split: Split,
    left_out: Sequence[str],
    parent: Checkpoint,
    out: Path,
    seed: int,
    device: str,
    effort: Effort,
    say: Say,
) -> Path:
    try:
        import cellpose.dynamics  # noqa: F401 - flows of nuclei and somas
    except ImportError as error:
        raise EngineError(
            "training needs the cellpose package: pip install"
            " 'motor-neuron-imaging-service[cellpose]'"
        ) from error
    from segmentation.engines.motornet.finetune import FinePlan, finetune
    from segmentation.engines.motornet.traced import traced_samples

    say(
        f"{len(split.train)} fields to learn from, {len(split.held_out)} held out, split by"
        f" {split.level}; {len(left_out)} left out"
    )
    traced = [s for f in split.train for s in traced_samples(f.field, f.labels)]
    frozen = frozen_samples(
        effort.frozen,
        out / WORK / "frozen",
        lambda n: say(f"frozen sample {n} of {effort.frozen}") if n % 16 == 0 else None,
    )
    phantoms = benchmark_phantoms(effort.benchmark, (effort.benchmark_side, effort.benchmark_side))
    plan = FinePlan(
        steps=effort.steps,
        every=effort.every,
        batch=effort.batch,
        side=effort.side,
        seed=seed,
        start=parent.sha256,
        samples=_digest([*traced, *frozen]),
    )
    judge = _Judge(split.held_out, phantoms, parent, device)

    def seen(curve: Sequence[Mapping[str, float | None]]) -> None:
        write_bytes(out / model_folder.CURVE, _csv(curve))
        say(_line(curve[-1]))

    start = Path(parent.path)
    work = out / WORK
    done = finetune(traced, frozen, plan, start, work, judge, device=device, seen=seen)
    weights = work / model_folder.WEIGHTS
    evidence = judge.evidence(start, weights)
    content = _lineage(split, left_out, parent, plan, device, weights, out.name)
    content |= {"best_step": done.best_step, "ended": done.ended, "evidence": evidence}
    # The lineage is the commit point: without it the folder is a training that was cut short.
    write_bytes(out / model_folder.WEIGHTS, weights.read_bytes())
    write_bytes(
        out / model_folder.LINEAGE, json.dumps(content, indent=1, ensure_ascii=False).encode()
    )
    write_card(out)
    shutil.rmtree(work)
    return out


class _Judge:
    """Evaluates a network in training; the score is what the best one is chosen by."""

    def __init__(
        self,
        held_out: Sequence[TracedField],
        phantoms: Sequence[Phantom],
        parent: Checkpoint,
        device: str,
    ) -> None:
        self.held_out, self.phantoms = held_out, phantoms
        self.parent, self.device = parent, device
        self.before: dict[str, float] = {}

    def __call__(self, network: MotorNet) -> Evaluated:
        from segmentation.engines.motornet.engine import segmenter_of
        from segmentation.engines.motornet.finetune import Evaluated

        engine: Any = segmenter_of(network, self.parent, self.device, "candidate")
        scores = scores_of(engine, self.held_out)
        kept = benchmark_scores(engine, self.phantoms)
        self.before = self.before or kept
        value = accuracy(scores)
        forgot = any(self.before[n] - kept[n] > MOST_FORGOTTEN for n in kept)
        row: dict[str, float | None] = {"held_out_accuracy": value}
        row |= {f"held_out_{n}": figure(scores) for n, figure in FIGURES.items()}
        row |= {f"frozen_{n}": v for n, v in kept.items()}
        # A network that forgot is kept only where every other one forgot as well.
        return Evaluated(value - (1 if forgot else 0), row, forgot)

    def evidence(self, old: Path, new: Path) -> dict[str, Any]:
        """What a promotion decides on, of the weights as they were and as they are."""
        from safetensors.torch import load_file

        from segmentation.engines.motornet.engine import segmenter_of
        from segmentation.engines.motornet.network import MotorNet

        answers, measured = {}, {}
        for when, path in (("before", old), ("after", new)):
            state = load_file(path)
            network = MotorNet.like(state)
            network.load_state_dict(state, strict=False)
            engine: Any = segmenter_of(network, self.parent, self.device, "candidate")
            answers[when] = segmented(engine, self.held_out)
            scores = [score(f, s.labels) for f, s in answers[when]]
            measured[when] = {
                "accuracy": accuracy(scores),
                "held_out": {n: asdict(f) for n, f in figures(scores).items()},
                "benchmark": benchmark_scores(engine, self.phantoms),
            }
        shifts = field_shifts(answers["before"], answers["after"])
        return measured | {"phenotypes": [s.described() for s in shifts]}


def accuracy(scores: Sequence[FieldScore]) -> float:
    """Mean of the accuracies that traced compartments allow, each from 0 to 1.

    Neurites count half by where they are (F1) and half by how long they are.
    """
    values = {n: v for n, figure in FIGURES.items() if (v := figure(scores)) is not None}
    good = {n: max(0.0, 1 - v) if n in ERRORS else v for n, v in values.items()}
    parts = [
        np.mean([good[n] for n in names if n in good])
        for names in (("neurite_f1", "length_error"), ("nuclei_ap",), ("soma_ap",))
        if any(n in good for n in names)
    ]
    return float(np.mean(parts)) if parts else 0.0


def _digest(samples: Sequence[Mapping[str, NDArray[np.generic]]]) -> str:
    digest = hashlib.sha256()
    for sample in samples:
        for name in sorted(sample):
            digest.update(np.ascontiguousarray(sample[name]).tobytes())
    return digest.hexdigest()


def _lineage(
    split: Split,
    left_out: Sequence[str],
    parent: Checkpoint,
    plan: FinePlan,
    device: str,
    weights: Path,
    name: str,
) -> dict[str, Any]:
    every = [*split.train, *split.held_out]
    consent = {f.record.line: f.record.consent or "unknown" for f in every}
    begun = sorted({f.record.engine for f in every if f.record.engine.startswith("cellpose")})
    of_cellpose = f"; labels that began from {', '.join(begun)} (non-commercial)" if begun else ""
    return {
        "name": name,
        "weights_sha256": sha256_of(weights),
        "licence": f"{parent.licence}, of the weights that it began from",
        "training_data": (
            f"{parent.training_data}; {len(split.train)} traced fields of the laboratory"
            f"{of_cellpose}"
        ),
        "origin": f"imaging-service models train {__version__}, from {parent.name}",
        "parent": parent.describe(),
        "plan": asdict(plan),
        "seeds": {"training": plan.seed, "frozen": FROZEN_SEED, "benchmark": FIRST_SEED},
        "split": {
            "level": split.level,
            "train": [_described(f) for f in split.train],
            "held_out": [_described(f) for f in split.held_out],
        },
        "left_out": list(left_out),
        "consent": dict(sorted(consent.items())),
        "packages": package_versions(),
        "software_version": __version__,
        "device": device,
    }


def _described(field: TracedField) -> dict[str, Any]:
    """A field as the lineage names it: place, review revision, labels, people, consent."""
    kept = (
        "plate_name",
        "plate_digest",
        "run_id",
        "well",
        "field",
        "frame",
        "line",
        "label_version",
        "revision",
        "authors",
        "engine",
        "model_digest",
        "consent",
        "duo",
    )
    record = field.record.model_dump(mode="json")
    return {n: record[n] for n in kept} | {"traced": {n: record["labels"][n] for n in field.labels}}


def _csv(curve: Sequence[Mapping[str, float | None]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(curve[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({n: "" if v is None else f"{v:.6g}" for n, v in row.items()} for row in curve)
    return text.getvalue().encode()


def _line(row: Mapping[str, float | None]) -> str:
    named = ("held_out_accuracy", "held_out_neurite_f1", "held_out_length_error")
    parts = [f"{n.removeprefix('held_out_')} {row[n]:.3f}" for n in named if row.get(n) is not None]
    parts += [f"{n} {v:.3f}" for n, v in row.items() if n.startswith("frozen_") and v is not None]
    return f"step {row['step']}: " + ", ".join(parts)
