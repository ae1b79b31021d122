"""MetaXpress Acquire and its kin: a `.jdce` beside the images of an ImageXpress.

The `.jdce` is JSON: what was announced, the names of the channels and the pixel size. It names
tables (`image_metadata_….csv`) with one row per image. In the tables rows and columns of the plate
count from 1; fields, wavelengths, time points and planes from 0.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

from imaging_service.errors import ScanError
from imaging_service.ingest.images.odd_pixels import odd_pixels
from imaging_service.ingest.images.scan_files import ScanFiles, scan_files
from imaging_service.ingest.images.tiff_image import TiffPlanes, survey
from imaging_service.ingest.optics.overlaps import field_shape, overlaps
from imaging_service.ingest.pixel_size import SizeStatement, decide
from imaging_service.ingest.plan import (
    Announced,
    FindingKind,
    ImageRef,
    Limits,
    PlatePlan,
    ScanFinding,
)
from imaging_service.ingest.plate_size import plate_of
from imaging_service.ingest.several import one_of
from imaging_service.protocol import Acquisition
from plate_maps import PlateFormat, Well
from plate_maps.wells import is_whole_number, whole_number

INDEX = "*.jdce"
_REQUIRED = ("Row", "Column", "Field", "Wavelength", "ImageFileName")
_UNITS = {"um": 1.0, "µm": 1.0, "μm": 1.0, "micrometer": 1.0, "micron": 1.0, "nm": 1e-3}
_MOST_CHANNELS = 99


class JdceReader(TiffPlanes):
    """Reader "jdce"."""

    name = "jdce"

    def sniff(self, root: Path) -> float:
        """1 if a `.jdce` lies in the folder or below it."""
        return 1.0 if scan_files(root, Limits()).named(INDEX) else 0.0

    def plan(self, root: Path, limits: Limits, acquisition: Acquisition) -> PlatePlan:
        """Read the tables; images that they name and that are absent are listed as missing."""
        files = scan_files(root, limits)
        acquisitions = _by_name(files.named(INDEX))
        if not acquisitions:
            raise ScanError(
                f"{root} has no .jdce file, neither in the folder itself nor below it; give the"
                " folder of the acquisition"
            )
        place = acquisitions[
            one_of(acquisitions, acquisition.measurement, str(root), "acquisition")
        ]
        described = _described(root, place, limits)
        images, missing = _images(files, place, described, limits)
        headers = survey(root, (i.path for i in images), limits, words=False)
        broken, odd = odd_pixels(images, headers)
        size, shape = decide(described.size), field_shape(images, headers)
        every = (*images, *missing)
        return PlatePlan(
            self.name,
            described.plate or root.name,
            root,
            described.channels,
            size.um,
            described.format,
            tuple(sorted(images)),
            (),
            tuple(sorted(missing)),
            pixel_size_source=size.source,
            announced=Announced(
                place,
                tuple(sorted({i.well for i in every})),
                len({i.field for i in every}),
                described.channels,
                described.planes,
                described.times,
            ),
            findings=(
                *size.findings,
                *described.findings,
                *odd,
                *overlaps(images, shape, size.um),
                *files.junk_finding(),
            ),
            broken=broken,
            field_px=shape,
        )


@dataclass(frozen=True)
class _Described:
    """What the `.jdce` says; `tables` are the paths of its tables below the scan."""

    plate: str
    format: PlateFormat | None
    channels: tuple[str, ...]
    size: tuple[SizeStatement, ...]
    tables: tuple[str, ...]
    planes: int
    times: int
    findings: tuple[ScanFinding, ...]


def _by_name(paths: tuple[str, ...]) -> dict[str, str]:
    """Acquisition ► its `.jdce`; it is called like its folder, two of one folder by their paths."""
    folders = [p.rpartition("/")[0] for p in paths]
    return {
        (folder or ".") if folders.count(folder) == 1 else path: path
        for path, folder in zip(paths, folders, strict=True)
    }


def _described(root: Path, place: str, limits: Limits) -> _Described:
    path = root / place
    if path.stat().st_size > limits.xml_bytes:
        raise ScanError(f"{path} is larger than {limits.xml_bytes:,} bytes")
    text = path.read_bytes().decode("utf-8-sig", "replace")
    try:
        stack = _part(json.loads(text), "ImageStack")
    except (ValueError, RecursionError) as error:
        raise ScanError(f"{path} is not JSON: {error}; export the plate again") from error
    protocol = _part(stack, "AutoLeadAcquisitionProtocol")
    if not protocol:
        raise ScanError(f"{path} describes no acquisition; export the plate again")
    plate, mapped = _part(protocol, "Plate"), _part(protocol, "PlateMap")
    tables = stack.get("ImageMetadataFiles")
    named = [t for t in tables if isinstance(t, str)] if isinstance(tables, list) else []
    if not named:
        raise ScanError(f"{path} names no table of its images; export the plate again")
    size, findings = _size(_part(protocol, "ObjectiveCalibration"), protocol, place)
    return _Described(
        str(plate.get("Name") or ""),
        plate_of(str(plate.get("Rows") or 0), str(plate.get("Columns") or 0), str(path)),
        _channels(protocol, str(path)),
        size,
        tuple(_beside(place, "", table) for table in named),
        _count(_part(mapped, "ZDimensionParameters").get("NumberOfSlices"), path, "NumberOfSlices"),
        _count(_part(mapped, "TimeSchedule").get("NumberOfTimepoints"), path, "NumberOfTimepoints"),
        findings,
    )


def _part(holder: object, key: str) -> Mapping[str, Any]:
    part = holder.get(key) if isinstance(holder, dict) else None
    return part if isinstance(part, dict) else {}


def _count(value: object, path: Path, what: str) -> int:
    if value is None:
        return 0
    if not is_whole_number(str(value)):
        raise ScanError(f"{path}: {what} is {value!r:.40}, not a whole number")
    return whole_number(str(value))


def _channels(protocol: Mapping[str, Any], path: str) -> tuple[str, ...]:
    """Names of the emission filters by the number of their wavelength, counted from 0."""
    listed = protocol.get("Wavelengths")
    names: dict[int, str] = {}
    for wave in listed if isinstance(listed, list) else []:
        index = str(wave.get("Index", "")) if isinstance(wave, dict) else ""
        if not is_whole_number(index) or whole_number(index) > _MOST_CHANNELS:
            raise ScanError(f"{path}: a wavelength has the index {index!r:.40}")
        number = whole_number(index)
        if number in names:
            raise ScanError(f"{path}: two wavelengths have the index {number}")
        names[number] = str(_part(wave, "EmissionFilter").get("Name") or number + 1)
    if not names:
        raise ScanError(f"{path} names no wavelength; export the plate again")
    every = [names.get(n, str(n + 1)) for n in range(max(names) + 1)]
    return tuple(
        name if every.count(name) == 1 else f"{name} ({n})" for n, name in enumerate(every, 1)
    )


def _size(
    calibration: Mapping[str, Any], protocol: Mapping[str, Any], place: str
) -> tuple[tuple[SizeStatement, ...], tuple[ScanFinding, ...]]:
    """The objective's calibration; none for a binned camera, whose pixels may be larger."""
    binning = str(_part(protocol, "Camera").get("Binning") or "")
    if re.findall(r"\d+", binning) not in ([], ["1"], ["1", "1"]):
        text = (
            f"{place}: the camera was binned ({binning!r:.20}), and whether the calibration's pixel"
            " is a binned one is not said: give acquisition.pixel_size_um"
        )
        return (), (ScanFinding(FindingKind.PIXEL_SIZE, text),)
    factor = _UNITS.get(str(calibration.get("Unit", "um")).strip().lower())
    x, y = (_number(calibration.get(key)) for key in ("PixelWidth", "PixelHeight"))
    if "PixelWidth" not in calibration or factor is None:
        return (), ()
    return (SizeStatement(x * factor, y * factor, "ImageXpress index (jdce)", place),), ()


def _number(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return math.nan


def _images(
    files: ScanFiles, place: str, described: _Described, limits: Limits
) -> tuple[list[ImageRef], list[ImageRef]]:
    """Images that are there, and those that are not; channels by the number of their wavelength."""
    there = frozenset(files.paths)
    images: list[ImageRef] = []
    missing: list[ImageRef] = []
    seen: set[tuple[object, ...]] = set()
    for table in described.tables:
        if table not in there:
            raise ScanError(
                f"{files.root / place} names the table {table!r:.120} of its images, which is not"
                " there; copy it beside the .jdce"
            )
        for number, row in enumerate(_rows(files.root / table, limits), start=2):
            image = _image(row, f"{files.root / table}, row {number}", place, described)
            key = (image.well, image.field, image.time, image.channel, image.z)
            if key in seen:
                raise ScanError(
                    f"{files.root / table}, row {number}: well {image.well}, field {image.field},"
                    f" channel {image.channel!r} is listed twice; give the folder of one"
                    " acquisition"
                )
            seen.add(key)
            (images if image.path in there else missing).append(image)
            if len(seen) > limits.images:
                raise ScanError(f"{files.root} has more than {limits.images:,} images")
    if not seen:
        raise ScanError(f"{files.root / place}: its tables name no image; export the plate again")
    return images, missing


def _rows(path: Path, limits: Limits) -> list[dict[str, str]]:
    if path.stat().st_size > limits.xml_bytes:
        raise ScanError(f"{path} is larger than {limits.xml_bytes:,} bytes")
    text = path.read_bytes().decode("utf-8-sig", "replace").replace("\0", "")
    try:
        table = csv.DictReader(text.splitlines())
        absent = [name for name in _REQUIRED if name not in (table.fieldnames or ())]
        if absent:
            raise ScanError(f"{path} has no column {', '.join(absent)}; export the plate again")
        return [{k: v or "" for k, v in row.items() if isinstance(k, str)} for row in table]
    except csv.Error as error:
        raise ScanError(f"{path} cannot be read as a table: {error}") from error


def _image(row: Mapping[str, str], where: str, place: str, described: _Described) -> ImageRef:
    def number(key: str, otherwise: str = "") -> int:
        text = row.get(key, "").strip() or otherwise
        if not is_whole_number(text):
            raise ScanError(f"{where}: {key} is {text!r:.40}, not a whole number")
        return whole_number(text)

    try:
        well = Well(number("Row"), number("Column"))
    except ValueError as error:
        raise ScanError(f"{where}: {error}") from error
    if described.format is not None and well not in described.format:
        raise ScanError(f"{where}: well {well} lies outside the {described.format} plate")
    wave = number("Wavelength")
    if wave >= len(described.channels):
        raise ScanError(
            f"{where}: wavelength {wave} is not described; the .jdce describes"
            f" {len(described.channels)}"
        )
    x, y, z = (_number(row.get(f"Position{axis}Um", "")) for axis in "XYZ")
    taken = _number(row.get("TimeStampSec", ""))
    return ImageRef(
        well,
        number("Field") + 1,
        number("Timepoint", "0") + 1,
        described.channels[wave],
        number("ZIndex", "0") + 1,
        _beside(place, row.get("ImageSubFolderPath", ""), row["ImageFileName"]),
        exposed_s=taken if math.isfinite(taken) and taken > 0 else None,
        position_um=(x, y) if math.isfinite(x) and math.isfinite(y) else None,
        z_um=z if math.isfinite(z) else None,
    )


def _beside(place: str, folder: str, name: str) -> str:
    """Path below the scan of a file that the `.jdce` names; its paths are those of Windows.

    A path that would leave the acquisition's folder is none of the scan's, and so is missing.
    """
    parts = [
        *PureWindowsPath(folder.strip().strip("\\/")).parts,
        *PureWindowsPath(name.strip()).parts,
    ]
    return "/".join([*(p for p in place.split("/")[:-1] if p), *parts])
