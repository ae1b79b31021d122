"""The camera's noise in a channel: what a spot has to exceed.

A camera's variance grows in a straight line with the light: a part without light (read noise, dark
current) and a part per grey level of light (photons). Both belong to the camera and the exposure,
not to the cells, so a threshold in their unit does not move with what is in the channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.field import Image, Mask
from segmentation.filters.background import background_level
from segmentation.filters.curvature import derivatives, noise_gain

# Pixels of one camera differ in gain, and flat fields are not exact, by about 1 % (EMVA 1288 data
# sheets of sCMOS cameras give 0.3 to 1 %): no image is quieter than this share of its light.
FIXED_PATTERN = 0.01
# Where the noise is less than a grey level, a smooth slope becomes a flight of steps as wide as a
# spot, whose errors no filter averages away: drawn somas without puncta had 0.5 to 2 at a noise of
# 0.3 of a level, and none from here on.
GREY_LEVEL = 1.0
# Share of a field that is taken as without structure: two thirds of a field are not neuron even in
# dense cultures.
_DARK = 0.3
_AROUND = 33
_FLAT = 0.15
_BINS = 10
# An image with this much more noise at the scale of a spot than between neighbours was smoothed:
# its first differences show structure, which is brighter where there is light. Second differences
# along both axes (variance 1 for white noise) show the rest of its noise.
_SMOOTHED = 1.5
_FINEST = np.array([1, -2, 1], np.float32) / np.float32(np.sqrt(6))
# The variance of fewer pixels is not known to 10 %.
_FEWEST = 400


@dataclass(frozen=True)
class CameraNoise:
    """Noise of a channel as it stands at the scale of a spot.

    Attributes
    ----------
    dark
        Standard deviation without light, in grey levels.
    shot
        Variance per grey level of light above the background, in grey levels.
    background
        Level of the background that `dark` was seen at, in grey levels. None where it is not known.

    Examples
    --------
    >>> import numpy as np
    >>> from segmentation.filters.noise import CameraNoise
    >>> noise = CameraNoise(dark=3.0, shot=0.16, background=100.0)
    >>> [f"{spread:.1f}" for spread in noise.at(np.array([-5.0, 0.0, 100.0], np.float32))]
    ['3.0', '3.0', '5.1']

    A field in haze has more noise between its cells as well:

    >>> noise.haze_of(200.0)
    100.0
    """

    dark: float
    shot: float
    background: float | None = None

    def haze_of(self, background: float) -> float:
        """Light that lies over a whole field with that background, in grey levels; at least 0."""
        return 0.0 if self.background is None else max(0.0, background - self.background)

    def at(self, level: Image) -> Image:
        """Standard deviation at a level of light above the background, float32, same shape."""
        light = np.maximum(level, 0)
        variance = np.float32(self.shot) * light
        variance += np.float32(self.dark**2)
        light *= light
        light *= np.float32(FIXED_PATTERN**2)
        variance += light
        return np.asarray(np.sqrt(variance, out=variance), np.float32)


def camera_noise(
    images: Sequence[Image], sigma: float, within: Sequence[Mask | None] | None = None
) -> CameraNoise:
    """Noise of a channel from some of its fields (Y, X), for spots sought at `sigma` pixels.

    Without light: the spread of the spot filter's response over the darkest 30 % of each field,
    divided by what it would be for white noise of 1. An image that was smoothed, binned or
    compressed has less noise between neighbours and more of it at the scale of a spot; this sees
    the latter. With light: how the finest differences, which see the least of any structure, spread
    over up to ten classes of brightness where it is flat; a low increase per grey level counts, the
    tenth percentile of the classes, since edges and spots can only add to it. Medians over fields.
    `within` restricts a field to a (Y, X) mask: what lies outside of the culture has less noise.
    """
    if not images:
        raise ValueError("no field to take the noise from")
    masks = [None] * len(images) if within is None else within
    each = [_noise(image, sigma, mask) for image, mask in zip(images, masks, strict=True)]
    return CameraNoise(*(float(f"{np.median(values):.6g}") for values in zip(*each, strict=True)))


def _noise(image: Image, sigma: float, within: Mask | None) -> tuple[float, float, float]:
    """Spread without light, variance per grey level of light, and the background."""
    background = np.float32(background_level(image, within))
    level = cv2.GaussianBlur(image - background, (0, 0), max(sigma, 1.0))
    inside = np.ones(image.shape, bool)
    if within is not None:
        # Off the edge of the culture by what is looked at around a pixel.
        inside = cv2.erode(within.astype(np.uint8), np.ones((_AROUND, _AROUND), np.uint8)) > 0
        inside = inside if inside.any() else within
    inside = inside[1:, 1:]
    light = level[1:, 1:]
    # Chosen by the level around them: by their own, the noise itself would choose.
    around = cv2.blur(image, (_AROUND, _AROUND))[1:, 1:]
    darkest = np.percentile(around[inside][::4], 100 * _DARK)
    dark_pixels = inside & (around <= darkest)
    dyy, dxx, *_ = derivatives(cv2.GaussianBlur(image, (0, 0), sigma))
    response = (dyy + dxx)[1:, 1:] * np.float32(sigma**2 / 2 / noise_gain(sigma)[0])
    upper, lower = image[:-1], image[1:]
    fine = (lower[:, 1:] - lower[:, :-1] - upper[:, 1:] + upper[:, :-1]) / 2
    spread = _spread
    dark, fine_dark = spread(response[dark_pixels]), spread(fine[dark_pixels])
    if dark > _SMOOTHED * fine_dark > 0:
        fine = cv2.sepFilter2D(image, cv2.CV_32F, _FINEST, _FINEST)[1:, 1:]
        spread = _mean_spread
        fine_dark = spread(fine[dark_pixels])
    dark = max(dark, GREY_LEVEL if _in_steps(image) else 1e-6)
    # Neighbours that share their noise differ by less of it than the filter sees.
    shared = (dark / fine_dark) ** 2 if fine_dark > 0 else 1.0
    # Not at edges and flanks, where a pixel has not the light that is around it.
    dy, dx = (gradient[1:, 1:] for gradient in derivatives(level)[3:])
    flat = np.hypot(dy, dx) * np.float32(max(sigma, 1.0)) < _FLAT * light
    lit = flat & (light > 5 * dark) & inside & (around > darkest)
    values, differences = light[lit], fine[lit]
    bins = min(_BINS, values.size // _FEWEST)
    if not bins:
        return dark, 0.0, float(background)
    edges = np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1])
    classes = np.digitize(values, edges)
    slopes = [
        (spread(differences[inside]) ** 2 - fine_dark**2) / float(values[inside].mean())
        for inside in (classes == k for k in range(bins))
        # Equal levels fall into one class and leave others empty.
        if inside.sum() >= _FEWEST / 2
    ]
    shot = max(0.0, shared * float(np.percentile(slopes, 10)) if slopes else 0.0)
    return dark, shot, float(background)


def _spread(values: NDArray[np.floating]) -> float:
    if values.size == 0:
        return 0.0
    return float(1.4826 * np.median(np.abs(values - np.median(values))))


def _mean_spread(values: NDArray[np.floating]) -> float:
    """Standard deviation by the mean distance from the median: quantiles of less than a grey level
    come in steps.
    """
    if values.size == 0:
        return 0.0
    return float(np.sqrt(np.pi / 2) * np.abs(values - np.median(values)).mean())


def _in_steps(image: Image) -> bool:
    """Whether the image is of whole numbers, also after a correction of its illumination.

    That multiplies them by about 1, and neighbours alike: those of one level stay nearly equal.
    """
    rows = image[::7]
    step = np.abs(np.diff(rows, axis=1))
    return bool((rows == np.rint(rows)).all()) or bool(
        (step < 0.1).mean() > 0.15 and (np.abs(step - 1) < 0.35).mean() > 0.001
    )
