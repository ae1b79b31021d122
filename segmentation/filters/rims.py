"""The light of nuclei, as a background that the spots around them stand on.

Where a protein is brighter in the nucleus than around it, the foot of the nucleus's blurred rim
bends upward as a spot bends downward. At 0.65 µm per pixel that hid three of four spots within
1.2 µm of such a nucleus, and none where the protein was in the cytoplasm: counts followed the
localisation. A rim is the same along its nucleus, a spot is not. So what a stretch of rim has in
common is the nucleus's, and as far as its outline is in doubt so is the light beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects, gaussian_filter1d, map_coordinates
from scipy.spatial import cKDTree
from scipy.stats import median_abs_deviation
from skimage.measure import find_contours

from segmentation.field import Image, Labels, Mask

# As far as optics and the filter of spots spread a rim.
_REACH_UM = 2.5
# A stretch of rim is several spots long, and short beside the changes of a nucleus's outline.
_STRETCH_UM = 7.0
# Half of the width of a rim after the filter of spots.
_STEP_UM = 0.3
# Spots are the brighter part of a stretch, more than half of it where they are dense.
_PERCENTILE = 35
# Labels are jagged by their pixels, nuclei are smooth: neither finer steps of an outline nor
# shorter waves of it are a nucleus's own.
_SMOOTH_UM, _SHORTEST_WAVE_UM = 0.8, 4.0
# Normals would meet in the middle of a nucleus; they end at this share of its depth.
_DEEPEST = 0.6
# A rim that is further than this from its label is not that label's.
_LARGEST_DOUBT_PX = 1.0
# Errors of an outline go on over several pixels, as the camera's noise does not, so that the filter
# of spots averages less of them away.
_OF_WHITE_NOISE = 1.5


@dataclass(frozen=True)
class NuclearLight:
    """What nuclei add to their neighbourhood.

    Attributes
    ----------
    light
        (Y, X) float32 grey levels; 0 away from nuclei. No spot is in it.
    doubt_px
        (Y, X) float32 pixels: how far rims lie from where `light` has them, as a standard deviation
        of white noise.
    """

    light: Image
    doubt_px: Image


def nuclear_light(image: Image, nuclei: Labels, within: Mask, pixel_size_um: float) -> NuclearLight:
    """The light of nuclei and of their blurred rims.

    Parameters
    ----------
    image
        (Y, X) float32 of the channel with the spots, above its background.
    nuclei
        (Y, X) labels of nuclei.
    within
        (Y, X) mask: only nuclei that lie in it are taken.
    pixel_size_um
        Edge of a pixel in µm.

    Examples
    --------
    A nucleus of 100 grey levels on a cytoplasm of 20, and a spot beside it:

    >>> import cv2, numpy as np
    >>> from segmentation.filters.rims import nuclear_light
    >>> y, x = np.mgrid[:60, :60]
    >>> nuclei = (np.hypot(y - 30, x - 30) < 10).astype(np.int32)
    >>> image = cv2.GaussianBlur(20 + 80 * nuclei.astype(np.float32), (0, 0), 1)
    >>> image[30, 44] += 50
    >>> left = image - nuclear_light(image, nuclei, nuclei > 0, 0.5).light
    >>> [round(float(left[30, x]), -1) for x in (30, 36, 39, 42, 44, 46)]
    [20.0, 20.0, 20.0, 20.0, 70.0, 20.0]
    """
    light, doubt = np.zeros(image.shape, np.float32), np.zeros(image.shape, np.float32)
    nearest = np.full(image.shape, np.inf, np.float32)
    reach = _REACH_UM / pixel_size_um
    step = max(0.5, _STEP_UM / pixel_size_um)
    for label, window in _windows(nuclei, within, int(np.ceil(reach)) + 2):
        nucleus = nuclei[window] == label
        outline = _outline(nucleus, step, pixel_size_um)
        if outline is None:
            continue
        # A circle's radius is twice its area over its length; so is half the width of a long body.
        depth = 2 * float(nucleus.sum()) / (len(outline) * step)
        away = np.arange(-min(reach, _DEEPEST * depth), reach + step / 2, step)
        others = (nuclei[window] > 0) & ~nucleus
        # The rim of a soma is not its nucleus's.
        beyond = others | ~within[window]
        common, misfit = _common(image[window], beyond, outline, away, step, pixel_size_um)
        outside = cv2.distanceTransform((~nucleus).astype(np.uint8), cv2.DIST_L2, 3)
        # Between two nuclei a pixel is the nearer one's.
        taken = (outside <= reach + 1) & ~others & (outside < nearest[window])
        nearest[window][taken] = outside[taken]
        light[window][taken] = _at(np.argwhere(taken), outline, common, away, depth)
        doubt[window][taken] = _OF_WHITE_NOISE * min(misfit, _LARGEST_DOUBT_PX)
    return NuclearLight(light, doubt)


def _windows(
    nuclei: Labels, within: Mask, margin: int
) -> Iterator[tuple[int, tuple[slice, slice]]]:
    """Labels inside the mask, each with the part of the image around it."""
    places = find_objects(nuclei)
    height, width = nuclei.shape
    for label in np.unique(nuclei[within]).tolist():
        if label:
            y, x = places[label - 1]
            yield (
                label,
                (
                    slice(max(0, y.start - margin), min(height, y.stop + margin)),
                    slice(max(0, x.start - margin), min(width, x.stop + margin)),
                ),
            )


def _outline(nucleus: Mask, step: float, pixel_size_um: float) -> NDArray[np.complex128] | None:
    """A nucleus's outline as x + iy, about `step` pixels apart, without the jags of its pixels.

    None for a label of a few pixels.
    """
    soft = cv2.GaussianBlur(nucleus.astype(np.float32), (0, 0), _SMOOTH_UM / pixel_size_um)
    lines = find_contours(np.pad(soft, 1), 0.5)
    if not lines:
        return None
    line = max(lines, key=len) - 1
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    number = max(16, round(along[-1] / step))
    even = np.interp(np.arange(number) * along[-1] / number, along, line[:, 1] + 1j * line[:, 0])
    waves = np.fft.fft(even)
    turns = np.abs(np.fft.fftfreq(number, 1 / number))
    waves[turns > max(1.0, along[-1] * pixel_size_um / _SHORTEST_WAVE_UM)] = 0
    return np.asarray(np.fft.ifft(waves), np.complex128)


def _normals(outline: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Unit vectors out of a closed outline."""
    ahead = np.roll(outline, -1) - np.roll(outline, 1)
    # Twice its area, with the sign of the direction that it runs in.
    area = (outline.conj() * np.roll(outline, -1)).imag.sum()
    return np.asarray(ahead * (-1j if area > 0 else 1j) / np.maximum(np.abs(ahead), 1e-9))


def _common(
    image: Image,
    beyond: Mask,
    outline: NDArray[np.complex128],
    away: NDArray[np.float64],
    step: float,
    pixel_size_um: float,
) -> tuple[NDArray[np.float32], float]:
    """(along, away): what stretches of a rim add to the level around it; and their misfit.

    The misfit is the standard deviation of the rim from its outline, in pixels, without the spots.
    """
    places = outline[:, None] + away * _normals(outline)[:, None]
    x, y = places.real.astype(np.float32), places.imag.astype(np.float32)
    seen = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    hidden = cv2.remap(beyond.astype(np.uint8), x, y, cv2.INTER_NEAREST) > 0
    # Beyond a soma's or a neighbour's rim the last place before it goes on.
    for column in range(1, len(away)):
        seen[hidden[:, column], column] = seen[hidden[:, column], column - 1]
    common = _lower(seen, round(_STRETCH_UM / pixel_size_um / step))
    slope = np.gradient(common, step, axis=1)
    shifts = ((seen - common) * slope).sum(axis=1) / np.maximum((slope**2).sum(axis=1), 1e-9)
    misfit = float(median_abs_deviation(shifts, scale="normal"))
    return np.asarray(common - common[:, -1:], np.float32), misfit


def _lower(seen: Image, stretch: int) -> Image:
    """The running _PERCENTILE along a closed outline (axis 0) over `stretch` places, smoothed."""
    number = len(seen)
    half = min(max(1, stretch // 2), (number - 1) // 2)
    # It is smooth: every eighth of a stretch is enough.
    every = max(1, stretch // 8)
    places = np.arange(0, number, every)
    taken = seen[(places[:, None] + np.arange(-half, half + 1)) % number]
    rank = int(_PERCENTILE / 100 * 2 * half)
    lower = np.partition(taken, rank, axis=1)[:, rank]
    lower = gaussian_filter1d(lower, stretch / 5 / every, axis=0, mode="wrap")
    if every == 1:
        return lower
    # Places are `every` apart but for the last and the first.
    ends = np.append(places, number)
    upper = np.searchsorted(ends, np.arange(number), side="right")
    share = ((np.arange(number) - ends[upper - 1]) / (ends[upper] - ends[upper - 1]))[:, None]
    following = lower[upper % len(lower)]
    return np.asarray(lower[upper - 1] * (1 - share) + following * share, np.float32)


def _at(
    pixels: NDArray[np.int64],
    outline: NDArray[np.complex128],
    common: NDArray[np.float32],
    away: NDArray[np.float64],
    depth: float,
) -> NDArray[np.float32]:
    """A nucleus's light at pixels (n, 2): its rim's, and towards the middle its mean."""
    where = pixels[:, 1] + 1j * pixels[:, 0]
    row = cKDTree(np.column_stack([outline.real, outline.imag])).query(pixels[:, ::-1])[1]
    from_rim = ((where - outline[row]) * _normals(outline)[row].conj()).real
    column = (from_rim - away[0]) / (away[1] - away[0])
    light = map_coordinates(common, [row, column], order=1, mode="nearest")
    deep = np.clip((away[0] - from_rim) / max(depth + away[0], 1e-6), 0, 1)
    light += deep**2 * (3 - 2 * deep) * (common[:, 0].mean() - light)
    return np.where(column > len(away) - 1, 0, light).astype(np.float32)
