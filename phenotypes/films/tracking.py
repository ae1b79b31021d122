"""Follow neurons through time: link the somas of registered frames, mark doubtful links.

Strategy. Somas are linked by linear assignment with gap closing (laptrack) at their places in the
first frame (`registration`, `views`). Divisions are off, since motor neurons are post-mitotic: a
track that begins where another is in mid-study is a split by segmentation, and one that ends where
another goes on and grows is a merge. Both are marked (`conflict`) and are not deaths. Frames
that could not be registered or are out of focus are left out, and do not count as gaps.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import polars as pl
import pydantic

from segmentation.settings import STRICT, Positive, Share, meaning


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
    ] = 0.5
    blurred_slope: Annotated[
        Positive,
        meaning(
            "A frame whose focus slope is steeper by this than its neighbours' in time is out of"
            " focus."
        ),
    ] = 0.7


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
