"""Vary a sample each time it is seen: crop, orientation, camera and channels.

Everything is drawn from the generator that is handed in, so that a training that was interrupted
sees the same again.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.engines.motornet.fields import compress, compress_detail, detail, detail_unit
from segmentation.engines.motornet.network import FLOWS, INPUTS, PROBABILITIES
from segmentation.field import Image

# Which channels a training sample keeps, with how often: any subset must work, the usual ones best.
_SUBSETS = (
    ((1, 1, 1), 0.38),
    ((0, 1, 0), 0.38),
    ((1, 0, 0), 0.02),
    ((1, 1, 0), 0.16),
    ((1, 0, 1), 0.02),
    ((0, 1, 1), 0.04),
)
# Channel that a probability can be learnt from: nuclei from dna, somas and neurites from neurite,
# puncta from aggregate.
_NEEDS = (0, 1, 1, 2)

Sample = Mapping[str, NDArray[np.generic]]


def augment(
    sample: Sample, rng: np.random.Generator, side: int
) -> tuple[Image, Image, Image, Image, Image]:
    """(image (3, S, S), probabilities (4, S, S), flows (4, S/2, S/2), known (4,), sure (S, S)).

    All are float32; `sure` is 0 where the truth of neurites is open. `side` is a multiple of 16, at
    most the sample's.
    """
    size = sample["truth"].shape[0]
    y, x = (2 * int(rng.integers(0, (size - side) // 2 + 1)) for _ in range(2))
    planes = sample["image"][:, y : y + side, x : x + side].astype(np.float32)
    truth = np.asarray(sample["truth"], np.uint8)[y : y + side, x : x + side]
    half = slice(y // 2, (y + side) // 2), slice(x // 2, (x + side) // 2)
    flows = sample["flows"][:, half[0], half[1]].astype(np.float32)
    # The bit behind the probabilities' says where the truth of neurites is open.
    layers = np.stack([(truth >> bit) & 1 for bit in range(len(PROBABILITIES) + 1)])
    planes, turned, flows = _turn(planes, layers.astype(np.float32), flows, rng)
    probabilities, sure = turned[: len(PROBABILITIES)], 1 - turned[len(PROBABILITIES)]
    present = np.asarray(sample["present"], bool).copy()
    if present.all():
        subset = rng.choice(len(_SUBSETS), p=[p for _, p in _SUBSETS])
        present &= np.array(_SUBSETS[subset][0], bool)
    known = np.asarray(sample["known"], bool) & present[list(_NEEDS)]
    image = np.zeros_like(planes)
    for c in np.flatnonzero(present):
        linear = _stripe(_camera(planes[c], rng), rng)
        if INPUTS[c] == "aggregate":
            band = detail(linear)
            image[c] = compress_detail(band, detail_unit(linear, band))
        else:
            image[c] = compress(linear)
    return image, probabilities, flows, known.astype(np.float32), sure


def _turn(
    planes: Image, probabilities: Image, flows: Image, rng: np.random.Generator
) -> tuple[Image, Image, Image]:
    """One of the square's eight symmetries; vectors turn with the picture."""
    quarters, mirrored = int(rng.integers(4)), bool(rng.integers(2))
    out = []
    for stack in (planes, probabilities, flows):
        turned = np.rot90(stack, quarters, axes=(1, 2))
        out.append(np.ascontiguousarray(turned[:, :, ::-1] if mirrored else turned))
    vectors = out[2].reshape(len(FLOWS), 2, *out[2].shape[1:])
    dy, dx = vectors[:, 0].copy(), vectors[:, 1].copy()
    for _ in range(quarters):
        # rot90 sends what lay along +x to -y.
        dy, dx = -dx, dy
    if mirrored:
        dx = -dx
    return out[0], out[1], np.stack([dy, dx], axis=1).reshape(out[2].shape)


def _camera(linear: Image, rng: np.random.Generator) -> Image:
    """Vary exposure, focus, lamp and bit depth in the linear range.

    There background is 0 and bright structures are about 1.
    """
    image = linear
    if rng.random() < 0.25:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 1.8))
    image = image * np.float32(np.exp(rng.uniform(-0.9, 0.7)))
    if rng.random() < 0.35:
        image = np.sign(image) * np.abs(image) ** np.float32(np.exp(rng.uniform(-0.45, 0.45)))
    if rng.random() < 0.3:
        small = rng.standard_normal((4, 4)).astype(np.float32)
        cloud = np.asarray(
            cv2.resize(small, image.shape[::-1], interpolation=cv2.INTER_CUBIC), np.float32
        )
        image = image * np.exp(np.float32(0.25) * cloud) + np.float32(rng.uniform(0, 0.06)) * cloud
    if rng.random() < 0.4:
        noise = rng.standard_normal(image.shape).astype(np.float32) * np.float32(
            0.08 * rng.random() ** 2
        )
        image = image + noise * np.sqrt(0.3 + np.maximum(image, 0))
    image = image + np.float32(rng.normal(0, 0.02))
    if rng.random() < 0.2:
        image = np.minimum(image, np.float32(rng.uniform(0.35, 1.0)))
    if rng.random() < 0.3:
        steps = np.float32(rng.choice([32, 64, 128, 255]))
        image = np.asarray(np.round(image * steps) / steps, np.float32)
    if rng.random() < 0.1:
        # A picture that was sharpened, or stored as JPEG, before it came to us.
        image = image + np.float32(rng.uniform(0.2, 0.8)) * (
            image - cv2.GaussianBlur(image, (0, 0), 1.5)
        )
    return np.asarray(np.clip(image, -1, 30), np.float32)


def _stripe(image: Image, rng: np.random.Generator) -> Image:
    """Sometimes a camera's bright or dark line at the rim, or a step between its two halves."""
    chance = rng.random()
    if chance >= 0.1:
        return image
    image = image.copy()
    view = image.T if rng.random() < 0.5 else image
    level = np.float32(rng.uniform(-0.3, 0.8))
    if chance < 0.07:
        start, width = int(rng.integers(0, 8)), int(rng.integers(1, 5))
        view = view[::-1] if rng.random() < 0.5 else view
        view[start : start + width] += level
    else:
        view[int(rng.integers(0, len(view))) :] += np.float32(0.2) * level
    return image
