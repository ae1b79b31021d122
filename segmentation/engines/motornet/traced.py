"""Training samples from fields that a person corrected, see `samples` for what a sample is.

A traced field is cut into pieces at the network's scale. What was not traced is not known: it is
neither learnt nor held against the network.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.engines.motornet.fields import normalise, scaled_shape, to_scale
from segmentation.engines.motornet.network import INPUTS, PIXEL_SIZE_UM, PROBABILITIES
from segmentation.engines.motornet.samples import SIDE, flows_of
from segmentation.field import Field, Labels, Mask

# What a person can trace that the network gives, and the channel that it is seen in.
TRACED = {"nuclei": "dna", "somas": "neurite", "neurites": "neurite"}
# How wide a neurite is was not traced: this far (in pixels) beside its line the truth is open.
_BESIDE = 3
# A pixel at the network's scale belongs to a mask that covers this share of it.
_COVERED = 0.3


def traced_samples(
    field: Field, labels: Mapping[str, Labels], side: int = SIDE, unsure: Mask | None = None
) -> list[dict[str, NDArray[np.generic]]]:
    """Samples (side, side) that cover a field; `labels` are nuclei, somas and neurites.

    Where a pixel is `unsure` (Y, X), or outside the field's valid area, the truth of neurites is
    open: a tracer would neither draw one nor deny it.

    Raises ValueError where nothing of it can be learnt from the field's channels.
    """
    known = tuple(
        name in labels and name in TRACED and field.has(TRACED[name]) for name in PROBABILITIES
    )
    if not any(known):
        raise ValueError(
            f"nothing can be learnt from labels of {', '.join(labels) or 'nothing'} with channels"
            f" {', '.join(r for r in field.roles if r) or 'of no role'}; give nuclei with a dna"
            " channel, or somas or neurites with a neurite channel"
        )
    zoom = field.pixel_size_um / PIXEL_SIZE_UM
    shape = scaled_shape(field.shape, zoom)
    planes = np.zeros((len(INPUTS), *shape), np.float32)
    for plane, role in zip(planes, INPUTS, strict=True):
        if field.has(role):
            plane[:] = to_scale(normalise(field.channel(role)), zoom)
    truth = {
        name: _resized(labels[name], shape) if name != "neurites" else _lines(labels[name], zoom)
        for name, is_known in zip(PROBABILITIES, known, strict=True)
        if is_known
    }
    if "neurites" in truth and "somas" in truth:
        truth["neurites"][truth["somas"] > 0] = 0
    inside = field.valid_area.inside
    doubt = np.zeros(field.shape, bool) if unsure is None else unsure
    truth["open"] = _resized((doubt if inside is None else doubt | ~inside).astype(np.int32), shape)
    if "neurites" in truth:
        surroundings = cv2.dilate(
            (truth["neurites"] > 0).astype(np.uint8), np.ones((2 * _BESIDE + 1,) * 2, np.uint8)
        )
        truth["open"] = np.where(truth["neurites"] > 0, 0, truth["open"] | surroundings)
    present = np.array([field.has(role) for role in INPUTS])
    return [
        _piece(planes, truth, np.array(known), present, (y, x), side)
        for y in _starts(shape[0], side)
        for x in _starts(shape[1], side)
    ]


def _resized(labels: Labels, shape: tuple[int, int]) -> Labels:
    large = cv2.resize(
        labels.astype(np.float32), shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT
    )
    return np.asarray(large, np.int32)


def _lines(labels: Labels, zoom: float) -> Labels:
    """Neurites at the network's scale, at least three pixels wide, as in the phantoms.

    Thinner ones the network would learn to be unsure of. A pen drawn along the middle and a mask
    of the whole width both have their centre line inside.
    """
    from skimage.morphology import skeletonize

    mask: Mask = to_scale((labels > 0).astype(np.float32), zoom) > _COVERED
    centre = skeletonize(mask).astype(np.uint8)
    return np.asarray(mask | (cv2.dilate(centre, np.ones((3, 3), np.uint8)) > 0), np.int32)


def _starts(length: int, side: int) -> list[int]:
    """Where pieces begin that cover a length evenly."""
    count = -(-length // side)
    return [round(i * (length - side) / (count - 1)) for i in range(count)] if count > 1 else [0]


def _piece(
    planes: NDArray[np.float32],
    truth: Mapping[str, Labels],
    known: NDArray[np.bool_],
    present: NDArray[np.bool_],
    corner: tuple[int, int],
    side: int,
) -> dict[str, NDArray[np.generic]]:
    """One sample. The bit behind those of the probabilities is where neurites are open."""
    y, x = corner
    window = slice(y, y + side), slice(x, x + side)
    bits = np.zeros((side, side), np.uint8)
    labels_of: dict[str, Labels] = {}
    for bit, name in enumerate((*PROBABILITIES, "open")):
        if name in truth:
            labels_of[name] = _grown(truth[name][window].astype(np.float32), side).astype(np.int32)
            bits |= ((labels_of[name] > 0) << bit).astype(np.uint8)
    none = np.zeros((side, side), np.int32)
    flows = [flows_of(_apart(labels_of.get(name, none))) for name in ("nuclei", "somas")]
    return {
        "image": np.clip(np.stack([_grown(p[window], side) for p in planes]), -2, 60).astype(
            np.float16
        ),
        "truth": bits,
        "flows": np.concatenate(flows),
        "known": known,
        "present": present,
    }


def _grown(piece: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Reflected at the rim up to (side, side), which keeps the statistics of a small field."""
    below, right = side - piece.shape[0], side - piece.shape[1]
    if not below and not right:
        return piece
    return np.asarray(cv2.copyMakeBorder(piece, 0, below, 0, right, cv2.BORDER_REFLECT), np.float32)


def _apart(labels: Labels) -> Labels:
    """Labels whose separate pieces have numbers of their own: flows lead to one centre each."""
    from skimage.measure import label

    return np.asarray(label(labels, connectivity=1), np.int32)
