"""What the stages of a run hand to each other, as JSON in the run's work folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import TypeAdapter

from imaging_service import __version__
from imaging_service.files import write_bytes
from imaging_service.ingest import PlatePlan
from imaging_service.ingest.plan import Place
from imaging_service.protocol import AssayProtocol
from imaging_service.store.arrival import arrival_folder
from plate_maps import PlateFormat, PlateMap
from segmentation.filters.background import Illumination

T = TypeVar("T")
LABEL_VERSION = 1
# Raised when a record, or a rule by which unfinished work goes on, changes; part of a run's id.
RECORDS = 2


@dataclass(frozen=True)
class RunInputs:
    """What the user asked for; the plate map as records, so that its file is not needed again."""

    scan: Place
    plate_map_format: PlateFormat
    plate_map_source: str
    plate_map_records: list[dict[str, Any]]
    protocol: AssayProtocol
    engine: str
    device: str

    def plate_map(self) -> PlateMap:
        """The plate map."""
        return PlateMap.from_records(
            self.plate_map_format, self.plate_map_records, self.plate_map_source
        )


@dataclass(frozen=True)
class WellOutcome:
    """How a well ended. `failed` and `skipped` carry the reason; `done` carries the counts.

    `measured_by` is the id of the earlier run that its labels and tables were taken from.
    """

    well: str
    status: Literal["done", "failed", "skipped"]
    reason: str = ""
    n_fields: int = 0
    n_nuclei: int = 0
    warnings: tuple[str, ...] = ()
    measured_by: str = ""


@dataclass(frozen=True)
class Calibration:
    """Plate-wide constants that every well is analysed with."""

    thresholds: Mapping[str, float | None]
    illumination: Illumination
    fields: tuple[str, ...]
    notes: tuple[str, ...] = ()
    # Role ► lowest background and noise of the medium: what an exposed field shows at least.
    light: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    # Per channel: what corrects its light (instrument, estimated, none), the brightest over the
    # darkest place of that profile, and the same of what is left over; None where unknown.
    light_sources: tuple[Literal["instrument", "estimated", "none"], ...] = ()
    light_depths: tuple[float, ...] = ()
    light_left: tuple[float | None, ...] = ()


@dataclass(frozen=True)
class WellTask:
    """Everything that the analysis of one well needs.

    `plan` holds this well's planes only; `planes` is the largest number per channel that any field
    of the plate has. `digests` are those of its source files at the submission, by relative path,
    and `versions` what their bucket then said of those on S3. `hours` are those of the time points
    of a time-lapse, `described_engine` is the engine as it was at the submission.
    """

    well: str
    plan: PlatePlan
    pixel_size_um: float
    roles: tuple[str | None, ...]
    times: tuple[int, ...]
    planes: Mapping[str, int]
    protocol: AssayProtocol
    engine: str
    device: str
    plate: Path
    digests: Mapping[str, str] = field(default_factory=dict)
    hours: tuple[float, ...] = ()
    described_engine: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_readable(self) -> bool:
        """Whether each field had all of its images at the submission, and none was damaged.

        A field of which no image was there is lost, and needs none. Other wells fail at every
        attempt: a run keeps to the files that were submitted, which its id is made of.
        """
        plan = self.plan
        lost = {field for _, field in plan.lost_fields()}
        held = Counter((i.field, i.time, i.channel) for i in plan.images)
        fields = {i.field for i in (*plan.images, *plan.missing, *plan.broken)} - lost
        damaged = any(
            i.field in fields and i.time in self.times and i.channel in ("", *plan.channels)
            for i in (*plan.missing, *plan.broken)
        )
        return (
            bool(fields)
            and not damaged
            and all(
                held[number, time, channel] >= max(1, self.planes.get(channel, 1))
                for number in fields
                for time in self.times
                for channel in plan.channels
            )
        )


@dataclass(frozen=True)
class RunRecord:
    """The run's identity and inputs; becomes `run.json`.

    `hours` are those of the time points of a time-lapse, per well. `source_versions` are those of
    source files on S3.
    """

    run_id: str
    plate_digest: str
    plate_map_digest: str
    protocol_digest: str
    software_version: str
    inputs: RunInputs
    plate_name: str
    reader: str
    plate_format: PlateFormat
    channels: tuple[str, ...]
    roles: tuple[str | None, ...]
    pixel_size_um: float
    engine: Mapping[str, Any]
    packages: Mapping[str, str]
    source_files: Mapping[str, str]
    wells: tuple[str, ...]
    skipped: Mapping[str, str]
    notes: tuple[str, ...]
    findings: tuple[str, ...] = ()
    plate: Path = field(default=Path("plate.zarr"))
    # Records of releases before there was a number have none.
    records: int = 1
    hours: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    pixel_size_source: str = ""
    source_versions: Mapping[str, str] = field(default_factory=dict)


def is_current(record: RunRecord) -> bool:
    """Whether this version began the run, so that it may go on with it."""
    return (record.software_version, record.records) == (__version__, RECORDS)


_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}


def _adapter(kind: Any) -> TypeAdapter[Any]:
    """One adapter per type and process.

    Building its schema takes milliseconds, and there is one task per well.
    """
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def save(value: object, path: Path) -> None:
    """Write a record as JSON, whole."""
    write_bytes(path, _adapter(type(value)).dump_json(value, indent=1))


def load(kind: type[T], path: Path) -> T:
    """Read a record back."""
    value: T = _adapter(kind).validate_json(path.read_bytes())
    return value


def parse(kind: type[T], value: Mapping[str, Any]) -> T:
    """A record from plain values, checked.

    A column of the database may hold a word that the record does not know.
    """
    parsed: T = _adapter(kind).validate_python(dict(value))
    return parsed


def dump(value: object) -> dict[str, Any]:
    """A record as plain JSON values."""
    plain: dict[str, Any] = _adapter(type(value)).dump_python(value, mode="json")
    return plain


@dataclass(frozen=True)
class RunFolder:
    """Names of everything in a run's folder.

    What is under `work` can be deleted once the run has ended.
    """

    root: Path

    @property
    def record(self) -> Path:
        """The run's identity and inputs."""
        return self.root / "work" / "record.json"

    @property
    def calibration(self) -> Path:
        """Plate-wide constants."""
        return self.root / "work" / "calibration.json"

    @property
    def arrival(self) -> Path:
        """How the scan looked before it was segmented: tables, pictures and a page."""
        return arrival_folder(self.root)

    @property
    def looks(self) -> Path:
        """What was seen of each well, until the plate's `arrival` is written."""
        return self.root / "work" / "looks"

    def look(self, well: str) -> Path:
        """What was seen of a well."""
        return self.looks / f"{well}.npz"

    @property
    def cancelled(self) -> Path:
        """There while the run is cancelled; a well looks for it before each field."""
        return self.root / "work" / "cancelled"

    def task(self, well: str) -> Path:
        """What a well needs."""
        return self.root / "work" / "tasks" / f"{well}.json"

    def drawn(self, well: str) -> Path:
        """Labels of a well that were drawn before it is measured, where a GPU did so."""
        return self.root / "work" / "drawn" / well

    def outcome(self, well: str) -> Path:
        """How a well ended; its presence commits the well when there is no database."""
        return self.root / "work" / "outcomes" / f"{well}.json"

    def cells(self, well: str) -> Path:
        """A well's cell table, without suffix."""
        return self.root / "work" / "cells" / well

    def fields(self, well: str) -> Path:
        """A well's field table, without suffix."""
        return self.root / "work" / "fields" / well

    @property
    def labels(self) -> Path:
        """Label images of all wells."""
        return self.root / "labels.zarr"


def submitted_damaged(folder: RunFolder, wells: Iterable[str]) -> list[str]:
    """Those of a run's wells that no other attempt can analyse, in order."""
    return sorted(w for w in wells if _is_damaged(folder.task(w)))


def _is_damaged(task: Path) -> bool:
    try:
        return not load(WellTask, task).is_readable
    except (OSError, ValueError):
        # Of an earlier version, or gone: another attempt is refused for that.
        return False
