"""Keep what lies outside of the valid area out of filters, networks and counts."""

from __future__ import annotations

import cv2
import numpy as np

from segmentation.field import Field, Image, Labels
from segmentation.filters.background import background_level

# Wider than a soma, and fine enough for the slope of a glow.
_GLOW_UM, _GLOW_PIXEL_UM = 24.0, 2.0


def levelled(field: Field, role: str) -> Image:
    """A channel with what is not valid area filled from the valid pixels next to it.

    So that no filter and no network sees the edge of the culture as an edge of a cell. The glow
    around a clump, which is wider than a cell, is taken off.
    """
    image = field.channel(role)
    inside = field.valid_area.inside
    if inside is None:
        return image
    coarse = tuple(max(1, n // 8) for n in image.shape)
    known = cv2.resize(inside.astype(np.float32), coarse[::-1], interpolation=cv2.INTER_AREA)
    level = np.float32(background_level(image, inside))
    light = cv2.resize(
        np.where(inside, image - level, 0).astype(np.float32),
        coarse[::-1],
        interpolation=cv2.INTER_AREA,
    )
    # 8 µm: further off it fades into the background.
    sigma = 8.0 / field.pixel_size_um / 8
    weight, spread = (cv2.GaussianBlur(v, (0, 0), max(sigma, 0.5)) for v in (known, light))
    near = spread / np.maximum(weight, 0.05)
    filled = cv2.resize(near, image.shape[::-1], interpolation=cv2.INTER_LINEAR) + level
    whole = np.where(inside, image, filled).astype(np.float32)
    return whole - _glow(whole - level, field) if field.valid_area.clumps_um2 else whole


def _glow(light: Image, field: Field) -> Image:
    """Light of bodies wider than a soma, without that of cells."""
    zoom = field.pixel_size_um / _GLOW_PIXEL_UM
    shape = tuple(max(1, round(n * zoom)) for n in light.shape)
    coarse = cv2.resize(light, shape[::-1], interpolation=cv2.INTER_AREA)
    side = 2 * round(_GLOW_UM / _GLOW_PIXEL_UM / 2) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    wider = np.maximum(cv2.morphologyEx(coarse, cv2.MORPH_OPEN, disc), 0)
    return np.asarray(
        cv2.resize(wider, light.shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32
    )


def keep_valid(labels: Labels, field: Field) -> Labels:
    """Labels 1…n of the objects that lie for the most part in the valid area, clipped to it."""
    inside = field.valid_area.inside
    if inside is None:
        return labels
    count = int(labels.max(initial=0)) + 1
    kept = np.bincount(labels[inside], minlength=count)
    lost = np.bincount(labels[~inside], minlength=count)
    number = np.zeros(count, np.int32)
    stays = kept[1:] > lost[1:]
    number[1:][stays] = np.arange(1, stays.sum() + 1)
    return np.where(inside, number[labels], 0).astype(np.int32)


def clipped(labels: Labels, field: Field) -> Labels:
    """Labels without what is not valid area."""
    inside = field.valid_area.inside
    return labels if inside is None else np.where(inside, labels, 0).astype(np.int32)
