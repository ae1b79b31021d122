"""Follow neurons through time: register the frames, link somas, mark doubtful links.

Strategy. Each frame is shifted onto the first by phase correlation. Somas are then linked by linear
assignment with gap closing (laptrack). Divisions are off, since motor neurons are post-mitotic: a
track that begins where another is in mid-study is a split by segmentation, and one that ends where
another goes on and grows is a merge. Both are marked (`conflict`) and are not deaths. Frames
that could not be registered or are out of focus are left out, and do not count as gaps.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated

import cv2
import numpy as np
import polars as pl
import pydantic
from numpy.typing import NDArray

from segmentation.field import Image
from segmentation.settings import STRICT, Positive, Share, meaning

# A frame is placed by a sharp peak of the phase correlation, or by a faint one near where the last
# frame was: cells that move leave little in common (0.03 to 0.07 on real films an hour apart), and
# a chance peak is rarely near.
_SHARP_PEAK, _FAINT_PEAK, _NEAR = 0.1, 0.015, 0.1
_REGISTRATION_SIDE = 1024


@pydantic.dataclasses.dataclass(frozen=True, kw_only=True, config=STRICT)
class TrackSettings:
    """Which somas of two frames are one neuron, and which frames can be used."""

    max_move_um: Annotated[Positive, meaning("Farthest that a soma moves between two frames.")] = (
        15.0
    )
    max_gap: Annotated[
        int,
        pydantic.Field(ge=0),
        meaning("Frames that a neuron may be missing for and still be the same."),
    ] = 2
    merged_growth: Annotated[
        float,
        pydantic.Field(gt=1),
        meaning(
            "A soma that grows by this factor where a track ends beside it holds two neurons; one"
            " that shrinks by it was split."
        ),
    ] = 1.4
    max_drift: Annotated[
        Share,
        meaning("A frame shifted by more than this share of the field's side is not placed."),
    ] = 0.4
    blurred_slope: Annotated[
        Positive,
        meaning(
            "A frame whose focus slope is steeper by this than its neighbours' in time is out of"
            " focus."
        ),
    ] = 0.7


@dataclass(frozen=True)
class Registration:
    """Drift of the frames of a field.

    `shift_px` (T, 2): y, x displacement of each frame against the first usable one. `ok` (T,):
    whether it could be placed.
    """

    shift_px: NDArray[np.float64]
    ok: NDArray[np.bool_]


def register(
    frames: Iterable[Image], sharp: Sequence[bool], settings: TrackSettings | None = None
) -> Registration:
    """Register a field: phase correlation of each frame with the last one that was placed.

    Hann window, sub-pixel. Frames are taken one at a time; those that are not `sharp` are not
    placed, and no other is placed by them.
    """
    settings = settings or TrackSettings()
    shifts: list[NDArray[np.float64]] = []
    ok: list[bool] = []
    before: Image | None = None
    position = np.zeros(2)
    for frame, clear in zip(frames, sharp, strict=True):
        # Until it is placed, a frame stands where the last one stood.
        shifts.append(position)
        ok.append(False)
        if not clear:
            continue
        factor = max(1.0, max(frame.shape) / _REGISTRATION_SIDE)
        small = _prepared(frame, factor)
        if not small.any():
            continue
        if before is not None:
            (dx, dy), response = cv2.phaseCorrelate(
                before, small, cv2.createHanningWindow(small.shape[::-1], cv2.CV_32F)
            )
            step = np.array([dy, dx]) * factor
            moved = position + step
            near = np.abs(step).max() <= _NEAR * min(frame.shape)
            if response < (_FAINT_PEAK if near else _SHARP_PEAK) or np.abs(
                moved
            ).max() > settings.max_drift * min(frame.shape):
                continue
            position = moved
        shifts[-1], ok[-1], before = position, True, small
    return Registration(np.array(shifts).reshape(-1, 2), np.array(ok, bool))


def sharp_frames(
    focus: Sequence[float | None], settings: TrackSettings | None = None
) -> list[bool]:
    """Whether each frame's spectrum is no steeper than its neighbours' in time.

    The focus slope of a dying culture drifts over days; a frame out of focus differs from the
    frames around it.
    """
    settings = settings or TrackSettings()
    slope = np.array([np.nan if f is None else f for f in focus], float)
    sharp = []
    for t in range(len(slope)):
        neighbours = np.delete(slope[max(0, t - 2) : t + 3], min(t, 2))
        neighbours = neighbours[np.isfinite(neighbours)]
        # A frame with too little light for a slope is not called out of focus.
        blurred = len(neighbours) >= 2 and bool(
            slope[t] < np.median(neighbours) - settings.blurred_slope
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


def link(objects: pl.DataFrame, settings: TrackSettings) -> pl.DataFrame:
    """Add `track` and `conflict` to the objects of a field.

    Tracks are numbered from 1 in order of first frame and label.

    Parameters
    ----------
    objects
        frame, label, y_um, x_um (registered), soma_area_um2; only frames that are usable. One
        field.

    Returns
    -------
    The same rows, sorted by track and frame. `conflict` marks the last row of a track that merged
    into another, and rows of a track from which another split off.
    """
    if objects.is_empty():
        return objects.with_columns(
            pl.lit(None, pl.Int64).alias("track"), pl.lit(value=False).alias("conflict")
        )
    import pandas as pd
    from laptrack import LapTrack

    # Frames are numbered among the usable ones: a gap is a cell that is missing, not a frame.
    usable = objects["frame"].unique().sort()
    order = objects["frame"].replace_strict(usable, range(len(usable)), return_dtype=pl.Int64)
    rows = objects.with_columns(order.alias("step")).sort("step", "label")
    reach = settings.max_move_um**2
    tracker = LapTrack(
        cutoff=reach,
        gap_closing_cutoff=reach,
        gap_closing_max_frame_count=settings.max_gap,
        splitting_cutoff=False,
        merging_cutoff=False,
    )
    frame = pd.DataFrame(
        {c: rows[c].to_numpy() for c in ("step", "y_um", "x_um")} | {"row": np.arange(len(rows))}
    )
    linked, _, _ = tracker.predict_dataframe(
        frame, ["y_um", "x_um"], frame_col="step", only_coordinate_cols=False
    )
    track_id = np.zeros(len(rows), np.int64)
    track_id[linked["row"].to_numpy()] = linked["track_id"].to_numpy()
    # laptrack's numbers follow its graph; ours follow first appearance.
    _, first, inverse = np.unique(track_id, return_index=True, return_inverse=True)
    number = np.empty(len(first), np.int64)
    number[np.argsort(first)] = np.arange(1, len(first) + 1)
    rows = rows.with_columns(pl.Series("track", number[inverse])).sort("track", "step")
    return _conflicts(rows, settings).drop("step")


def _conflicts(rows: pl.DataFrame, settings: TrackSettings) -> pl.DataFrame:
    step, track = rows["step"].to_numpy(), rows["track"].to_numpy()
    place = rows.select("y_um", "x_um").to_numpy()
    area = rows["soma_area_um2"].fill_null(0.0).to_numpy()
    conflict = np.zeros(len(rows), bool)
    begins = np.append(True, track[1:] != track[:-1])
    ends = np.append(track[1:] != track[:-1], True)
    latest = int(step.max())
    # A track that begins in mid-study beside one that was there a frame ago and has shrunk since:
    # one cell cut in two.
    for i in np.flatnonzero(begins & (step > 0)):
        others = np.flatnonzero((step == step[i]) & ~begins & (track != track[i]))
        near = others[np.hypot(*(place[others] - place[i]).T) <= settings.max_move_um]
        shrunk = near[area[near] * settings.merged_growth <= area[near - 1]]
        conflict[shrunk] = True
    # A track that ends beside one that goes on and has grown since: two cells taken for one.
    for i in np.flatnonzero(ends & (step < latest)):
        others = np.flatnonzero((step == step[i] + 1) & ~begins & (track != track[i]))
        near = others[np.hypot(*(place[others] - place[i]).T) <= settings.max_move_um]
        if (area[near] >= settings.merged_growth * area[near - 1]).any():
            conflict[i] = True
    return rows.with_columns(pl.Series("conflict", conflict))
