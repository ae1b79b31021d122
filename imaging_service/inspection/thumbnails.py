"""Fields of a scan as small pictures: the channels of one field side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from imaging_service.errors import ImageError
from imaging_service.files import write_bytes
from imaging_service.ingest import PlatePlan, reader_named
from imaging_service.ingest.plan import ImageRef, Limits
from plate_maps import Well

COUNT = 5
_SIDE = 320
_TITLE = 18
# Percentiles of all shown fields between which a channel's grey levels are stretched.
_LOW, _HIGH = 1.0, 99.8


@dataclass(frozen=True)
class Shown:
    """One field that is shown: its planes by channel, or why one cannot be."""

    well: Well
    field: int
    planes: dict[str, NDArray[np.float32] | str]


def write_thumbnails(
    plan: PlatePlan, out: Path, count: int = COUNT
) -> tuple[list[Path], list[str]]:
    """Write pictures of up to `count` fields, spread over the plate, as PNG.

    Returns the files, and what could not be shown, with its reason. A channel has the same contrast
    in all of them; of a stack the middle plane is shown.
    """
    shown = [_read(plan, well) for well in _spread(plan, count)]
    windows = {channel: _window(shown, channel) for channel in plan.channels}
    files, faults = [], []
    for one in shown:
        tiles = [_tile(one, channel, windows[channel]) for channel in plan.channels]
        path = out / f"{one.well}_field{one.field}.png"
        write_bytes(path, cv2.imencode(".png", np.hstack(tiles))[1].tobytes())
        files.append(path)
        faults += [
            f"{one.well} field {one.field}, channel {channel!r}: {plane}"
            for channel, plane in one.planes.items()
            if isinstance(plane, str)
        ]
    return files, faults


def _spread(plan: PlatePlan, count: int) -> list[Well]:
    wells = sorted({image.well for image in plan.images})
    count = min(count, len(wells))
    return [wells[(2 * i + 1) * len(wells) // (2 * count)] for i in range(count)]


def _read(plan: PlatePlan, well: Well) -> Shown:
    images = [i for i in plan.images if i.well == well]
    field, time = images[0].field, images[0].time
    planes: dict[str, NDArray[np.float32] | str] = {}
    for channel in plan.channels:
        stack = [i for i in images if (i.field, i.time, i.channel) == (field, time, channel)]
        planes[channel] = _plane(plan, stack) if stack else "there is no image"
    return Shown(well, field, planes)


def _plane(plan: PlatePlan, stack: Sequence[ImageRef]) -> NDArray[np.float32] | str:
    try:
        pixels = reader_named(plan.reader).read(plan, stack[len(stack) // 2], Limits())
    except ImageError as error:
        return str(error)
    zoom = _SIDE / max(pixels.shape)
    size = tuple(max(1, round(n * min(1.0, zoom))) for n in reversed(pixels.shape))
    small = cv2.resize(np.asarray(pixels, np.float32), size, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)


def _window(shown: Sequence[Shown], channel: str) -> tuple[float, float]:
    pixels = [p.ravel() for one in shown if not isinstance(p := one.planes[channel], str)]
    finite = np.concatenate(pixels or [np.zeros(1, np.float32)])
    finite = finite[np.isfinite(finite)]
    if not finite.size:
        return 0.0, 1.0
    low, high = (float(v) for v in np.percentile(finite, [_LOW, _HIGH]))
    return low, max(high, low + 1e-6)


def _tile(one: Shown, channel: str, window: tuple[float, float]) -> NDArray[np.uint8]:
    tile = np.zeros((_SIDE + _TITLE, _SIDE + 2), np.uint8)
    plane = one.planes[channel]
    title = f"{one.well} field {one.field}  {channel}"
    if isinstance(plane, str):
        title += ": not shown"
    else:
        low, high = window
        grey = np.nan_to_num(np.clip((plane - low) / (high - low), 0, 1) * 255)
        tile[_TITLE : _TITLE + grey.shape[0], : grey.shape[1]] = grey.astype(np.uint8)
    # OpenCV's letters are ASCII only.
    text = title.encode("ascii", "replace").decode()
    cv2.putText(tile, text, (2, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.4, 255, 1, cv2.LINE_AA)
    return tile
