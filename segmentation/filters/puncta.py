"""Puncta: small bright spots (aggregates, granules) that exceed the camera's noise.

A spot bends down in both directions, a line or a rim in one. The rim of a round body bends a little
in the other direction too, by its slope over its radius: as much as a rim of RIM_RADIUS_UM would is
taken off everywhere, so that nuclei and somas, which are wider, give no spots. Where the nuclei are
known their light is taken off before, since its foot would hide the spots beside them. What is left
is compared with the noise of the camera at the light of the place, that of haze included. Nothing
else that is in the channel has a say: not its other spots, nor which wells are vehicle.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.stats import norm

from segmentation.field import Image, Labels, Mask
from segmentation.filters.curvature import derivatives, noise_gain, slope
from segmentation.filters.labels import flood
from segmentation.filters.noise import CameraNoise
from segmentation.filters.rims import nuclear_light

# dyy, dxx, dxy, dy, dx of an image, or of some of its places
Bend = Sequence[NDArray[np.float32]]

RADIUS_UM = 0.6
LARGEST_RADIUS_UM = 1.5
# A spot with a radius under a pixel cannot be told from noise.
COARSEST_PIXEL_UM = 0.7
# No nucleus and no soma is rounder; an aggregate is.
RIM_RADIUS_UM = 3.0
# False spots from noise alone that the first condition lets through in a soma; the second condition
# and the rims' share leave about a tenth of them.
_FALSE_PER_SOMA = 0.1
_SOMA_UM2 = 300.0
# The weaker curvature must reach this share of the threshold in units of its own noise.
_WEAK_SHARE = 0.85
# Width (σ) of a diffraction-limited spot, as its neighbours see it.
_SPOT_UM = 0.4
# Neighbours flatten each other; after two rounds none is hidden any more.
_ROUNDS = 3
# Beside a spot another has this share of it at least: what is fainter may be the spot's own flank
# with noise on it, or its shape, which is not quite a Gaussian.
_LEAST_BESIDE = 1 / 3


def spot_scale(pixel_size_um: float) -> float:
    """Filter σ in pixels: RADIUS_UM / √2, at least 0.8 px.

    There the response of a disc of that radius is largest.
    """
    return max(0.8, RADIUS_UM / float(np.sqrt(2)) / pixel_size_um)


def noise_limit(pixel_size_um: float) -> float:
    """Standard deviations of noise that a spot must exceed, for few false ones in a soma.

    The value that a normal variable exceeds in _FALSE_PER_SOMA of as many pixels as a soma has
    (Bonferroni). Fine pixels share their noise after the filter, so fewer spots are false there.

    Examples
    --------
    >>> from segmentation.filters.puncta import noise_limit
    >>> round(noise_limit(0.65), 2), round(noise_limit(0.1), 2)
    (3.63, 4.5)
    """
    return float(norm.isf(_FALSE_PER_SOMA * pixel_size_um**2 / _SOMA_UM2))


def segment_puncta(
    image: Image,
    pixel_size_um: float,
    noise: CameraNoise,
    within: Mask | None,
    haze: float = 0.0,
    nuclei: Labels | None = None,
) -> Labels:
    """Puncta labels 1…m (int32).

    Parameters
    ----------
    image
        (Y, X) float32 in grey levels above the background, so that its noise is known.
    pixel_size_um
        Edge of a pixel in µm.
    noise
        Of the plate's camera, as `camera_noise` gives it.
    within
        (Y, X) mask of the somas: only peaks inside count. None for the whole image.
    haze
        Grey levels of the background that are light, and so have noise: see `CameraNoise.haze_of`.
    nuclei
        (Y, X) labels of the nuclei whose light the spots stand on (`segmentation.filters.rims`);
        None where spots beside nuclei need not be told from their rims.

    Returns
    -------
    Labels
        A punctum's pixels are those of its basin where it bends down in both directions by more
        than half of its peak's curvature, so that its area does not depend on how bright it is.

    Raises
    ------
    ValueError
        The pixels are coarser than COARSEST_PIXEL_UM.
    """
    if pixel_size_um > COARSEST_PIXEL_UM:
        raise ValueError(
            f"puncta need pixels of at most {COARSEST_PIXEL_UM} µm, these are"
            f" {pixel_size_um:.3g} µm"
        )
    sigma = spot_scale(pixel_size_um)
    smooth = cv2.GaussianBlur(image, (0, 0), sigma)
    limit = noise_limit(pixel_size_um)
    spread = noise.at(smooth + np.float32(haze))
    inside = np.ones(image.shape, bool) if within is None else within
    if nuclei is not None:
        nuclear = nuclear_light(image, nuclei, inside, pixel_size_um)
        light = cv2.GaussianBlur(nuclear.light, (0, 0), sigma)
        # A rim that lies elsewhere than where it is taken off leaves its slope times that distance.
        spread = cv2.magnitude(spread, nuclear.doubt_px * slope(light))
        smooth -= light
    # dyy, dxx, dxy, dy, dx in grey levels
    bend = derivatives(smooth)
    for part in bend:
        part *= np.float32(sigma**2)
    rim = np.float32(pixel_size_um / RIM_RADIUS_UM)
    mean, excess = _excess(bend, spread, sigma, rim, limit)
    peaks = _maxima(excess) & (excess > 1) & inside
    places = _without_satellites(np.argwhere(peaks), excess, sigma)
    # A spot between neighbours stays a maximum of the mean curvature, but they flatten it.
    hidden = np.argwhere(_maxima(mean) & (mean > limit * noise_gain(sigma)[0] * spread) & inside)
    places = _with_hidden(places, hidden, bend, spread, sigma, pixel_size_um, limit)
    if not len(places):
        return np.zeros(image.shape, np.int32)
    seeds = np.zeros(image.shape, np.int32)
    seeds[places[:, 0], places[:, 1]] = np.arange(1, len(places) + 1)
    heights = np.concatenate([[0.0], mean[places[:, 0], places[:, 1]]]).astype(np.float32)
    # Where the weaker curvature is upward, or the largest punctum would end, a rim begins.
    reach = cv2.distanceTransform((seeds == 0).astype(np.uint8), cv2.DIST_L2, 5)
    near = (excess > 0) & (reach * pixel_size_um <= LARGEST_RADIUS_UM)
    basins = flood(-mean, seeds, near | (seeds > 0))
    return np.where((mean > heights[basins] / 2) | (seeds > 0), basins, 0).astype(np.int32)


def _maxima(image: Image) -> Mask:
    return np.asarray(image >= cv2.dilate(image, np.ones((3, 3), np.uint8)), bool)


def _excess(
    bend: Bend, spread: Image, sigma: float, rim: np.float32, limit: float
) -> tuple[Image, Image]:
    """Mean downward curvature, and how many times the spot exceeds what it must.

    Both conditions count: the mean curvature over its noise, and the weaker one, less the rim's
    share, over its own.
    """
    dyy, dxx, dxy, dy, dx = bend
    of_mean, of_one = noise_gain(sigma)
    # In place: a large field's temporaries would take longer than the arithmetic.
    mean = dyy + dxx
    mean *= np.float32(-0.5)
    half = dyy - dxx
    half *= np.float32(0.5)
    weak = mean - np.hypot(half, dxy, out=half)
    weak -= np.multiply(rim, np.hypot(dy, dx, out=half), out=half)
    weak /= np.multiply(np.float32(_WEAK_SHARE * limit * of_one), spread, out=half)
    excess = mean / np.multiply(np.float32(limit * of_mean), spread, out=half)
    return mean, np.minimum(excess, weak, out=excess)


def _without_satellites(
    places: NDArray[np.int64], excess: Image, sigma: float
) -> NDArray[np.int64]:
    """The places that no spot of three times their strength stands within 2.5 σ of."""
    if not len(places):
        return places
    strength = excess[places[:, 0], places[:, 1]]
    pairs = cKDTree(places).query_pairs(2.5 * sigma, output_type="ndarray")
    one, other = strength[pairs[:, 0]], strength[pairs[:, 1]]
    satellites = np.concatenate(
        [pairs[one < _LEAST_BESIDE * other, 0], pairs[other < _LEAST_BESIDE * one, 1]]
    )
    return np.delete(places, satellites, axis=0)


def _with_hidden(
    places: NDArray[np.int64],
    hidden: NDArray[np.int64],
    bend: Bend,
    spread: Image,
    sigma: float,
    pixel_size_um: float,
    limit: float,
) -> NDArray[np.int64]:
    """The places of spots, with those that show once their neighbours are taken away.

    Each known spot bends the image around it as a Gaussian of its own height would; at the places
    that are left this is subtracted, and what then exceeds the noise is a spot too.
    """
    height, width = spread.shape
    offsets = np.array([(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)])
    rim = np.float32(pixel_size_um / RIM_RADIUS_UM)
    # Of the spot after the filter, in pixels; a pixel adds the width of its own edge.
    spot2 = (_SPOT_UM / pixel_size_um) ** 2 + 1 / 12
    total2 = spot2 + sigma**2
    latest = places
    hidden = _apart(hidden, places, sigma)
    around = np.clip(hidden[:, None] + offsets, 0, (height - 1, width - 1))
    left = [part[around[..., 0], around[..., 1]].astype(np.float64) for part in bend]
    heights = _mean(*(part[places[:, 0], places[:, 1]] for part in bend[:2]))
    brightest = np.zeros(len(hidden))
    for _ in range(_ROUNDS - 1):
        if not len(latest) or not len(hidden):
            break
        pairs = cKDTree(hidden).sparse_distance_matrix(
            cKDTree(latest), 4 * np.sqrt(total2), output_type="coo_matrix"
        )
        np.maximum.at(brightest, pairs.row, heights[pairs.col])
        for n, offset in enumerate(offsets):
            away = hidden[pairs.row] + offset - latest[pairs.col]
            for part, value in zip(left, _gaussian_bend(away, total2, sigma), strict=True):
                # a Gaussian of height 1 has a mean curvature of σ²/total² at its top
                share = heights[pairs.col] * total2 / sigma**2 * value
                np.subtract.at(part[:, n], pairs.row, share)
        mean, excess = _excess(
            [part.astype(np.float32) for part in left],
            spread[around[..., 0], around[..., 1]],
            sigma,
            rim,
            limit,
        )
        shown = (excess.max(axis=1) > 1) & (mean[:, 4] > _LEAST_BESIDE * brightest)
        latest, heights = hidden[shown], mean[shown, 4].astype(np.float64)
        places = np.concatenate([places, latest])
        keep = ~shown
        hidden, around, brightest = hidden[keep], around[keep], brightest[keep]
        left = [part[keep] for part in left]
    return places


def _apart(hidden: NDArray[np.int64], places: NDArray[np.int64], sigma: float) -> NDArray[np.int64]:
    """Those at least 1.5 σ from every known spot: nearer ones are its own noise."""
    if not len(places) or not len(hidden):
        return hidden
    return hidden[cKDTree(places).query(hidden)[0] > 1.5 * sigma]


def _mean(dyy: Image, dxx: Image) -> NDArray[np.float64]:
    return np.asarray(-0.5 * (dyy.astype(np.float64) + dxx), np.float64)


def _gaussian_bend(
    away: NDArray[np.int64], total2: float, sigma: float
) -> tuple[NDArray[np.float64], ...]:
    """dyy, dxx, dxy, dy, dx (times σ²) at `away` (n, 2) pixels from a Gaussian's top, height 1."""
    y, x = away.T.astype(np.float64)
    scale = np.exp(-(y**2 + x**2) / (2 * total2)) * sigma**2 / total2
    return (
        scale * (y**2 / total2 - 1),
        scale * (x**2 / total2 - 1),
        scale * (x * y / total2),
        -scale * y,
        -scale * x,
    )
