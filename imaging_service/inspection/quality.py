"""Quality control of a scan minutes after it arrived, before anything is segmented.

`look` measures a well's images, `judged` puts those of a plate together; `scan_quality` does both
for a scan that no run belongs to.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

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
from imaging_service.store.arrival import PAGE, TABLES, picture
from imaging_service.store.tables import write_table
from imaging_service.web.scan_report import ScanPage, render_scan
from phenotypes.columns.statuses import ImageStatus
from phenotypes.plates.quality.arrival import Row, channel_table, judge_images, measure_image
from plate_maps import PlateFormat, Well
from segmentation.field import Image

# Fields that the illumination is estimated from, as many as the calibration takes.
SPREAD = 16
# Wells that a process is given at once.
_CHUNK = 4

Progress = Callable[[int, int], None]
# Field and channel ► the image that the analysis would see. Raises ImageError.
Read = Callable[[int, str], Image]
# Field and channel ► seconds since 1970 at which it was exposed.
Exposed = Callable[[int, str], float | None]
Pictures = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Looked:
    """A well's rows of the table `image`, and its first field as small images by channel."""

    well: Well
    rows: list[Row]
    pictures: Pictures


@dataclass(frozen=True)
class ScanQuality:
    """The tables `image` and `channel` of a scan, and its plate per channel as PNG."""

    images: pl.DataFrame
    channels: pl.DataFrame
    pictures: dict[str, bytes]


def look(
    well: Well,
    places: Iterable[tuple[int, str]],
    read: Read,
    exposed_s: Exposed,
    pixel_size_um: float | None,
    side: int,
) -> Looked:
    """Measure a well's images.

    Parameters
    ----------
    well
        The well.
    places
        (field, channel) of the images, in the order of their rows.
    read, exposed_s
        Give an image (Y, X), and the time of its exposure. An image that raises ImageError is a row
        with the status `unreadable`.
    pixel_size_um
        None where it is not known.
    side
        Largest side of the small images, in pixels.
    """
    cv2.setNumThreads(1)
    rows: list[Row] = []
    pictures: dict[str, NDArray[np.float32]] = {}
    for field, channel in places:
        row: Row = {"well": well.name, "field": field, "channel": channel}
        try:
            image = read(field, channel)
            seconds = exposed_s(field, channel)
        except ImageError as error:
            rows.append({**row, "status": ImageStatus.UNREADABLE, "reason": str(error)})
            continue
        row["exposed_h"] = None if seconds is None else seconds / 3600
        rows.append({**row, **measure_image(image, pixel_size_um)})
        pictures.setdefault(channel, small(image, side))
    return Looked(well, rows, pictures)


def judged(
    looked: Sequence[Looked],
    channels: Sequence[str],
    fmt: PlateFormat,
    pixel_size_um: float | None,
    read: Callable[[Well, int, str], Image],
) -> ScanQuality:
    """A plate's images beside each other, its channels and its pictures.

    `read` gives images (Y, X) from all over the plate once more, for the illumination; one that
    raises ImageError is left out.
    """
    images = judge_images([row for one in looked for row in one.rows])
    spread = {channel: _spread(images, channel, read) for channel in channels}
    pictures = {
        channel: plate_picture(
            fmt, {one.well: one.pictures[channel] for one in looked if channel in one.pictures}
        )
        for channel in channels
    }
    return ScanQuality(images, channel_table(images, spread, pixel_size_um), pictures)


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
    parts = list(_wells(plan, fields))
    looked: list[Looked] = []
    for one in _looked(parts, size, well_side(survey.format), workers or os.cpu_count() or 1):
        looked.append(one)
        if progress is not None:
            progress(len(looked), len(parts))
    by_well = {part.images[0].well: part for part in parts}
    return judged(
        looked,
        plan.channels,
        survey.format,
        size,
        lambda well, field, channel: _projected(by_well[well], field, channel),
    )


def write_quality(survey: Mapping[str, Any], quality: ScanQuality, out: Path) -> Path:
    """Write tables, pictures and the page; returns the page. `survey` is a survey's `plain`."""
    for name, table in zip(TABLES, (quality.images, quality.channels), strict=True):
        write_table(table, out / name)
    for number, content in enumerate(quality.pictures.values(), start=1):
        write_bytes(out / picture(number), content)
    page = ScanPage(survey, quality.images, quality.channels, quality.pictures)
    write_bytes(out / PAGE, render_scan(page).encode())
    return out / PAGE


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
) -> Iterator[Looked]:
    one = partial(_look, pixel_size_um=size, side=side)
    if workers == 1 or len(parts) <= _CHUNK:
        yield from map(one, parts)
        return
    # Spawned, not forked: OpenCV and Polars keep threads that a fork would leave dead.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(one, parts, chunksize=_CHUNK)


def _look(plan: PlatePlan, pixel_size_um: float | None, side: int) -> Looked:
    """Look at all images of a well's plan."""
    first: dict[tuple[int, str], ImageRef] = {}
    for image in plan.images:
        first.setdefault((image.field, image.channel), image)
    return look(
        plan.images[0].well,
        first,
        lambda field, channel: _projected(plan, field, channel),
        lambda field, channel: reader_named(plan.reader).exposed_s(plan, first[field, channel]),
        pixel_size_um,
        side,
    )


def _projected(plan: PlatePlan, field: int, channel: str) -> Image:
    """The image that the analysis would see: the maximum over the planes."""
    reader, highest = reader_named(plan.reader), None
    for image in plan.images:
        if (image.field, image.channel) != (field, channel):
            continue
        plane = reader.read(plan, image, Limits())
        if highest is not None and plane.shape != highest.shape:
            raise ImageError(f"{image.path}: planes of one field differ in size")
        highest = plane if highest is None else np.maximum(highest, plane)
    return np.asarray(highest, np.float32)


def _spread(
    images: pl.DataFrame, channel: str, read: Callable[[Well, int, str], Image]
) -> list[Image]:
    """Readable images of a channel from all over the plate, read once more."""
    usable = images.filter(
        (pl.col("channel") == channel)
        & ~pl.col("status").is_in([ImageStatus.UNREADABLE, ImageStatus.BLANK])
    )
    places = usable.select("well", "field").rows()
    step = max(1.0, len(places) / SPREAD)
    again = []
    for name, field in (places[int(i * step)] for i in range(min(SPREAD, len(places)))):
        try:
            again.append(read(Well.parse(name), field, channel))
        except ImageError:  # it changed since it was looked at, and its well will say so
            continue
    return again
