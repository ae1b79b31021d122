"""Take a well's labels and tables from an earlier run of the same plate, where they are the same.

They follow from the stored pixels, the calibration, the engine and the protocol, but not from what
the plate map says is in the well, nor from how wells are compared. So another plate map, or other
settings of the response, need not segment a plate again: a run that finds the well measured by the
same rules takes the result over, byte for byte, and its outcome names the run that measured it.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

from imaging_service.files import link, remove, staged, write_bytes
from imaging_service.ingest.images.digests import combine
from imaging_service.jobs.records import (
    LABEL_VERSION,
    RECORDS,
    Calibration,
    RunFolder,
    RunRecord,
    WellOutcome,
    WellTask,
    dump,
    load,
)
from imaging_service.store import plates
from plate_maps import Well

# Parts of a protocol that act on a plate's tables once all its wells are measured. A part that is
# not named here counts as a change of every well.
AFTER_WELLS = frozenset({"name", "notes", "reference", "quality", "response", "accuracy"})


def measured_folder(plate: Path) -> Path:
    """Where runs that share a converted plate note which of them measured a well."""
    return plate.with_suffix(".measured")


def well_key(task: WellTask, calibration: Calibration) -> str:
    """SHA-256 (hex) of everything that the well's labels and tables follow from."""
    rules = {
        "protocol": task.protocol.model_dump(mode="json", exclude=set(AFTER_WELLS)),
        "calibration": {k: v for k, v in dump(calibration).items() if k not in ("fields", "notes")},
        "engine": [task.engine, task.device, dict(task.described_engine)],
        "times": [task.times, task.hours],
        "planes": dict(task.planes),
        "records": [RECORDS, LABEL_VERSION],
    }
    # The plate's name is the digest of its pixels and of how they are stored.
    parts = {
        "plate": task.plate.name,
        "well": task.well,
        "rules": json.dumps(rules, sort_keys=True),
    }
    return combine(parts.items())


def copied(source: Path, target: Path) -> bool:
    """Put a folder of another run in its place in this one; False where it is gone.

    A file that is never written to again is one file with two names. Raises OSError where the disk
    fails.
    """
    try:
        with staged(target) as scratch:
            shutil.copytree(source, scratch, copy_function=link, dirs_exist_ok=True)
    except FileNotFoundError:
        return False
    return True


def shares_plate(folder: RunFolder, plate: Path) -> bool:
    """Whether other runs may use the run's converted plate."""
    return not plate.resolve().is_relative_to(folder.root.resolve())


def note(folder: RunFolder, task: WellTask, calibration: Calibration) -> None:
    """Note that this run measured the well, for the runs that share its plate."""
    if shares_plate(folder, task.plate):
        pointer = _pointer(task, calibration)
        pointer.parent.mkdir(exist_ok=True)
        write_bytes(pointer, os.path.relpath(folder.root.resolve(), pointer.parent).encode())


def is_there(folder: RunFolder, task: WellTask, calibration: Calibration) -> bool:
    """Whether an earlier run has noted the well, so that `take` is worth a try."""
    return shares_plate(folder, task.plate) and _pointer(task, calibration).is_file()


def take(folder: RunFolder, task: WellTask, calibration: Calibration) -> WellOutcome | None:
    """The well's outcome, with its labels and tables in place; None where it must be measured.

    Raises OSError where the disk fails; a run that was deleted meanwhile has nothing to take.
    """
    if not is_there(folder, task, calibration):
        return None
    pointer = _pointer(task, calibration)
    source = RunFolder(Path(os.path.normpath(pointer.parent / pointer.read_text())))
    if source.root == folder.root.resolve():
        return None
    labels = plates.well_path(Well.parse(task.well))
    tables = [(source.cells(task.well), folder.cells(task.well))]
    tables.append((source.fields(task.well), folder.fields(task.well)))
    try:
        outcome = load(WellOutcome, source.outcome(task.well))
        record = load(RunRecord, source.record)
        if not copied(source.labels / labels, folder.labels / labels):
            return None
        for old, new in tables:
            write_bytes(new.with_suffix(".parquet"), old.with_suffix(".parquet").read_bytes())
    except FileNotFoundError:
        remove(folder.labels / labels)
        return None
    if outcome.status != "done":
        return None
    return replace(outcome, measured_by=outcome.measured_by or record.run_id)


def _pointer(task: WellTask, calibration: Calibration) -> Path:
    return measured_folder(task.plate) / f"{task.well}-{well_key(task, calibration)[:32]}"
