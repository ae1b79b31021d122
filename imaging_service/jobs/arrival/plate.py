"""What a run has seen of its scan: tables, pictures and a page in RUN/arrival, written once.

They follow from the scan and from how it is read, not from what the plate map says is in the wells.
So a run of the same plate with another map takes them over.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from imaging_service import __version__
from imaging_service.errors import MachineError
from imaging_service.files import remove, staged, write_bytes
from imaging_service.ingest.images.digests import combine
from imaging_service.inspection.quality import judged, write_quality
from imaging_service.jobs.arrival.wells import read_again, seen
from imaging_service.jobs.records import RECORDS, RunFolder, RunRecord, WellTask, load
from imaging_service.jobs.reuse import copied, measured_folder, shares_plate
from imaging_service.store.arrival import REASON
from plate_maps import Well
from segmentation.field import Image

# Wells that a process looks at before it says so: a call costs less than they do.
_AT_ONCE = 4


def wells_to_look_at(folder: RunFolder) -> list[tuple[str, ...]]:
    """Wells that `look_at` must be called with, in groups; none once the plate was looked at.

    What an earlier run of the same plate has seen is taken over first.
    """
    if folder.arrival.is_dir():
        return []
    record = load(RunRecord, folder.record)
    if _take(folder, record):
        return []
    left = [name for name in record.wells if not folder.look(name).is_file()]
    # An empty group where only the plate is left: the caller goes on with `conclude`.
    return [tuple(left[i : i + _AT_ONCE]) for i in range(0, len(left), _AT_ONCE)] or [()]


def conclude(root: Path) -> None:
    """Write RUN/arrival from what was seen of the wells.

    Never refuses a plate: what goes wrong is the reason that stands there in place of tables.
    Raises the errors of the machine.
    """
    folder = RunFolder(root)
    if folder.arrival.is_dir():  # another process was faster
        return
    record = load(RunRecord, folder.record)
    tasks = [load(WellTask, folder.task(name)) for name in record.wells]
    by_well = {Well.parse(task.well): task for task in tasks}

    def read(well: Well, number: int, channel: str) -> Image:
        return read_again(by_well[well], number, channel)

    try:
        quality = judged(
            [seen(folder, name) for name in record.wells],
            record.channels,
            record.plate_format,
            record.pixel_size_um,
            read,
        )
        with staged(folder.arrival, keep=True) as scratch:
            write_quality(_survey(record, tasks), quality, scratch)
    except (OSError, MemoryError, MachineError):
        raise
    except Exception as error:  # noqa: BLE001 - errors of the machine were raised above
        give_up(folder, f"{type(error).__name__}: {error}")
        return
    _note(folder, record, tasks)
    remove(folder.looks)


def give_up(folder: RunFolder, reason: str) -> None:
    """Record why the scan could not be looked at; the run goes on without."""
    with staged(folder.arrival, keep=True) as scratch:
        write_bytes(scratch / REASON, reason.encode())


def _survey(record: RunRecord, tasks: Sequence[WellTask]) -> dict[str, Any]:
    """What the page says of the scan, as `Survey.plain` does."""
    return {
        "name": record.plate_name,
        "reader": record.reader,
        "wells": sum(bool(task.plan.images) for task in tasks),
        "fields": max(len({i.field for i in task.plan.images}) for task in tasks),
        "channels": list(record.channels),
        "planes": max(tasks[0].planes.values(), default=0),
        "times": list(tasks[0].times),
        "pixel_size_um": record.pixel_size_um,
        "pixel_size_source": record.pixel_size_source,
        "missing": sum(len(task.plan.missing) for task in tasks),
        "findings": [],
        "notes": list(record.notes),
    }


def _pointer(record: RunRecord, tasks: Sequence[WellTask]) -> Path:
    """The file that names the run which has seen the same; its name is of all that counts."""
    same = {
        # The plate's name is the digest of its pixels and of how they are read.
        "plate": record.plate.name,
        "wells": json.dumps([record.wells, record.plate_format.rows, record.plate_format.columns]),
        "survey": json.dumps(_survey(record, tasks)),
        "version": json.dumps([__version__, RECORDS]),
    }
    return measured_folder(record.plate) / f"arrival-{combine(same.items())[:32]}"


def _note(folder: RunFolder, record: RunRecord, tasks: Sequence[WellTask]) -> None:
    if shares_plate(folder, record.plate):
        pointer = _pointer(record, tasks)
        pointer.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(pointer, os.path.relpath(folder.root.resolve(), pointer.parent).encode())


def _take(folder: RunFolder, record: RunRecord) -> bool:
    if not shares_plate(folder, record.plate):
        return False
    pointer = _pointer(record, [load(WellTask, folder.task(name)) for name in record.wells])
    if not pointer.is_file():
        return False
    source = RunFolder(Path(os.path.normpath(pointer.parent / pointer.read_text())))
    return copied(source.arrival, folder.arrival)
