"""Bring images to the network's scale and range.

The range is set once for the whole field or plate, never for a tile: two tiles of one field must
not see different contrast. It runs from the background to the 99.5th percentile, but to no less
than RANGE_IN_NOISE standard deviations of the pixel noise, so that an empty field stays dark
instead of having its noise stretched into cells. An inverse hyperbolic sine then brings hair-thin
neurites near somas a hundred times as bright. The aggregate channel is band-passed instead, see
`detail`.
"""

from __future__ import annotations

import cv2
import numpy as np

from segmentation.engines.motornet.network import PIXEL_SIZE_UM
from segmentation.field import Image, Mask
from segmentation.filters.background import background_level, noise_level

RANGE_IN_NOISE = 12.0
_KNEE = np.float32(10.0)
_DETAIL_UM = (0.3, 1.2)
# Linear range above which a pixel of an aggregate or granule channel lies in a cell.
LIT = 0.2


def intensity_range(
    image: Image, within: Mask | None = None, in_noise: float = RANGE_IN_NOISE
) -> tuple[float, float]:
    """Background and span up to bright structures of a field, in grey levels.

    The span is at least `in_noise` × noise. `within` (Y, X) restricts it to a mask.
    """
    background = background_level(image, within)
    step = max(1, int(np.sqrt(image.size / 2**18)))
    seen = image[::step, ::step]
    if within is not None and within[::step, ::step].any():
        seen = seen[within[::step, ::step]]
    bright = float(np.percentile(seen, 99.5))
    return background, max(bright - background, in_noise * noise_level(image, within), 1e-6)


def normalise(image: Image) -> Image:
    """(Y, X) grey levels ► background 0, bright structures about 1, linear."""
    background, span = intensity_range(image)
    return np.asarray((image - np.float32(background)) / np.float32(span), np.float32)


def compress(linear: Image) -> Image:
    """The network's input from the linear range: asinh(10 z) / asinh(10), about -0.3 … 2."""
    return np.asarray(np.arcsinh(_KNEE * linear) / np.arcsinh(_KNEE), np.float32)


def detail(linear: Image) -> Image:
    """Band-passed aggregate channel at PIXEL_SIZE_UM: what is 0.3 to 1.2 µm across.

    Beside a soma's own brightness a punctum of a few standard deviations of the noise is a step of
    a few per cent, which no training found; the difference of two Gaussians takes the soma away.
    """
    fine, coarse = (cv2.GaussianBlur(linear, (0, 0), um / PIXEL_SIZE_UM) for um in _DETAIL_UM)
    return np.asarray(fine - coarse, np.float32)


def detail_unit(linear: Image, band: Image) -> float:
    """Unit of the puncta band: its spread (1.4826 × MAD) inside cells.

    Of the whole field if it has no cells.
    """
    values = band[linear > LIT]
    if values.size < 200:
        values = band.ravel()
    return max(float(1.4826 * np.median(np.abs(values - np.median(values)))), 1e-6)


def compress_detail(band: Image, unit: float) -> Image:
    """The network's third input: asinh(band / unit) / asinh(10)."""
    return np.asarray(np.arcsinh(band / np.float32(unit)) / np.arcsinh(_KNEE), np.float32)


def to_scale(image: Image, zoom: float) -> Image:
    """Resample by `zoom`: areas are averaged when shrinking, lines interpolated when growing."""
    if abs(zoom - 1) < 0.01:
        return image
    shape = scaled_shape(image.shape, zoom)
    method = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, shape[::-1], interpolation=method), np.float32)


def scaled_shape(shape: tuple[int, ...], zoom: float) -> tuple[int, int]:
    """(Y, X) at another zoom; never under a pixel."""
    if abs(zoom - 1) < 0.01:
        return int(shape[0]), int(shape[1])
    return max(1, round(shape[0] * zoom)), max(1, round(shape[1] * zoom))
