"""CellVoyager's shading images: a white plate (`SC_…`) and the dark camera (`DC_…`) of a channel.

What they show of the light is smooth, so it is kept as a polynomial: small enough to lie in a plan
and in a run's identity, without the noise of the white image.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from imaging_service.errors import ImageError
from imaging_service.ingest.images.scan_files import ScanFiles
from imaging_service.ingest.images.tiff_image import read_tiff
from imaging_service.ingest.plan import FindingKind, Limits, ScanFinding
from segmentation.filters.light_profile import Coefficients, LightProfile

_CAMERA = re.compile(r"DC_.*_CAM(\d+)\.tif", re.IGNORECASE)
_DEGREE = 6
_GRID = 64
# Of the mean light: what a smooth profile may leave over of its white image.
_ROUGH = 0.03
# Digits that are kept, so that every machine finds the same profile.
_DIGITS = 6


@dataclass(frozen=True)
class ShadingImage:
    """Name of a channel's white image, and the number of its camera; empty where unsaid."""

    white: str
    camera: str = ""


def shading_profiles(
    files: ScanFiles,
    folder: str,
    named: Mapping[str, ShadingImage],
    shape: tuple[int, int],
    limits: Limits,
) -> tuple[dict[str, LightProfile], tuple[ScanFinding, ...]]:
    """Channel ► profile of its light, and findings of white images that give none.

    Parameters
    ----------
    files, folder
        The scan, and where in it the white and dark images lie.
    named
        Channel ► its shading image.
    shape
        (Y, X) of the plate's images; white images of a whole multiple of it are binned alike.
    """
    dark = {
        match[1]: path
        for path in files.tiffs
        if path.rpartition("/")[0] == folder and (match := _CAMERA.fullmatch(Path(path).name))
    }
    profiles: dict[str, LightProfile] = {}
    findings = []
    for channel, image in named.items():
        path = f"{folder}/{image.white}" if folder else image.white
        try:
            if Path(image.white).name != image.white or path not in files.tiffs:
                raise ImageError(f"{image.white} is not beside the measurement's records")
            profiles[channel] = _profile(
                read_tiff(files.root / path, limits),
                read_tiff(files.root / dark[image.camera], limits)
                if image.camera in dark
                else None,
                shape,
            )
        except ImageError as error:
            text = f"channel {channel!r}: its shading image is not used: {error}"
            findings.append(ScanFinding(FindingKind.LEFT_OUT, text))
    return profiles, tuple(findings)


def _profile(
    white: NDArray[np.generic], dark: NDArray[np.generic] | None, shape: tuple[int, int]
) -> LightProfile:
    """The polynomial through a white image less its dark one. Raises ImageError."""
    if 0 in shape or any(
        w % n or w // n != white.shape[0] // shape[0]
        for w, n in zip(white.shape, shape, strict=True)
    ):
        raise ImageError(f"it has {white.shape} pixels, the images of the plate {shape}")
    light = white.astype(np.float32)
    if dark is not None:
        if dark.shape != white.shape:
            raise ImageError(f"it has {white.shape} pixels, the dark image {dark.shape}")
        # Of the dark image its level only: its noise would be added to that of the white one.
        light -= np.float32(np.median(dark.astype(np.float32)))
    grid = [min(_GRID, n) for n in light.shape]
    coarse = cv2.resize(light, (grid[1], grid[0]), interpolation=cv2.INTER_AREA)
    mean = float(coarse.mean())
    if mean <= 0 or float(white.max()) == float(white.min()):
        raise ImageError("it is blank")
    y, x = (((np.arange(n) + 0.5) / n * 2 - 1) for n in grid)
    terms = np.stack(
        [
            (x[None, :] ** (n - k) * y[:, None] ** k).ravel()
            for n in range(_DEGREE + 1)
            for k in range(n + 1)
        ],
        axis=1,
    )
    relative = (coarse / mean).ravel()
    fitted, *_ = np.linalg.lstsq(terms, relative, rcond=None)
    rough = float(np.sqrt(np.mean((terms @ fitted - relative) ** 2)))
    if rough > _ROUGH:
        raise ImageError(f"it is not smooth: {rough:.1%} of its light follows no smooth profile")
    values = iter(round(float(v), _DIGITS) for v in fitted)
    rows: Coefficients = tuple(
        tuple(next(values) for _ in range(n + 1)) for n in range(_DEGREE + 1)
    )
    height, width = shape
    return LightProfile(rows, ((width - 1) / 2, (height - 1) / 2), (2 / width, 2 / height))
