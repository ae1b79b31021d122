"""Look at the first field of some wells of a run, in a worker process.

Bad data are rows with a status, whatever is wrong with them: a look never fails a well or a plate.
Faults of the machine are raised, as everywhere.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from imaging_service.errors import Cancelled, MachineError
from imaging_service.files import write_bytes
from imaging_service.ingest.plan import ImageRef
from imaging_service.inspection.plate_pictures import well_side
from imaging_service.inspection.quality import Looked, look
from imaging_service.jobs.pixels.scan import exposed_s, read_channel, stored_fields
from imaging_service.jobs.records import RunFolder, RunRecord, WellTask, load
from phenotypes.columns.statuses import ImageStatus
from plate_maps import Well
from segmentation.field import Image


def look_at(root: Path, names: Sequence[str]) -> None:
    """Look at wells of a run that were not looked at before, and keep what was seen.

    One field per well, the first, at the run's first time point. Raises Cancelled before the next
    well once the run is cancelled, and the errors of the machine.
    """
    folder = RunFolder(root)
    side = well_side(load(RunRecord, folder.record).plate_format)
    for name in names:
        if folder.cancelled.is_file():
            raise Cancelled(f"well {name}: the run was cancelled")
        if not folder.look(name).is_file():
            write_bytes(folder.look(name), _packed(_look(load(WellTask, folder.task(name)), side)))


def seen(folder: RunFolder, name: str) -> Looked:
    """What `look_at` has kept of a well."""
    with np.load(io.BytesIO(folder.look(name).read_bytes())) as content:
        rows, channels = json.loads(str(content["rows"]))
        pictures = {channel: content[f"picture{n}"] for n, channel in enumerate(channels)}
    return Looked(Well.parse(name), rows, pictures)


def read_again(task: WellTask, number: int, channel: str) -> Image:
    """A channel (Y, X) of a field as the analysis will see it. Raises as `read_stack`."""
    plane, _ = read_channel(task, number, task.times[0], channel)
    return np.asarray(plane, np.float32)


def _look(task: WellTask, side: int) -> Looked:
    well = Well.parse(task.well)
    # A well of which nothing is there has a row per channel that says so.
    numbers = stored_fields(task.plan)[:1] or [min(i.field for i in task.plan.missing)]
    places = [(numbers[0], channel) for channel in task.plan.channels]
    first = {(i.field, i.channel): i for i in reversed(task.plan.images) if i.time == task.times[0]}

    def exposed(number: int, channel: str) -> float | None:
        image: ImageRef | None = first.get((number, channel))
        return None if image is None else exposed_s(task, image)

    try:
        return look(
            well,
            places,
            lambda number, channel: read_again(task, number, channel),
            exposed,
            task.pixel_size_um,
            side,
        )
    except (OSError, MemoryError, MachineError):
        raise
    except Exception as error:  # noqa: BLE001 - errors of the machine were raised above
        # Its well will say the same when it is analysed; the type says where to look.
        reason = f"{type(error).__name__}: {error}"
        return Looked(
            well,
            [
                {
                    "well": task.well,
                    "field": number,
                    "channel": channel,
                    "status": ImageStatus.UNREADABLE,
                    "reason": reason,
                }
                for number, channel in places
            ],
            {},
        )


def _packed(looked: Looked) -> bytes:
    stream = io.BytesIO()
    content: dict[str, Any] = {f"picture{n}": p for n, p in enumerate(looked.pictures.values())}
    content["rows"] = json.dumps([looked.rows, list(looked.pictures)])
    np.savez(stream, **content)
    return stream.getvalue()
