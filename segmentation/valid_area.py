"""Which part of a field is culture: not beyond its wall or stitched edge, not under a clump.

Strategy. What lies outside of the culture joins the field's border, is a single value or the
camera's offset with its read noise, and ends at a wall: a smooth line or arc at which the level
jumps. All of that must hold. A dark corner of the lamp, haze or an empty half of the culture has no
such wall, and a lawn of cells has a ragged one. A clump (neurosphere) is a body of the DNA channel
with a rim that is wider than any nucleus.

Works on 8 × 8 blocks, so that a field without either costs little.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Real = NDArray[np.float32]

_BLOCK = 8
# Outside takes at least and at most this share of a field, and what is left of it is one piece.
_SHARE = (0.01, 0.6)  # of a field
_ONE_PIECE = 0.95
# A wall is smooth at this scale; cells are not. Its outline moves by less than this when it is
# smoothed (and than 2 pixels).
_SMOOTH_UM = 25.0
_ROUGHNESS_UM = 2.0
# Share of the step that the level has made at this distance from the wall.
_SHARP = 0.75
_WALL_UM = 10.0
# The optics blur the wall over this distance, which is left out too.
_RIM_UM = 1.0
# A disc of this width fits into a clump and into no nucleus.
_CLUMP_UM = 40.0
_CLUMP_PIXEL_UM = 4.0
# A clump is brighter than this share of a typical nucleus; dimmer ones are not taken for nuclei,
# and light between the cells of a real culture reaches 0.15.
_CLUMP_LEVEL = 0.2
# Peaks under this share of the brightest are not typical nuclei.
_FAINT = 0.25
# Its light falls to under this share of its half-height within twice this distance; that of haze
# and of the lamp does not.
_CLUMP_FALL = 0.4
_CLUMP_EDGE_UM = 12.0
_CLUMP_RIM_UM = 6.0


@dataclass(frozen=True)
class ValidArea:
    """Where a field shows culture that can be counted.

    `inside` (Y, X) is None where it is the whole field. `outside` is the share of the field that
    lies beyond the culture, `clumps_um2` the areas of its clumps.
    """

    inside: Mask | None = None
    outside: float = 0.0
    clumps_um2: tuple[float, ...] = ()

    @property
    def share(self) -> float:
        """Share of the field that is inside."""
        return 1.0 if self.inside is None else float(self.inside.mean())

    def notes(self) -> list[str]:
        """What was left out, in words; empty for a whole field."""
        notes = []
        if self.outside:
            notes.append(f"outside_of_culture: {self.outside:.1%} of the field was left out")
        if self.clumps_um2:
            count = len(self.clumps_um2)
            notes.append(
                f"clump: {count} {'bodies' if count > 1 else 'body'} wider than"
                f" {_CLUMP_UM:.0f} µm, {sum(self.clumps_um2):.0f} µm² left out"
            )
        return notes


def recognise(
    pixels: NDArray[np.generic],
    roles: tuple[str | None, ...],
    pixel_size_um: float,
    *,
    clumps: bool = True,
) -> ValidArea:
    """The valid area of (C, Y, X) pixels; channels without a role take no part.

    Without `clumps` they are culture as any other.
    """
    planes = {r: pixels[c] for c, r in enumerate(roles) if r}
    if not planes or min(pixels.shape[1:]) < 4 * _BLOCK:
        return ValidArea()
    outside = _outside(list(planes.values()), pixel_size_um)
    role = next((r for r in ("dna", "neurite") if r in planes), None) if clumps else None
    bodies, areas = _clumps(planes[role], outside, pixel_size_um) if role else (None, ())
    left_out = [m for m in (outside, bodies) if m is not None]
    if not left_out:
        return ValidArea()
    return ValidArea(
        ~np.logical_or.reduce(left_out), 0.0 if outside is None else float(outside.mean()), areas
    )


def _outside(planes: list[NDArray[np.generic]], px: float) -> Mask | None:
    blocks = [_blocks(p) for p in planes]
    union: Mask | None = None
    for plane, coarse in zip(planes, blocks, strict=True):
        for mask in (_constant(plane, px), _dark(plane, coarse, px)):
            if mask is not None and all(_empty(b, mask) for b in blocks):
                union = mask if union is None else union | mask
        # One camera and one wall: the other channels show the same, a little less sharply.
        if union is not None:
            break
    if union is None:
        return None
    # The optics' blur makes the wall's rim neither culture nor outside.
    return ~_eroded(~union, _RIM_UM / px + 1)


def _blocks(plane: NDArray[np.generic]) -> Real:
    return _shrunk(plane, (plane.shape[0] // _BLOCK, plane.shape[1] // _BLOCK))


def _shrunk(plane: NDArray[np.generic], shape: tuple[int, ...]) -> Real:
    image = plane if plane.dtype in (np.uint8, np.uint16, np.float32) else plane.astype(np.float32)
    return np.asarray(cv2.resize(image, shape[::-1], interpolation=cv2.INTER_AREA), np.float32)


def _empty(blocks: Real, mask: Mask) -> bool:
    """Whether a channel shows no cell in the mask."""
    small = cv2.resize(mask.astype(np.float32), blocks.shape[::-1], interpolation=cv2.INTER_AREA)
    within = blocks[_eroded(small > 0.99, 1.5)]
    if within.size < 8:
        return True
    low, high = np.percentile(blocks, (10, 99))
    middle, top = np.percentile(within, (50, 99))
    return bool(top - middle <= 0.2 * (high - low))


def _constant(plane: NDArray[np.generic], px: float) -> Mask | None:
    """A single value from the border up to a wall."""
    edges = (plane[0], plane[-1], plane[:, 0], plane[:, -1])
    walls: Mask | None = None
    for value in sorted({v for edge in edges for v in _runs(edge)}):
        same = (plane == value).astype(np.uint8)
        solid = cv2.morphologyEx(same, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
        mask = _at_border(solid > 0)
        rest = ~mask
        # Where the medium itself often has this value, it is clipped: that is dark culture.
        if not _SHARE[0] <= mask.mean() <= _SHARE[1] or (solid > 0)[rest].mean() > 1e-3:
            continue
        if _one_piece(rest) and _smooth(mask, px):
            walls = mask if walls is None else walls | mask
    return walls


def _runs(edge: NDArray[np.generic]) -> list[float]:
    """Values that fill a long run of a border line."""
    ends = np.flatnonzero(np.diff(edge)) + 1
    starts = np.concatenate([[0], ends])
    lengths = np.diff(np.concatenate([starts, [len(edge)]]))
    return [float(edge[s]) for s in starts[lengths >= 4 * _BLOCK]]


def _dark(plane: NDArray[np.generic], blocks: Real, px: float) -> Mask | None:
    """Offset and read noise from the border up to a wall."""
    low = float(np.percentile(blocks, 1))
    levels = np.percentile(blocks, (15, 30, 45, 60, 75))
    noise = _noise(plane, blocks <= np.percentile(blocks, 2))
    for level in levels:
        if level - low < 2 * noise / _BLOCK + 1e-6:
            continue
        dark = _at_border(blocks < (low + level) / 2)
        if not _SHARE[0] <= dark.mean() <= _SHARE[1]:
            continue
        edge = _step(plane, blocks, dark, px)
        if edge is None:
            continue
        smooth = cv2.GaussianBlur(plane.astype(np.float32), (0, 0), 2.0)
        near = cv2.resize(
            cv2.dilate(dark.astype(np.uint8), np.ones((5, 5), np.uint8)),
            plane.shape[::-1],
            interpolation=cv2.INTER_NEAREST,
        )
        mask = _at_border((smooth < edge) & (near > 0))
        holes = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
        mask = np.asarray(holes > 0, bool)
        if _SHARE[0] <= mask.mean() <= _SHARE[1] and _one_piece(~mask) and _smooth(mask, px):
            # A cell that the wall cuts shines over it and leaves a bay.
            return _smoothed(mask, px)[1]
    return None


def _step(plane: NDArray[np.generic], blocks: Real, dark: Mask, px: float) -> float | None:
    """The level half-way up a wall, or None where the dark has no wall or is not dark enough."""
    away = cv2.distanceTransform((~dark).astype(np.uint8), cv2.DIST_L2, 5)
    # Beyond a wall's blur, as the optics and its slope make it; in blocks.
    blur = max(1.5, _WALL_UM / (_BLOCK * px))
    inner = blocks[_eroded(dark, blur)]
    near, far = (away > blur) & (away <= 2.3 * blur), (away > 2.7 * blur) & (away <= 13 * blur)
    if inner.size < 8 or near.sum() < 8 or far.sum() < 8:
        return None
    level, top = (float(v) for v in np.percentile(inner, (50, 99)))
    # A low percentile: what lies between the cells.
    begin, medium = (float(np.percentile(blocks[m], 20)) for m in (near, far))
    step = medium - level
    read, photon = _noise(plane, dark), _noise(plane, near)
    if step < 6 * max(read, photon) / _BLOCK or begin - level < _SHARP * step:
        return None
    if top - level > 0.3 * step + 4 * read / _BLOCK or read > 0.95 * photon:
        return None
    return level + step / 2


def _noise(plane: NDArray[np.generic], blocks: Mask) -> float:
    """Pixel noise in some of the blocks, from at most 2,000 of them."""
    y, x = np.nonzero(blocks)
    step = max(1, len(y) // 2000)
    y, x = y[::step] * _BLOCK, x[::step] * _BLOCK
    offset = np.arange(_BLOCK)
    tiles = plane[
        np.minimum(y[:, None, None] + offset[:, None], plane.shape[0] - 1),
        np.minimum(x[:, None, None] + offset, plane.shape[1] - 1),
    ].astype(np.float32)
    second = (tiles[:, 1:, 1:] - tiles[:, 1:, :-1] - tiles[:, :-1, 1:] + tiles[:, :-1, :-1]) / 2
    return float(1.4826 * np.median(np.abs(second))) if second.size else 0.0


def _at_border(mask: Mask) -> Mask:
    """The pieces of a mask that reach the border and fill at least half a per cent of it."""
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=4
    )
    keep = np.zeros(count, bool)
    for line in (pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]):
        keep[np.unique(line)] = True
    keep[0] = False
    keep &= stats[:, cv2.CC_STAT_AREA] >= 0.005 * mask.size
    return np.asarray(keep[pieces], bool)


def _one_piece(mask: Mask) -> bool:
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    return bool(areas.size and areas.max() >= _ONE_PIECE * areas.sum())


def _eroded(mask: Mask, reach: float) -> Mask:
    """Pixels of a mask further than `reach` from the other pixels of the field."""
    if mask.all():
        return mask
    away = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
    return np.asarray(away > reach, bool)


def _smoothed(mask: Mask, px: float) -> tuple[Mask, Mask]:
    """A mask without capes, and a mask without bays, of a cell's size."""
    reach = _SMOOTH_UM / px
    pad = int(2 * reach) + 2
    padded = np.pad(mask, pad, mode="edge")
    opened = ~_eroded(~_eroded(padded, reach), reach)
    closed = _eroded(~_eroded(~padded, reach), reach)
    return opened[pad:-pad, pad:-pad], closed[pad:-pad, pad:-pad]


def _smooth(mask: Mask, px: float) -> bool:
    """Whether an outline stays where it is when bays and capes of a cell's size are taken off."""
    opened, closed = _smoothed(mask, px)
    moved = ((opened != mask) | (closed != mask)).sum()
    outline = (mask[1:] != mask[:-1]).sum() + (mask[:, 1:] != mask[:, :-1]).sum()
    return bool(outline and moved <= max(2.0, _ROUGHNESS_UM / px) * outline)


def _clumps(
    plane: NDArray[np.generic], outside: Mask | None, px: float
) -> tuple[Mask | None, tuple[float, ...]]:
    """Bodies with a rim into which a disc of _CLUMP_UM fits, and their areas in µm²."""
    if min(plane.shape) * px < 1.5 * _CLUMP_UM:
        return None, ()
    shape = tuple(max(1, round(n * px / _CLUMP_PIXEL_UM)) for n in plane.shape)
    # In float32: whole numbers would round the faint light of an 8-bit image.
    coarse = _shrunk(plane.astype(np.float32), shape)
    if outside is not None:
        dark = _shrunk(outside.astype(np.uint8), shape)
        coarse[dark > 0] = np.percentile(coarse[dark == 0], 10)
    coarse -= np.float32(np.percentile(coarse, 10))
    # Opened by the disc, the image has no nuclei.
    body = cv2.morphologyEx(coarse, cv2.MORPH_OPEN, _disc(_CLUMP_UM / 2))
    nuclei = coarse - body
    spread = 1.4826 * float(np.median(np.abs(nuclei - np.median(nuclei))))
    # Faint peaks (debris, light of other channels) are many in an image whose medium is clipped.
    faint = max(8 * spread, _FAINT * float(np.percentile(nuclei, 99.8)))
    # What the disc leaves of a clump's rim is not a nucleus: it stands on the clump.
    single = (nuclei > faint) & (nuclei > body)
    peaks = nuclei[single & (nuclei >= cv2.dilate(nuclei, _disc(8.0)))]
    typical = float(np.median(peaks)) if peaks.size else 0.0
    least = max(_CLUMP_LEVEL * typical, 8 * spread, 1e-6)
    clumps, judged = np.zeros(shape, bool), np.zeros(shape, bool)
    while (top := float((left := np.where(judged, 0, body)).max())) > least:
        half = _piece(left > top / 2, left)
        around = _grown(half, 2 * _CLUMP_EDGE_UM) & ~_grown(half, _CLUMP_EDGE_UM)
        # A low percentile: what lies between the cells around it.
        ends = around.any() and np.percentile(coarse[around], 25) < _CLUMP_FALL * top / 2
        # The skirt of what was judged already is not a body of its own.
        if ends and not (half & _grown(judged, _CLUMP_PIXEL_UM)).any():
            # Its rim is part of it as far as it is as bright as half a nucleus.
            level = min(top / 4, typical / 2) if typical else top / 4
            clumps |= _grown(_piece(body > level, np.where(half, body, 0)), _CLUMP_RIM_UM)
        judged |= half | clumps
    if not clumps.any():
        return None, ()
    count, _, stats, _ = cv2.connectedComponentsWithStats(clumps.astype(np.uint8), connectivity=8)
    unit = plane.size / clumps.size * px**2
    areas = tuple(round(float(a) * unit, 1) for a in stats[1:count, cv2.CC_STAT_AREA])
    size = plane.shape[::-1]
    fine = cv2.resize(clumps.astype(np.float32), size, interpolation=cv2.INTER_LINEAR) > 0.5
    return fine, areas


def _disc(radius_um: float) -> NDArray[np.uint8]:
    side = 2 * round(radius_um / _CLUMP_PIXEL_UM) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)


def _grown(mask: Mask, reach_um: float) -> Mask:
    return ~_eroded(~mask, reach_um / _CLUMP_PIXEL_UM)


def _piece(mask: Mask, image: Real) -> Mask:
    """The piece of a mask that holds the image's brightest pixel."""
    _, pieces = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    return np.asarray(pieces == pieces.ravel()[int(image.argmax())], bool)
