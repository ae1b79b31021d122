"""How much of a pixel is nucleus and how much is cytoplasm, and what that says of concentrations.

Strategy. The optics blur every edge: pixels at the rim of a nucleus hold light of the cytoplasm,
pixels at the rim of a soma hold light of neither. A mean over a ring of pixels therefore follows
the *width* of the cytoplasm. The stains show the blur itself: the DNA stain over its level inside
the nucleus is the share of nucleus in a pixel; the neurite stain, less what the nucleus gives of
it, over its level in the cytoplasm is the share of cytoplasm. With both shares known, the two
concentrations of any other channel are the least-squares solution of

    light of a pixel = nucleus · share of nucleus + cytoplasm · share of cytoplasm

over the pixels of one cell: the correction for partial volume of emission tomography (Rousset, Ma &
Evans, J. Nucl. Med. 39:904, 1998), with shares that are measured instead of computed from outlines.
Far from the edges the shares are 0 and 1, whatever the texture of the stains.

Where a soma ends, its stain says as well. Outlines are off by a pixel or two; in a soma outlined
too wide much of the "cytoplasm" is outside, and the level of its stain comes out too low. The
edge of a soma is therefore sought by the stains, inside its outline, while that level is measured.

A stain of the nuclear envelope adds a third compartment, the rim: a line along the nucleus's
outline, blurred as the outline is. Its light would be taken for nucleus and cytoplasm, the more so
the thinner the cytoplasm. A blurred line is brightest where half of a pixel is nucleus and dark
where all or nothing of it is, so the shares show it as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.field import Image, Labels
from segmentation.filters.labels import expand, nearest

Real = NDArray[np.float64]

# The stains decide this far to both sides of an outline, and at least two pixels: the blur of a
# screening objective, and the error of a mask.
_BAND_UM = 1.5
# A soma ends where less of a pixel than this is cell: at a half, grains of an uneven stain would be
# taken for outside.
_SOMA_ENDS = 0.4
# Rounds in which the edge of a soma and the level of its stain find each other.
_ROUNDS = 2
# Share of a cell's ring that shows the neurite stain's level in the cytoplasm: the pixels that are
# most cytoplasm.
_PLATEAU = 0.25
# Where those pixels hold less cytoplasm than this, its concentration is an extrapolation: drawn
# cytoplasm 1 µm wide has 0.52 to 0.69 at 0.65 µm per pixel, and ratios that are off by 0.1; 1.5 µm
# has 0.73 and more, and so has 1 µm at 0.325 µm per pixel.
THINNEST = 0.7
# Pixels with less nucleus than this, and deeper in the soma than this share of the band, are clear
# of both edges; a cell has few of them below this number.
_CLEAR, _CLEAR_BAND, _FEW = 0.05, 0.6, 4.0
_MOST = 1.5
# A stain is taken to have a rim from this share of its larger level: it moves a level by less than
# an eighth beside a cytoplasm 2 µm wide. Drawn stains without a rim seem to have 0.11 of one, and a
# reporter in U2OS cells, which are thickest at the nucleus, 0.31.
_FAINT_RIM = 0.35
# Share of a rim's light (squared) that neither nucleus nor cytoplasm could have: 0.41 and more
# beside a drawn cytoplasm 1.5 µm wide, 0.31 and less beside 1 µm, where a lamina of 0.35 µm
# instead of 0.25 moved the cytoplasm's level by half.
_TOLD = 0.35


class CellLevels(NamedTuple):
    """Levels (n,) of a channel in nucleus and cytoplasm, NaN where they cannot be told.

    A nucleus without a ring has NaN for the cytoplasm, as have cells `behind_rim` (n,): the light
    of a bright rim cannot be told from that of their cytoplasm.
    """

    nucleus: Real
    cytoplasm: Real
    behind_rim: NDArray[np.bool_]


@dataclass(frozen=True)
class Mixture:
    """Shares of nucleus and cytoplasm in the pixels of nuclei 1…n and of the rings around them.

    `at`: flat indices of pixels; `of`: the cell of each; `nucleus`, `cytoplasm`: the shares.
    `thin` (n,): whether the cytoplasm is too thin for the optics, so that its level is NaN.
    """

    index: NDArray[np.int64]
    of: NDArray[np.int32]
    nucleus: Real
    cytoplasm: Real
    thin: NDArray[np.bool_]

    def levels(self, image: Image, rim_stain: bool = False) -> CellLevels:
        """Levels of an image, background-subtracted, in nuclei and cytoplasm, without any rim.

        Any rim of a `rim_stain` is taken off, and of other stains a bright one.
        """
        light = image.ravel()[self.index].astype(np.float64)
        nucleus, cytoplasm = self._fit(light)
        of_rim, unlike, told = self._rim
        unshared = self._sum(unlike**2)
        rim = self._sum(unlike * light) / np.maximum(unshared, 1e-12)
        # No jump between all of a bright rim and none of one that a stain may only seem to have:
        # fields of one plate would differ by it.
        taken = 1.0
        if not rim_stain:
            brighter = np.fmax(nucleus, cytoplasm)
            shown = (unshared > 1e-9) & (brighter > 0)
            bright = float(np.median(rim[shown] / brighter[shown])) if shown.any() else 0.0
            taken -= (_FAINT_RIM / max(bright, _FAINT_RIM)) ** 2
        if taken:
            nucleus = nucleus - taken * rim * of_rim[0]
            cytoplasm = cytoplasm - taken * rim * of_rim[1]
        known = np.isfinite(cytoplasm) & ~self.thin
        behind_rim = known & ~told & (taken > 0)
        return CellLevels(nucleus, np.where(known & ~behind_rim, cytoplasm, np.nan), behind_rim)

    def unexplained(self, light: Real) -> Real:
        """What two levels per cell leave of a value per pixel; 0 where they cannot be told."""
        nucleus, cytoplasm = self._fit(light)
        cell = self.of - 1
        left = light - nucleus[cell] * self.nucleus - cytoplasm[cell] * self.cytoplasm
        return np.where((np.isfinite(cytoplasm) & ~self.thin)[cell], left, 0.0)

    def _fit(self, light: Real) -> tuple[Real, Real]:
        """The two levels of each cell that explain most of a value per pixel."""
        nn, nc, cc = self._products
        nl, cl = self._sum(self.nucleus * light), self._sum(self.cytoplasm * light)
        alone = nl / np.where(nn > 0, nn, np.nan)
        determinant = nn * cc - nc**2
        solved = determinant > 1e-9 * nn * np.maximum(cc, 1e-12)
        safe = np.where(solved, determinant, np.nan)
        return np.where(solved, (nl * cc - cl * nc) / safe, alone), (cl * nn - nl * nc) / safe

    @cached_property
    def _rim(self) -> tuple[tuple[Real, Real], Real, NDArray[np.bool_]]:
        """A rim of 1 as nucleus and cytoplasm, what that leaves per pixel, and if it suffices."""
        rim = 2 * np.sqrt(np.clip(self.nucleus * (1 - self.nucleus), 0, None))
        nucleus, cytoplasm = self._fit(rim)
        cell = self.of - 1
        unlike = rim - nucleus[cell] * self.nucleus
        unlike -= np.nan_to_num(cytoplasm)[cell] * self.cytoplasm
        return (nucleus, cytoplasm), unlike, self._sum(unlike**2) > _TOLD * self._sum(rim**2)

    @cached_property
    def _products(self) -> tuple[Real, Real, Real]:
        """Sums over each cell of products of the shares: the same for every channel."""
        n, c = self.nucleus, self.cytoplasm
        return self._sum(n * n), self._sum(n * c), self._sum(c * c)

    def _sum(self, weights: Real) -> Real:
        return np.asarray(np.bincount(self.of, weights, len(self.thin) + 1)[1:], np.float64)


def mixture(
    dna: Image,
    neurite: Image | None,
    nuclei: Labels,
    somas: Labels | None,
    ring_um: float,
    pixel_size_um: float,
) -> Mixture:
    """Shares of nucleus and cytoplasm around each nucleus 1…n.

    Parameters
    ----------
    dna, neurite
        (Y, X), background-subtracted. `neurite` is None where there is no such channel.
    nuclei, somas
        (Y, X) labels; the soma of nucleus i carries label i. The ring of a nucleus with a soma ends
        with it, and no ring lies in another cell's soma.
    ring_um
        How far the ring reaches beyond the nucleus.
    pixel_size_um
        Edge of a pixel in µm.
    """
    n = int(nuclei.max(initial=0))
    empty = np.empty(0)
    if n == 0:
        return Mixture(
            np.empty(0, np.int64), np.empty(0, np.int32), empty, empty, np.empty(0, bool)
        )
    band = max(2.0, _BAND_UM / pixel_size_um)
    distance, owner = nearest(nuclei)
    has_soma = np.zeros(n + 1, bool)
    ring = (nuclei == 0) & (distance <= max(2.0, ring_um / pixel_size_um))
    if somas is not None:
        has_soma[somas[somas > 0]] = True
        # Two pixels beyond the outline: the stain decides where the soma ends.
        body = expand(somas, 2.0)
        # A nucleus without a soma keeps its ring except where it lies in another cell's soma.
        ring &= np.where(has_soma[owner], body == owner, body == 0)
    depth = _depth(nuclei)
    inner = depth >= 1
    inner |= ~_any(nuclei, inner, n)[nuclei] & (nuclei > 0)

    index = np.flatnonzero(ring | inner)
    of, core = owner.ravel()[index], inner.ravel()[index]
    # Deep pixels show the stains' levels in the nucleus; those at its rim are blurred.
    deep = np.where(core, np.clip(depth.ravel()[index], 1.0, 1e3), 0.0).astype(np.float64) ** 2
    weight = np.maximum(np.bincount(of, deep, n + 1), 1e-9)

    def inside(stain: Image) -> Real:
        """Level of a stain in each nucleus."""
        return np.asarray(np.bincount(of, deep * stain.ravel()[index], n + 1) / weight, np.float64)

    def mean_of(pixels: NDArray[np.int64], stain: Real, start: Real) -> Real:
        """Mean of a stain over pixels of each cell, drawn to `start` where there are few."""
        count = np.bincount(of[pixels], minlength=n + 1)
        total = np.bincount(of[pixels], stain[pixels], n + 1)
        return np.asarray((_FEW * start + total) / (_FEW + count), np.float64)

    reach = np.where(core, depth.ravel()[index], distance.ravel()[index])
    stained = dna.ravel()[index].astype(np.float64)

    # DNA stains leave some light in the cytoplasm, which is not nucleus.
    dim = mean_of(np.flatnonzero(~core & (reach >= band)), stained, np.zeros(n + 1))
    rise = np.maximum(inside(dna) - dim, 1e-6)
    edge = reach < band
    nucleus = core.astype(np.float64)
    nucleus[edge] = np.clip((stained[edge] - dim[of[edge]]) / rise[of[edge]], 0, 1)
    cytoplasm = 1 - nucleus
    thin = np.zeros(n + 1, bool)
    if somas is not None and neurite is not None:
        # A nucleus outlined too wide has cytoplasm inside.
        judged = (~core | edge) & has_soma[of]
        nuclear = (nuclei > 0).astype(np.float32)
        nuclear.ravel()[index] = nucleus
        of_soma = neurite - inside(neurite).astype(np.float32)[owner] * nuclear
        stain = of_soma.ravel()[index].astype(np.float64)
        # Somas only shrink: beyond their outlines lie the roots of neurites, with less protein.
        # Deeper than the band a dark spot is a hole in the stain, not outside.
        outlined, depth = somas, _depth(somas)
        deep_inside = depth >= band
        for _ in range(_ROUNDS):
            within = judged & (nucleus < 0.5) & (outlined.ravel()[index] == of)
            margin = depth.ravel()[index]
            brightest = _brightest(np.flatnonzero(within), of, stain, n)
            # In the middle of a thin ring as much of a pixel is outside as is nucleus.
            shown = np.maximum(1 - 2 * nucleus[brightest], 0.1)
            plateau = np.bincount(of[brightest], stain[brightest], n + 1) / np.maximum(
                np.bincount(of[brightest], shown, n + 1), 1e-9
            )
            # The brightest pixels overstate an uneven stain: those clear of both edges decide.
            clear = within & (nucleus < _CLEAR) & (margin >= _CLEAR_BAND * band)
            plateau = np.maximum(mean_of(np.flatnonzero(clear), stain, plateau), 1e-6)
            cell = nuclear + of_soma / plateau.astype(np.float32)[somas]
            outlined = _smoothly(somas, deep_inside | (cell >= _SOMA_ENDS))
            depth = _depth(outlined)
        rim = judged & ((outlined.ravel()[index] != of) | (depth.ravel()[index] < band))
        # Where the stain is brighter than its level the share exceeds 1: cut off there, an uneven
        # stain would pass for less cytoplasm than there is.
        cytoplasm[rim] = np.clip(stain[rim] / plateau[of[rim]], 0, _MOST * (1 - nucleus[rim]))
        best = mean_of(brightest, cytoplasm, np.zeros(n + 1))
        thin = has_soma & (best < THINNEST)
    return Mixture(index, of, nucleus, cytoplasm, thin[1:])


def _smoothly(labels: Labels, mask: NDArray[np.bool_]) -> Labels:
    """The labels in a mask without its single pixels and holes, which are noise."""
    smooth = cv2.medianBlur((mask & (labels > 0)).astype(np.uint8), 3)
    return np.where(smooth > 0, labels, 0).astype(np.int32)


def _depth(labels: Labels) -> NDArray[np.float32]:
    """Pixels between a labelled pixel and the rim of its own label; 0 on the rim and outside."""
    image = labels.astype(np.float32)
    cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)
    rim = (cv2.erode(image, cross) != image) | (cv2.dilate(image, cross) != image)
    return np.asarray(
        cv2.distanceTransform(((labels > 0) & ~rim).astype(np.uint8), cv2.DIST_L2, 5), np.float32
    )


def _any(labels: Labels, mask: NDArray[np.bool_], n: int) -> NDArray[np.bool_]:
    """(n + 1,): whether the mask holds a pixel of the label."""
    held = np.zeros(n + 1, bool)
    held[labels[mask]] = True
    return held


def _brightest(
    pixels: NDArray[np.int64], of: NDArray[np.int32], stain: Real, n: int
) -> NDArray[np.int64]:
    """The brightest _PLATEAU of the pixels of each cell."""
    order = pixels[np.lexsort((-stain[pixels], of[pixels]))]
    cell = of[order]
    count = np.bincount(cell, minlength=n + 1)
    rank = np.arange(len(order)) - (np.cumsum(count) - count)[cell]
    return np.asarray(order[rank < np.ceil(_PLATEAU * count[cell])], np.int64)
