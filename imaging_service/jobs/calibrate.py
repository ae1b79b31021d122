"""Fix thresholds and illumination of a plate before any of its wells is analysed.

A field that is blank, shows no cells or is out of focus has thresholds of its own, which would move
every number of the plate. It is named in the notes, and another field takes its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from imaging_service.errors import ImageError, ScanError
from imaging_service.jobs.parallel.engine import load_engine
from imaging_service.jobs.pixels.light import correction
from imaging_service.jobs.pixels.scan import camera_field, read_stack
from imaging_service.jobs.records import Calibration, RunFolder, RunRecord, WellTask, load, save
from phenotypes.cells.image_quality import focus_slope
from phenotypes.plates.quality.checks import BLURRED_SLOPE
from segmentation import Field
from segmentation.filters.exposure import plate_light, without_cells

# Fields that the thresholds and the illumination are taken from: enough to be stable, few enough to
# wait for.
THRESHOLD_FIELDS = 8
ILLUMINATION_FIELDS = 16
# The thresholds of one field among several are that field's, not the plate's.
LEAST_FIELDS = 2
# More fields out of focus than this for each one in focus would be what all cells are judged by.
MOST_BLURRED = 4
_NO_VEHICLE = (
    "the plate map has no vehicle well in this scan: thresholds were taken from wells all over the"
    " plate, and responses have nothing to be relative to"
)


@dataclass(frozen=True)
class _Candidate:
    """One field of the scan, and why it cannot be calibrated on (empty: it can).

    `read` is False where its image could not be read.
    """

    name: str
    fault: str
    read: bool = True
    field: Field | None = None
    slopes: tuple[tuple[str, float], ...] = ()


def calibrate(folder: RunFolder) -> Calibration:
    """The plate's calibration, computed once per run.

    Thresholds come from fields of vehicle wells of all lines, illumination from fields all over the
    plate; both spread evenly in plate order, so the choice is the same each time. A plate map
    without a vehicle well has thresholds from fields all over the plate. Fields that cannot be
    read, show no cells or are out of focus are named in the notes; for thresholds, the next fields
    of vehicle wells in plate order take their place.

    Raises
    ------
    ScanError
        Too few fields can be calibrated on, though the scan has some that can be read; the message
        names the others.
    """
    if folder.calibration.is_file():
        return load(Calibration, folder.calibration)
    record = load(RunRecord, folder.record)
    marked = {w.name for w in record.inputs.plate_map().vehicle_wells()}
    vehicles = [w for w in record.wells if w in marked]
    wells = vehicles or record.wells
    all_over, chosen = _spread(record.wells, ILLUMINATION_FIELDS), _spread(wells, THRESHOLD_FIELDS)

    @cache
    def candidate(well: str, position: int = 0) -> _Candidate:
        return _read(folder, well, position)

    sharp = _sharper([candidate(name) for name in dict.fromkeys([*all_over, *chosen])])
    unused: dict[str, str] = {}

    def usable(one: _Candidate) -> bool:
        fault = one.fault or _blur(one, sharp)
        if fault:
            unused[one.name] = f"{one.name} was not used for calibration: {fault}"
        return not fault

    even = [c for name in all_over if usable(c := candidate(name))]
    used: list[_Candidate] = []
    tried = blurred = 0
    for place in _places(folder, chosen, wells):
        if len(used) == len(chosen):
            break
        one = candidate(*place)
        tried += 1
        if usable(one):
            used.append(one)
        elif not one.fault:
            blurred += 1
    needed = max(min(LEAST_FIELDS, tried), blurred // MOST_BLURRED)
    if len(used) < needed and any(candidate(well).read for well in record.wells):
        kind = "vehicle fields" if vehicles else "fields"
        raise ScanError(
            f"scan {record.plate_name}: {len(used)} of {tried} {kind} can be calibrated on,"
            f" {needed} are needed: {'; '.join(unused.values())}; scan these wells again, or mark"
            " other wells as vehicle in the plate map"
        )
    light = correction(
        [c.field for c in even if c.field is not None],
        record.channels,
        load(WellTask, folder.task(record.wells[0])).plan.flat_fields,
        record.inputs.protocol.acquisition.flat_field,
    )
    illumination = light.illumination
    fields = [c.field for c in used if c.field is not None]
    thresholds: object = None
    # Without one field there is nothing to be wrong: every well fails by itself, with its reason.
    if fields:
        engine = load_engine(
            record.inputs.protocol, record.inputs.engine, record.inputs.device, record.engine
        )
        described = engine.calibrate([illumination.correct(f) for f in fields]).describe()
        thresholds = described.get("thresholds")
    calibration = Calibration(
        dict(thresholds) if isinstance(thresholds, dict) else {},
        illumination,
        tuple(c.name for c in used),
        (*unused.values(), *light.notes, *(() if vehicles else (_NO_VEHICLE,))),
        plate_light(fields),
        light.sources,
        light.depths,
        light.left,
    )
    save(calibration, folder.calibration)
    return calibration


def _spread(wells: Sequence[str], count: int) -> list[str]:
    """Up to `count` evenly spread wells."""
    step = max(1.0, len(wells) / count)
    return [wells[int(i * step)] for i in range(min(count, len(wells)))]


def _places(
    folder: RunFolder, chosen: Sequence[str], wells: Sequence[str]
) -> Iterator[tuple[str, int]]:
    """First fields of the chosen wells, of the other wells, then second fields and so on."""
    yield from ((name, 0) for name in chosen)
    yield from ((name, 0) for name in wells if name not in chosen)
    counts = {name: len(_numbers(load(WellTask, folder.task(name)))) for name in wells}
    for position in range(1, max(counts.values(), default=0)):
        yield from ((name, position) for name in wells if position < counts[name])


def _numbers(task: WellTask) -> list[int]:
    return sorted({i.field for i in task.plan.images}) or [1]


def _read(folder: RunFolder, well: str, position: int) -> _Candidate:
    task = load(WellTask, folder.task(well))
    number = _numbers(task)[position]
    name = f"{well} field {number}"
    try:
        pixels = read_stack(task, number, task.times[0]).pixels
        field = camera_field(pixels, task.roles, task.pixel_size_um, task.protocol)
    except (ImageError, ValueError) as error:
        return _Candidate(name, str(error), read=False)
    fault = without_cells(field)
    if fault:
        return _Candidate(name, fault)
    slopes = {r: focus_slope(field.channel(r)) for r in ("dna", "neurite") if field.has(r)}
    known = tuple((r, s) for r, s in slopes.items() if s is not None)
    return _Candidate(name, "", field=field, slopes=known)


def _sharper(candidates: Sequence[_Candidate]) -> dict[str, float]:
    """Focus slope of the sharper fields, per role: their upper quartile."""
    slopes: dict[str, list[float]] = {}
    for role, slope in (pair for one in candidates for pair in one.slopes):
        slopes.setdefault(role, []).append(slope)
    return {role: float(np.percentile(values, 75)) for role, values in slopes.items()}


def _blur(one: _Candidate, sharp: Mapping[str, float]) -> str:
    """Why a field is out of focus, in words; empty for one in focus."""
    for role, slope in one.slopes:
        if slope < sharp[role] - BLURRED_SLOPE:
            return (
                f"out of focus: {role} focus slope {slope:.2f}, sharper fields of the plate"
                f" {sharp[role]:.2f}"
            )
    return ""
