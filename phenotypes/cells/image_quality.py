"""Whether an image can carry a number: focus, saturation, background, light, debris, crowding.

Which fields and wells of a plate are left out for them is decided in
`phenotypes.plates.quality.checks`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.field import Field, Image, Labels, Pixels
from segmentation.filters.background import background_level, noise_level
from segmentation.filters.margins import levelled

_TILE = 256
# A channel's range is at least this many times its pixel noise, as the engines take it.
_RANGE_IN_NOISE = 12.0
# Values below the highest that a clipped one is compared with.
_NEXT_VALUES = 4
# Frequencies in cycles per pixel between which the power's slope is fitted: above those of
# shading and below the limit of the optics.
_BAND = (3 / _TILE, 0.35)


def channel_quality(
    camera: Field, corrected: Field, noise: Mapping[str, float], cells: Sequence[Labels] = ()
) -> dict[str, float | None]:
    """Background, saturation, focus and unevenness of the channel of each role.

    `background`, `saturated` and `focus` are read from the camera's field, `uneven` from the
    corrected one. `noise` is the corrected channels' pixel noise, `cells` the labels of nuclei and
    somas.
    """
    row: dict[str, float | None] = {}
    for role in (r for r in camera.roles if r):
        image, inside = camera.channel(role), camera.valid_area.inside
        row[f"background_{role}"] = background_level(image, inside)
        row[f"saturated_{role}"] = saturated(image, cells)
        filled = levelled(camera, role)
        row[f"focus_{role}"] = focus_slope(filled)
        lit = filled if corrected is camera else levelled(corrected, role)
        row[f"uneven_{role}"] = unevenness(lit, noise[role])
    return row


def saturated(image: Image, cells: Sequence[Labels] = ()) -> float:
    """Share of pixels at the highest value where that is the camera's limit; 0 elsewhere.

    One in 10,000 pixels must hold it, and three times as many as any of the next lower values:
    fewer are a bright spot, or the few grey levels of a dim image. The share is that of the
    labelled pixels, the largest over `cells`: 1 % of a field is a quarter of its nuclei. Where
    nothing is labelled it is that of the image.
    """
    clipped = image >= image.max()
    if not clipped.mean() > 1e-4 or not _stands_out(image, int(clipped.sum())):
        return 0.0
    masks = [labels > 0 for labels in cells]
    shares = [float(clipped[mask].mean()) for mask in masks if mask.any()]
    return max(shares) if shares else float(clipped.mean())


def _stands_out(image: Image, highest: int) -> bool:
    """Whether the highest value, held by so many pixels, is not the end of a tail."""
    brightest = min(image.size, 8 * highest)
    values, counts = np.unique(
        np.partition(image.ravel(), image.size - brightest)[-brightest:], return_counts=True
    )
    # The lowest of them is cut off in the middle.
    below = counts[1:-1] if len(values) > 2 else counts[:-1]
    return bool(highest >= 3 * below[-_NEXT_VALUES:].max(initial=0))


def focus_slope(image: Image) -> float | None:
    """Slope of the log power spectrum over log frequency: about -2 in focus, steeper out of it.

    Bray et al., J. Biomol. Screen. 17:266, 2012. The spectrum is averaged over tiles of 256² under
    a Hann window (Welch), and the flat power of the pixel noise is taken off: without that, a dim
    blurred image reads as sharp. None where too little rises above the noise to fit a line.
    """
    height, width = image.shape
    side = min(_TILE, height, width)
    if side < 32:
        return None
    rows, columns = (
        np.linspace(0, n - side, min(4, max(1, n // side))).astype(int) for n in (height, width)
    )
    window = np.outer(np.hanning(side), np.hanning(side)).astype(np.float32)
    power = np.zeros((side, side // 2 + 1))
    for y in rows:
        for x in columns:
            tile = image[y : y + side, x : x + side]
            power += np.abs(np.fft.rfft2((tile - tile.mean()) * window)) ** 2
    power /= len(rows) * len(columns)
    fy, fx = np.fft.fftfreq(side), np.fft.rfftfreq(side)
    frequency = np.hypot(fy[:, None], fx[None])
    bins = np.round(frequency * side).astype(int)
    radial = np.bincount(bins.ravel(), power.ravel()) / np.maximum(np.bincount(bins.ravel()), 1)
    floor = noise_level(image) ** 2 * float((window**2).sum())
    f = np.arange(len(radial)) / side
    keep = (f >= _BAND[0]) & (f <= _BAND[1]) & (radial > 2 * floor) & (radial > 0)
    if keep.sum() < 4:
        return None
    # Evenly in log frequency, or the many high bins would decide alone.
    return float(
        np.polyfit(np.log(f[keep]), np.log(radial[keep] - floor), 1, w=np.sqrt(1 / f[keep]))[0]
    )


def unevenness(image: Image, noise: float) -> float:
    """Spread of the local background over the field, as a share of the rise of bright structures.

    It is what illumination correction left over. The local background is the 10th percentile of 4 ×
    4 parts. In dense cultures it also sees where cells are. The rise is at least the noise range,
    so that a field without structures is not called uneven.
    """
    height, width = image.shape
    small = cv2.resize(
        image, (max(4, width // 8), max(4, height // 8)), interpolation=cv2.INTER_AREA
    )
    parts = [
        np.percentile(part, 10)
        for band in np.array_split(small, 4)
        for part in np.array_split(band, 4, axis=1)
    ]
    step = max(1, int(np.sqrt(image.size / 2**16)))
    rise = max(
        float(np.percentile(image[::step, ::step], 99.5)) - min(parts), _RANGE_IN_NOISE * noise
    )
    return float((max(parts) - min(parts)) / rise) if rise > 0 else 0.0


def clump_fraction(nuclei: Labels, pixels: Pixels) -> float | None:
    """Share of nuclei that touch another one; None without nuclei."""
    count = int((pixels.count > 0).sum())
    if not count:
        return None
    touching = np.zeros(pixels.n + 1, bool)
    for _, neighbour in pixels.neighbours(nuclei):
        touching[pixels.of[(neighbour > 0) & (neighbour != pixels.of)]] = True
    return float(touching.sum() / count)


def debris_fraction(dna: Image, pixels: Pixels, noise: float, pixel_size_um: float) -> float | None:
    """Area outside nuclei as bright as half a typical nucleus, over the area of nuclei.

    None without nuclei. `dna` is background-subtracted. A rim of 1.5 µm around nuclei is blur, not
    debris.
    """
    if not len(pixels.index):
        return None
    typical = float(np.median(dna.ravel()[pixels.index]))
    bright = dna > max(typical / 2, 4 * noise)
    inside = np.zeros(dna.shape, np.uint8)
    inside.ravel()[pixels.index] = 1
    reach = max(1, round(1.5 / pixel_size_um))
    near = cv2.dilate(
        inside, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    )
    return float((bright & (near == 0)).sum() / len(pixels.index))


def covered(*masks: NDArray[np.generic] | None, of: float = 1.0) -> float | None:
    """Share of the field under any of the masks (confluence); None without masks.

    `of` is the share of the field that is valid area.
    """
    given = [m.astype(bool) for m in masks if m is not None]
    if not given:
        return None
    return float(np.count_nonzero(np.logical_or.reduce(given)) / max(given[0].size * of, 1))
