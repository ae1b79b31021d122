"""Cellpose 4 checkpoints: Cellpose-SAM by name, or a lab's own file.

Nuclei come from the DNA channel alone, somas from the neurite channel with the DNA channel beside it; a soma takes the
label of the nucleus it holds most of, so that labels link as in every engine. Neurites and puncta are not Cellpose's
trade: they come from the classical filters with plate-fixed thresholds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from segmentation.classical import (
    Sizes,
    Thresholds,
    calibrate_thresholds,
    complete_thresholds,
    neurites_and_puncta,
    remove_small,
)
from segmentation.field import Field, Labels, Segmentation
from segmentation.weights import Checkpoint, WeightsError, cellpose_checkpoint, local_checkpoint

DEFAULT_MODEL = "cpsam_v2"


def create(
    model: str,
    *,
    device: str = "auto",
    sizes: Sizes | None = None,
    sha256: str | None = None,
) -> CellposeSegmenter:
    """Registry entry: `model` is a published name, a path, or empty for Cellpose-SAM.

    Raises ImportError with the extra to install, RuntimeError for "cuda" without one, WeightsError for the checkpoint.
    """
    try:
        import torch
        from cellpose import models
    except ImportError as error:
        raise ImportError("the cellpose engine needs torch and cellpose: pip install 'motor-neuron-imaging-service[cellpose]'") from error
    if device == "cuda" and not torch.cuda.is_available():
        raise RuntimeError("device cuda was asked for, but torch sees no CUDA device; use --device cpu or mend the driver")
    chosen = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
    name = model or DEFAULT_MODEL
    is_path = "/" in name or "\\" in name or Path(name).is_file()
    checkpoint = local_checkpoint(Path(name), pinned_sha256=sha256) if is_path else cellpose_checkpoint(name)
    _refuse_pickle(checkpoint)
    try:
        # bfloat16 is ten times slower than float32 on CPUs without the instructions.
        network = models.CellposeModel(device=torch.device(chosen), pretrained_model=checkpoint.path, use_bfloat16=chosen == "cuda")
    except (ValueError, KeyError, RuntimeError) as error:
        raise WeightsError(f"{checkpoint.name} is not a Cellpose 4 checkpoint: {error}") from error
    return CellposeSegmenter(f"cellpose:{name}", checkpoint, chosen, network, sizes=sizes or Sizes())


def _refuse_pickle(checkpoint: Checkpoint) -> None:
    """Read the file with `weights_only=True` before anything else may unpickle it."""
    import pickle

    import torch

    try:
        content = torch.load(checkpoint.path, map_location="cpu", weights_only=True, mmap=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, ValueError) as error:
        raise WeightsError(f"{checkpoint.name} does not load as plain weights and is refused: {str(error).splitlines()[0]}") from error
    if not isinstance(content, dict):
        raise WeightsError(f"{checkpoint.name} holds {type(content).__name__}, not a table of weights")


@dataclass(frozen=True)
class CellposeSegmenter:
    """Engine "cellpose:MODEL"."""

    name: str
    checkpoint: Checkpoint
    device: str
    network: Any = field(repr=False)
    thresholds: Thresholds = field(default_factory=Thresholds)
    sizes: Sizes = field(default_factory=Sizes)

    def describe(self) -> dict[str, object]:
        """Checkpoint with sha256, licence and origin; device; thresholds of the classical part."""
        return {
            "engine": self.name,
            "device": self.device,
            "checkpoint": self.checkpoint.describe(),
            "thresholds": asdict(self.thresholds),
            "sizes": asdict(self.sizes),
        }

    def calibrate(self, fields: Sequence[Field]) -> CellposeSegmenter:
        """Fix the thresholds for neurites and puncta."""
        return replace(self, thresholds=calibrate_thresholds(fields, self.sizes))

    def with_thresholds(self, thresholds: Mapping[str, float | None]) -> CellposeSegmenter:
        """A copy with thresholds as `describe` gave them."""
        return replace(self, thresholds=Thresholds(**thresholds))

    def segment(self, field: Field, *, seed: int = 0) -> Segmentation:
        """Label a field. The network and its dynamics draw no random numbers, so `seed` changes nothing."""
        thresholds, warnings = complete_thresholds(self.thresholds, field, self.sizes)
        labels: dict[str, Labels] = {}
        if field.has("dna"):
            found = self._masks(field.channel("dna")[..., None])
            labels["nuclei"] = remove_small(found, self.sizes.min_nucleus_area_um2 / field.pixel_size_um**2)
            if field.has("neurite"):
                bodies = self._masks(np.stack([field.channel("neurite"), field.channel("dna")], axis=-1))
                labels["somas"] = link_somas(bodies, labels["nuclei"])
        else:
            warnings.append("nuclei: no dna channel")
        labels |= neurites_and_puncta(field, labels, thresholds, warnings)
        return Segmentation(labels, self.name, self.describe(), tuple(warnings))

    def _masks(self, image: np.ndarray) -> Labels:
        import torch

        try:
            masks, _, _ = self.network.eval(image, channel_axis=-1)
        except torch.OutOfMemoryError as error:
            # The machine's fault, not the image's: callers retry MemoryError and never take it for bad data.
            raise MemoryError(f"the GPU has too little memory for this field: {error}") from error
        return np.asarray(masks, np.int32)


def link_somas(bodies: Labels, nuclei: Labels) -> Labels:
    """Give each cell body the label of the nucleus that covers most of it; bodies without nucleus are dropped.

    Where two bodies would claim one nucleus, the one holding more of it keeps it.
    """
    pairs = np.zeros((int(bodies.max()) + 1, int(nuclei.max()) + 1), np.int64)
    np.add.at(pairs, (bodies.ravel(), nuclei.ravel()), 1)
    overlap = pairs[1:, 1:]
    if overlap.size == 0:
        return np.zeros_like(nuclei)
    target = np.zeros(len(pairs), np.int32)
    best = overlap.argmax(axis=1)
    size = overlap.max(axis=1)
    for body in np.argsort(-size, kind="stable"):
        if size[body] > 0 and best[body] + 1 not in target:
            target[body + 1] = best[body] + 1
    return np.asarray(target[bodies], np.int32)
