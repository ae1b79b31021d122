"""Where the plate lay in each frame of a film: shift and turn against the first usable frame.

Strategy. A stage drifts by a few µm per frame; a plate that was taken out and put back lies up to
some hundred µm away and is turned by a few degrees. Each frame is placed against the last one that
was placed. Candidates are the shift by phase correlation of the images, no movement, and the
movements that most pairs of cells agree on (a vote over shifts, for turns of up to 5°). Each is
refined on pairs of mutually nearest cells by a rigid least-squares fit, and the one that brings
most cells of the fewer onto a cell of the other frame wins, if that is far more than chance gives.
Cells that crawl, die or settle do not agree with one another, so they have no say. Where fewer than
most cells agree, the image must correlate better by that movement than by a shift alone; where too
few do, the image alone decides, by the peak of its phase correlation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from phenotypes.films.tracking import TrackSettings
from phenotypes.films.views import turn_matrix
from segmentation.field import Image

# A frame is placed by a sharp peak of the phase correlation, or by a faint one near where the last
# frame was: cells that move leave little in common (0.03 to 0.07 on real films an hour apart), and
# a chance peak is rarely near.
_SHARP_PEAK, _FAINT_PEAK, _NEAR = 0.1, 0.015, 0.1
# Chance peaks grow as the image shrinks: noise of 256 px gave up to 0.07, of 1024 px up to 0.02.
_CHANCE_PEAK_PX = 10.0
# With this many cells to compare, an image places no frame that they contradict.
_WITNESSES = 8
_REGISTRATION_SIDE = 1024
# Two cells this near after registration are taken for one.
_PAIR_UM = 10.0
_TURNS_DEG, _MOST_TURN_DEG = np.arange(-5.0, 5.01, 0.5), 5.5
_BIN_UM = 6.0
# Shifts refined per turn would be needless: the vote's highest few hold the true one.
_VOTED = 4
_VOTERS = 400
# Pairs that place a frame: this many, far above chance, and most of the fewer cells; or a fair
# share and a better image. (Cells that move by 30 µm gave chance placements with a share of 0.47.)
_FEWEST_PAIRS, _ABOVE_CHANCE, _MOST, _FAIR = 4, 4.0, 0.6, 0.4
# A turn within three standard errors of none is none: a stage shifts, and noise must not turn it.
_TURN_ERRORS = 3.0

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Registration:
    """Place of the frames of a field against the first usable one.

    `shift_um` (T, 2): y, x displacement of the field's centre. `turn_deg` (T,): turn about it,
    from the y axis towards the x axis (counter-clockwise as displayed). `quality` (T,): of the
    cells that this frame and the last placed one could both see, the share (of the fewer) that
    were found again; nan for the first and for frames without cells to compare. `ok` (T,): whether
    the frame could be placed.
    """

    shift_um: NDArray[np.float64]
    turn_deg: NDArray[np.float64]
    quality: NDArray[np.float64]
    ok: NDArray[np.bool_]


@dataclass(frozen=True)
class _Step:
    """A rigid movement about the field's centre, and the pairs of cells that it brings together."""

    turn_deg: float
    shift: Points
    pairs: int = 0
    common: int = 0
    chance: float = 0.0

    def places(self, points: Points, centre: Points) -> Points:
        turned = (points - centre) @ turn_matrix(self.turn_deg).T
        return np.asarray(turned + centre + self.shift)

    @property
    def contradicted(self) -> bool:
        """Whether it joins no more of many cells than chance would."""
        expected = self.common * self.chance
        return self.common >= _WITNESSES and self.pairs < expected + 3 * np.sqrt(expected) + 1

    def joins(self, share: float) -> bool:
        """Whether it joins a share of the cells, and more than chance can have brought together."""
        expected = self.common * self.chance
        spread = np.sqrt(expected * (1 - self.chance))
        least = max(_FEWEST_PAIRS, share * self.common, expected + _ABOVE_CHANCE * spread + 2)
        return bool(self.pairs >= least and abs(self.turn_deg) <= _MOST_TURN_DEG)


def register(
    frames: Iterable[Image],
    cells: Sequence[Points],
    sharp: Sequence[bool],
    pixel_size_um: float,
    settings: TrackSettings | None = None,
) -> Registration:
    """Register a field: each frame against the last one that was placed.

    Parameters
    ----------
    frames
        (Y, X) per time point, taken one at a time.
    cells
        Per time point (n, 2): y, x (µm) of the cells of that frame.
    sharp
        Frames that are not sharp are not placed, and no other is placed by them.
    """
    settings = settings or TrackSettings()
    shifts, turns, quality, ok = [], [], [], []
    before: tuple[Image, Points] | None = None
    shift, turn = np.zeros(2), 0.0
    for frame, points, clear in zip(frames, cells, sharp, strict=True):
        # Until it is placed, a frame stands where the last one stood.
        shifts.append(shift)
        turns.append(turn)
        quality.append(np.nan)
        ok.append(False)
        if not clear:
            continue
        factor = max(1.0, max(frame.shape) / _REGISTRATION_SIDE)
        small = _prepared(frame, factor)
        if not small.any():
            continue
        if before is not None:
            side = np.array(frame.shape) * pixel_size_um
            step = _step((*before, small, points), side, factor * pixel_size_um)
            if step is None:
                continue
            moved = turn_matrix(step.turn_deg) @ shift + step.shift
            if step.common:
                quality[-1] = step.pairs / step.common
            if np.abs(moved).max() > settings.max_drift * side.min():
                continue
            shift, turn = moved, turn + step.turn_deg
        shifts[-1], turns[-1], ok[-1], before = shift, turn, True, (small, points)
    return Registration(
        np.array(shifts).reshape(-1, 2), np.array(turns), np.array(quality), np.array(ok, bool)
    )


def _step(pair: tuple[Image, Points, Image, Points], side: Points, pixel_um: float) -> _Step | None:
    """How the plate moved between two frames; None where neither cells nor image tell."""
    image, old, image_now, new = pair
    (dx, dy), response = _correlated(image, image_now)
    by_image = _Step(0.0, np.array([dy, dx]) * pixel_um)
    starts = [by_image, _Step(0.0, np.zeros(2)), *_voted(old, new, side / 2)]
    best = max((_refined(s, old, new, side) for s in starts), key=lambda s: s.pairs)
    if best.joins(_MOST):
        return best
    if best.joins(_FAIR):
        (x, y), better = _correlated(image, _moved_back(image_now, best, pixel_um))
        if better > response and np.hypot(x, y) * pixel_um <= _PAIR_UM:
            return best
    near = np.abs(by_image.shift).max() <= _NEAR * side.min()
    faint = max(_FAINT_PEAK, _CHANCE_PEAK_PX / float(np.sqrt(image.size)))
    counted = _paired(by_image, old, new, side)[1]
    if response < (faint if near else max(faint, _SHARP_PEAK)) or counted.contradicted:
        return None
    return counted


def _correlated(image: Image, other: Image) -> tuple[Sequence[float], float]:
    """(x, y) shift of `other` in pixels, and the height of its peak."""
    window = cv2.createHanningWindow(image.shape[::-1], cv2.CV_32F)
    return cv2.phaseCorrelate(image, other, window)


def _moved_back(image: Image, step: _Step, pixel_um: float) -> Image:
    """The later image as it was before a step."""
    height, width = image.shape
    centre = np.array([height, width]) / 2
    turn = turn_matrix(step.turn_deg)
    offset = centre + step.shift / pixel_um - turn @ centre
    # OpenCV counts x before y, and asks for each pixel's place in the source.
    matrix = np.column_stack([turn[::-1, ::-1], offset[::-1]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(image, matrix, (width, height), flags=flags), np.float32)


def _voted(old: Points, new: Points, centre: Points) -> Iterator[_Step]:
    """The movements that most pairs of cells agree on."""
    if min(len(old), len(new)) < _FEWEST_PAIRS:
        return
    old = old[:: -(-len(old) // _VOTERS)]
    votes = []
    for turn in _TURNS_DEG:
        turned = _Step(float(turn), np.zeros(2)).places(old, centre)
        shifts = (new[None] - turned[:, None]).reshape(-1, 2)
        bins = np.floor(shifts / _BIN_UM).astype(int)
        low = bins.min(axis=0)
        shape = bins.max(axis=0) - low + 1
        flat = np.ravel_multi_index(tuple((bins - low).T), tuple(shape))
        counts = np.bincount(flat, minlength=int(shape.prod())).reshape(shape).astype(np.float32)
        smooth = cv2.GaussianBlur(counts, (0, 0), 1.0)
        peak = np.array(np.unravel_index(int(smooth.argmax()), smooth.shape))
        votes.append((float(smooth.max()), float(turn), (peak + low + 0.5) * _BIN_UM))
    for _, turn, shift in sorted(votes, key=lambda v: -v[0])[:_VOTED]:
        yield _Step(turn, shift)


def _refined(step: _Step, old: Points, new: Points, side: Points) -> _Step:
    """A rigid least-squares fit to pairs of mutually nearest cells, repeated as pairs change."""
    for _ in range(8):
        index, counted = _paired(step, old, new, side)
        if len(index) < _FEWEST_PAIRS:
            return counted
        fitted = _fit(old[index[:, 0]], new[index[:, 1]], side / 2)
        if np.allclose(fitted.shift, step.shift, atol=0.01) and fitted.turn_deg == step.turn_deg:
            break
        step = fitted
    return _paired(step, old, new, side)[1]


def _paired(step: _Step, old: Points, new: Points, side: Points) -> tuple[NDArray[np.int64], _Step]:
    """(pairs, 2) indices of mutually nearest cells, and the step with their number."""
    moved = step.places(old, side / 2)
    # Backwards: about the centre, R(-turn) (q - c - shift) + c.
    back = (new - side / 2 - step.shift) @ turn_matrix(step.turn_deg) + side / 2
    seen_old = np.flatnonzero(_inside(moved, side))
    seen_new = np.flatnonzero(_inside(back, side))
    common = min(len(seen_old), len(seen_new))
    if common == 0:
        return np.zeros((0, 2), np.int64), _Step(step.turn_deg, step.shift)
    distance, nearest = (np.asarray(v) for v in cKDTree(new[seen_new]).query(moved[seen_old]))
    mutual: NDArray[np.int64] = np.asarray(cKDTree(moved[seen_old]).query(new[seen_new])[1])
    kept = (mutual[nearest] == np.arange(len(seen_old))) & (distance <= _PAIR_UM)
    overlap = max(1.0, float(np.prod(np.maximum(side - np.abs(step.shift), 0.0))))
    density = max(len(seen_old), len(seen_new)) / overlap
    chance = 1 - float(np.exp(-density * np.pi * _PAIR_UM**2))
    index = np.column_stack([seen_old[kept], seen_new[nearest[kept]]])
    return index, _Step(step.turn_deg, step.shift, len(index), common, chance)


def _inside(points: Points, side: Points) -> NDArray[np.bool_]:
    return np.asarray(((points >= 0) & (points <= side)).all(axis=1))


def _fit(old: Points, new: Points, centre: Points) -> _Step:
    """The rigid movement with the least squared distances; without turn where it is not sure."""
    a, b = old - old.mean(axis=0), new - new.mean(axis=0)
    turn = float(np.arctan2((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum(), (a * b).sum()))
    left = b - a @ turn_matrix(np.rad2deg(turn)).T
    spread = float((left**2).sum()) / max(1, 2 * len(a) - 3)
    if abs(turn) < _TURN_ERRORS * np.sqrt(spread / max(float((a**2).sum()), 1e-9)):
        turn = 0.0
    degrees = float(np.rad2deg(turn))
    centred = (old.mean(axis=0) - centre) @ turn_matrix(degrees).T + centre
    return _Step(degrees, new.mean(axis=0) - centred)


def sharp_frames(
    focus: Sequence[float | None], settings: TrackSettings | None = None
) -> list[bool]:
    """Whether each frame's spectrum is no steeper than its neighbours' in time.

    The focus slope of a dying culture drifts over days, and jumps once few neurons are left. A
    frame out of focus differs from the two before it and from the two behind it.
    """
    settings = settings or TrackSettings()
    slope = np.array([np.nan if f is None else f for f in focus], float)
    sharp = []
    for t in range(len(slope)):
        sides = (slope[max(0, t - 2) : t], slope[t + 1 : t + 3])
        known = [side[np.isfinite(side)] for side in sides if np.isfinite(side).any()]
        # At an end of the film one side must do: then both of its frames must be sharper.
        slopes = [np.median(side) if len(known) == 2 else side.min() for side in known]
        # A frame with too little light for a slope is not called out of focus.
        blurred = sum(map(len, known)) >= 2 and bool(
            slope[t] < min(slopes) - settings.blurred_slope
        )
        sharp.append(not blurred)
    return sharp


def _prepared(frame: Image, factor: float) -> Image:
    """The frame smaller and flattened.

    A bright cell must not outweigh all others, nor a shaded background the cells.
    """
    shape = (max(8, round(frame.shape[1] / factor)), max(8, round(frame.shape[0] / factor)))
    small = cv2.resize(frame, shape, interpolation=cv2.INTER_AREA).astype(np.float32)
    small -= cv2.GaussianBlur(small, (0, 0), max(shape) / 16)
    spread = float(small.std())
    return np.asarray(np.arctan(small / spread), np.float32) if spread > 0 else np.zeros_like(small)
