"""PerkinElmer / Revvity Harmony exports (Operetta, Opera Phenix), versions 4 to 7 of the index.

`Index.idx.xml` (4, 5) describes every image whole; `Index.xml` (6, 7) says what is the same for all
images of a channel once, in a map of channels. Time points count from 0 in version 5 and from 1 in
version 7. Lengths are in metres, and y points up.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from imaging_service.errors import ScanError
from imaging_service.ingest.formats.vendor_xml import attributes, children, elements
from imaging_service.ingest.images.odd_pixels import odd_pixels
from imaging_service.ingest.images.scan_files import ScanFiles, scan_files
from imaging_service.ingest.images.tiff_image import TiffPlanes, survey
from imaging_service.ingest.images.tiff_words import seconds_of
from imaging_service.ingest.optics.flat_field import read_flat_field
from imaging_service.ingest.optics.overlaps import field_shape, overlaps
from imaging_service.ingest.pixel_size import SizeStatement, decide, number_of
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
from segmentation.filters.light_profile import LightProfile

NAMES = ("index.xml", "index.idx.xml")
# Words near the beginning of Harmony's index; other programs call files Index.xml, too.
_WORDS = re.compile(rb"EvaluationInputData|Harmony|<Plates>")
_BEGINNING = 65_536


class HarmonyReader(TiffPlanes):
    """Reader "harmony"."""

    name = "harmony"

    def sniff(self, root: Path) -> float:
        """1 if an index lies in the folder or below it."""
        return 1.0 if indices(scan_files(root, Limits())) else 0.0

    def plan(self, root: Path, limits: Limits, acquisition: Acquisition) -> PlatePlan:
        """Read the index; images that it names and that are absent are listed as missing."""
        files = scan_files(root, limits)
        measurements = indices(files)
        if not measurements:
            raise ScanError(
                f"{root} has no Index.xml or Index.idx.xml of Harmony, neither in the folder itself"
                " nor below it; give the folder of a Harmony export"
            )
        place = measurements[
            one_of(measurements, acquisition.measurement, str(root), "measurement")
        ]
        index = _parse(root / place, limits)
        fmt = plate_of(
            index.plate.get("PlateRows", ""), index.plate.get("PlateColumns", ""), str(root / place)
        )
        if fmt is None or not index.records:
            raise ScanError(f"{root / place} names no plate or no images; export the plate again")
        names = _channel_names(index)
        images, missing = _images(index, names, root / place, place, files, fmt)
        headers = survey(root, (i.path for i in images), limits, words=False)
        broken, odd = odd_pixels(images, headers)
        shape = field_shape(images, headers)
        size = decide(_sizes(index, root / place, place))
        light, unread = _flat_fields(index, names)
        every = (*images, *missing)
        return PlatePlan(
            self.name,
            index.plate.get("Name") or root.name,
            root,
            tuple(names.values()),
            size.um,
            fmt,
            tuple(sorted(images)),
            (),
            tuple(sorted(missing)),
            pixel_size_source=size.source,
            announced=Announced(
                place,
                tuple(sorted({*index.wells, *(i.well for i in every)})),
                len({i.field for i in every}),
                tuple(names.values()),
                len({i.z for i in every}),
                len({i.time for i in every}),
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
class _Index:
    """Texts of the index: of the plate, of its images, of its channels by id, and its wells.

    `from_zero` is whether its version counts time points from 0.
    """

    plate: dict[str, str] = field(default_factory=dict)
    records: list[dict[str, str]] = field(default_factory=list)
    channels: dict[str, dict[str, str]] = field(default_factory=dict)
    wells: list[Well] = field(default_factory=list)
    from_zero: bool = False

    def value(self, record: Mapping[str, str], key: str) -> str:
        """The image's own value, or that of its channel."""
        return record.get(key) or self.channels.get(record.get("ChannelID", ""), {}).get(key, "")


_REQUIRED = ("URL", "Row", "Col", "FieldID", "ChannelID")
_KEPT = (
    *_REQUIRED,
    "PlaneID",
    "TimepointID",
    "ChannelName",
    "ImageResolutionX",
    "ImageResolutionY",
    "PositionX",
    "PositionY",
    "AbsTime",
    "State",
    "FlatfieldProfile",
)


def indices(files: ScanFiles) -> dict[str, str]:
    """Measurement ► path of its index.

    A measurement is called like its folder, without Harmony's own folder `Images`; two indices of
    one folder by their paths.
    """
    paths = [p for p in files.named(*NAMES) if is_index(files.root / p)]
    folders = [re.sub(r"(?:^|/)images$", "", p.rpartition("/")[0], flags=re.I) for p in paths]
    return {
        (folder or ".") if folders.count(folder) == 1 else path: path
        for path, folder in zip(paths, folders, strict=True)
    }


def is_index(path: Path) -> bool:
    """Whether a file of such a name is Harmony's; other programs call files Index.xml, too."""
    if path.name.lower() != "index.xml":
        return True
    with path.open("rb") as stream:
        return bool(_WORDS.search(stream.read(_BEGINNING).replace(b"\0", b"")))  # UTF-16, too


def _parse(path: Path, limits: Limits) -> _Index:
    index = _Index()
    with elements(path, limits) as parts:
        for name, element in parts:
            if name == "Plate" and not index.plate:
                index.plate = children(element)
                index.from_zero = bool(re.search(r"HarmonyV[1-5]\}", element.tag))
            elif name == "Well" and len(element):
                texts = children(element)
                if texts.get("Row") and texts.get("Col"):
                    index.wells.append(_well(texts, path))
            elif name == "Entry" and "ChannelID" in attributes(element):
                texts = {k: v for k, v in children(element).items() if k in _KEPT}
                channel = index.channels.setdefault(attributes(element)["ChannelID"], {})
                channel |= {k: v for k, v in texts.items() if v}
                element.clear()
            # Lists of wells hold elements called Image too, without content.
            elif name == "Image" and len(element):
                texts = children(element)
                absent = [key for key in _REQUIRED if not texts.get(key)]
                if absent:
                    raise ScanError(
                        f"{path}: image {texts.get('id') or len(index.records) + 1} has no"
                        f" {', '.join(absent)}; versions 4 to 7 of the index are read"
                    )
                index.records.append({k: v for k, v in texts.items() if k in _KEPT})
                element.clear()
    return index


def _well(texts: Mapping[str, str], path: Path) -> Well:
    try:
        return Well(whole_number(texts["Row"]), whole_number(texts["Col"]))
    except ValueError as error:
        raise ScanError(f"{path}: a well: {error}") from error


def _channel_names(index: _Index) -> dict[str, str]:
    """Channel id ► name, in the order of the ids; two channels of one name keep their id with it.

    Channels of which no image is listed are announced, too.
    """
    names = {i: texts.get("ChannelName") or i for i, texts in index.channels.items()}
    for record in index.records:
        name = index.value(record, "ChannelName")
        if name or record["ChannelID"] not in names:
            names[record["ChannelID"]] = name or record["ChannelID"]
    if all(is_whole_number(i) for i in names):
        names = dict(sorted(names.items(), key=lambda pair: whole_number(pair[0])))
    return {
        i: name if list(names.values()).count(name) == 1 else f"{name} ({i})"
        for i, name in names.items()
    }


def _images(
    index: _Index,
    names: Mapping[str, str],
    path: Path,
    place: str,
    files: ScanFiles,
    fmt: PlateFormat,
) -> tuple[list[ImageRef], list[ImageRef]]:
    """Images that are there and images that are not."""
    there = frozenset(files.paths)
    folder = place.rpartition("/")[0]
    first = 1 if index.from_zero or any(r.get("TimepointID") == "0" for r in index.records) else 0
    images: list[ImageRef] = []
    missing: list[ImageRef] = []
    seen: set[tuple[object, ...]] = set()
    for record in index.records:
        url, state = record["URL"], record.get("State", "")
        try:
            ref = ImageRef(
                Well(whole_number(record["Row"]), whole_number(record["Col"])),
                whole_number(record["FieldID"]),
                whole_number(record.get("TimepointID") or "1") + first,
                names[record["ChannelID"]],
                whole_number(record.get("PlaneID") or "1"),
                f"{folder}/{url}" if folder else url,
                exposed_s=_seconds(record.get("AbsTime", ""))[0],
                local_time=_seconds(record.get("AbsTime", ""))[1],
                position_um=_position(record),
                reason="" if state in ("", "Ok") else f"Harmony recorded the state {state}",
            )
        except ValueError as error:
            raise ScanError(f"{path}: image {url}: {error}") from error
        if ref.well not in fmt:
            raise ScanError(f"{path}: image {url}: well {ref.well} lies outside the {fmt} plate")
        if (ref.well, ref.field, ref.time, ref.channel, ref.z) in seen:
            raise ScanError(
                f"{path}: well {ref.well}, field {ref.field}, channel {ref.channel!r} is"
                " listed twice; give the export of one measurement"
            )
        seen.add((ref.well, ref.field, ref.time, ref.channel, ref.z))
        # A name such as ../../etc would leave the scan; vendors write plain file names.
        inside = Path(url).name == url
        (images if inside and ref.path in there else missing).append(ref)
    return images, missing


def _sizes(index: _Index, path: Path, place: str) -> list[SizeStatement]:
    """Each size that the index states, once, with the first image that has it."""
    statements: dict[tuple[str, str], SizeStatement] = {}
    for record in index.records:
        x, y = (index.value(record, f"ImageResolution{axis}") for axis in "XY")
        if (x, y) == ("", "") or (x, y) in statements:
            continue
        width, height = (
            number_of(text, f"{path}: image {record['URL']}: ImageResolution{axis}") * 1e6
            for axis, text in (("X", x), ("Y", y))
        )
        statements[x, y] = SizeStatement(
            width,
            height,
            "Harmony index",
            f"{place}, image {record['URL']}",
            well=_well(record, path),
        )
    return list(statements.values())


def _flat_fields(
    index: _Index, names: Mapping[str, str]
) -> tuple[dict[str, LightProfile], tuple[ScanFinding, ...]]:
    """Channel ► the instrument's profile of its light, and findings of the unreadable ones."""
    light, unread = {}, []
    for channel, texts in index.channels.items():
        if "FlatfieldProfile" not in texts:
            continue
        try:
            light[names[channel]] = read_flat_field(texts["FlatfieldProfile"])
        except ValueError as error:
            text = f"channel {names[channel]!r}: its flat-field profile was not read: {error}"
            unread.append(ScanFinding(FindingKind.LEFT_OUT, text))
    return light, tuple(unread)


def _position(record: Mapping[str, str]) -> tuple[float, float] | None:
    """Centre of the field in µm; None where the index has no number."""
    try:
        x, y = float(record.get("PositionX", "")), float(record.get("PositionY", ""))
    except ValueError:
        return None
    return (x * 1e6, y * 1e6) if math.isfinite(x) and math.isfinite(y) else None


def _seconds(text: str) -> tuple[float | None, bool]:
    """ISO 8601 as seconds since 1970, and whether it is a local time without zone.

    Harmony writes 1 to 7 decimals of a second, which `fromisoformat` takes from Python 3.11 on.
    """
    try:
        return seconds_of(text)
    except (ValueError, OverflowError):
        return None, False
