"""Checkpoints: which file, whose licence, which digest. A result must say what weights it stands on."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class ModelCard:
    """What is known of a published model before it is loaded."""

    name: str
    licence: str
    training_data: str
    origin: str


CELLPOSE_MODELS: dict[str, ModelCard] = {
    name: ModelCard(
        name,
        "CC-BY-NC 4.0 (training data; no commercial use)",
        "the Cellpose-SAM training collection, parts of it non-commercial",
        "Pachitariu, Rariden & Stringer, Cellpose-SAM, bioRxiv 2025; downloaded by the cellpose package",
    )
    for name in ("cpsam", "cpsam_v2", "cpdino")
}


class WeightsError(RuntimeError):
    """A checkpoint is missing, not the pinned one, or not a checkpoint; the message says which and what to do."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as it was loaded; goes into every run's record."""

    name: str
    path: str
    sha256: str
    licence: str
    training_data: str
    origin: str

    def describe(self) -> dict[str, object]:
        """All but the path, which belongs to one machine."""
        return {k: v for k, v in asdict(self).items() if k != "path"}


def sha256_of(path: Path) -> str:
    """SHA-256 (hex) of a file, read in blocks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def local_checkpoint(path: Path, *, pinned_sha256: str | None = None) -> Checkpoint:
    """A lab's own file. Raises WeightsError if it is absent or not the pinned one."""
    if not path.is_file():
        raise WeightsError(f"no checkpoint at {path}; give the path of a Cellpose 4 file, or a model's name")
    digest = sha256_of(path)
    if pinned_sha256 is not None and digest != pinned_sha256:
        raise WeightsError(f"{path.name} has sha256 {digest}, but {pinned_sha256} is pinned; it is another file or was damaged")
    return Checkpoint(path.name, str(path), digest, "not stated: the laboratory's own checkpoint", "not stated", "local file")


def cellpose_checkpoint(model: str) -> Checkpoint:
    """A published Cellpose model by name, downloaded on first use.

    Raises
    ------
    WeightsError
        Unknown name (the known ones are listed), or no download possible: the message says where to put the file.
    """
    card = CELLPOSE_MODELS.get(model)
    if card is None:
        raise WeightsError(f"unknown Cellpose model {model!r}; known: {', '.join(CELLPOSE_MODELS)}, or the path of a checkpoint")
    from cellpose import models

    expected = Path(models.MODEL_DIR) / model
    if not expected.is_file():
        try:
            models.cache_model_path(model)
        except Exception as error:
            expected.unlink(missing_ok=True)
            raise WeightsError(
                f"Cellpose model {model!r} is not on this machine and could not be downloaded ({error}); on a machine with "
                f"internet download it once and copy the file to {expected}, or use --engine classical"
            ) from error
    own = local_checkpoint(expected)
    return Checkpoint(model, own.path, own.sha256, card.licence, card.training_data, card.origin)
