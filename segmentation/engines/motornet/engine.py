"""Engine "motornet": the shipped network, or another training of it.

Nuclei and somas are followed to labels, each soma then takes the label of its nucleus; neurites are
where their probability passes a threshold with hysteresis, outside somas. Puncta are those of the
spot filter in its somas: the network's own follow the spread of the channel's detail, so that cells
with a cleared nucleus would get spots from noise.

Brightness is made comparable over a plate as everywhere: `calibrate` fixes the grey-level range of
the neurite and aggregate channels from vehicle wells, so that an emptied well keeps its darkness.
The DNA range is each field's own, since stain differs two-fold between wells and nuclei are to be
counted whatever their stain; the plate gives its floor.
"""

from __future__ import annotations

import copy
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.engines.classical import (
    SPOTS,
    UNCALIBRATED,
    smoothed,
    spot_noise,
    spot_noise_of,
    spots_in_somas,
)
from segmentation.engines.motornet.fields import (
    RANGE_IN_NOISE,
    compress,
    compress_detail,
    detail,
    detail_unit,
    intensity_range,
    scaled_shape,
    to_scale,
)
from segmentation.engines.motornet.network import INPUTS, MULTIPLE, PIXEL_SIZE_UM, PROBABILITIES
from segmentation.engines.registry import checked_thresholds
from segmentation.engines.weights import (
    Checkpoint,
    WeightsError,
    local_checkpoint,
    motornet_checkpoint,
)
from segmentation.field import Field, Image, Labels, Segmentation, checked_field
from segmentation.filters.contrast import Stretches, drawn_neurites, stretches, typical_contrast
from segmentation.filters.exposure import with_cells
from segmentation.filters.labels import link_somas, mean_probability, remove_small
from segmentation.filters.margins import clipped, keep_valid, levelled
from segmentation.filters.pipeline import in_order
from segmentation.filters.ridges import hysteresis
from segmentation.filters.tiling import TileRunner
from segmentation.sizes import Sizes

# Half precision: a large field's planes and answers would otherwise weigh more than the network.
Half = NDArray[np.float16]

# Chosen on training and validation images and on phantoms of other seeds than the bench's, never on
# the test part.
NUCLEI_LOGIT = 0.25
SOMA_LOGIT = 0.0
NEURITE_CHANCE = (0.5, 0.8)
# Axes of (N, C, Y, X) along which the network sees its tiles turned round, at high accuracy; at
# standard accuracy the first.
MIRRORINGS: tuple[tuple[int, ...], ...] = ((), (3,), (2,), (2, 3))
# Where the lower one is another, the upper one is as far on the way from it to certainty.
_SURE = 0.6
# Where vehicle wells are typically this bright, a field darker than this share of it is empty, not
# dim.
_DNA_FLOOR = 0.3
# Nuclei are the brightest that a stain shows: where the DNA channel reaches no further above its
# noise than this, it holds no nuclei, and stretched noise would be seen as neurites.
_DNA_IN_NOISE = 24.0
# The network tells debris from nuclei itself, so only what is under this share of the smallest
# nucleus is dropped by its size: pyknotic nuclei are small, and count.
_SPECK = 0.4
# A CPU gains nothing from more than one tile; a GPU wants several, and more threads that prepare
# and label for it.
_BATCH = {"cpu": 1, "cuda": 4}
_LABELLERS = {"cpu": 1, "cuda": min(12, os.cpu_count() or 1)}


def create(
    model: str,
    *,
    device: str = "auto",
    sizes: Sizes | None = None,
    sha256: str | None = None,
    neurite_probability: float | None = None,
    accuracy: Literal["standard", "high"] = "standard",
) -> MotorNetSegmenter:
    """Registry entry: the shipped weights, or a `model` of the laboratory's own.

    That is a promoted model's folder (`model_folder`) or a .safetensors file. Above
    `neurite_probability` (0.5) a pixel is neurite. With `accuracy` "high" the network sees each
    field in four mirrorings and its mean answer counts, in four times the time.
    """
    try:
        import torch
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise ImportError(
            "the motornet engine needs torch and safetensors: pip install"
            " 'motor-neuron-imaging-service[service]'"
        ) from error
    from segmentation.engines.motornet.network import MotorNet

    if device == "cuda" and not torch.cuda.is_available():
        raise RuntimeError(
            "device cuda was asked for, but torch sees no CUDA device; use --device cpu or repair"
            " the driver"
        )
    chosen = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
    checkpoint = (
        local_checkpoint(Path(model), pinned_sha256=sha256) if model else motornet_checkpoint()
    )
    try:
        state = load_file(checkpoint.path)
        network = MotorNet.like(state)
        missing, unexpected = network.load_state_dict(state, strict=False)
    except (SafetensorError, RuntimeError, KeyError) as error:
        raise WeightsError(
            f"{checkpoint.name} does not hold motornet's weights: {str(error).splitlines()[0]}"
        ) from error
    if unexpected or any(not name.endswith("num_batches_tracked") for name in missing):
        raise WeightsError(
            f"{checkpoint.name} does not hold motornet's weights: its parameters have other names"
        )
    name = f"motornet:{model}" if model else "motornet"
    engine = segmenter_of(network, checkpoint, chosen, name, sizes)
    engine = replace(engine, mirrorings=MIRRORINGS if accuracy == "high" else MIRRORINGS[:1])
    return engine if neurite_probability is None else engine.with_neurites(neurite_probability)


def segmenter_of(
    network: Any, checkpoint: Checkpoint, device: str, name: str, sizes: Sizes | None = None
) -> MotorNetSegmenter:
    """The engine of a network in memory, which is copied: one that is being trained stays so."""
    import torch

    precision = _precision(device)
    ready = _fused(copy.deepcopy(network).eval()).to(
        device, getattr(torch, precision), memory_format=torch.channels_last
    )
    return MotorNetSegmenter(name, checkpoint, device, precision, ready, sizes=sizes or Sizes())


def _precision(device: str) -> str:
    """Number format of the network: bfloat16 where the hardware multiplies it, else float32.

    Emulated bfloat16 is ten times slower than float32.
    """
    import torch

    if device == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    return "bfloat16" if torch.cpu._is_avx512_bf16_supported() else "float32"


def _fused(network: Any) -> Any:
    """Fold each batch normalisation into the convolution before it.

    The function is the same, with half the passes over memory.
    """
    import torch
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    for module in network.modules():
        if isinstance(module, torch.nn.Sequential) and len(module) == 2:
            module[0] = fuse_conv_bn_eval(module[0], module[1])
            module[1] = torch.nn.Identity()
    return network


@dataclass(frozen=True)
class Ranges:
    """Grey levels between background and bright, fixed for a plate.

    Of the channels with spots also the camera's noise (see `CameraNoise`). None where the role is
    absent or not calibrated.
    """

    dna_floor: float | None = None
    neurite: float | None = None
    aggregate: float | None = None
    aggregate_detail: float | None = None
    aggregate_dark: float | None = None
    aggregate_shot: float | None = None
    aggregate_background: float | None = None
    granule_dark: float | None = None
    granule_shot: float | None = None
    granule_background: float | None = None
    neurite_contrast: float | None = None


@dataclass(frozen=True)
class MotorNetSegmenter:
    """Engine "motornet"."""

    name: str
    checkpoint: Checkpoint
    device: str
    precision: str
    network: Any = field(repr=False)
    thresholds: Ranges = field(default_factory=Ranges)
    sizes: Sizes = field(default_factory=Sizes)
    # The network of another process, where one holds it for many; labels are then made here.
    asked: Callable[[Half], tuple[Half, ...]] | None = field(default=None, repr=False)
    neurite_chance: tuple[float, float] = NEURITE_CHANCE
    mirrorings: tuple[tuple[int, ...], ...] = MIRRORINGS[:1]

    @property
    def _here(self) -> str:
        """Device that follows the flows."""
        return self.device if self.asked is None else "cpu"

    def with_neurites(self, probability: float) -> MotorNetSegmenter:
        """A copy that takes pixels above a probability for neurite, in pieces with a surer one."""
        sure = round(probability + _SURE * (1 - probability), 6)
        return replace(self, neurite_chance=(probability, sure))

    def describe(self) -> dict[str, object]:
        """Weights with sha256 and licence, device, precision, and all numbers that decide."""
        return {
            "engine": self.name,
            "device": self.device,
            "precision": self.precision,
            "checkpoint": self.checkpoint.describe(),
            "thresholds": vars(self.thresholds),
            "sizes": vars(self.sizes),
            "pixel_size_um": PIXEL_SIZE_UM,
            "neurite_probability": list(self.neurite_chance),
            "accuracy": "high" if len(self.mirrorings) > 1 else "standard",
        }

    def calibrate(self, fields: Sequence[Field]) -> MotorNetSegmenter:
        """Fix the ranges: the median over the fields of each one's own."""
        fields = with_cells(fields)
        typical = {
            role: float(f"{np.median([_range(f, role)[1] for f in fields]):.6g}")
            for role in INPUTS
            if fields[0].has(role)
        }
        floor = typical.get("dna")
        ranges = Ranges(
            None if floor is None else float(f"{_DNA_FLOOR * floor:.6g}"),
            typical.get("neurite"),
            typical.get("aggregate"),
        )
        if ranges.aggregate is not None:
            units = [replace(self, thresholds=ranges)._detail(f)[1] for f in fields]
            ranges = replace(ranges, aggregate_detail=float(f"{np.median(units):.6g}"))
        if ranges.neurite is not None:
            # Without a floor: it is relative to all neurites that the network sees.
            open_ = replace(self, thresholds=ranges)
            labelled = zip(fields, open_.segment_all(fields), strict=True)
            contrast = typical_contrast([self._stretches(f, s.labels) for f, s in labelled])
            if contrast is not None:
                ranges = replace(ranges, neurite_contrast=float(f"{contrast:.6g}"))
        for role, _ in SPOTS:
            if (noise := spot_noise(fields, role)) is not None:
                levels = {f"{role}_{part}": value for part, value in vars(noise).items()}
                ranges = replace(ranges, **levels)
        return self.with_thresholds(vars(ranges))

    def with_thresholds(self, thresholds: Mapping[str, float | None]) -> MotorNetSegmenter:
        """A copy with ranges as `describe()["thresholds"]` gave them."""
        return replace(self, thresholds=Ranges(**checked_thresholds(thresholds)))

    def segment(self, field: Field, *, seed: int = 0) -> Segmentation:
        """Label one field; no random number is drawn, so `seed` changes nothing."""
        return next(iter(self.segment_all([field])))

    def segment_all(self, fields: Iterable[Field]) -> Iterator[Segmentation]:
        """Label many fields, in order.

        Preparing, the network and labelling overlap, and tiles of several fields share a batch.
        """
        workers = _LABELLERS[self._here]
        runner = TileRunner(self._evaluate, _BATCH[self.device], MULTIPLE, self._out_of_memory())
        kept: deque[Field] = deque()

        def noted() -> Iterator[Field]:
            for one in fields:
                kept.append(checked_field(one))
                yield one

        answers = runner.run(in_order(self.prepare, noted(), workers))
        paired = ((kept.popleft(), outputs) for outputs in answers)
        yield from in_order(lambda pair: self.label(pair[0], *pair[1]), paired, workers)

    def answer(self, field: Field) -> tuple[Half, Half]:
        """The network's flows and logits of a field, which `label` takes with any settings."""
        runner = TileRunner(self._evaluate, _BATCH[self.device], MULTIPLE, self._out_of_memory())
        flows, logits = next(iter(runner.run([self.prepare(checked_field(field))])))
        return flows, logits

    def prepare(self, field: Field) -> Half:
        """Network input (3, Y', X') float16 at PIXEL_SIZE_UM.

        A role that the field lacks is a plane of zeros.
        """
        zoom = field.pixel_size_um / PIXEL_SIZE_UM
        planes = np.zeros((len(INPUTS), *scaled_shape(field.shape, zoom)), np.float16)
        for plane, role in zip(planes, INPUTS, strict=True):
            if not field.has(role):
                continue
            if role == "aggregate":
                band, unit = self._detail(field)
                plane[:] = compress_detail(band, self.thresholds.aggregate_detail or unit)
            else:
                plane[:] = compress(self._linear(field, role))
        return planes

    def _linear(self, field: Field, role: str) -> Image:
        """A channel at PIXEL_SIZE_UM with background 0 and bright structures about 1.

        The range is the plate's where it is fixed.
        """
        image = levelled(field, role)
        background, field_span = _range(field, role)
        plate_span = getattr(self.thresholds, role, None)
        span = (
            max(field_span, self.thresholds.dna_floor or 0.0)
            if role == "dna"
            else plate_span or field_span
        )
        return to_scale(
            (image - np.float32(background)) / np.float32(span), field.pixel_size_um / PIXEL_SIZE_UM
        )

    def _detail(self, field: Field) -> tuple[Image, float]:
        linear = self._linear(field, "aggregate")
        band = detail(linear)
        return band, detail_unit(linear, band)

    def _stretches(self, field: Field, labels: Mapping[str, Labels]) -> Stretches:
        image = smoothed(field, "neurite", 0.0)
        return stretches(labels["neurites"] > 0, image, field.pixel_size_um)

    def label(self, field: Field, flows: Half, logits: Half) -> Segmentation:
        """From the network's answer over the whole field to labels at the field's own pixels."""
        warnings = [] if self.thresholds != Ranges() else [UNCALIBRATED]
        labels: dict[str, Labels] = {}
        figures: dict[str, float] = {}
        by_name = {name: n for n, name in enumerate(PROBABILITIES)}
        least = _SPECK * self.sizes.min_nucleus_area_um2 / field.pixel_size_um**2
        if field.has("dna"):
            nuclei = self._objects(field, flows[:2], logits[by_name["nuclei"]], NUCLEI_LOGIT)
            labels["nuclei"] = remove_small(keep_valid(nuclei, field), least)
        else:
            warnings.append("nuclei: no dna channel")
        if field.has("neurite"):
            # Without nuclei to vouch for them, bodies must be of a soma's size: twice the smallest
            # nucleus.
            least_body = least if "nuclei" in labels else 2 * least / _SPECK
            bodies = self._objects(field, flows[2:], logits[by_name["somas"]], SOMA_LOGIT)
            bodies = remove_small(keep_valid(bodies, field), least_body)
            labels["somas"] = link_somas(bodies, labels["nuclei"]) if "nuclei" in labels else bodies
            chance = _at(field, logits[by_name["neurites"]])
            mask = hysteresis(chance, *self.neurite_chance) & (labels["somas"] == 0)
            image = smoothed(field, "neurite", 0.0)
            typical = self.thresholds.neurite_contrast
            if self.thresholds == Ranges():
                typical = typical_contrast([stretches(mask, image, field.pixel_size_um)])
            neurites, figures = drawn_neurites(
                mask,
                image,
                field.pixel_size_um,
                labels["somas"],
                typical=typical,
                floor=self.sizes.neurite_contrast,
            )
            labels["neurites"] = clipped(neurites, field)
        for role, compartment in SPOTS:
            noise = spot_noise_of(self.thresholds, role) or spot_noise([field], role)
            labels |= spots_in_somas(
                field, role, compartment, labels.get("somas"), labels.get("nuclei"), noise, warnings
            )
        warnings += field.valid_area.notes()
        sure = {}
        if "nuclei" in labels:
            sure["nuclei"] = mean_probability(labels["nuclei"], logits[by_name["nuclei"]])
        return Segmentation(labels, self.name, self.describe(), tuple(warnings), sure, figures)

    def _objects(self, field: Field, flows: Half, logit: Half, threshold: float) -> Labels:
        """Labels at the field's pixels: followed at half, outlined at full resolution."""
        from segmentation.engines.motornet.dynamics import objects

        height, width = logit.shape
        inside = np.asarray(logit > threshold, bool)
        blocks = inside[: height // 2 * 2, : width // 2 * 2].reshape(height // 2, 2, width // 2, 2)
        half = np.asarray(blocks.any(axis=(1, 3)), bool)
        coarse = objects(flows[:, : height // 2, : width // 2], half, self._here)
        # In float32, which holds labels up to 16 million exactly and which OpenCV dilates.
        fine = cv2.resize(
            coarse.astype(np.float32), (width, height), interpolation=cv2.INTER_NEAREST_EXACT
        )
        rim = (fine == 0) & inside
        fine[rim] = cv2.dilate(fine, np.ones((5, 5), np.uint8))[rim]
        fine[~inside] = 0
        if fine.shape == field.shape:
            return np.asarray(fine, np.int32)
        if height < field.shape[0]:
            return _outlined(field, fine, logit, threshold)
        return np.asarray(
            cv2.resize(
                fine.astype(np.int32), field.shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT
            ),
            np.int32,
        )

    def asking(
        self, network: Callable[[Half], tuple[Half, ...]], device: str, precision: str
    ) -> MotorNetSegmenter:
        """A copy that asks a network in another process, and needs no device for the rest."""
        return replace(self, network=None, asked=network, device=device, precision=precision)

    def evaluate(self, images: Half) -> tuple[Half, ...]:
        """The network on tiles (N, 3, Y, X): flows and logits, as `MotorNet` gives them."""
        return self._once(images)

    def _evaluate(self, images: Half) -> tuple[Half, ...]:
        """The mean answer over the mirrorings."""
        if len(self.mirrorings) == 1:
            return self._once(images)
        answers = [self._mirrored(images, axes) for axes in self.mirrorings]
        flows, logits = (
            np.asarray(np.mean(parts, axis=0, dtype=np.float32), np.float16)
            for parts in zip(*answers, strict=True)
        )
        return flows, logits

    def _mirrored(self, images: Half, axes: tuple[int, ...]) -> tuple[Half, Half]:
        """The answer to mirrored tiles, mirrored back; vectors turn round with the picture."""
        answer = self._once(np.ascontiguousarray(np.flip(images, axes)))
        flows, logits = (np.flip(part, axes).copy() for part in answer)
        for axis in axes:
            # (y, x) of nuclei, then of somas
            flows[:, axis - 2 :: 2] *= -1
        return flows, logits

    def _once(self, images: Half) -> tuple[Half, ...]:
        if self.asked is not None:
            return self.asked(images)
        import torch

        with torch.inference_mode():
            batch = torch.from_numpy(images).to(
                self.device, getattr(torch, self.precision), memory_format=torch.channels_last
            )
            flows, logits = self.network(batch)
            return flows.half().cpu().numpy(), logits.half().cpu().numpy()

    def _out_of_memory(self) -> tuple[type[BaseException], ...]:
        import torch

        return (torch.OutOfMemoryError,)


def _range(field: Field, role: str) -> tuple[float, float]:
    """Background and span of a channel in the field's valid area."""
    in_noise = _DNA_IN_NOISE if role == "dna" else RANGE_IN_NOISE
    return intensity_range(field.channel(role), field.valid_area.inside, in_noise)


def _outlined(field: Field, labels: Image, logit: Half, threshold: float) -> Labels:
    """Labels at pixels finer than the network's, with the outline of the logit between its pixels.

    The steps of the network's own pixels would make a nucleus's perimeter a tenth too long.
    """
    grown = cv2.dilate(labels, np.ones((3, 3), np.uint8))
    grown[labels > 0] = labels[labels > 0]
    near = cv2.resize(grown, field.shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    fine = cv2.resize(logit.astype(np.float32), field.shape[::-1], interpolation=cv2.INTER_LINEAR)
    near[fine <= threshold] = 0
    return np.asarray(near, np.int32)


def _at(field: Field, logit: Half) -> Image:
    """Probability at the field's own pixels."""
    zoomed: Image = logit.astype(np.float32)
    if logit.shape != field.shape:
        shrink = logit.shape[0] > field.shape[0]
        zoomed = cv2.resize(
            zoomed, field.shape[::-1], interpolation=cv2.INTER_AREA if shrink else cv2.INTER_LINEAR
        )
    np.negative(zoomed, out=zoomed)
    np.exp(zoomed, out=zoomed)
    zoomed += 1
    return np.asarray(np.reciprocal(zoomed, out=zoomed), np.float32)
