"""A laboratory's own models as a list shows them: decision with its reasons, figures, lineage."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from imaging_service.errors import Forbidden
from imaging_service.incoming.gate import allowed, checkpoint_of
from imaging_service.incoming.s3 import S3Path
from imaging_service.models.card import figure, places
from segmentation.engines import model_folder
from segmentation.scoring.figures import NAMES, figure_value

# Of a scan root, the folder that models are looked for in.
MODELS = "models"


class ModelStatus(StrEnum):
    """What was decided about a model."""

    PROMOTED = "promoted"
    REFUSED = "refused"
    UNDECIDED = "undecided"
    OTHER_WEIGHTS = "other_weights"
    DAMAGED = "damaged"


class ModelFigure(BaseModel):
    """One accuracy of the network that the model began from, and of the model."""

    name: str = Field(examples=["neurites, F1 at 3 px"])
    before: str = Field(examples=["0.871"])
    after: str = Field(
        description="With its 95 % interval over wells.", examples=["0.902 (0.880 … 0.921)"]
    )


class LabModel(BaseModel):
    """A laboratory's own model."""

    engine: str = Field(description="As a protocol's `segmentation.engine` names it.")
    name: str
    status: ModelStatus
    reasons: list[str] = Field(
        description="Against a promotion; of a damaged model what is wrong with it."
    )
    notes: list[str] = Field(description="What the decision could not compare.")
    decided_by: str
    decided_on: str = Field(description="Day, UTC; empty without a decision.", examples=[""])
    sha256: str
    licence: str
    training_data: str
    parent: str
    parent_sha256: str
    split: str = Field(examples=["plate"])
    learnt_from: str
    held_out: str
    consent: dict[str, str] = Field(description="Line ► its consent when the model was trained.")
    left_out: list[str]
    software_version: str
    figures: list[ModelFigure] = Field(description="On the fields held out.")
    benchmark: list[ModelFigure] = Field(description="On frozen drawings.")
    runs: int = Field(description="Runs with this engine that the caller may see.")


def lab_models(roots: Sequence[Path], engines: Mapping[str, int]) -> list[LabModel]:
    """Models that lie in the folder `models` of a root, and those that runs named, by engine.

    Parameters
    ----------
    roots
        Resolved folders that the caller's scans and checkpoints may be in. Those on S3 are left
        out: weights are read from a disk only.
    engines
        Engine of runs ► number of runs. A model outside of the roots is left out.
    """
    roots = [root for root in roots if not isinstance(root, S3Path)]
    folders = {p for root in roots for p in _models(root / MODELS, roots)}
    folders |= {p for engine in engines for p in _named(engine, roots)}
    used: dict[Path, int] = {}
    for engine, count in engines.items():
        for path in _named(engine, roots):
            used[path] = used.get(path, 0) + count
    return [_listed(path, used.get(path, 0)) for path in sorted(folders)]


def _models(folder: Path, roots: Sequence[Path]) -> Iterable[Path]:
    if not folder.is_dir():
        return []
    inside = (_inside(path, roots) for path in sorted(folder.iterdir()))
    return [p for p in inside if p is not None and model_folder.is_model(p)]


def _named(engine: str, roots: Sequence[Path]) -> list[Path]:
    """The folder of a model that a run's engine names, as it or by its weights' file."""
    path = checkpoint_of(engine) if engine.startswith("motornet:") else None
    inside = None if path is None else _inside(path, roots)
    if inside is None:
        return []
    folder = inside.parent if inside.name == model_folder.WEIGHTS else inside
    return [folder] if model_folder.is_model(folder) else []


def _inside(path: Path, roots: Sequence[Path]) -> Path | None:
    try:
        return allowed(path, roots)
    except Forbidden:
        return None


def _listed(folder: Path, runs: int) -> LabModel:
    """One model, a damaged one where its files cannot be read: it hides no other."""
    try:
        content = model_folder.lineage(folder)
        decision = folder / model_folder.DECISION
        decided = json.loads(decision.read_text("utf-8")) if decision.is_file() else None
        return _described(folder, content, decided, runs)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        fault = f"its files cannot be read ({type(error).__name__}: {error}); train it again"
        return _model(folder, ModelStatus.DAMAGED, runs, reasons=[fault])


def _described(
    folder: Path, content: Mapping[str, Any], decided: Mapping[str, Any] | None, runs: int
) -> LabModel:
    status = ModelStatus.UNDECIDED
    if decided is not None:
        status = ModelStatus.PROMOTED if decided["promoted"] else ModelStatus.REFUSED
        if decided["weights_sha256"] != content["weights_sha256"]:
            status = ModelStatus.OTHER_WEIGHTS
    before, after = content["evidence"]["before"], content["evidence"]["after"]
    return _model(
        folder,
        status,
        runs,
        name=content["name"],
        reasons=[] if decided is None else decided["reasons"],
        notes=[] if decided is None else decided["notes"],
        decided_by="" if decided is None else decided["by"],
        decided_on="" if decided is None else decided["time"][:10],
        sha256=content["weights_sha256"],
        licence=content["licence"],
        training_data=content["training_data"],
        parent=content["parent"]["name"],
        parent_sha256=content["parent"]["sha256"],
        split=content["split"]["level"],
        learnt_from=places(content["split"]["train"]),
        held_out=places(content["split"]["held_out"]),
        consent=content["consent"],
        left_out=content["left_out"],
        software_version=content["software_version"],
        figures=[
            ModelFigure(
                name=words,
                before=figure_value(name, before["held_out"][name]["value"]),
                after=figure(name, after["held_out"][name]),
            )
            for name, words in NAMES.items()
            if name in after["held_out"]
        ],
        benchmark=[
            ModelFigure(
                name=NAMES.get(name, name),
                before=figure_value(name, value),
                after=figure_value(name, after["benchmark"][name]),
            )
            for name, value in before["benchmark"].items()
        ],
    )


def _model(folder: Path, status: ModelStatus, runs: int, **known: Any) -> LabModel:
    nothing: dict[str, Any] = {
        name: "" for name, field in LabModel.model_fields.items() if field.annotation is str
    }
    nothing |= {"name": folder.name, "reasons": [], "notes": [], "consent": {}, "left_out": []}
    nothing |= {"figures": [], "benchmark": [], "engine": f"motornet:{folder}"}
    return LabModel(**(nothing | {"status": status, "runs": runs} | known))
