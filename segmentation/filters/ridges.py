"""Neurites as bright ridges: one filter for all engines without a network for neurites.

A neurite of width w is a ridge, so the smaller eigenvalue of the Hessian is strongly negative
across it and near zero along it (Lindeberg, Int. J. Comput. Vis. 30:117, 1998). The response at
each scale is σ²-normalised and the largest scale wins. Two thresholds with hysteresis (Canny) then
keep faint stretches of a neurite that is bright elsewhere.
"""

from __future__ import annotations

import cv2
import numpy as np

from segmentation.field import Image, Labels, Mask
from segmentation.filters.curvature import curvatures, noise_gain
from segmentation.filters.noise import camera_noise

SCALES_UM = (0.5, 0.9)
# Ridges shorter than this many µm are noise or debris, not neurites; what hangs on no soma must be
# longer to be believed.
MIN_LENGTH_UM = 8.0
MIN_LOOSE_UM = 15.0
_ROOT_UM = 1.5
# A ridge is this many standard deviations of its noise at least.
LEAST_IN_NOISE = 3.0


def ridge_response(image: Image, pixel_size_um: float) -> Image:
    """Ridge strength of bright lines in grey levels, ≥ 0, same shape.

    The strong curvature at SCALES_UM (never under 0.8 px).
    """
    best = np.zeros_like(image)
    for scale in SCALES_UM:
        np.maximum(best, curvatures(image, max(0.8, scale / pixel_size_um))[0], out=best)
    return best


def response_noise(image: Image, light: Image, pixel_size_um: float, within: Mask | None) -> Image:
    """Standard deviation of `ridge_response` (Y, X) in the absence of ridges.

    By the noise that the image (Y, X) shows itself (`camera_noise`), at its `light` above the
    background. `within` restricts the estimate to a mask.
    """
    scale = max(0.8, SCALES_UM[0] / pixel_size_um)
    noise = camera_noise([image], scale, [within])
    level = cv2.GaussianBlur(light, (0, 0), max(1.0, scale))
    return noise.at(level) * np.float32(noise_gain(scale)[1])


def hysteresis(response: Image, low: float, high: float) -> Mask:
    """Pixels above `low` in 8-connected pieces that reach above `high`."""
    weak = (response > low).astype(np.uint8)
    count, pieces = cv2.connectedComponents(weak, connectivity=8)
    keep = np.zeros(count, bool)
    keep[pieces[response > high]] = True
    keep[0] = False
    return np.asarray(keep[pieces], bool)


def segment_neurites(
    image: Image,
    pixel_size_um: float,
    *,
    low: float,
    high: float,
    somas: Labels | None,
    exclude: Mask | None = None,
    spread: Image | None = None,
) -> Labels:
    """Neurite mask (0/1, int32) outside somas.

    `image` is background-subtracted; `low` and `high` are thresholds on `ridge_response`. `exclude`
    are further pixels that cannot be neurite (nuclei). `spread` (Y, X) is the response's noise:
    where `low` is less than LEAST_IN_NOISE of it, both thresholds are raised in proportion.
    """
    response = ridge_response(image, pixel_size_um)
    if spread is not None:
        response /= np.maximum(spread * np.float32(LEAST_IN_NOISE / low), 1)
    mask = hysteresis(response, low, high)
    if somas is not None:
        # The soma goes before any length is measured.
        mask &= somas == 0
    if exclude is not None:
        mask &= ~exclude
    return remove_short(mask, pixel_size_um, somas).astype(np.int32)


def remove_short(mask: Mask, pixel_size_um: float, somas: Labels | None = None) -> Mask:
    """Drop 8-connected pieces with a bounding-box diagonal under MIN_LENGTH_UM.

    Under MIN_LOOSE_UM where `somas` are given and the piece reaches none of them.
    """
    _, pieces, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    extent = np.hypot(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]) * pixel_size_um
    least = np.full(len(stats), MIN_LENGTH_UM)
    if somas is not None:
        rooted = np.zeros(len(stats), bool)
        # A neurite's mask may end a little before the soma's outline.
        reach = 2 * max(1, round(_ROOT_UM / pixel_size_um)) + 1
        near = cv2.dilate((somas > 0).astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0
        rooted[np.unique(pieces[near])] = True
        least[~rooted] = MIN_LOOSE_UM
    keep = extent >= least
    keep[0] = False
    return np.asarray(keep[pieces], bool)
