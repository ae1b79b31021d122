"""Puncta: small bright spots (aggregates, granules), by their curvature in both directions.

One threshold serves the whole plate.
"""

from __future__ import annotations

import cv2
import numpy as np

from segmentation.field import Image, Labels, Mask
from segmentation.filters.curvature import curvatures

RADIUS_UM = 0.6
# A spot with a radius under a pixel cannot be told from noise.
COARSEST_PIXEL_UM = 0.7


def spot_scale(pixel_size_um: float) -> float:
    """Filter σ in pixels: RADIUS_UM / √2, at least 0.8 px.

    There the response of a disc of that radius is largest.
    """
    return max(0.8, RADIUS_UM / float(np.sqrt(2)) / pixel_size_um)


def spot_response(image: Image, pixel_size_um: float) -> Image:
    """Spot strength in grey levels: the weak curvature.

    Edges of nuclei and neurites do not raise it.
    """
    return curvatures(image, spot_scale(pixel_size_um))[1]


def segment_puncta(
    image: Image, pixel_size_um: float, threshold: float, within: Mask | None
) -> Labels:
    """Puncta labels 1…m (int32).

    A punctum is a local maximum of `spot_response` above `threshold`; its pixels are those of its
    basin that rise above half the threshold. Only maxima inside `within` (somas) count where it is
    given. Raises ValueError if the pixels are coarser than COARSEST_PIXEL_UM.
    """
    from skimage.segmentation import watershed

    if pixel_size_um > COARSEST_PIXEL_UM:
        raise ValueError(
            f"puncta need pixels of at most {COARSEST_PIXEL_UM} µm, these are"
            f" {pixel_size_um:.3g} µm"
        )
    response = spot_response(image, pixel_size_um)
    peaks = (response >= cv2.dilate(response, np.ones((3, 3), np.uint8))) & (response > threshold)
    if within is not None:
        peaks &= within
    count, seeds = cv2.connectedComponents(peaks.astype(np.uint8), connectivity=8)
    if count == 1:
        return np.zeros(image.shape, np.int32)
    return np.asarray(watershed(-response, seeds, mask=response > threshold / 2), np.int32)
