"""Cellpose 4 checkpoints: Cellpose-SAM by name, or a lab's own file.

Nuclei come from the DNA channel alone, somas from the neurite and the DNA channel; a soma takes the
label of the nucleus that it shares most pixels with, so that labels link as in every engine.
Cellpose has no models of neurites and puncta: they come from the classical filters with plate-fixed
thresholds.

Normalisation, tiling and the averaging of tiles are the cellpose package's own, so that a lab sees
the masks that it knows. Fields of one shape go through the network together, and while it runs the
flows of those before are followed to labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segmentation.engines.classical import (
    Thresholds,
    calibrate_thresholds,
    complete_thresholds,
    neurites_and_puncta,
)
from segmentation.engines.registry import checked_thresholds
from segmentation.engines.weights import (
    Checkpoint,
    WeightsError,
    cellpose_checkpoint,
    inherited,
    local_checkpoint,
    refuse_pickle,
)
from segmentation.field import Field, Labels, Segmentation, checked_field
from segmentation.filters.exposure import with_cells
from segmentation.filters.labels import link_somas, mean_probability, remove_small
from segmentation.filters.margins import keep_valid, levelled
from segmentation.filters.pipeline import in_order
from segmentation.filters.tiling import OutOfDeviceMemory
from segmentation.sizes import Sizes

DEFAULT_MODEL = "cpsam_v2"
# Tiles per batch. A ViT-L tile of 256² keeps a CPU busy by itself; a GPU needs some dozens to fill
# its matrix units.
_BATCH = {"cpu": 1, "cuda": 64}
# Fields that wait for the network together: their pixels and flows are held at once.
_FIELDS_TOGETHER = 4


def create(
    model: str,
    *,
    device: str = "auto",
    sizes: Sizes | None = None,
    sha256: str | None = None,
) -> CellposeSegmenter:
    """Registry entry: `model` is a published name, a path, or empty for Cellpose-SAM.

    Raises ImportError with the extra to install, RuntimeError for "cuda" without one, WeightsError
    for the checkpoint.
    """
    try:
        import torch
        from cellpose import models
    except ImportError as error:
        raise ImportError(
            "the cellpose engine needs torch and cellpose: pip install"
            " 'motor-neuron-imaging-service[cellpose]'"
        ) from error
    if device == "cuda" and not torch.cuda.is_available():
        raise RuntimeError(
            "device cuda was asked for, but torch sees no CUDA device; use --device cpu or repair"
            " the driver"
        )
    chosen = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
    name = model or DEFAULT_MODEL
    is_path = "/" in name or "\\" in name or Path(name).exists()
    checkpoint = (
        inherited(local_checkpoint(Path(name), pinned_sha256=sha256))
        if is_path
        else cellpose_checkpoint(name, pinned_sha256=sha256)
    )
    refuse_pickle(checkpoint)
    try:
        # bfloat16 is ten times slower than float32 on CPUs without the instructions.
        network = models.CellposeModel(
            device=torch.device(chosen),
            pretrained_model=checkpoint.path,
            use_bfloat16=chosen == "cuda",
        )
    except (ValueError, KeyError, RuntimeError) as error:
        raise WeightsError(f"{checkpoint.name} is not a Cellpose 4 checkpoint: {error}") from error
    except NameError as error:
        # cellpose defines the class only where its backbone's package could be imported.
        raise WeightsError(
            f"{checkpoint.name} needs the dinov3 package, which its authors do not publish as a"
            f" release: {error}"
        ) from error
    return CellposeSegmenter(
        f"cellpose:{name}", checkpoint, chosen, network, sizes=sizes or Sizes()
    )


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
        thresholds = calibrate_thresholds(with_cells(fields), self.sizes)
        return self.with_thresholds(asdict(thresholds))

    def with_thresholds(self, thresholds: Mapping[str, float | None]) -> CellposeSegmenter:
        """A copy with thresholds as `describe` gave them."""
        return replace(self, thresholds=Thresholds(**checked_thresholds(thresholds)))

    def segment(self, field: Field, *, seed: int = 0) -> Segmentation:
        """Label a field.

        The network and its dynamics draw no random numbers, so `seed` changes nothing.
        """
        return next(iter(self.segment_all([field])))

    def segment_all(self, fields: Iterable[Field]) -> Iterator[Segmentation]:
        """Label many fields, in order.

        Fields of one shape share batches, and labelling overlaps with the network.
        """
        yield from in_order(lambda answer: self._label(*answer), self._answers(fields))

    def _answers(self, fields: Iterable[Field]) -> Iterator[tuple[Field, dict[str, Flows]]]:
        for group in _alike(fields, _FIELDS_TOGETHER):
            first, flows = group[0], [dict[str, Flows]() for _ in group]
            if first.has("dna"):
                dna = np.stack([levelled(f, "dna") for f in group])[..., None]
                for flows_of_field, one in zip(flows, self._flows(dna), strict=True):
                    flows_of_field["nuclei"] = one
            if first.has("neurite"):
                planes = [
                    np.stack([levelled(f, role) for f in group])[..., None]
                    for role in ("neurite", "dna")
                    if first.has(role)
                ]
                for flows_of_field, one in zip(
                    flows, self._flows(np.concatenate(planes, axis=-1)), strict=True
                ):
                    flows_of_field["somas"] = one
            yield from zip(group, flows, strict=True)

    def _flows(self, images: NDArray[np.float32]) -> list[Flows]:
        """(N, Y, X, C) ► N pairs of flows (2, Y, X) and logits (Y, X)."""
        import torch

        def run(batch: int) -> Any:
            return self.network.eval(
                images,
                channel_axis=-1,
                batch_size=batch,
                compute_masks=False,
                normalize={"norm3D": False},
            )

        _, (_, flows, logits), _ = halving(run, _BATCH[self.device], torch.OutOfMemoryError)
        count, shape = len(images), images.shape[1:3]
        flows = np.asarray(flows).reshape(2, count, *shape)
        return list(
            zip(flows.swapaxes(0, 1), np.asarray(logits).reshape(count, *shape), strict=True)
        )

    def _label(self, field: Field, flows: dict[str, Flows]) -> Segmentation:
        thresholds, warnings = complete_thresholds(self.thresholds, field, self.sizes)
        labels: dict[str, Labels] = {}
        if "nuclei" in flows:
            labels["nuclei"] = remove_small(
                self._follow(*flows["nuclei"]),
                self.sizes.min_nucleus_area_um2 / field.pixel_size_um**2,
            )
            labels["nuclei"] = keep_valid(labels["nuclei"], field)
        else:
            warnings.append("nuclei: no dna channel")
        if "somas" in flows:
            bodies = keep_valid(self._follow(*flows["somas"]), field)
            labels["somas"] = link_somas(bodies, labels["nuclei"]) if "nuclei" in labels else bodies
        compartments, figures = neurites_and_puncta(field, labels, thresholds, self.sizes, warnings)
        labels |= compartments
        warnings += field.valid_area.notes()
        sure = (
            {"nuclei": mean_probability(labels["nuclei"], flows["nuclei"][1])}
            if "nuclei" in labels
            else {}
        )
        return Segmentation(labels, self.name, self.describe(), tuple(warnings), sure, figures)

    def _follow(self, flows: NDArray[np.float32], logits: NDArray[np.float32]) -> Labels:
        """Cellpose's dynamics with its own defaults, on the engine's device."""
        import torch
        from cellpose import dynamics

        masks = dynamics.resize_and_compute_masks(
            flows, logits, niter=200, device=torch.device(self.device)
        )
        return np.asarray(masks, np.int32)


Flows = tuple[NDArray[np.float32], NDArray[np.float32]]


def _alike(fields: Iterable[Field], most: int) -> Iterator[list[Field]]:
    """Runs of up to `most` fields of one shape and one set of roles."""
    group: list[Field] = []
    for one in map(checked_field, fields):
        if group and (
            len(group) == most or (one.shape, one.roles) != (group[0].shape, group[0].roles)
        ):
            yield group
            group = []
        group.append(one)
    if group:
        yield group


def halving(run: Callable[[int], Any], batch: int, out_of_memory: type[BaseException]) -> Any:
    """Run a batch; where the device's memory does not suffice, with half and a quarter of it."""
    for attempt in range(3):
        try:
            return run(max(1, batch >> attempt))
        except out_of_memory as error:
            if attempt == 2 or batch >> attempt <= 1:
                # The machine's fault, not the image's: callers retry MemoryError and never take it
                # for bad data.
                raise OutOfDeviceMemory(
                    f"the device has too little memory for {max(1, batch >> attempt)} tiles at a"
                    " time, after the batch was halved; close other programs on it or take a larger"
                    f" device ({error})"
                ) from error
    raise AssertionError("unreachable")
