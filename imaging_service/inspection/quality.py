"""Quality control of a scan minutes after it arrived, before anything is segmented."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import polars as pl
from numpy.typing import NDArray

from imaging_service.errors import ImageError
from imaging_service.files import write_bytes
from imaging_service.ingest import PlatePlan, reader_named
from imaging_service.ingest.plan import Announced, ImageRef, Limits
from imaging_service.inspection.plate_pictures import plate_picture, small, well_side
from imaging_service.inspection.survey import Survey
from imaging_service.store.tables import write_table
from imaging_service.web.scan_report import ScanPage, render_scan
from phenotypes.columns.statuses import ImageStatus
from phenotypes.plates.quality.arrival import Row, channel_table, judge_images, measure_image
from plate_maps import Well
from segmentation.field import Image

# Fields that the illumination is estimated from, as many as the calibration takes.
_SPREAD = 16
# Wells that a process is given at once.
_CHUNK = 4

Progress = Callable[[int, int], None]
_Looked = tuple[Well, list[Row], dict[str, NDArray[np.float32]]]


@dataclass(frozen=True)
class ScanQuality:
    """The tables `image` and `channel` of a scan, and its plate per channel as PNG."""

    images: pl.DataFrame
    channels: pl.DataFrame
    pictures: dict[str, bytes]


def scan_quality(
    survey: Survey,
    *,
    fields: int = 1,
    pixel_size_um: float | None = None,
    workers: int = 0,
    progress: Progress | None = None,
) -> ScanQuality:
    """Look at the images of a scan.

    Parameters
    ----------
    survey
        What the scan holds.
    fields
        How many fields of each well are looked at, the first ones; 0 for all.
    pixel_size_um
        Where the scan carries none.
    workers
        Processes; 0 means one per core, 1 this one.
    progress
        Called with the number of wells that are done and of all.
    """
    plan, size = survey.plan, survey.plan.pixel_size_um or pixel_size_um
    side = well_side(survey.format)
    rows: list[Row] = []
    thumbs: dict[str, dict[Well, NDArray[np.float32]]] = {name: {} for name in plan.channels}
    parts = list(_wells(plan, fields))
    for done, (well, measured, pictures) in enumerate(
        _looked(parts, size, side, workers or os.cpu_count() or 1), start=1
    ):
        rows += measured
        for channel, picture in pictures.items():
            thumbs[channel][well] = picture
        if progress is not None:
            progress(done, len(parts))
    images = judge_images(rows)
    spread = {channel: _spread(plan, images, channel) for channel in plan.channels}
    return ScanQuality(
        images,
        channel_table(images, spread, size),
        {name: plate_picture(survey.format, thumbs[name]) for name in plan.channels},
    )


def write_quality(survey: Survey, quality: ScanQuality, out: Path) -> Path:
    """Write tables, pictures and the page; returns the page."""
    write_table(quality.images, out / "images")
    write_table(quality.channels, out / "channels")
    for number, picture in enumerate(quality.pictures.values(), start=1):
        write_bytes(out / f"plate_channel{number}.png", picture)
    page = ScanPage(survey.plain(), quality.images, quality.channels, quality.pictures)
    write_bytes(out / "scan.html", render_scan(page).encode())
    return out / "scan.html"


def _wells(plan: PlatePlan, fields: int) -> Iterator[PlatePlan]:
    """One plan per well, of its first time point and the fields that are looked at."""
    by_well: dict[Well, list[ImageRef]] = {}
    for image in plan.images:
        by_well.setdefault(image.well, []).append(image)
    bare = replace(plan, missing=(), notes=(), findings=(), projections=(), announced=Announced())
    for _, images in sorted(by_well.items()):
        numbers = sorted({i.field for i in images})
        kept = numbers[: fields or len(numbers)]
        first = min(i.time for i in images)
        yield replace(bare, images=tuple(i for i in images if i.field in kept and i.time == first))


def _looked(
    parts: Sequence[PlatePlan], size: float | None, side: int, workers: int
) -> Iterator[_Looked]:
    look = partial(look_at, pixel_size_um=size, side=side)
    if workers == 1 or len(parts) <= _CHUNK:
        yield from map(look, parts)
        return
    # Spawned, not forked: OpenCV and Polars keep threads that a fork would leave dead.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(look, parts, chunksize=_CHUNK)


def look_at(plan: PlatePlan, pixel_size_um: float | None, side: int) -> _Looked:
    """Rows of a well's images, and its first field as small images by channel."""
    cv2.setNumThreads(1)
    rows: list[Row] = []
    pictures: dict[str, NDArray[np.float32]] = {}
    for field, channel in dict.fromkeys((i.field, i.channel) for i in plan.images):
        stack = [i for i in plan.images if (i.field, i.channel) == (field, channel)]
        row: Row = {"well": stack[0].well.name, "field": field, "channel": channel}
        try:
            image = _projected(plan, stack)
            seconds = reader_named(plan.reader).exposed_s(plan, stack[0])
        except ImageError as error:
            rows.append({**row, "status": ImageStatus.UNREADABLE, "reason": str(error)})
            continue
        row["exposed_h"] = None if seconds is None else seconds / 3600
        rows.append({**row, **measure_image(image, pixel_size_um)})
        pictures.setdefault(channel, small(image, side))
    return plan.images[0].well, rows, pictures


def _projected(plan: PlatePlan, stack: Sequence[ImageRef]) -> Image:
    """The image that the analysis would see: the maximum over the planes."""
    reader, highest = reader_named(plan.reader), None
    for image in stack:
        plane = reader.read(plan, image, Limits())
        if highest is not None and plane.shape != highest.shape:
            raise ImageError(f"{image.path}: planes of one field differ in size")
        highest = plane if highest is None else np.maximum(highest, plane)
    return np.asarray(highest, np.float32)


def _spread(plan: PlatePlan, images: pl.DataFrame, channel: str) -> list[Image]:
    """Readable images of a channel from all over the plate, read once more."""
    usable = images.filter(
        (pl.col("channel") == channel)
        & ~pl.col("status").is_in([ImageStatus.UNREADABLE, ImageStatus.BLANK])
    )
    places = usable.select("well", "field").rows()
    step = max(1.0, len(places) / _SPREAD)
    chosen = [places[int(i * step)] for i in range(min(_SPREAD, len(places)))]
    read = []
    for name, field in chosen:
        well = Well.parse(name)
        stack = [i for i in plan.images if (i.well, i.field, i.channel) == (well, field, channel)]
        first = min(i.time for i in stack)
        read.append(_projected(plan, [i for i in stack if i.time == first]))
    return read
