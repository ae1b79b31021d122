"""Training samples: crops at the network's scale with their truth.

They come from annotated nuclei and from phantoms. A sample is an .npz of `image` (3, Y, X) float16,
linear range of `fields.normalise`; `truth` (Y, X) uint8, one bit per probability in the order of
`network.PROBABILITIES`; `flows` (4, Y/2, X/2) float16; `known` (4,) bool, what of the truth may be
learnt; `present` (3,) bool, channels. Making them takes longer than a training step, so they are
kept on disk.

    python -m segmentation.engines.motornet.samples --nuclei FOLDER --out SAMPLES --phantoms 2400
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from skimage.measure import label

from segmentation.engines.motornet.fields import normalise, scaled_shape, to_scale
from segmentation.engines.motornet.network import INPUTS, PIXEL_SIZE_UM, PROBABILITIES
from segmentation.engines.motornet.nuclei import BLIND_PIXEL_UM, nuclei_pixel_size, read_nuclei
from segmentation.field import Image, Labels
from segmentation.phantoms.render import render
from segmentation.phantoms.scenes import scene

SIDE = 384
# Thin structures are drawn at least this wide, or the network would learn to be unsure of them.
_LEAST_NEURITE_PX = 3.0
_PUNCTUM_UM = 0.6
_COARSEST_PUNCTA_UM = 0.5


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
    """A random crop of an annotated image, mostly at its true scale, sometimes at the blind one."""
    pixel = (
        BLIND_PIXEL_UM
        if rng.random() < 0.2
        else nuclei_pixel_size(labels) * float(np.exp(rng.uniform(-0.35, 0.35)))
    )
    zoom = pixel / PIXEL_SIZE_UM
    scaled = to_scale(normalise(image), zoom)
    shape = scaled_shape(labels.shape, zoom)
    large = cv2.resize(
        labels.astype(np.float32), shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT
    ).astype(np.int32)
    corner = [int(rng.integers(0, max(1, n - SIDE + 1))) for n in shape]
    window = tuple(slice(c, c + SIDE) for c in corner)
    planes = np.zeros((len(INPUTS), SIDE, SIDE), np.float32)
    crop = np.zeros((SIDE, SIDE), np.int32)
    piece = scaled[window]
    # Reflection keeps statistics at the rim as a tile inside a field has them.
    pad = [(0, SIDE - n) for n in piece.shape]
    planes[0] = cv2.copyMakeBorder(piece, 0, pad[0][1], 0, pad[1][1], cv2.BORDER_REFLECT)
    crop[:] = cv2.copyMakeBorder(
        large[window].astype(np.float32), 0, pad[0][1], 0, pad[1][1], cv2.BORDER_REFLECT
    )
    # A mirror image is another nucleus: under one number the flows of both would lead to neither.
    crop = np.asarray(label(crop, connectivity=1), np.int32)
    return _sample(planes, {"nuclei": crop}, (True, False, False, False), (True, False, False))


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
            else float(np.exp(rng.uniform(np.log(0.18), np.log(1.1))))
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
        large = cv2.resize(
            labels.astype(np.float32), shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT
        )
        labels_of[name] = large[:SIDE, :SIDE].astype(np.int32)
    exact = shape[0] / side
    neurites = truth.neurite_mask(pixel, zoom=exact, min_width_px=_LEAST_NEURITE_PX)[:SIDE, :SIDE]
    labels_of["neurites"] = (neurites & (labels_of["somas"] == 0)).astype(np.int32)
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
        planes, labels_of, (True, True, True, pixel <= _COARSEST_PUNCTA_UM), (True, True, True)
    )


def _sample(
    planes: Image, labels: dict[str, Labels], known: tuple[bool, ...], present: tuple[bool, ...]
) -> dict[str, NDArray[np.generic]]:
    truth = np.zeros(planes.shape[1:], np.uint8)
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
