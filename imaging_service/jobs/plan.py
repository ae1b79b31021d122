"""The first stage: check what can be checked before a pixel is analysed; identify the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from imaging_service import __version__
from imaging_service.errors import EngineError, PlateMapRefused, ProtocolError, ScanError
from imaging_service.ingest import PlatePlan, plan_scan
from imaging_service.ingest.images.digests import combine, file_digests, file_states, versions
from imaging_service.ingest.optics.overlaps import overlapping_centres
from imaging_service.ingest.plan import Announced, Limits, by_well, plan_digest
from imaging_service.jobs.films.hours import Clock, read_clock
from imaging_service.jobs.parallel.engine import load_engine
from imaging_service.jobs.records import (
    RECORDS,
    RunFolder,
    RunInputs,
    RunRecord,
    WellTask,
    load,
    save,
)
from imaging_service.protocol import AssayProtocol
from plate_maps import (
    PlateFormat,
    PlateMap,
    PlateMapError,
    Well,
    check,
    plate_format,
    read_plate_map,
)
from plate_maps.wells import is_whole_number, smallest_format, whole_number

# A size in a protocol is rounded by hand; up to this it is the scan's.
_AGREES = 0.01
PACKAGES = (
    "numpy",
    "scipy",
    "scikit-image",
    "opencv-python-headless",
    "polars",
    "zarr",
    "tifffile",
    "cellpose",
    "torch",
)
# Raised when what is kept beside the pixels of a converted plate changes: runs of versions that
# differ in it share no plate.
_STORED = 2


def read_inputs(
    scan: Path,
    plate_map: Path,
    protocol: AssayProtocol,
    engine: str | None,
    device: str,
    plate: str = "",
) -> RunInputs:
    """Inputs from files. Raises PlateMapRefused with every fault of the map.

    `plate` is the barcode in a map of several plates; if not given, the name of the scan's folder.
    """
    fmt = None
    if protocol.acquisition.plate_wells is not None:
        try:
            fmt = plate_format(protocol.acquisition.plate_wells)
        except ValueError as error:
            raise ProtocolError(
                f"protocol {protocol.name}: acquisition.plate_wells: {error}"
            ) from error
    try:
        mapped = read_plate_map(
            plate_map, fmt, protocol.acquisition.line, plate or scan.resolve().name
        )
    except PlateMapError as error:
        raise PlateMapRefused(str(error)) from error
    return RunInputs(
        scan,
        mapped.format,
        mapped.source,
        mapped.records(),
        protocol,
        engine or protocol.segmentation.engine,
        device,
    )


def lay_out(
    record: RunRecord, plan: PlatePlan, folder: RunFolder, plate: Path | None = None
) -> RunRecord:
    """Write the record and one task per well, once `identify` has found nothing wrong.

    A record of the same run that is there already is kept: the run goes on where it stopped.
    The converted plate goes to `plate`, which runs may share, or to `plate.zarr` in the run's own
    folder. Raises ScanError if the folder holds another run.
    """
    if folder.record.is_file():
        before = load(RunRecord, folder.record)
        if before.run_id != record.run_id:
            raise ScanError(
                f"{folder.root} holds another run ({before.run_id[:12]}…: scan"
                f" {before.inputs.scan}, protocol {before.inputs.protocol.name}); give another"
                " --out, or delete it"
            )
        return before
    record = replace(record, plate=(plate or folder.root / "plate.zarr").resolve())
    inputs = record.inputs
    times = _time_points(plan, inputs.protocol)
    planes = _planes(plan, times)
    # Once for all wells: a search of the plan for each would take a large plate's time squared.
    images, missing, broken = map(by_well, (plan.images, plan.missing, plan.broken))
    root = plan.root.resolve()
    for name in record.wells:
        well = Well.parse(name)
        well_plan = replace(
            plan,
            root=root,
            images=images.get(well, ()),
            missing=missing.get(well, ()),
            broken=broken.get(well, ()),
            notes=(),
            findings=(),
            projections=(),
            announced=Announced(),
        )
        task = WellTask(
            name,
            well_plan,
            record.pixel_size_um,
            record.roles,
            times,
            planes,
            inputs.protocol,
            inputs.engine,
            inputs.device,
            record.plate,
            {path: record.source_files[path] for path in well_plan.files()},
            tuple(record.hours.get(name, ())),
            record.engine,
            {
                p: record.source_versions[p]
                for p in well_plan.files()
                if p in record.source_versions
            },
        )
        save(task, folder.task(name))
    save(record, folder.record)
    return record


def plate_key(record: RunRecord) -> str:
    """Name of the converted plate.

    Runs share it only if pixels, their size, roles, time points and hours are the same.
    """
    acquisition = record.inputs.protocol.acquisition
    stored = (
        record.pixel_size_um,
        record.roles,
        acquisition.time_point,
        record.inputs.protocol.survival is None,
        acquisition.z_projection,
        _STORED,
    )
    parts = [("plate", record.plate_digest), ("stored", repr(stored))]
    # A stored film says when its frames were taken.
    if record.hours:
        parts.append(("hours", repr(sorted(record.hours.items()))))
    return combine(parts)


def identify(inputs: RunInputs, limits: Limits | None = None) -> tuple[RunRecord, PlatePlan]:
    """The run's record and the scan's plan; nothing is written.

    The same inputs give the same run id.
    """
    protocol = inputs.protocol
    plan = plan_scan(inputs.scan, protocol.acquisition, limits)
    if not plan.images:
        raise ScanError(
            f"scan {plan.name}: none of its {len(plan.missing)} announced images is there; copy the"
            " images beside the index, or give the folder that holds both"
        )
    states = file_states(plan)
    pixel_size, overridden = _pixel_size(plan, protocol)
    plan, roles, without_role = _with_roles(plan, protocol)
    times = _time_points(plan, protocol)
    mapped = inputs.plate_map()
    try:
        fmt = _format(plan, mapped, protocol)
    except ValueError as error:
        raise ScanError(f"scan {plan.name}: {error}; correct the names of its files") from error
    join = mapped.join(plan.wells)
    if not join.matched:
        raise PlateMapRefused(
            f"no well of the plate map {mapped.source} was scanned: the map names"
            f" {_named(join.only_in_map)}, the scan has {_named(join.only_in_scan)}"
        )
    notes = [*plan.notes, *overridden, *without_role]
    if join.only_in_scan:
        notes.append(
            f"{len(join.only_in_scan)} scanned well(s) are not in the plate map and were not"
            f" analysed: {_named(join.only_in_scan)}"
        )
    clock = _clock(plan, protocol, times)
    notes += clock.notes
    engine = _engine(inputs)
    files = file_digests(plan, states)
    meant = [*files.items(), ("", plan_digest(plan))]
    # Which field counts a cell follows from the positions, which may stand in an index only.
    if placed := overlapping_centres(plan, pixel_size):
        meant.append(("centres", repr(placed)))
    plate_digest = combine(meant)
    parts = {
        "plate": plate_digest,
        "map": mapped.digest(),
        "protocol": protocol.digest(),
        "software": __version__,
        "records": str(RECORDS),
        "engine": inputs.engine,
        "weights": str(engine.get("checkpoint", {}).get("sha256", "")),
    }
    if clock.hours:
        parts["hours"] = repr(sorted(clock.hours.items()))
    record = RunRecord(
        run_id=combine(parts.items()),
        plate_digest=plate_digest,
        plate_map_digest=parts["map"],
        protocol_digest=parts["protocol"],
        software_version=__version__,
        records=RECORDS,
        inputs=inputs,
        plate_name=plan.name,
        reader=plan.reader,
        plate_format=fmt,
        channels=plan.channels,
        roles=roles,
        pixel_size_um=pixel_size,
        pixel_size_source=(
            f"acquisition.pixel_size_um of protocol {protocol.name}"
            if overridden or plan.pixel_size_um is None
            else plan.pixel_size_source
        ),
        engine=engine,
        packages=package_versions(),
        source_files=files,
        wells=tuple(w.name for w in join.matched),
        skipped={w.name: "in the plate map, but not in the scan" for w in join.only_in_map},
        notes=tuple(notes),
        findings=tuple(f"{f.severity}: {f.message}" for f in check(mapped)),
        hours={w.name: clock.hours[w.name] for w in join.matched if w.name in clock.hours},
        source_versions=versions(states),
    )
    return record, plan


def _named(wells: tuple[Well, ...]) -> str:
    """All wells by name: a list that is cut short would hide the one that is missed."""
    return ", ".join(map(str, wells)) or "none"


def _pixel_size(plan: PlatePlan, protocol: AssayProtocol) -> tuple[float, tuple[str, ...]]:
    """The size that counts, and a note where the protocol overrides the scan's."""
    given, scanned = protocol.acquisition.pixel_size_um, plan.pixel_size_um
    if scanned is None:
        if given is None:
            raise ScanError(
                f"scan {plan.name} carries no pixel size; set acquisition.pixel_size_um in protocol"
                f" {protocol.name} (µm per pixel): lengths and areas need it"
            )
        return float(given), ()
    if given is not None and abs(given / scanned - 1) > _AGREES:
        return float(given), (
            f"protocol {protocol.name} says {given} µm per pixel, and that is used; the scan"
            f" {plan.name} says {scanned:.6g} µm ({plan.pixel_size_source})",
        )
    return float(scanned), ()


def _with_roles(
    plan: PlatePlan, protocol: AssayProtocol
) -> tuple[PlatePlan, tuple[str | None, ...], tuple[str, ...]]:
    """The plan of the channels that are read, their roles, and notes of those left out.

    A channel without a role is read where every field has it. One that some fields lack, or that
    is announced and not there, would fail wells for an image that no number needs.
    """
    roles = _roles(plan, protocol)
    by_channel: dict[str, set[tuple[Well, int, int]]] = {c: set() for c in plan.channels}
    for image in plan.images:
        by_channel[image.channel].add((image.well, image.field, image.time))
    places = set().union(*by_channel.values())
    for channel, role in zip(plan.channels, roles, strict=True):
        if role is not None and not by_channel[channel]:
            raise ScanError(
                f"scan {plan.name}: there is no image of channel {channel!r}, which has the role"
                f" {role} in protocol {protocol.name}"
            )
    kept = [
        c
        for c, role in zip(plan.channels, roles, strict=True)
        if role is not None or by_channel[c] == places
    ]
    if len(kept) == len(plan.channels):
        return plan, roles, ()
    out = [c for c in plan.channels if c not in kept]
    notes = tuple(
        f"channel {c!r} has no role, and {len(places) - len(by_channel[c])} of {len(places)} fields"
        " lack it: it was left out"
        for c in out
        if by_channel[c]
    )
    reduced = replace(
        plan,
        channels=tuple(kept),
        images=tuple(i for i in plan.images if i.channel in kept),
        missing=tuple(i for i in plan.missing if i.channel in ("", *kept)),
        broken=tuple(i for i in plan.broken if i.channel in ("", *kept)),
    )
    return reduced, tuple(r for c, r in zip(plan.channels, roles, strict=True) if c in kept), notes


def _roles(plan: PlatePlan, protocol: AssayProtocol) -> tuple[str | None, ...]:
    by_name = {name.lower(): i for i, name in enumerate(plan.channels)}
    roles: list[str | None] = [None] * len(plan.channels)
    for role, channel in protocol.channels.items():
        index = _place_of(channel, by_name)
        if not 0 <= index < len(roles):
            raise ProtocolError(
                f"protocol {protocol.name}: channels.{role} = {channel!r} is not in the scan; its"
                " channels are "
                + ", ".join(f"{i} = {name!r}" for i, name in enumerate(plan.channels, start=1))
            )
        if roles[index] is not None:
            raise ProtocolError(
                f"protocol {protocol.name}: channel {plan.channels[index]!r} has two roles,"
                f" {roles[index]} and {role}; give each role its own channel"
            )
        roles[index] = role
    return tuple(roles)


def _place_of(channel: str | int, by_name: Mapping[str, int]) -> int:
    """Place of a channel by its name, or by its number from 1; -1 for none.

    "1" and "w1" are numbers, too, where no channel is called so: names of an instrument replace
    the numbers in the names of its files.
    """
    if isinstance(channel, int):
        return channel - 1
    name = channel.lower()
    number = name.removeprefix("w")
    if name not in by_name and is_whole_number(number):
        return whole_number(number) - 1
    return by_name.get(name, -1)


def _planes(plan: PlatePlan, times: tuple[int, ...]) -> dict[str, int]:
    """Channel ► the largest number of planes that any field has of it."""
    counts: dict[tuple[Well, int, int, str], int] = {}
    for image in plan.images:
        if image.time in times:
            place = (image.well, image.field, image.time, image.channel)
            counts[place] = counts.get(place, 0) + 1
    return {
        c: max((n for (*_, name), n in counts.items() if name == c), default=0)
        for c in plan.channels
    }


def _time_points(plan: PlatePlan, protocol: AssayProtocol) -> tuple[int, ...]:
    """All time points of a longitudinal assay, one of a fixed assay."""
    times = sorted({image.time for image in plan.images})
    wanted = protocol.acquisition.time_point
    if protocol.survival is not None:
        if len(times) < 3:
            raise ScanError(
                f"scan {plan.name} has {len(times)} time point(s); survival over time needs at"
                " least 3 (remove [survival] for a fixed assay)"
            )
        return tuple(times)
    if wanted is not None and wanted not in times:
        raise ProtocolError(
            f"protocol {protocol.name}: time point {wanted} is not in the scan, which has"
            f" {times[0]} to {times[-1]}; correct acquisition.time_point"
        )
    if wanted is None and len(times) > 1:
        raise ScanError(
            f"scan {plan.name} has {len(times)} time points; add a [survival] section to follow"
            " neurons through them, or choose one with acquisition.time_point"
        )
    return (wanted or times[0],)


def _clock(plan: PlatePlan, protocol: AssayProtocol, times: tuple[int, ...]) -> Clock:
    """Hours of a time-lapse's frames; none for a fixed assay."""
    interval = protocol.acquisition.frame_interval_h
    if protocol.survival is None or interval is None:
        return Clock({})
    return read_clock(plan, times, interval)


def _format(plan: PlatePlan, mapped: PlateMap, protocol: AssayProtocol) -> PlateFormat:
    wanted = protocol.acquisition.plate_wells
    if plan.format is None and wanted:
        outside = tuple(w for w in plan.wells if w not in plate_format(wanted))
        if outside:
            raise ProtocolError(
                f"protocol {protocol.name} says {wanted} wells, but the scan has {_named(outside)};"
                " correct acquisition.plate_wells"
            )
        return plate_format(wanted)
    if plan.format is None:
        return smallest_format([*plan.wells, *mapped])
    if wanted and plate_format(wanted) != plan.format:
        raise ProtocolError(
            f"protocol {protocol.name} says {wanted} wells, the scan is a {plan.format}"
            " plate; correct acquisition.plate_wells"
        )
    outside = tuple(w for w in mapped if w not in plan.format)
    if outside:
        raise PlateMapRefused(
            f"plate map {mapped.source} has wells outside the scanned {plan.format} plate:"
            f" {_named(outside)}"
        )
    return plan.format


def _engine(inputs: RunInputs) -> dict[str, Any]:
    try:
        return dict(load_engine(inputs.protocol, inputs.engine, inputs.device).describe())
    except (ValueError, RuntimeError, ImportError) as error:
        raise EngineError(f"engine {inputs.engine}: {error}") from error


def package_versions() -> dict[str, str]:
    """Versions of the packages that numbers depend on, as far as they are installed."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions
