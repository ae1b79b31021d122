"""Checkpoints: file, licence and digest of the weights that a result rests on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from http.client import HTTPException
from pathlib import Path

from segmentation.engines import model_folder


@dataclass(frozen=True)
class ModelCard:
    """What is known of a published model before it is loaded."""

    name: str
    licence: str
    training_data: str
    origin: str


MOTORNET = ModelCard(
    "motornet",
    "BSD-3-Clause",
    "Data Science Bowl 2018 fluorescence nuclei with community corrections (CC0 1.0); phantoms of"
    " this project; photographs of cells without neurites (BBBC013, CC BY 3.0; CellProfiler's"
    " examples, BSD-3-Clause); six traced fields of a film (MIT)",
    "shipped with the package; segmentation/engines/motornet/train.py, see"
    " segmentation/engines/motornet/weights/README.md",
)
# The release's weights; another file under that name is refused.
MOTORNET_SHA256 = "58cf47e3469a304b9b2b3416eb87f420aa75f1be9857c671bb1c4b3538cc4a98"
# What was measured, and on what: figures of weights/README.md, which says how.
MOTORNET_FIGURES = {
    "neurites of a traced film, F1 at 3 px, with / without a DNA channel": "0.821 / 0.819",
    "their length": "−19 %",
    "nuclei of images set aside, AP at IoU 0.5 / 0.75": "0.865 / 0.684",
    "somas of medium / hard drawings, AP at IoU 0.75": "1.00 / 0.940",
    "neurites of medium / hard drawings, F1 at 2 px": "0.928 / 0.848",
}

_NON_COMMERCIAL = "CC-BY-NC 4.0 (training data; no commercial use)"
_COLLECTION = "the Cellpose-SAM training collection, parts of it non-commercial"

CELLPOSE_MODELS: dict[str, ModelCard] = {
    name: ModelCard(
        name,
        licence,
        _COLLECTION,
        "Pachitariu, Rariden & Stringer, Cellpose-SAM, bioRxiv 2025; downloaded by the cellpose"
        " package",
    )
    for name, licence in {
        "cpsam_v2": _NON_COMMERCIAL,
        "cpsam": _NON_COMMERCIAL,
        "cpdino": f"{_NON_COMMERCIAL}; the backbone's own terms besides",
        "cpdino-vitb": f"{_NON_COMMERCIAL}; the backbone's own terms besides",
    }.items()
}


class WeightsError(RuntimeError):
    """A checkpoint is missing, differs from the pinned one, or is not a checkpoint.

    The message says which and what to do.
    """


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as it was loaded; goes into every run's record."""

    name: str
    path: str
    sha256: str
    licence: str
    training_data: str
    origin: str
    # Of a laboratory's own model (`model_folder`): who promoted it, or that it is a candidate.
    promotion: str = ""

    def describe(self) -> dict[str, object]:
        """All but the path, which belongs to one machine."""
        described = {k: v for k, v in asdict(self).items() if k != "path"}
        if not self.promotion:
            del described["promotion"]
        return described


@dataclass(frozen=True)
class KnownModel:
    """A model that can be named.

    `sha256` is the pinned digest of a shipped one, the one recorded at the download of another.
    `figures` has what was measured ► figure; empty where this project measured nothing.
    """

    engine: str
    card: ModelCard
    path: Path
    shipped: bool
    sha256: str | None
    figures: Mapping[str, str] = field(default_factory=dict)


def known_models() -> list[KnownModel]:
    """Shipped and published models, whether they are on this machine or not.

    Nothing is imported or downloaded.
    """
    models = [
        KnownModel("motornet", MOTORNET, motornet_path(), True, MOTORNET_SHA256, MOTORNET_FIGURES)
    ]
    for name, card in CELLPOSE_MODELS.items():
        path = cellpose_folder() / name
        models.append(KnownModel(f"cellpose:{name}", card, path, False, recorded_sha256(path)))
    return models


def motornet_path() -> Path:
    """The shipped weights."""
    return Path(__file__).parent / "motornet" / "weights" / "motornet.safetensors"


def cellpose_folder() -> Path:
    """Where the cellpose package keeps its models."""
    import os

    return Path(
        os.environ.get("CELLPOSE_LOCAL_MODELS_PATH") or Path.home() / ".cellpose" / "models"
    )


def _record_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def recorded_sha256(path: Path) -> str | None:
    """The digest that was recorded when the file was first loaded; None if it never was."""
    record = _record_of(path)
    return record.read_text(encoding="ascii").split()[0] if record.is_file() else None


def sha256_of(path: Path) -> str:
    """SHA-256 (hex) of a file, read in blocks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def local_checkpoint(path: Path, *, pinned_sha256: str | None = None) -> Checkpoint:
    """A lab's own file, or the weights of a model's folder that is promoted (`model_folder`).

    Raises WeightsError if it is absent, not promoted or not the pinned one.
    """
    if path.is_dir():
        return _model_checkpoint(path, pinned_sha256)
    if not path.is_file():
        raise WeightsError(
            f"no checkpoint at {path}; give the path of a checkpoint file, or a model's name"
        )
    digest = sha256_of(path)
    if pinned_sha256 is not None and digest != pinned_sha256:
        raise WeightsError(
            f"{path.name} has sha256 {digest}, but {pinned_sha256} is pinned; it is another file or"
            " was damaged"
        )
    if path.name == model_folder.WEIGHTS and model_folder.is_model(path.parent):
        return _with_card(path, digest)
    return Checkpoint(
        path.name,
        str(path),
        digest,
        "not stated: the laboratory's own checkpoint",
        "not stated",
        "local file",
    )


def _model_checkpoint(folder: Path, pinned_sha256: str | None) -> Checkpoint:
    """The weights of a promoted model. Raises WeightsError."""
    if not model_folder.is_model(folder):
        raise WeightsError(
            f"{folder} is not a model; give the --out folder of `imaging-service models train`, or"
            " the path of a checkpoint file"
        )
    checkpoint = local_checkpoint(folder / model_folder.WEIGHTS, pinned_sha256=pinned_sha256)
    if checkpoint.promotion == model_folder.CANDIDATE:
        raise WeightsError(
            f"{folder} is not promoted: let a named person decide with `imaging-service models"
            f" promote {folder} --by NAME`, or name {folder / model_folder.WEIGHTS} to try the"
            " candidate"
        )
    return checkpoint


def _with_card(path: Path, digest: str) -> Checkpoint:
    try:
        known = model_folder.lineage(path.parent)
        promoted = model_folder.promotion(path.parent, digest)
    except ValueError as error:
        raise WeightsError(str(error)) from error
    if known["weights_sha256"] != digest:
        raise WeightsError(
            f"{path} has sha256 {digest}, but its lineage is that of {known['weights_sha256']}; it"
            " is another file or was damaged"
        )
    return Checkpoint(
        str(known["name"]),
        str(path),
        digest,
        str(known["licence"]),
        str(known["training_data"]),
        str(known["origin"]),
        promoted or model_folder.CANDIDATE,
    )


def motornet_checkpoint() -> Checkpoint:
    """The shipped weights. Raises WeightsError if the file is absent or is not the released one."""
    checkpoint = local_checkpoint(motornet_path(), pinned_sha256=MOTORNET_SHA256)
    return Checkpoint(
        "motornet",
        checkpoint.path,
        checkpoint.sha256,
        MOTORNET.licence,
        MOTORNET.training_data,
        MOTORNET.origin,
    )


def cellpose_checkpoint(model: str, *, pinned_sha256: str | None = None) -> Checkpoint:
    """A published Cellpose model by name, downloaded on first use.

    Its authors publish no digest: the one of the first load is recorded beside the file, and every
    later load must match it.

    Raises
    ------
    WeightsError
        Unknown name (the known ones are listed); no download possible (the message says where to
        put the file); or the file is not the recorded or pinned one.
    """
    card = CELLPOSE_MODELS.get(model)
    if card is None:
        raise WeightsError(
            f"unknown Cellpose model {model!r}; known: {', '.join(CELLPOSE_MODELS)}, or the path of"
            " a checkpoint"
        )
    path = cellpose_folder() / model
    if not path.is_file():
        from cellpose import models

        try:
            models.cache_model_path(model)
        except (OSError, HTTPException) as error:
            path.unlink(missing_ok=True)
            raise WeightsError(
                f"Cellpose model {model!r} is not on this machine and could not be downloaded"
                f" ({error}); on a machine with internet download it once and copy the file to"
                f" {path}, or use --engine motornet"
            ) from error
    checkpoint = local_checkpoint(path, pinned_sha256=pinned_sha256 or recorded_sha256(path))
    if recorded_sha256(path) is None:
        _record_of(path).write_text(f"{checkpoint.sha256}  {model}\n", encoding="ascii")
    return Checkpoint(
        model, checkpoint.path, checkpoint.sha256, card.licence, card.training_data, card.origin
    )


def inherited(checkpoint: Checkpoint) -> Checkpoint:
    """A laboratory's Cellpose checkpoint with the licence of the weights that it began from.

    Cellpose 4 trains no network from nothing: each began from a published one, whose training data
    allow no commercial use.
    """
    return replace(checkpoint, licence=f"{_NON_COMMERCIAL}, inherited from Cellpose's weights")


def pull_model(engine: str) -> Checkpoint:
    """Bring a model to this machine; `engine` as `known_models` names it. Raises WeightsError."""
    kind, _, model = engine.partition(":")
    if kind == "motornet" and not model:
        return motornet_checkpoint()
    if kind == "cellpose" and model:
        return cellpose_checkpoint(model)
    raise WeightsError(
        f"{engine!r} is not a model that can be pulled; known:"
        f" {', '.join(m.engine for m in known_models())}"
    )


def verify_model(engine: str, sha256: str | None = None) -> tuple[Checkpoint, str]:
    """Check a model of `known_models` or a checkpoint's path.

    Returns the checkpoint and a phrase that says what its digest was compared with.

    Raises WeightsError if it is absent, another file, or not a plain table of weights.
    """
    for model in known_models():
        if engine == model.engine:
            if not model.path.is_file():
                raise WeightsError(
                    f"{engine} is not on this machine; run: imaging-service models pull {engine}"
                )
            expected = sha256 or model.sha256
            local = local_checkpoint(model.path, pinned_sha256=expected)
            checkpoint = Checkpoint(
                model.card.name,
                local.path,
                local.sha256,
                model.card.licence,
                model.card.training_data,
                model.card.origin,
            )
            against = (
                "is the given one"
                if sha256
                else "is the pinned one"
                if model.shipped
                else "is the one of its first load"
            )
            break
    else:
        path = Path(
            engine.partition(":")[2] if engine.split(":")[0] in {"cellpose", "motornet"} else engine
        )
        checkpoint, expected = local_checkpoint(path, pinned_sha256=sha256), sha256
        against = "is the given one"
    refuse_pickle(checkpoint)
    return checkpoint, (
        against if expected else "was not compared: no digest is recorded; give one with --sha256"
    )


def refuse_pickle(checkpoint: Checkpoint) -> None:
    """Read the file as plain weights before anything else may unpickle it. Raises WeightsError."""
    import pickle

    import torch

    if checkpoint.path.endswith(".safetensors"):
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            load_file(checkpoint.path)
        except SafetensorError as error:
            raise WeightsError(f"{checkpoint.name} is not a safetensors file: {error}") from error
        return
    try:
        content = torch.load(checkpoint.path, map_location="cpu", weights_only=True, mmap=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, ValueError) as error:
        raise WeightsError(
            f"{checkpoint.name} does not load as plain weights and is refused:"
            f" {str(error).splitlines()[0]}"
        ) from error
    if not isinstance(content, dict):
        raise WeightsError(
            f"{checkpoint.name} holds {type(content).__name__}, not a table of weights"
        )
