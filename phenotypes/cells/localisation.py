"""Where a protein is: nucleus or cytoplasm, puncta, stress granules, the nuclear rim.

All cells are measured at once. Images here are background-subtracted; labels 1…n are nuclei, and a
soma carries its nucleus's label.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.field import Image, Labels, Pixels
from segmentation.filters.labels import expand

Real = NDArray[np.float64]

# The envelope: from half a micrometre inside the nucleus's outline to a quarter outside; the
# interior begins a micrometre in.
_RIM_INSIDE_UM, _RIM_OUTSIDE_UM, _INTERIOR_UM = 0.5, 0.25, 1.0


def nc_log2(nucleus: Real, cytoplasm: Real, noise: float) -> Real:
    """log2 of two mean intensities; NaN where either is not above half the pixel noise.

    Below the noise of a mean, the ratio of two means is not a ratio of concentrations.
    """
    valid = (nucleus > noise / 2) & (cytoplasm > noise / 2)
    return np.where(
        valid, np.log2(np.where(valid, nucleus, 1) / np.where(valid, cytoplasm, 1)), np.nan
    )


def spots(
    labels: Labels, somas: Labels, nuclei: Labels | None, image: Image, n: int, px: float
) -> dict[str, Real]:
    """Count, area, intensity and largest spot per soma 1…n; zeros without spots.

    Keys: `count`, `area_um2`, `sum` (integrated intensity), `largest_um2`, `nuclear_count`. A spot
    belongs to the soma that holds most of its pixels, and is nuclear if most of them lie in a
    nucleus.
    """
    m = int(labels.max()) + 1
    mask = labels > 0
    spot, soma = labels[mask], somas[mask]
    area = np.bincount(spot, minlength=m)
    pairs, shared = np.unique(spot.astype(np.int64) * (n + 1) + soma, return_counts=True)
    order = np.lexsort((pairs, shared))
    owner = np.zeros(m, np.int64)
    owner[pairs[order] // (n + 1)] = pairs[order] % (n + 1)  # the largest overlap is written last
    light = np.bincount(spot, image[mask], minlength=m)
    inside = np.zeros(m) if nuclei is None else np.bincount(spot, nuclei[mask] > 0, minlength=m)
    nuclear = 2 * inside > np.maximum(area, 1)
    largest = np.zeros(n + 1)
    np.maximum.at(largest, owner, area * px**2)

    def total(weights: NDArray[np.generic]) -> Real:
        return np.asarray(
            np.bincount(owner[1:], weights[1:].astype(float), minlength=n + 1)[1:], float
        )

    return {
        "count": total(np.ones(m)),
        "area_um2": total(area) * px**2,
        "sum": total(light),
        "largest_um2": largest[1:],
        "nuclear_count": total(nuclear),
    }


def manders(image: Image, granules: Labels, somas: Labels, n: int) -> dict[str, Real]:
    """Manders' M1 of an image in granules, per soma 1…n, against pixels shuffled within the soma.

    M1 = Σ intensity in granules / Σ intensity (Manders, Verbeek & Aten, J. Microsc. 169:375, 1993),
    negative intensities counting as 0. Shuffling needs no shuffles: the sum of m of n pixels drawn
    without replacement has mean m·Ī and variance m(n−m)/n · s², so the null of M1 is the granules'
    share of the soma, and `z` follows. NaN without granules or without light.
    """
    mask = somas > 0
    soma = somas[mask]
    light = np.maximum(image[mask].astype(float), 0)
    within = granules[mask] > 0

    def total(weights: Real | None = None) -> Real:
        return np.asarray(np.bincount(soma, weights, n + 1)[1:], float)

    pixels, granule = total(), total(within.astype(float))
    sums, squares = total(light), total(light * light)
    known = (granule > 0) & (granule < pixels) & (sums > 0)
    safe = np.where(known, pixels, 2.0)
    variance = np.maximum(squares - sums**2 / safe, 0) / (safe - 1)
    m1 = total(light * within) / np.where(known, sums, 1)
    null = granule / safe
    spread = np.sqrt(granule * np.maximum(pixels - granule, 0) / safe * variance) / np.where(
        known, sums, 1
    )
    z = np.divide(m1 - null, spread, out=np.full(n, np.nan), where=known & (spread > 0))
    return {"m1": np.where(known, m1, np.nan), "null": np.where(known, null, np.nan), "z": z}


def rim(nuclei: Labels, image: Image, n: int, px: float) -> dict[str, Real]:
    """Envelope per nucleus 1…n: `log2` of rim over interior, and `cv` along the rim.

    NaN for nuclei without interior.
    """
    touching = nuclei.astype(np.float32)
    cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)
    edge = (cv2.erode(touching, cross) != touching) & (nuclei > 0)
    depth = (
        cv2.distanceTransform(
            ((nuclei > 0) & ~edge).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
        )
        * px
    )
    outside = expand(nuclei, _RIM_OUTSIDE_UM / px)
    band = np.where(depth <= _RIM_INSIDE_UM, outside, 0)
    interior = np.where(depth > _INTERIOR_UM, nuclei, 0)
    mask = band > 0
    of, light = band[mask], image[mask].astype(float)
    pixels = np.maximum(np.bincount(of, minlength=n + 1)[1:], 1)
    mean = np.bincount(of, light, n + 1)[1:] / pixels
    square = np.bincount(of, light**2, n + 1)[1:] / pixels
    inner = Pixels(interior, n).mean(image)
    known = (mean > 0) & (inner > 0)
    ratio = np.log2(np.where(known, mean, 1) / np.where(known, inner, 1))
    cv = np.sqrt(np.maximum(square - mean**2, 0)) / np.where(mean > 0, mean, 1)
    return {"log2": np.where(known, ratio, np.nan), "cv": np.where(known, cv, np.nan)}
