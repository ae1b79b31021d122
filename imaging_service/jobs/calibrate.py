"""Fix thresholds and illumination of a plate before any of its wells is analysed."""

from __future__ import annotations

from collections.abc import Sequence

from imaging_service.errors import ImageError
from imaging_service.jobs.engine import load_engine
from imaging_service.jobs.records import Calibration, RunFolder, RunRecord, WellTask, load, save
from imaging_service.jobs.scan import read_planes
from segmentation import Field
from segmentation.filters.background import estimate_illumination, no_illumination

# Fields that the thresholds and the illumination are taken from: enough to be stable, few enough to
# wait for.
THRESHOLD_FIELDS = 8
ILLUMINATION_FIELDS = 16


def calibrate(folder: RunFolder) -> Calibration:
    """Fix thresholds and illumination for the plate and save them.

    Thresholds come from fields of vehicle wells of all lines, illumination from fields all over the
    plate; both spread evenly in plate order, so the choice is the same each time. Fields that
    cannot be read are left out: their wells fail when they are analysed.
    """
    if folder.calibration.is_file():
        return load(Calibration, folder.calibration)
    record = load(RunRecord, folder.record)
    vehicles = {w.name for w in record.inputs.plate_map().vehicle_wells()}
    notes: list[str] = []
    plate_fields = _sample(folder, record.wells, ILLUMINATION_FIELDS, notes)
    illumination = (
        estimate_illumination([f for _, f in plate_fields])
        if plate_fields
        else no_illumination(len(record.channels), "no field could be read")
    )
    threshold_fields = _sample(
        folder, [w for w in record.wells if w in vehicles], THRESHOLD_FIELDS, notes
    )
    if not threshold_fields:
        notes.append("no vehicle well could be read: thresholds were taken from treated wells")
        threshold_fields = plate_fields[:THRESHOLD_FIELDS]
    thresholds: dict[str, float | None] = {}
    if threshold_fields:
        engine = load_engine(record.inputs.protocol, record.inputs.engine, record.inputs.device)
        calibrated = engine.calibrate([illumination.correct(f) for _, f in threshold_fields])
        described = calibrated.describe().get("thresholds")
        thresholds = dict(described) if isinstance(described, dict) else {}
    calibration = Calibration(
        thresholds,
        illumination,
        tuple(name for name, _ in threshold_fields),
        tuple(dict.fromkeys(notes)),
    )
    save(calibration, folder.calibration)
    return calibration


def _sample(
    folder: RunFolder, wells: Sequence[str], count: int, notes: list[str]
) -> list[tuple[str, Field]]:
    """Up to `count` first fields of evenly spread wells, as ("B03 field 1", Field)."""
    step = max(1.0, len(wells) / count)
    picked = [wells[int(i * step)] for i in range(min(count, len(wells)))]
    fields = []
    for name in picked:
        task = load(WellTask, folder.task(name))
        try:
            number = min(i.field for i in task.plan.images) if task.plan.images else 1
            fields.append(
                (
                    f"{name} field {number}",
                    Field(read_planes(task, number, task.times[0]), task.roles, task.pixel_size_um),
                )
            )
        except (ImageError, ValueError) as error:
            notes.append(f"well {name} was not used for calibration: {error}")
    return fields
