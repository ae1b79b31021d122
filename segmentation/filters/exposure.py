"""Whether a field shows cells, and whether its camera saw anything at all.

A field can be blank (one single value), dark (never exposed: the camera's offset and read noise) or
empty (exposed, without a cell). None of them can be calibrated on: its thresholds would be those of
noise. Blank and dark fields are not a measurement either, while an empty one counts 0 cells. A dark
field is told from an empty one by the plate: it is darker, and has less noise, than the medium
between the cells of every field that shows some.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from segmentation.field import Field, Image, Mask
from segmentation.filters.background import background_level, noise_level
from segmentation.filters.margins import levelled

# Without nuclei or neurites there is nothing to set a threshold by. Any other channel may be empty:
# no aggregates, no dead cell.
_MUST_SHOW = ("dna", "neurite")
# Cells are looked for in pixels of this size, as spots between two widths (σ in those pixels) that
# rise this far above the noise. Spots of pure noise reach 20 in a camera that smooths, those of
# cells in a dense carpet of neurites 65.
_PIXEL_UM = 2.0
_WIDTHS = (1.0, 4.0)
_RISE = 25.0
_LEAST_SPOTS = 3
# Noise of independent pixels that is left between the two widths.
_NOISE_GAIN = 0.28
# A dark channel has at most this share of the noise that the plate's medium has: photons add noise.
_DARK_NOISE = 0.8

# Role ► lowest background and lowest noise of the medium in a plate's fields with cells.
Light = Mapping[str, tuple[float, float]]


def blank_channel(field: Field) -> str:
    """Role of the first channel with a single value; empty if there is none."""
    for c, role in enumerate(field.roles):
        if role is not None and field.pixels[c].min() == field.pixels[c].max():
            return role
    return ""


def shows_cells(image: Image, pixel_size_um: float) -> bool:
    """Whether a channel holds spots of a cell's size above its noise.

    Slow gradients (the lamp's profile, haze) are none; single bright pixels are taken off first.
    """
    zoom = min(0.5, pixel_size_um / _PIXEL_UM)
    shape = tuple(max(1, round(n * zoom)) for n in image.shape)
    coarse = cv2.resize(cv2.medianBlur(image, 3), shape[::-1], interpolation=cv2.INTER_AREA)
    narrow, broad = (cv2.GaussianBlur(coarse, (0, 0), w) for w in _WIDTHS)
    band = narrow - broad
    limit = _RISE * _NOISE_GAIN * noise_level(coarse)
    peaks = (band >= cv2.dilate(band, np.ones((5, 5), np.uint8))) & (band > limit)
    return int(peaks.sum()) >= _LEAST_SPOTS


def without_cells(field: Field) -> str:
    """Why a field cannot be calibrated on, in words; empty for a field that shows cells."""
    blank = blank_channel(field)
    if blank:
        return _blank(field, blank)
    empty = [
        r
        for r in _MUST_SHOW
        if field.has(r) and not shows_cells(levelled(field, r), field.pixel_size_um)
    ]
    if empty:
        return f"channel {' and '.join(empty)} shows no cells: it is empty or was never exposed"
    return ""


def plate_light(fields: Sequence[Field]) -> dict[str, tuple[float, float]]:
    """What the medium shows at least, per role, in fields with cells."""
    light: dict[str, tuple[float, float]] = {}
    for role in (r for r in fields[0].roles if r) if fields else ():
        levels = [background_level(f.channel(role), f.valid_area.inside) for f in fields]
        noises = [noise_level(f.channel(role), _darkest(f, role)) for f in fields]
        light[role] = min(levels), min(noises)
    return light


def unexposed(field: Field, light: Light) -> str:
    """Why a field is not a measurement, in words: a channel is blank or dark. Empty if none is."""
    blank = blank_channel(field)
    if blank:
        return _blank(field, blank)
    dark = [r for r in field.roles if r is not None and r in light and _is_dark(field, r, light[r])]
    if dark:
        return (
            f"channel {' and '.join(dark)} shows no cells and is darker than the medium of every"
            " calibrated field: it was never exposed"
        )
    return ""


def _blank(field: Field, role: str) -> str:
    value = field.channel(role).flat[0]
    return f"channel {role} has the single value {value:g} in all pixels; the image is blank"


def _is_dark(field: Field, role: str, medium: tuple[float, float]) -> bool:
    image = field.channel(role)
    return (
        background_level(image, field.valid_area.inside) < medium[0]
        and noise_level(image, _darkest(field, role)) < _DARK_NOISE * medium[1]
        and not shows_cells(levelled(field, role), field.pixel_size_um)
    )


def _darkest(field: Field, role: str) -> Mask:
    """The darkest tenth of a channel's valid area, where there are no cells."""
    image, inside = field.channel(role), field.valid_area.inside
    height, width = image.shape
    size = max(1, width // 16), max(1, height // 16)
    blocks = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    dark = (blocks <= background_level(image, inside)).astype(np.uint8)
    mask = cv2.resize(dark, (width, height), interpolation=cv2.INTER_NEAREST) > 0
    return np.asarray(mask if inside is None else mask & inside, bool)


def with_cells(fields: Sequence[Field]) -> list[Field]:
    """The fields that a calibration may use; the others are named in a warning.

    Raises ValueError where there is no field, or none that shows cells.
    """
    if not fields:
        raise ValueError("no field to calibrate on")
    faults = [without_cells(f) for f in fields]
    left_out = [f"field {n} ({why})" for n, why in enumerate(faults, start=1) if why]
    kept = [f for f, why in zip(fields, faults, strict=True) if not why]
    if not kept:
        raise ValueError(
            f"none of the {len(fields)} fields can be calibrated on: {'; '.join(left_out)}; give"
            " fields of vehicle wells that show cells"
        )
    if left_out:
        warnings.warn(f"left out of the calibration: {'; '.join(left_out)}", stacklevel=3)
    return kept
