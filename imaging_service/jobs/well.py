"""Convert, segment and measure one well, in a worker process."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from imaging_service.errors import Cancelled, ImageError, MachineError, ServiceError
from imaging_service.files import remove, staged
from imaging_service.ingest.losses import loss_of
from imaging_service.jobs import reuse
from imaging_service.jobs.drawn import Drawn, keep
from imaging_service.jobs.films.film import follow_well, frame_hours
from imaging_service.jobs.parallel.engine import load_engine
from imaging_service.jobs.pixels.ownership import ownership, refuse_other_stage
from imaging_service.jobs.pixels.scan import (
    Stack,
    camera_field,
    exposed_h,
    read_stack,
    stored_fields,
)
from imaging_service.jobs.records import (
    LABEL_VERSION,
    Calibration,
    RunFolder,
    WellOutcome,
    WellTask,
    load,
    save,
)
from imaging_service.review.log import GRAPH
from imaging_service.store import plates
from imaging_service.store.labels import LabelWriter
from imaging_service.store.tables import write_table
from phenotypes.cells.measure import measure, with_well
from plate_maps import Well
from segmentation import Field, Segmentation, segment_all
from segmentation.filters.exposure import blank_channel, unexposed
from segmentation.scoring.second_opinion import nuclei_agreement

T = TypeVar("T")
Segment = Callable[[Iterable[Field]], Iterator[Segmentation]]


def begin(plate: Path) -> None:
    """Create the plate's root group."""
    plates.begin_plate(plate)


def convert_well(task: WellTask, before_field: Callable[[], None] = lambda: None) -> int:
    """Put the well into the plate's OME-Zarr unless it is there; returns its number of fields.

    `before_field` is called before each field, and may raise.
    """
    well = Well.parse(task.well)
    stored = plates.field_count(task.plate, well)
    if stored:
        return stored
    numbers = stored_fields(task.plan)
    if not numbers:
        lost = task.plan.missing
        reasons = sorted({i.reason for i in lost if i.reason})
        why = (
            "; ".join(reasons)
            or f"{len(lost)} announced file(s) are absent, the first: {lost[0].path}"
        )
        raise ImageError(f"well {task.well}: there is no image of any field: {why}")
    with staged(task.plate / plates.well_path(well), keep=True) as scratch:
        taken: dict[tuple[int, int], tuple[int, ...]] = {}

        def fields() -> Iterator[NDArray[np.generic]]:
            for place, number in enumerate(numbers, start=1):
                stacks = _read_field(task, number, before_field)
                taken.update({(place, n): s.planes for n, s in enumerate(stacks, 1) if s.planes})
                yield _frames(task, number, stacks)

        plates.write_well(
            scratch,
            fields(),
            task.plan.channels,
            task.roles,
            task.pixel_size_um,
            frame_hours(task),
            task.well,
            ownership(task).centres,
        )
        # With the pixels, so that nothing is asked of the scan once they are stored.
        plates.write_taken(scratch, exposed_h(task), taken)
    return len(numbers)


def _read_field(task: WellTask, number: int, before: Callable[[], None]) -> list[Stack]:
    """A field's time points."""
    before()
    return [read_stack(task, number, time) for time in task.times]


def _frames(task: WellTask, number: int, stacks: list[Stack]) -> NDArray[np.generic]:
    """(C, Y, X) of a fixed field, (T, C, Y, X) of a longitudinal one."""
    frames = [stack.pixels for stack in stacks]
    if task.protocol.survival is None:
        return frames[0]
    if len({f.shape for f in frames}) > 1:
        raise ImageError(
            f"well {task.well}, field {number}: time points differ in size:"
            f" {', '.join(str(f.shape) for f in frames)}"
        )
    return np.stack(frames)


def process_well(root: Path, name: str) -> WellOutcome:
    """Convert, segment and measure one well; write labels, tables and outcome.

    Bad data is an outcome ("failed", with the reason). Errors of the machine (disk, memory, a share
    that is away) are raised: another attempt may succeed, and a well must not be marked as bad for
    them. Raises Cancelled, before the next field, once the run is cancelled.
    """
    folder = RunFolder(root)
    task = load(WellTask, folder.task(name))
    calibration = load(Calibration, folder.calibration)
    drawn = folder.drawn(name)
    # Labels that a GPU has drawn need no engine, and no seconds to load a network.
    segment = Drawn(drawn).segment_all if drawn.is_dir() else _segment(task, calibration)

    def done() -> WellOutcome:
        taken = reuse.take(folder, task, calibration)
        return _process(folder, task, calibration, segment) if taken is None else taken

    outcome = _unless_bad(folder, name, done)
    if outcome.status == "failed":
        # Another attempt draws anew: the labels may be what is damaged.
        remove(drawn)
        return outcome
    save(outcome, folder.outcome(name))
    reuse.note(folder, task, calibration)
    remove(drawn)
    return outcome


def draw_well(root: Path, name: str) -> WellOutcome | None:
    """Convert and segment one well, and keep the labels for `process_well`.

    What only a machine with a GPU does, so that another one measures. None where the well is to be
    measured; its outcome where an earlier run has it or its data are bad. Raises what
    `process_well` does.
    """
    folder = RunFolder(root)
    if folder.drawn(name).is_dir():
        return None
    task = load(WellTask, folder.task(name))
    calibration = load(Calibration, folder.calibration)
    if reuse.is_there(folder, task, calibration):
        return process_well(root, name)
    segment = _segment(task, calibration)

    def draw() -> None:
        fields = _Fields(folder, task, calibration)
        with staged(folder.drawn(name)) as scratch:
            for segmentation in segment(fields.read()):
                number, frame, _, _ = fields.waiting.popleft()
                keep(scratch, number, frame, segmentation)

    return _unless_bad(folder, name, draw)


def _segment(task: WellTask, calibration: Calibration) -> Segment:
    """The run's engine with the plate's thresholds."""
    engine = load_engine(task.protocol, task.engine, task.device, task.described_engine)
    return partial(segment_all, engine.with_thresholds(calibration.thresholds))


def _unless_bad(folder: RunFolder, name: str, work: Callable[[], T]) -> T | WellOutcome:
    """What the work gives; the outcome of the well where its data are bad."""
    try:
        return work()
    except (OSError, MemoryError, MachineError, Cancelled):
        raise
    except ServiceError as error:
        return fail_well(folder, name, str(error))
    except Exception as error:  # noqa: BLE001 - machine errors were raised above
        # A fault in one well's data must not stop the plate; the type says where to look.
        return fail_well(folder, name, f"well {name}: {type(error).__name__}: {error}")


def fail_well(folder: RunFolder, name: str, reason: str) -> WellOutcome:
    """Record a well as failed."""
    outcome = WellOutcome(name, "failed", reason)
    save(outcome, folder.outcome(name))
    return outcome


class _Fields:
    """The fields of a well, which is converted first: as the camera saw them, and corrected.

    `waiting` holds those that were read and not taken yet; `blank` those never exposed.
    """

    def __init__(self, folder: RunFolder, task: WellTask, calibration: Calibration) -> None:
        self._folder, self._task, self._calibration = folder, task, calibration
        self.count = convert_well(task, self._unless_cancelled)
        self.owner = ownership(task)
        refuse_other_stage(task, self.owner)
        self.blank: set[tuple[int, int]] = set()
        self.waiting: deque[tuple[int, int, Field, Field]] = deque()

    def _unless_cancelled(self) -> None:
        if self._folder.cancelled.is_file():
            raise Cancelled(f"well {self._task.well}: the run was cancelled")

    def read(self) -> Iterator[Field]:
        """The corrected fields, time point by time point."""
        task, protocol = self._task, self._task.protocol
        for number in range(1, self.count + 1):
            for frame in range(1, len(task.times) + 1):
                self._unless_cancelled()
                pixels, _, _ = plates.read_field(task.plate, Well.parse(task.well), number, frame)
                raw = camera_field(pixels, task.roles, task.pixel_size_um, protocol)
                try:
                    _refuse_blank(raw, task, number, self._calibration)
                except ImageError:
                    if protocol.survival is None:
                        raise
                    # One frame that was never exposed must not fail the whole time-lapse.
                    self.blank.add((number, frame))
                corrected = self._calibration.illumination.correct(raw)
                self.waiting.append((number, frame, raw, corrected))
                yield corrected


def _process(
    folder: RunFolder, task: WellTask, calibration: Calibration, segment: Segment
) -> WellOutcome:
    protocol, well = task.protocol, Well.parse(task.well)
    settings = protocol.measurement
    read = _Fields(folder, task, calibration)
    owner, frames = read.owner, len(task.times)
    cells, fields = [], []
    warnings: list[str] = []

    with staged(folder.labels / plates.well_path(well)) as scratch:
        writer = LabelWriter(
            scratch,
            task.pixel_size_um,
            LABEL_VERSION,
            frames,
            frame_hours(task),
            owner.centres,
        )
        # The engine reads ahead, so that the next field is there when the device is free.
        for segmentation in segment(read.read()):
            number, frame, raw, corrected = read.waiting.popleft()
            owned = owner.of(number, corrected.shape)
            measured = with_well(
                measure(corrected, segmentation, settings, raw, owned),
                task.well,
                number,
                frame,
            )
            cells.append(measured.cells)
            # The review queue ranks fields by their last time point.
            agreed = _second_opinion(corrected, segmentation) if frame == frames else None
            fields.append(
                measured.field.with_columns(pl.lit(agreed, pl.Float64).alias("engine_agreement"))
            )
            overlay = {} if measured.graph is None else {GRAPH: measured.graph}
            writer.write(number, {**segmentation.labels, **overlay}, frame)
            warnings += segmentation.warnings
        writer.finish()
    cell_table, field_table = pl.concat(cells), pl.concat(fields)
    hours = plates.read_exposures(task.plate, well)
    exposed = [hours.get(place) for place in field_table.select("field", "frame").rows()]
    field_table = field_table.with_columns(pl.Series("exposed_h", exposed, pl.Float64))
    field_table = _with_planes(task, field_table)
    if protocol.survival is not None:
        cell_table, field_table = follow_well(task, cell_table, field_table, read.blank)
    cell_table = owner.kept(cell_table, field_table)
    write_table(cell_table, folder.cells(task.well), csv=False)
    write_table(field_table, folder.fields(task.well), csv=False)
    return WellOutcome(
        task.well,
        "done",
        loss_of(task.plan, well),
        read.count,
        len(cell_table),
        tuple(dict.fromkeys(warnings)),
    )


def _with_planes(task: WellTask, fields: pl.DataFrame) -> pl.DataFrame:
    """The fields with the plane that was taken of each role's channel, where one was chosen."""
    planes = plates.read_planes(task.plate, Well.parse(task.well))
    places = fields.select("field", "frame").rows()
    return fields.with_columns(
        pl.Series(
            f"plane_{role}", [planes[p][c] if p in planes else None for p in places], pl.Int64
        )
        for c, role in enumerate(task.roles)
        if role is not None
    )


def _second_opinion(field: Field, segmentation: Segmentation) -> float | None:
    """Agreement with another engine on the nuclei; None where there is no other."""
    nuclei = segmentation.labels.get("nuclei")
    return (
        None
        if nuclei is None or segmentation.engine == "classical"
        else nuclei_agreement(field, nuclei)
    )


def _refuse_blank(field: Field, task: WellTask, number: int, calibration: Calibration) -> None:
    """Refuse a field with a channel that is blank or was never exposed.

    Its zero counts would look like a toxic dose.
    """
    blank = blank_channel(field)
    reason = "" if blank else unexposed(field, calibration.light)
    if blank:
        c = task.roles.index(blank)
        reason = (
            f"channel {task.plan.channels[c]!r} ({blank}) has the single value"
            f" {field.pixels[c].flat[0]} in all pixels; the image is blank"
        )
    if reason:
        raise ImageError(f"well {task.well}, field {number}: {reason}")
