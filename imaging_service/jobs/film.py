"""Register the frames and track the neurons of each field of a longitudinal assay."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from imaging_service.jobs.records import WellTask
from imaging_service.store import plates
from phenotypes.columns.dictionary import conform
from phenotypes.films.tracking import Registration, TrackSettings, link, register, sharp_frames
from plate_maps import Well
from segmentation.field import Image

# A frame with fewer neurons than this cannot be registered.
_PLACEABLE = 4


def follow_well(
    task: WellTask, cells: pl.DataFrame, fields: pl.DataFrame, blank: set[tuple[int, int]]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Fill `track` and `conflict` of cells, and `time_h`, `usable` and drift of fields.

    `blank` holds (field, frame) of frames that were never exposed.
    """
    survival, hours = task.protocol.survival, task.protocol.acquisition.frame_interval_h
    if survival is None or hours is None:
        raise ValueError("follow_well needs a protocol with [survival] and a frame interval")
    role = "dna" if "dna" in task.roles else "neurite"
    followed, described = [], []
    for part in fields.partition_by("field", maintain_order=True):
        number = int(part["field"][0])
        exposed = np.array([(number, f) not in blank for f in part["frame"]])
        sharp = exposed & np.array(sharp_frames(part[f"focus_{role}"].to_list(), survival))
        moving = _frames(task, number, task.roles.index(role), part["frame"].to_list())
        registration = register(moving, sharp.tolist(), survival)
        field_cells = cells.filter(pl.col("field") == number)
        counted = (
            field_cells.filter(pl.col("is_neuron").fill_null(value=True)).group_by("frame").len()
        )
        count = dict(counted.iter_rows())
        # A frame that lost its neurons cannot be registered, and need not be: they are gone,
        # wherever the frame lies.
        emptied = np.array([count.get(f, 0) < _PLACEABLE for f in part["frame"]])
        usable = ((registration.ok | emptied) & sharp).tolist()
        described.append(_described(part, registration, usable, hours, task.pixel_size_um))
        followed.append(_followed(field_cells, described[-1], survival))
    return conform(pl.concat(followed), "cell"), conform(pl.concat(described), "field")


def follow_again(task: WellTask, cells: pl.DataFrame, fields: pl.DataFrame) -> pl.DataFrame:
    """Link one field's cells anew after a correction.

    Drift and usability of its frames stay as `fields` has them.
    """
    if task.protocol.survival is None:
        raise ValueError("tracks need a protocol with [survival]")
    return conform(_followed(cells, fields, task.protocol.survival), "cell")


def _frames(task: WellTask, number: int, channel: int, frames: list[int]) -> Iterator[Image]:
    for frame in frames:
        pixels, _, _ = plates.read_field(task.plate, Well.parse(task.well), number, frame)
        yield np.asarray(pixels[channel], np.float32)


def _described(
    part: pl.DataFrame, registration: Registration, usable: list[bool], hours: float, px: float
) -> pl.DataFrame:
    return part.with_columns(
        ((pl.col("frame") - 1) * hours).alias("time_h"),
        pl.Series("usable", usable),
        pl.Series("drift_y_um", registration.shift_px[:, 0] * px),
        pl.Series("drift_x_um", registration.shift_px[:, 1] * px),
    )


def _followed(cells: pl.DataFrame, frames: pl.DataFrame, settings: TrackSettings) -> pl.DataFrame:
    """The field's cells with tracks.

    Cells of unusable frames, and cells that are not neurons, get none.
    """
    joined = cells.drop("track", "conflict").join(
        frames.select("frame", "usable", "drift_y_um", "drift_x_um"),
        on="frame",
        how="left",
        maintain_order="left",
    )
    registered = joined.with_columns(
        y_um=pl.col("y_um") - pl.col("drift_y_um"), x_um=pl.col("x_um") - pl.col("drift_x_um")
    )
    wanted = registered.filter("usable", pl.col("is_neuron").fill_null(value=True))
    linked = link(wanted.select("frame", "label", "y_um", "x_um", "soma_area_um2"), settings)
    return cells.drop("track", "conflict").join(
        linked.select("frame", "label", "track", "conflict"),
        on=["frame", "label"],
        how="left",
        maintain_order="left",
    )
