"""What lies in a scan's folder, from names and metadata alone: no pixel is read."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

from imaging_service.incoming.s3 import S3Path
from imaging_service.ingest import PlatePlan, plan_scan
from imaging_service.ingest.losses import fields_of
from imaging_service.ingest.plan import Limits
from imaging_service.protocol import Acquisition
from plate_maps import PlateFormat, Well
from plate_maps.wells import smallest_format

# A channel that fewer fields than this share have is a stray: a well without it lacks nothing.
_USUAL = 0.5


@dataclass(frozen=True)
class ChannelSurvey:
    """One channel: its number from 1, its name, the most planes of a field, and its images."""

    number: int
    name: str
    planes: int
    images: int


@dataclass(frozen=True)
class Survey:
    """What a scan holds.

    `present` is the share of each well's images that is there: 0 for a well that is announced and
    of which nothing is there. `missing` counts images that are announced, or that other wells
    have. `needs` says what the protocol must state before the scan can be analysed; nothing, if
    empty.
    """

    plan: PlatePlan
    format: PlateFormat
    fields: int
    channels: tuple[ChannelSurvey, ...]
    planes: int
    times: tuple[int, ...]
    images: int
    missing: int
    files: int
    bytes: int
    present: dict[Well, float]
    needs: tuple[str, ...]

    @property
    def wells(self) -> int:
        """Number of wells of which at least one image is there."""
        return sum(share > 0 for share in self.present.values())

    @property
    def notes(self) -> tuple[str, ...]:
        """The reader's remarks that are not among the findings."""
        findings = {finding.message for finding in self.plan.findings}
        return tuple(note for note in self.plan.notes if note not in findings)

    @property
    def can_be_analysed(self) -> bool:
        """Whether there are images, and the protocol need not state anything more."""
        return self.images > 0 and not self.needs

    def needing(self, more: str) -> Survey:
        """The survey with one more thing that the protocol must state."""
        return replace(self, needs=(*self.needs, more))

    def plain(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        plan = self.plan
        return {
            "scan": str(plan.root),
            "name": plan.name,
            "reader": plan.reader,
            "plate_rows": self.format.rows,
            "plate_columns": self.format.columns,
            "wells": self.wells,
            "fields": self.fields,
            "channels": [asdict(channel) for channel in self.channels],
            "planes": self.planes,
            "times": list(self.times),
            "hours": {str(time): hours for time, hours in plan.hours.items()},
            "pixel_size_um": plan.pixel_size_um,
            "pixel_size_source": plan.pixel_size_source,
            "images": self.images,
            "missing": self.missing,
            "files": self.files,
            "bytes": self.bytes,
            "present": {well.name: round(share, 4) for well, share in self.present.items()},
            "findings": [
                {
                    "kind": finding.kind.value,
                    "message": finding.message,
                    "wells": [well.name for well in finding.wells],
                }
                for finding in plan.findings
            ],
            "notes": list(self.notes),
            "needs": list(self.needs),
            "can_be_analysed": self.can_be_analysed,
        }


def survey(
    root: str | PathLike[str],
    acquisition: Acquisition | None = None,
    limits: Limits | None = None,
) -> Survey:
    """Say what a scan holds and what is missing of it.

    Parameters
    ----------
    root
        Folder of the scan.
    acquisition
        That section of a protocol, where the scan is not read by itself.
    limits
        Those of the service.

    Raises
    ------
    ScanError
        The folder cannot be read as one plate; the message says what to do.
    """
    acquisition = acquisition or Acquisition()
    plan = plan_scan(root, acquisition, limits)
    images = plan.images
    stacks = Counter((i.well, i.field, i.time, i.channel) for i in images)
    planes: dict[str, int] = {}
    for (*_, channel), count in stacks.items():
        planes[channel] = max(count, planes.get(channel, 0))
    times = tuple(sorted({i.time for i in images}))
    of_channel = Counter(i.channel for i in images)
    files = _files(plan)
    present, missing = _present(plan, planes, len(times))
    return Survey(
        plan,
        plan.format or smallest_format([*plan.wells]),
        fields_of(plan),
        tuple(
            ChannelSurvey(n, name, planes.get(name, 0), of_channel[name])
            for n, name in enumerate(plan.channels, start=1)
        ),
        max(planes.values(), default=0),
        times,
        len(images),
        missing,
        len(files),
        sum(files),
        present,
        _needs(plan, acquisition, times),
    )


def _present(plan: PlatePlan, planes: dict[str, int], times: int) -> tuple[dict[Well, float], int]:
    """Well ► share of its images that is there; and how many images the plate lacks."""
    places = {(i.well, i.field, i.time) for i in plan.images}
    fields_with = Counter(
        c for *_, c in {(i.well, i.field, i.time, i.channel) for i in plan.images}
    )
    usual = {c: n for c, n in planes.items() if fields_with[c] >= _USUAL * len(places)}
    expected = fields_of(plan) * times * sum(usual.values())
    there = Counter(i.well for i in plan.images if i.channel in usual)
    present = {
        well: min(1.0, there[well] / expected) if expected else 0.0
        for well in sorted({*plan.wells, *plan.announced.wells})
    }
    return present, sum(max(0, expected - there[well]) for well in present)


def _needs(plan: PlatePlan, acquisition: Acquisition, times: tuple[int, ...]) -> tuple[str, ...]:
    needs = []
    if plan.pixel_size_um is None and acquisition.pixel_size_um is None:
        needs.append(
            "acquisition.pixel_size_um: the scan carries no pixel size that can be believed; take"
            " it from the microscope's settings (camera pixel × binning / magnification)"
        )
    if len(times) > 1 and acquisition.time_point is None:
        needs.append(
            f"acquisition.time_point, or a [survival] section: the scan has {len(times)} time"
            f" points ({times[0]} to {times[-1]})"
        )
    return tuple(needs)


def _files(plan: PlatePlan) -> list[int]:
    """Sizes of all source files, those inside of zarr arrays included."""

    def sizes(relative: str) -> list[int]:
        path = plan.root / relative
        if isinstance(path, S3Path):
            return [state.size for state in path.states()]
        return [_size(p) for p in (_below(path) if path.is_dir() else [path])]

    # Files of a scan often lie on a network share, where each question waits for its answer.
    with ThreadPoolExecutor(8) as pool:
        return [size for listed in pool.map(sizes, plan.files()) for size in listed]


def _below(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        for name in names:
            yield Path(parent, name)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # removed while we looked: it is missing when the plate is analysed
        return 0
