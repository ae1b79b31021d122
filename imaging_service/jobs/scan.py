"""A well's pixels and times as its scan holds them."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from imaging_service.errors import ImageError
from imaging_service.ingest import reader_named
from imaging_service.ingest.plan import Limits
from imaging_service.jobs.records import WellTask

# Here, because calibration and wells both begin with it.
# The processes are the parallelism; OpenCV's own threads would only fight over the same cores.
cv2.setNumThreads(1)


def read_planes(task: WellTask, number: int, time: int) -> NDArray[np.generic]:
    """(C, Y, X) of one field and time point from the scan, planes projected by maximum.

    Raises ImageError naming well, field, channel.
    """
    reader, limits, plan = reader_named(task.plan.reader), Limits(), task.plan
    planes = []
    where = f"well {task.well}, field {number}" + (
        f", time point {time}" if len(task.times) > 1 else ""
    )
    for channel in plan.channels:
        own = [
            i for i in plan.images if i.field == number and i.channel == channel and i.time == time
        ]
        absent = [
            i
            for i in plan.missing
            if i.field == number and i.channel in (channel, "") and i.time == time
        ]
        if absent or not own:
            named = f" ({absent[0].path})" if absent else ""
            raise ImageError(f"{where}: the image of channel {channel!r} is missing{named}")
        # A projection over fewer planes is darker, and nothing in it says so.
        if len(own) < task.planes[channel]:
            raise ImageError(
                f"{where}: channel {channel!r} has {len(own)} of the {task.planes[channel]} planes"
                " that other fields have"
            )
        planes.append(_project(reader.read(plan, image, limits) for image in own))
    shapes = {p.shape for p in planes}
    if len(shapes) > 1:
        raise ImageError(f"{where}: channels differ in size: {', '.join(map(str, sorted(shapes)))}")
    stack = np.stack(planes)
    if stack.dtype.kind == "f":
        return stack.astype(np.float32)
    if stack.dtype not in (np.uint8, np.uint16):
        raise ImageError(
            f"{where}: pixels of type {stack.dtype} are not read; export 8 or 16 bit, or float"
        )
    return stack


def exposed_h(task: WellTask) -> dict[tuple[int, int], float]:
    """(field, time point) ► hours since 1970 at which its first plane was taken; without those
    whose scan does not say.

    Fields are numbered from 1 as they are stored.
    """
    reader = reader_named(task.plan.reader)
    numbers = sorted({i.field for i in (*task.plan.images, *task.plan.missing)})
    first = {(i.field, i.time): i for i in reversed(task.plan.images)}
    found = {}
    for position, number in enumerate(numbers, start=1):
        for frame, time in enumerate(task.times, start=1):
            seconds = (
                reader.exposed_s(task.plan, first[number, time])
                if (number, time) in first
                else None
            )
            if seconds is not None:
                found[position, frame] = seconds / 3600
    return found


def _project(planes: Any) -> NDArray[np.generic]:
    projected: NDArray[np.generic] | None = None
    for plane in planes:
        projected = plane if projected is None else np.maximum(projected, plane)
    if projected is None:
        raise ImageError("no plane to project")
    return projected
