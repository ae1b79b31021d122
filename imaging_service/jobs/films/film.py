"""Register the frames and track the neurons of each field of a longitudinal assay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl

from imaging_service.errors import ImageError
from imaging_service.jobs.films.hours import numbered_hours
from imaging_service.jobs.records import WellTask
from imaging_service.store import plates
from phenotypes.columns.dictionary import conform
from phenotypes.films.registration import Registration, register, sharp_frames
from phenotypes.films.tracking import TrackSettings, link
from phenotypes.films.views import VIEW, to_first
from plate_maps import Well
from segmentation.field import Image

# A frame with fewer neurons than this cannot be registered.
_PLACEABLE = 4
_COPY = "the frame is a copy of the one before, and takes no part in any track"


def follow_well(
    task: WellTask, cells: pl.DataFrame, fields: pl.DataFrame, blank: set[tuple[int, int]]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Fill `track` and `conflict` of cells; hours, place and usability of the frames of fields.

    `blank` holds (field, frame) of frames that were never exposed. Raises ImageError where a time
    point was taken before the one that it follows.
    """
    survival, hours = task.protocol.survival, frame_hours(task)
    if survival is None or not hours:
        raise ValueError("follow_well needs a protocol with [survival] and a frame interval")
    back = next((k for k, (a, b) in enumerate(pairwise(hours), start=1) if b < a), None)
    if back is not None:
        before, after = task.times[back - 1 : back + 1]
        raise ImageError(
            f"well {task.well}: by the instrument, time point {after} was taken"
            f" {hours[back - 1] - hours[back]:.3g} h before time point {before}; correct the names"
            " of the files or their dates"
        )
    role = "dna" if "dna" in task.roles else "neurite"
    followed, described = [], []
    for part in fields.partition_by("field", maintain_order=True):
        number = int(part["field"][0])
        frames = part["frame"].to_list()
        moving = _Frames(task, number, task.roles.index(role))
        copies = _copies(moving, [f for f in frames if (number, f) not in blank])
        copies |= {f for f in frames if f > 1 and hours[f - 1] == hours[f - 2]}
        exposed = np.array([(number, f) not in blank and f not in copies for f in frames])
        sharp = exposed & np.array(sharp_frames(part[f"focus_{role}"].to_list(), survival))
        field_cells = cells.filter(pl.col("field") == number)
        placed = [
            field_cells.filter(pl.col("frame") == f).select("y_um", "x_um").to_numpy()
            for f in frames
        ]
        registration = register(
            (moving.read(f) for f in frames), placed, sharp.tolist(), task.pixel_size_um, survival
        )
        counted = (
            field_cells.filter(pl.col("is_neuron").fill_null(value=True)).group_by("frame").len()
        )
        count = dict(counted.iter_rows())
        # A frame that lost its neurons cannot be registered, and need not be: they are gone,
        # wherever the frame lies.
        emptied = np.array([count.get(f, 0) < _PLACEABLE for f in frames])
        usable = ((registration.ok | emptied) & sharp).tolist()
        described.append(_described(part, registration, usable, hours, copies))
        followed.append(_followed(field_cells, described[-1], survival))
    return conform(pl.concat(followed), "cell"), conform(pl.concat(described), "field")


def frame_hours(task: WellTask) -> tuple[float, ...]:
    """Hours of the task's time points; none in a fixed assay.

    A task that an earlier version wrote has no hours of its own.
    """
    interval = task.protocol.acquisition.frame_interval_h
    if task.protocol.survival is None or interval is None:
        return ()
    return task.hours or numbered_hours(task.times, interval)


def follow_again(task: WellTask, cells: pl.DataFrame, fields: pl.DataFrame) -> pl.DataFrame:
    """Link one field's cells anew after a correction.

    Drift and usability of its frames stay as `fields` has them.
    """
    if task.protocol.survival is None:
        raise ValueError("tracks need a protocol with [survival]")
    return conform(_followed(cells, fields, task.protocol.survival), "cell")


@dataclass(frozen=True)
class _Frames:
    """The channel of a field by which its frames are placed."""

    task: WellTask
    number: int
    channel: int

    def read(self, frame: int) -> Image:
        """(Y, X) of a time point."""
        well = Well.parse(self.task.well)
        pixels, _, _ = plates.read_field(self.task.plate, well, self.number, frame)
        return np.asarray(pixels[self.channel], np.float32)


def _copies(frames: _Frames, exposed: list[int]) -> set[int]:
    """Frames with the pixels of the exposed one before: a camera's noise never repeats."""
    copies: set[int] = set()
    last: Image | None = None
    for frame in exposed:
        image = frames.read(frame)
        if last is not None and np.array_equal(image, last):
            copies.add(frame)
        last = image
    return copies


def _described(
    part: pl.DataFrame,
    registration: Registration,
    usable: list[bool],
    hours: Sequence[float],
    copies: set[int],
) -> pl.DataFrame:
    warned = pl.concat_str(
        pl.col("warnings").replace("", None), pl.lit(_COPY), separator="; ", ignore_nulls=True
    )
    copied = pl.col("frame").is_in(list(copies))
    return part.with_columns(
        pl.Series("time_h", [hours[f - 1] for f in part["frame"]], pl.Float64),
        pl.Series("usable", usable),
        pl.Series("drift_y_um", registration.shift_um[:, 0]),
        pl.Series("drift_x_um", registration.shift_um[:, 1]),
        pl.Series("turn_deg", registration.turn_deg),
        pl.Series("registration_quality", registration.quality).fill_nan(None),
        pl.when(copied).then(warned).otherwise(pl.col("warnings")).alias("warnings"),
    )


def _followed(cells: pl.DataFrame, frames: pl.DataFrame, settings: TrackSettings) -> pl.DataFrame:
    """The field's cells with tracks.

    Cells of unusable frames, and cells that are not neurons, get none.
    """
    joined = cells.drop("track", "conflict").join(
        frames.select("frame", "usable", *VIEW), on="frame", how="left", maintain_order="left"
    )
    size = (float(frames["height_um"][0]), float(frames["width_um"][0]))
    registered = to_first(joined, size)
    wanted = registered.filter("usable", pl.col("is_neuron").fill_null(value=True))
    linked = link(wanted.select("frame", "label", "y_um", "x_um", "soma_area_um2"), settings)
    return cells.drop("track", "conflict").join(
        linked.select("frame", "label", "track", "conflict"),
        on=["frame", "label"],
        how="left",
        maintain_order="left",
    )
