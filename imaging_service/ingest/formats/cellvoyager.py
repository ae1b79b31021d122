"""Yokogawa CellVoyager (CV7000, CV8000): `MeasurementData.mlf` and the files beside it.

The `.mlf` has one record per image, and an `ERR` record where the instrument took none; the
`.mrf` has the plate, the pixel size per channel and how many fields, planes and time points were
asked for, and which white image (`SC_…`) shows a channel's light; the `.mes` the channels' light
and filters and the wells; the `.wpi` the plate's name.
Lengths are in µm, rows and columns count from 1, and y points up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from imaging_service.errors import ScanError
from imaging_service.ingest.formats.vendor_xml import attributes, elements
from imaging_service.ingest.images.odd_pixels import odd_pixels
from imaging_service.ingest.images.scan_files import ScanFiles, scan_files
from imaging_service.ingest.images.tiff_image import TiffPlanes, survey
from imaging_service.ingest.images.tiff_words import seconds_of
from imaging_service.ingest.optics.overlaps import field_shape, overlaps
from imaging_service.ingest.optics.shading import ShadingImage, shading_profiles
from imaging_service.ingest.pixel_size import SizeStatement, decide, number_of
from imaging_service.ingest.plan import Announced, ImageRef, Limits, PlatePlan
from imaging_service.ingest.plate_size import plate_of
from imaging_service.ingest.several import one_of
from imaging_service.protocol import Acquisition
from plate_maps import PlateFormat, Well
from plate_maps.wells import is_whole_number, whole_number

INDEX = "measurementdata.mlf"


class CellVoyagerReader(TiffPlanes):
    """Reader "cellvoyager"."""

    name = "cellvoyager"

    def sniff(self, root: Path) -> float:
        """1 if a `MeasurementData.mlf` lies in the folder or below it."""
        return 1.0 if scan_files(root, Limits()).named(INDEX) else 0.0

    def plan(self, root: Path, limits: Limits, acquisition: Acquisition) -> PlatePlan:
        """Read the records; images that they name and that are absent are listed as missing."""
        files = scan_files(root, limits)
        measurements = {p.rpartition("/")[0] or ".": p for p in files.named(INDEX)}
        if not measurements:
            raise ScanError(
                f"{root} has no MeasurementData.mlf, neither in the folder itself nor below it;"
                " give the folder of a CellVoyager measurement"
            )
        place = measurements[
            one_of(measurements, acquisition.measurement, str(root), "measurement")
        ]
        detail = _detail(files, place, limits)
        images, missing = _records(root / place, place, files, detail, limits)
        used = {i.channel for i in (*images, *missing)} - {""}
        headers = survey(root, (i.path for i in images), limits, words=False)
        broken, odd = odd_pixels(images, headers)
        shape = field_shape(images, headers)
        light, unread = shading_profiles(
            files,
            place.rpartition("/")[0],
            {
                detail.channels[ch]: image
                for ch, image in detail.shading.items()
                if detail.channels[ch] in used
            },
            shape,
            limits,
        )
        size = decide(s for name, s in detail.sizes.items() if detail.channels[name] in used)
        return PlatePlan(
            self.name,
            detail.plate or root.name,
            root,
            tuple(detail.channels.values()),
            size.um,
            detail.format,
            tuple(sorted(images)),
            (),
            tuple(sorted(missing)),
            pixel_size_source=size.source,
            announced=Announced(
                detail.source or place,
                tuple(sorted({*detail.wells, *(i.well for i in (*images, *missing))})),
                detail.counts.get("FieldCount", 0),
                tuple(c for c in detail.channels.values() if c in used),
                detail.counts.get("ZCount", 0),
                detail.counts.get("TimePointCount", 0),
            ),
            findings=(
                *size.findings,
                *odd,
                *overlaps(images, shape, size.um),
                *unread,
                *files.junk_finding(),
            ),
            broken=broken,
            flat_fields=light,
            field_px=shape,
        )


@dataclass
class _Detail:
    """What the files beside the records say. Channels are the numbers of the records ► names."""

    plate: str = ""
    source: str = ""
    format: PlateFormat | None = None
    counts: dict[str, int] = field(default_factory=dict)
    channels: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, SizeStatement] = field(default_factory=dict)
    wells: list[Well] = field(default_factory=list)
    shading: dict[str, ShadingImage] = field(default_factory=dict)


_COUNTS = ("FieldCount", "ZCount", "TimePointCount")


def _detail(files: ScanFiles, place: str, limits: Limits) -> _Detail:
    """Everything that the `.mrf`, `.mes` and `.wpi` of the records' own folder say."""
    folder = place.rpartition("/")[0]
    detail = _Detail()

    def of(ending: str) -> list[str]:
        return [p for p in files.named(f"*{ending}") if p.rpartition("/")[0] == folder]

    for path in of(".mrf"):
        _read_detail(detail, files.root / path, path, limits)
    for path in of(".mes"):
        _read_setting(detail, files.root / path, limits)
    for path in of(".wpi"):
        with elements(files.root / path, limits) as parts:
            for name, element in parts:
                if name == "WellPlate":
                    values = attributes(element)
                    detail.plate = values.get("Name", "")
                    detail.format = detail.format or plate_of(
                        values.get("Rows", ""), values.get("Columns", ""), path
                    )
    doubled = list(detail.channels.values())
    detail.channels = {
        ch: name if doubled.count(name) == 1 else f"{name} ({ch})"
        for ch, name in detail.channels.items()
    }
    return detail


def _read_detail(detail: _Detail, path: Path, place: str, limits: Limits) -> None:
    with elements(path, limits) as parts:
        for name, element in parts:
            values = attributes(element)
            if name == "MeasurementChannel" and values.get("Ch"):
                ch = values["Ch"]
                detail.channels.setdefault(ch, ch)
                width, height = (
                    number_of(values.get(key), f"{path}: channel {ch}: {key}")
                    for key in ("HorizontalPixelDimension", "VerticalPixelDimension")
                )
                if values.get("ShadingCorrectionSource"):
                    detail.shading[ch] = ShadingImage(
                        values["ShadingCorrectionSource"], values.get("CameraNumber", "")
                    )
                detail.sizes[ch] = SizeStatement(
                    width, height, "CellVoyager measurement detail", f"{place}, channel {ch}"
                )
            elif name == "MeasurementDetail":
                detail.source = place
                detail.format = plate_of(
                    values.get("RowCount", ""), values.get("ColumnCount", ""), str(path)
                )
                detail.counts = {k: _whole(values.get(k) or "0", f"{path}: {k}") for k in _COUNTS}


def _read_setting(detail: _Detail, path: Path, limits: Limits) -> None:
    """Names of channels by their fluorophore, or by light and filter; wells to be visited."""
    with elements(path, limits) as parts:
        for name, element in parts:
            values = attributes(element)
            if name == "Channel" and values.get("Ch"):
                light = " ".join(v for v in (values.get("Target"), values.get("Acquisition")) if v)
                detail.channels[values["Ch"]] = values.get("Fluorophore") or light or values["Ch"]
            elif name == "TargetWell" and (element.text or "").strip().lower() == "true":
                detail.wells.append(_well(values, str(path)))


def _records(
    path: Path, place: str, files: ScanFiles, detail: _Detail, limits: Limits
) -> tuple[list[ImageRef], list[ImageRef]]:
    """Images that are there, and those that are not, with the instrument's reason if any."""
    there, folder = frozenset(files.paths), place.rpartition("/")[0]
    images: list[ImageRef] = []
    missing: list[ImageRef] = []
    errors: list[ImageRef] = []
    seen: set[tuple[object, ...]] = set()
    with elements(path, limits) as parts:
        for name, element in parts:
            if name != "MeasurementRecord":
                continue
            values, text = attributes(element), (element.text or "").strip()
            element.clear()
            where = f"{path}: record {text!r:.120}"
            kind = values.get("Type")
            if kind not in ("IMG", "ERR"):
                raise ScanError(f"{where}: type {kind!r:.40} is not known; export the plate again")
            image = _image(values, where, detail, kind == "ERR")
            if detail.format is not None and image.well not in detail.format:
                raise ScanError(
                    f"{where}: well {image.well} lies outside the {detail.format} plate"
                )
            if kind == "ERR":
                errors.append(_taken(image, values, place, text))
                continue
            key = (image.well, image.field, image.time, image.channel, image.z)
            if key in seen:
                raise ScanError(
                    f"{where}: well {image.well}, field {image.field}, channel {image.channel!r} is"
                    " listed twice; give the folder of one measurement"
                )
            seen.add(key)
            image = _taken(image, values, f"{folder}/{text}" if folder else text, "")
            inside = bool(text) and Path(text).name == text
            (images if inside and image.path in there else missing).append(image)
            if len(seen) > limits.images:
                raise ScanError(f"{path} has more than {limits.images:,} images")
    if not images and not missing and not errors:
        raise ScanError(f"{path} names no image; export the plate again")
    return images, [*missing, *errors]


def _image(values: Mapping[str, str], where: str, detail: _Detail, lost: bool) -> ImageRef:
    """The place of a record's image; an error has neither channel nor plane."""

    def number(key: str) -> int:
        return _whole(values.get(key, ""), f"{where}: {key}")

    ch = "" if lost else str(number("Ch"))
    channel = "" if lost else detail.channels.setdefault(ch, ch)
    return ImageRef(
        _well(values, where),
        number("FieldIndex"),
        number("TimePoint"),
        channel,
        1 if lost else number("ZIndex"),
        "",
    )


def _taken(image: ImageRef, values: Mapping[str, str], path: str, reason: str) -> ImageRef:
    seconds, is_local = _seconds(values.get("Time", ""))
    x, y, z = (_length(values.get(key, "")) for key in ("X", "Y", "Z"))
    return ImageRef(
        image.well,
        image.field,
        image.time,
        image.channel,
        image.z,
        path,
        exposed_s=seconds,
        local_time=is_local,
        position_um=None if x is None or y is None else (x, y),
        z_um=z,
        reason=reason,
    )


def _well(values: Mapping[str, str], where: str) -> Well:
    row, column = (_whole(values.get(key, ""), f"{where}: {key}") for key in ("Row", "Column"))
    try:
        return Well(row, column)
    except ValueError as error:
        raise ScanError(f"{where}: {error}") from error


def _whole(text: str, what: str) -> int:
    if not is_whole_number(text):
        raise ScanError(f"{what} is {text!r:.40}, not a whole number; export the plate again")
    return whole_number(text)


def _length(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _seconds(text: str) -> tuple[float | None, bool]:
    try:
        return seconds_of(text)
    except (ValueError, OverflowError):
        return None, False
