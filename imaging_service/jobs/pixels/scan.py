"""Read a well's pixels and times from its scan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imaging_service.errors import ImageError
from imaging_service.ingest import PlatePlan, reader_named
from imaging_service.ingest.images.digests import as_submitted
from imaging_service.ingest.plan import ImageRef, Limits
from imaging_service.jobs.parallel.away import reachable
from imaging_service.jobs.records import WellTask
from imaging_service.protocol import AssayProtocol
from phenotypes.cells.image_quality import focus_slope
from segmentation import Field
from segmentation.valid_area import recognise


@dataclass(frozen=True)
class Stack:
    """(C, Y, X) of one field and time point, and the plane that was taken of each channel.

    `planes` is empty where several planes became one by their maximum.
    """

    pixels: NDArray[np.generic]
    planes: tuple[int, ...] = ()


def read_stack(task: WellTask, number: int, time: int) -> Stack:
    """One field and time point from the scan, its planes made one as the protocol says.

    Raises ImageError naming well, field and channel, or the file that has changed since it was
    submitted; Unavailable where a file is not there now.
    """
    read = [read_channel(task, number, time, channel) for channel in task.plan.channels]
    planes = [plane for plane, _ in read]
    taken = tuple(z for _, z in read if z is not None)
    where = _where(task, number, time)
    shapes = {p.shape for p in planes}
    if len(shapes) > 1:
        raise ImageError(f"{where}: channels differ in size: {', '.join(map(str, sorted(shapes)))}")
    stack = np.stack(planes)
    if stack.dtype.kind == "f":
        return Stack(stack.astype(np.float32), taken)
    if stack.dtype not in (np.uint8, np.uint16):
        raise ImageError(
            f"{where}: pixels of type {stack.dtype} are not read; export 8 or 16 bit, or float"
        )
    return Stack(stack, taken)


def _where(task: WellTask, number: int, time: int) -> str:
    return f"well {task.well}, field {number}" + (
        f", time point {time}" if len(task.times) > 1 else ""
    )


def read_channel(
    task: WellTask, number: int, time: int, channel: str
) -> tuple[NDArray[np.generic], int | None]:
    """One channel (Y, X) of a field and time point, and the plane that was taken, if one was.

    Raises as `read_stack`.
    """
    plan, where = task.plan, _where(task, number, time)
    for image in plan.broken:
        if image.field == number and image.channel in (channel, "") and image.time == time:
            of = f", channel {image.channel!r}" if image.channel else ""
            raise ImageError(f"{where}{of}: {image.reason}")
    images = [
        i for i in plan.images if i.field == number and i.channel == channel and i.time == time
    ]
    absent = [
        i
        for i in plan.missing
        if i.field == number and i.channel in (channel, "") and i.time == time
    ]
    if absent or not images:
        why = (absent[0].reason or absent[0].path) if absent else ""
        raise ImageError(
            f"{where}: the image of channel {channel!r} is missing{f' ({why})' if why else ''}"
        )
    # A projection over fewer planes is darker, and its pixels do not show why.
    if len(images) < task.planes[channel]:
        raise ImageError(
            f"{where}: channel {channel!r} has {len(images)} of the {task.planes[channel]}"
            " planes that other fields have"
        )
    if task.protocol.acquisition.z_projection == "best_focus":
        return _sharpest((image.z, _plane(task, image)) for image in images)
    return _project(_plane(task, image) for image in images), None


def _plane(task: WellTask, image: ImageRef) -> NDArray[np.generic]:
    """One plane of a file that is there, and is still the submitted one."""
    plan = task.plan
    with _unchanged(task, image):
        return reader_named(plan.reader).read(plan, image, Limits())


@contextmanager
def _unchanged(task: WellTask, image: ImageRef) -> Iterator[None]:
    root, path = task.plan.root, image.path
    with reachable(root, path), as_submitted(root, path, task.digests, task.versions):
        yield


def stored_fields(plan: PlatePlan) -> list[int]:
    """The instrument's numbers of a well's fields, in the order in which they are stored.

    A field of which no image is there is lost, and not stored; one that lacks some fails its well.
    """
    lost = {field for _, field in plan.lost_fields()}
    return sorted({i.field for i in (*plan.images, *plan.missing, *plan.broken)} - lost)


def exposed_h(task: WellTask) -> dict[tuple[int, int], float]:
    """(field, time point) ► hours since 1970 at which its first plane was taken.

    Places for which the scan has no time are left out. Fields are numbered from 1 as they are
    stored.
    """
    numbers = stored_fields(task.plan)
    first = {(i.field, i.time): i for i in reversed(task.plan.images)}
    hours = {}
    for position, number in enumerate(numbers, start=1):
        for frame, time in enumerate(task.times, start=1):
            image = first.get((number, time))
            seconds = None if image is None else exposed_s(task, image)
            if seconds is not None:
                hours[position, frame] = seconds / 3600
    return hours


def exposed_s(task: WellTask, image: ImageRef) -> float | None:
    """When a plane was taken, in seconds since 1970; None where the scan does not say.

    Raises as `read_stack`.
    """
    with _unchanged(task, image):
        return reader_named(task.plan.reader).exposed_s(task.plan, image)


def _project(planes: Any) -> NDArray[np.generic]:
    projected: NDArray[np.generic] | None = None
    for plane in planes:
        projected = plane if projected is None else np.maximum(projected, plane)
    if projected is None:
        raise ImageError("no plane to project")
    return projected


def _sharpest(
    planes: Iterable[tuple[int, NDArray[np.generic]]],
) -> tuple[NDArray[np.generic], int]:
    """The plane with the flattest power spectrum (`focus_slope`), and its number.

    Of equally sharp planes it is the first. Where no plane shows any structure to judge, such as in
    an empty field, it is the middle one: half of the planes, rounded up.
    """
    best: tuple[float, NDArray[np.generic], int] | None = None
    unknown: list[tuple[NDArray[np.generic], int]] = []
    for z, plane in planes:
        slope = focus_slope(plane.astype(np.float32))
        if slope is None:
            if best is None:
                unknown.append((plane, z))
        elif best is None or slope > best[0]:
            best = (slope, plane, z)
            unknown.clear()
    if best is not None:
        return best[1], best[2]
    if not unknown:
        raise ImageError("no plane to choose from")
    return unknown[(len(unknown) - 1) // 2]


def camera_field(
    pixels: NDArray[np.generic],
    roles: tuple[str | None, ...],
    pixel_size_um: float,
    protocol: AssayProtocol,
) -> Field:
    """A field of a scan, before its illumination is corrected.

    In a film clumps are culture: neurons draw together, and those that a clump hid from one frame
    on would be taken for dead.
    """
    area = None
    if protocol.survival is not None:
        area = recognise(pixels, roles, pixel_size_um, clumps=False)
    return Field(pixels, roles, pixel_size_um, area)
