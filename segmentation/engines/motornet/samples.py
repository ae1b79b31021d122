"""Training samples: crops at the network's scale with their truth.

They come from annotated nuclei, from phantoms, and from photographs of cells without neurites;
those of photographs with traced neurites are added by `benchmarks.masks.traced`. A sample is an
.npz of `image` (3, Y, X) float16, linear range of `fields.normalise`; `truth` (Y, X) uint8, one bit
per probability in the order of `network.PROBABILITIES` and one more, UNSURE, where a tracer would
hesitate to draw a neurite; `flows` (4, Y/2, X/2) float16; `known` (4,) bool, what of the truth may
be learnt; `present` (3,) bool, channels. Making them takes longer than a training step, so they are
kept on disk.

    python -m segmentation.engines.motornet.samples --nuclei FOLDER --negatives FOLDER… \
        --out SAMPLES --phantoms 2400
"""

from __future__ import annotations

import argparse
import zlib
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import compress as compress_list
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from skimage.measure import label, regionprops

from segmentation.engines.motornet.fields import (
    RANGE_IN_NOISE,
    normalise,
    scaled_shape,
    to_scale,
)
from segmentation.engines.motornet.negatives import read_negatives
from segmentation.engines.motornet.network import INPUTS, PIXEL_SIZE_UM, PROBABILITIES
from segmentation.engines.motornet.nuclei import BLIND_PIXEL_UM, nuclei_pixel_size, read_nuclei
from segmentation.field import Image, Labels, Mask
from segmentation.filters.contrast import line_contrast
from segmentation.filters.labels import expand
from segmentation.phantoms.render import Truth, render
from segmentation.phantoms.scenes import scene

SIDE = 384
# Thin structures are drawn at least this wide, or the network would learn to be unsure of them.
_LEAST_NEURITE_PX = 3.0
_PUNCTUM_UM = 0.6
_COARSEST_PUNCTA_UM = 0.5
# Bit of `truth` of pixels whose neurites are neither learnt nor held against the network.
UNSURE = len(PROBABILITIES)
# A neurite with less than this share of the contrast of the field's median one is not what a tracer
# is sure to draw.
LEAST_CONTRAST = 0.5
# Annotated outlines that enclose less than this share of their convex hull are rings and crescents
# that the annotator left unfilled.
_LEAST_SOLIDITY = 0.7
# Pixel sizes (µm) that photographs without a stated one are shown at.
_PIXELS_UM = (0.3, 1.3)


def flows_of(labels: Labels) -> NDArray[np.float16]:
    """Unit vectors (2, Y/2, X/2) towards each object's centre, on the halved label image.

    By Cellpose's heat diffusion.
    """
    from cellpose import dynamics

    _, numbered = np.unique(labels[::2, ::2], return_inverse=True)
    half = numbered.reshape(labels[::2, ::2].shape).astype(np.int32)
    if half.max() == 0:
        return np.zeros((2, *half.shape), np.float16)
    flows, _ = dynamics.masks_to_flows_gpu(half)
    return np.asarray(flows, np.float16)


def nuclei_sample(
    image: Image, labels: Labels, rng: np.random.Generator
) -> dict[str, NDArray[np.generic]]:
    """A random crop of an annotated image, mostly at its true scale, sometimes at the blind one.

    Half of them are made harder: nuclei of uneven brightness, crowded, or in haze.
    """
    labels = filled(labels)
    pixel = (
        BLIND_PIXEL_UM
        if rng.random() < 0.2
        else nuclei_pixel_size(labels) * float(np.exp(rng.uniform(-0.35, 0.35)))
    )
    zoom = pixel / PIXEL_SIZE_UM
    linear = normalise(image)
    if rng.random() < 0.5:
        linear, labels = harder(linear, labels, rng)
    scaled = to_scale(linear, zoom)
    large = _labels_to_scale(labels, scaled_shape(labels.shape, zoom))
    planes = np.zeros((len(INPUTS), SIDE, SIDE), np.float32)
    window = _random_window(scaled.shape, rng)
    planes[0] = _reflected(scaled[window])
    # A mirror image is another nucleus: under one number the flows of both would lead to neither.
    crop = np.asarray(label(_reflected(large[window]), connectivity=1), np.int32)
    return _sample(planes, {"nuclei": crop}, (True, False, False, False), (True, False, False))


def filled(labels: Labels) -> Labels:
    """Annotations that are rings or crescents, as their convex hulls."""
    out = labels.copy()
    for one in regionprops(labels):
        if one.area >= 20 and one.solidity < _LEAST_SOLIDITY:
            window = out[one.slice]
            window[one.image_convex & (window == 0)] = one.label
    return out


def harder(linear: Image, labels: Labels, rng: np.random.Generator) -> tuple[Image, Labels]:
    """Nuclei that differ in brightness, that touch, and that lie in the haze of others.

    `linear` (Y, X) has background 0. Returns the new picture and its labels.
    """
    image, labels = linear.copy(), labels.copy()
    if rng.random() < 0.4 and labels.any():
        # The same picture, mirrored and moved, fills the gaps: its nuclei come to touch others.
        moved = tuple(int(rng.integers(0, n)) for n in labels.shape)
        other = np.roll(labels[::-1], moved, (0, 1))
        light = np.roll(image[::-1], moved, (0, 1))
        taken = np.bincount(other[labels > 0], minlength=int(other.max()) + 1)
        fits = taken == 0
        fits[0] = False
        new = fits[other]
        soft = cv2.GaussianBlur(new.astype(np.float32), (0, 0), 0.7)
        image = np.maximum(image, light * soft)
        labels = np.where(new, other + labels.max(), labels).astype(np.int32)
    if rng.random() < 0.6:
        gain = np.exp(rng.normal(-0.4, 0.7, int(labels.max()) + 1)).astype(np.float32)
        gain[0] = 1
        image *= cv2.GaussianBlur(gain[expand(labels, 2)], (0, 0), 1.0)
    if rng.random() < 0.6:
        # Light of nuclei out of focus, and of what lies above the field.
        across = float(np.sqrt(max(float((labels > 0).sum()), 1) / max(int(labels.max()), 1)))
        far = np.roll(image[:, ::-1], int(rng.integers(0, image.shape[0])), 0)
        haze = cv2.GaussianBlur(far, (0, 0), across * rng.uniform(0.3, 1.0))
        glow = cv2.GaussianBlur(image, (0, 0), across * rng.uniform(0.8, 3.0))
        image += np.float32(rng.uniform(0, 0.6)) * haze + np.float32(rng.uniform(0, 0.8)) * glow
    if rng.random() < 0.3:
        corners = rng.uniform(0, 0.6, (2, 2)).astype(np.float32)
        image += cv2.resize(corners, image.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(image, np.float32), labels


def negative_sample(
    image: Image, rng: np.random.Generator, dna: Image | None = None
) -> dict[str, NDArray[np.generic]]:
    """A crop of cells without neurites, as the neurite channel: whatever is drawn there is false.

    Their pixel size is not known, so that they are shown at many. Half of them have a DNA channel
    (an empty one where there is no `dna`): that a channel is absent must say nothing of neurites.
    """
    zoom = float(np.exp(rng.uniform(*np.log(_PIXELS_UM)))) / PIXEL_SIZE_UM
    with_dna = bool(rng.random() < 0.5)
    scaled = to_scale(normalise(image), zoom)
    window = _random_window(scaled.shape, rng)
    planes = np.zeros((len(INPUTS), SIDE, SIDE), np.float32)
    planes[1] = _reflected(scaled[window])
    if with_dna and dna is not None:
        planes[0] = _reflected(to_scale(normalise(dna), zoom)[window])
    elif with_dna:
        grain = rng.standard_normal((SIDE, SIDE)).astype(np.float32)
        planes[0] = grain / np.float32(RANGE_IN_NOISE * np.exp(rng.uniform(0, 1.5)))
    return _sample(planes, {}, (False, False, True, False), (with_dna, True, False))


def _random_window(shape: tuple[int, ...], rng: np.random.Generator) -> tuple[slice, slice]:
    y, x = (int(rng.integers(0, max(1, n - SIDE + 1))) for n in shape)
    return slice(y, y + SIDE), slice(x, x + SIDE)


def _reflected(piece: Any) -> Any:
    """A piece filled up to SIDE × SIDE: reflection keeps statistics at the rim as inside a field.

    A piece under half of SIDE is reflected more than once.
    """
    pad = [(0, SIDE - n) for n in piece.shape]
    return np.pad(piece, pad, mode="symmetric")


def _labels_to_scale(labels: Labels, shape: tuple[int, int]) -> Labels:
    large = cv2.resize(
        labels.astype(np.float32), shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT
    )
    return np.asarray(large, np.int32)


def phantom_sample(seed: np.random.SeedSequence) -> dict[str, NDArray[np.generic]]:
    """A wild phantom at some camera's pixel size, brought to the network's scale."""
    rng = np.random.default_rng(seed)
    choice = rng.random()
    pixel = (
        PIXEL_SIZE_UM
        if choice < 0.35
        else (
            BLIND_PIXEL_UM
            if choice < 0.5
            else float(np.exp(rng.uniform(np.log(0.18), np.log(1.6))))
        )
    )
    zoom = pixel / PIXEL_SIZE_UM
    # Under 1 % of zoom nothing is resampled, see `fields.scaled_shape`.
    side = int(np.ceil(SIDE / zoom)) + (6 if abs(zoom - 1) < 0.01 else 2)
    level = "wild" if rng.random() < 0.75 else rng.choice(["medium", "hard"])
    phantom = render(
        *scene(str(level), seed.spawn(1)[0], shape=(side, side), pixel_size_um=pixel), seed
    )
    truth = phantom.truth
    planes = np.stack(
        [to_scale(normalise(phantom.field.channel(role)), zoom)[:SIDE, :SIDE] for role in INPUTS]
    )
    shape = scaled_shape((side, side), zoom)
    labels_of: dict[str, Labels] = {}
    for name, labels in (("nuclei", truth.nuclei), ("somas", truth.somas)):
        labels_of[name] = _labels_to_scale(labels, shape)[:SIDE, :SIDE]
    exact = shape[0] / side
    faint = faint_lines(phantom.field.channel("neurite"), pixel, truth)
    sure, unsure = (
        Truth.neurite_mask(part, pixel, zoom=exact, min_width_px=_LEAST_NEURITE_PX)[:SIDE, :SIDE]
        & (labels_of["somas"] == 0)
        for part in (_part(truth, ~faint), _part(truth, faint))
    )
    labels_of["neurites"] = sure.astype(np.int32)
    puncta = np.zeros((SIDE, SIDE), np.uint8)
    for y, x in (truth.puncta_yx + 0.5) * exact - 0.5:
        cv2.circle(
            puncta,
            (round(float(x) * 16), round(float(y) * 16)),
            round(_PUNCTUM_UM / PIXEL_SIZE_UM * 16),
            1,
            cv2.FILLED,
            cv2.LINE_8,
            4,
        )
    labels_of["puncta"] = puncta.astype(np.int32)
    return _sample(
        planes,
        labels_of,
        (True, True, True, pixel <= _COARSEST_PUNCTA_UM),
        (True, True, True),
        unsure=unsure & ~sure,
    )


def faint_lines(image: Image, pixel_size_um: float, truth: Truth) -> NDArray[np.bool_]:
    """Which neurites have less than LEAST_CONTRAST of the median one's contrast, (n,) bool.

    The median is over the length, and a neurite's contrast the mean along its line.
    """
    contrast = line_contrast(image, pixel_size_um)
    means = np.zeros(len(truth.neurites_yx))
    for n, line in enumerate(truth.neurites_yx):
        index = np.round(line).astype(int)
        inside = ((index >= 0) & (index < image.shape)).all(axis=1)
        index = index[inside]
        index = index[truth.somas[index[:, 0], index[:, 1]] == 0]
        means[n] = contrast[index[:, 0], index[:, 1]].mean() if len(index) else 0.0
    weights = np.array(truth.neurite_length_um, float)
    if not weights.sum():
        return np.zeros(len(means), bool)
    order = np.argsort(means)
    half = np.searchsorted(np.cumsum(weights[order]), weights.sum() / 2)
    return np.asarray(means < LEAST_CONTRAST * means[order[min(half, len(order) - 1)]], bool)


def _part(truth: Truth, keep: NDArray[np.bool_]) -> Truth:
    return replace(
        truth,
        neurites_yx=list(compress_list(truth.neurites_yx, keep)),
        neurite_width_um=list(compress_list(truth.neurite_width_um, keep)),
    )


def _sample(
    planes: Image,
    labels: dict[str, Labels],
    known: tuple[bool, ...],
    present: tuple[bool, ...],
    unsure: Mask | None = None,
) -> dict[str, NDArray[np.generic]]:
    truth = np.zeros(planes.shape[1:], np.uint8)
    if unsure is not None:
        truth |= (unsure << UNSURE).astype(np.uint8)
    for bit, name in enumerate(PROBABILITIES):
        if name in labels:
            truth |= ((labels[name] > 0) << bit).astype(np.uint8)
    none = np.zeros(planes.shape[1:], np.int32)
    flows = np.concatenate(
        [flows_of(labels.get("nuclei", none)), flows_of(labels.get("somas", none))]
    )
    return {
        "image": np.clip(planes, -2, 60).astype(np.float16),
        "truth": truth,
        "flows": flows,
        "known": np.array(known),
        "present": np.array(present),
    }


def _write(make: partial[dict[str, NDArray[np.generic]]], path: Path) -> None:
    if not path.exists():
        cv2.setNumThreads(1)
        torch.set_num_threads(1)
        temporary = path.with_suffix(".tmp")
        with temporary.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **make())
        temporary.rename(path)


def main() -> None:
    """Write the samples; those that stand already are kept, so that it may be interrupted."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--nuclei",
        type=Path,
        required=True,
        help="folder of DSB2018: manifest.csv, images/, labels/",
    )
    parser.add_argument(
        "--negatives",
        type=Path,
        nargs="*",
        default=[],
        help="folders with pictures of cells without neurites, one channel a file",
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--phantoms", type=int, default=2400)
    parser.add_argument("--crops", type=int, default=3, help="crops of each annotated image")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    jobs: list[tuple[partial[dict[str, NDArray[np.generic]]], Path]] = []
    for name, image, labels in read_nuclei(arguments.nuclei, "training"):
        for crop in range(arguments.crops):
            rng = np.random.default_rng([arguments.seed, int(name[:12], 16), crop])
            jobs.append(
                (
                    partial(nuclei_sample, image, labels, rng),
                    arguments.out / f"nuclei-{name[:12]}-{crop}.npz",
                )
            )
    # A picture of nuclei has no neurites either.
    pictures: list[tuple[str, Image, Image | None]] = [
        (n, i, None) for n, i, _ in read_nuclei(arguments.nuclei, "training")
    ]
    crops = [1] * len(pictures)
    for one in read_negatives(arguments.negatives, "training"):
        pictures.append(one)
        crops.append(2 * arguments.crops)
    for (name, image, dna), count in zip(pictures, crops, strict=True):
        for crop in range(count):
            rng = np.random.default_rng([arguments.seed, zlib.crc32(name.encode()), crop])
            jobs.append(
                (
                    partial(negative_sample, image, rng, dna),
                    arguments.out / f"negative-{name[:40]}-{crop}.npz",
                )
            )
    for i, seed in enumerate(np.random.SeedSequence(arguments.seed).spawn(arguments.phantoms)):
        jobs.append((partial(phantom_sample, seed), arguments.out / f"phantom-{i:05}.npz"))
    # Phantoms and photographs mixed, so that training can begin before all are made.
    order = np.random.default_rng(arguments.seed).permutation(len(jobs))
    with ProcessPoolExecutor(arguments.workers) as pool:
        for done, _ in enumerate(
            pool.map(_write, *zip(*(jobs[i] for i in order), strict=True), chunksize=4), start=1
        ):
            if done % 200 == 0:
                print(f"{done} of {len(jobs)} samples", flush=True)


if __name__ == "__main__":
    main()
