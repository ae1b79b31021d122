"""Folders of single-plane TIFFs that are named by well, field and channel."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element  # the type only; defusedxml parses

import numpy as np
from numpy.typing import NDArray

from imaging_service.errors import ImageError, ScanError, damaged
from imaging_service.file_pattern import FilePattern
from imaging_service.ingest.plan import ImageRef, Limits, PlatePlan
from imaging_service.protocol import Acquisition
from plate_maps import Well
from plate_maps.wells import is_whole_number, row_number, whole_number

# The common exports. Groups: well, or row and column; field, channel, z, time where the name has
# them. Folders count for ImageXpress only, which keeps time points and planes in folders of their
# own.
PATTERNS: dict[str, str] = {
    "imagexpress": (
        r"(?:.*TimePoint_(?P<time>\d+)/)?(?:.*ZStep_(?P<z>\d+)/)?(?:.*/)?[^/]*?_(?P<well>[A-Z]{1,2}\d{2})(?:_s(?P<field>\d+))?(?:_w(?P<channel>\d))?(?:[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12})?(?:\.ome)?\.tiff?$"
    ),
    "harmony-tiff": (
        r"(?:.*/)?r(?P<row>\d+)c(?P<column>\d+)f(?P<field>\d+)p(?P<z>\d+)-ch(?P<channel>\d+)(?:sk(?P<time>\d+))?[^/]*\.tiff?$"
    ),
    "cellvoyager": (
        r"(?:.*/)?[^/]*_(?P<well>[A-Z]{1,2}\d{2})_T(?P<time>\d+)F(?P<field>\d+)L\d+A\d+Z(?P<z>\d+)C(?P<channel>\d+)\.tiff?$"
    ),
    "incell": (
        r"(?:.*/)?(?P<row>[A-Z]{1,2}) - (?P<column>\d+)\(fld (?P<field>\d+) wv"
        r" (?P<channel>[^)]+?)(?: z (?P<z>\d+))?\)\.tiff?$"
    ),
    "cellomics": r"(?:.*/)?[^/]*_(?P<well>[A-Z]{1,2}\d{2})f(?P<field>\d+)d(?P<channel>\d+)\.tiff?$",
    "bbbc013": r"(?:.*/)?Channel(?P<channel>\d+)-\d+-(?P<row>[A-Z])-(?P<column>\d+)\.tiff?$",
}

# Far above any plane's own metadata; a longer description is not read.
_MOST_CHARACTERS = 10_000_000


class TiffFolderReader:
    """Reader "tiff"."""

    name = "tiff"

    def sniff(self, root: Path) -> float:
        """0.5 if one of the first TIFFs fits a shipped pattern.

        It is not 1: a vendor's index knows more than names.
        """
        shipped = [FilePattern(pattern) for pattern in PATTERNS.values()]
        for path in _first_tiffs(root, 50):
            relative = path.relative_to(root).as_posix()
            if any(pattern.match(relative) is not None for pattern in shipped):
                return 0.5
        return 0.0

    def plan(self, root: Path, limits: Limits, acquisition: Acquisition) -> PlatePlan:
        """List files by name; one header is read for the pixel size."""
        files = sorted(
            p
            for p in root.rglob("*")
            if p.suffix.lower() in {".tif", ".tiff"} and "_thumb" not in p.name
        )
        if not files:
            raise ScanError(f"{root} has no TIFF; give the folder of the plate's images")
        if len(files) > limits.images:
            raise ScanError(
                f"{root} has {len(files):,} TIFFs, more than the limit of {limits.images:,}"
            )
        relative = [p.relative_to(root).as_posix() for p in files]
        pattern = self._pattern(root, relative, acquisition.file_pattern)
        matches = {name: pattern.match(name) for name in relative}
        strays = [name for name, match in matches.items() if match is None]
        stacked = any(m and m.get("z") for m in matches.values())
        # Among the planes of a stack, a file without plane number is the instrument's own
        # projection.
        projections = [n for n, m in matches.items() if m and stacked and "z" in m and not m["z"]]
        images: list[ImageRef] = []
        places: dict[tuple[object, ...], str] = {}
        for name, match in matches.items():
            if match is None or name in projections:
                continue
            try:
                image = _image(match, name)
            except ValueError as error:
                raise ScanError(f"{root / name}: {error}") from error
            place = (image.well, image.field, image.time, image.channel, image.z)
            if place in places:
                raise ScanError(
                    f"{name} and {places[place]} are the same plane by name (well {image.well},"
                    f" field {image.field}, channel {image.channel}); give one plate's folder, or a"
                    " file_pattern that tells them apart"
                )
            places[place] = name
            images.append(image)
        notes = (
            [
                f"{len(strays)} TIFF(s) do not fit the file pattern and were left out, the first:"
                f" {strays[0]}"
            ]
            if strays
            else []
        )
        if projections:
            notes.append(
                f"{len(projections)} projection(s) beside the planes of a stack were left out, the"
                f" first: {projections[0]}"
            )
        channels = tuple(sorted({i.channel for i in images}, key=_channel_order))
        size = _pixel_size(root / images[0].path)
        return PlatePlan(
            self.name, root.name, root, channels, size, None, tuple(sorted(images)), tuple(notes)
        )

    def read(self, plan: PlatePlan, image: ImageRef, limits: Limits) -> NDArray[np.generic]:
        """One plane; the header is checked before memory is allocated."""
        return read_tiff(plan.root / image.path, limits)

    def exposed_s(self, plan: PlatePlan, image: ImageRef) -> float | None:
        """From MetaMorph's or OME's description.

        TIFF's own DateTime is not taken: editors write when they saved.
        """
        return _exposed(plan.root / image.path)[0]

    def local_clock(self, plan: PlatePlan, image: ImageRef) -> bool:
        """Whether the description's time has no zone."""
        return _exposed(plan.root / image.path)[1]

    @staticmethod
    def _pattern(root: Path, names: list[str], wanted: str) -> FilePattern:
        if wanted in PATTERNS:
            candidates = {wanted: PATTERNS[wanted]}
        elif "(" in wanted:
            candidates = {"the protocol's pattern": wanted}
        elif wanted == "auto":
            candidates = PATTERNS
        else:
            raise ScanError(
                f"unknown file_pattern {wanted!r}; shipped: {', '.join(PATTERNS)}, or a regular"
                " expression with named groups"
            )
        compiled = {key: FilePattern(text) for key, text in candidates.items()}
        hits = {
            key: sum(1 for n in names[:2000] if p.match(n) is not None)
            for key, p in compiled.items()
        }
        best = max(hits, key=lambda key: hits[key])
        if hits[best] == 0:
            raise ScanError(
                f"no TIFF in {root} fits {', '.join(candidates)}; the first is called {names[0]};"
                " set acquisition.file_pattern in the protocol"
            )
        return compiled[best]


def _first_tiffs(root: Path, count: int) -> list[Path]:
    tiffs: list[Path] = []
    for path in root.rglob("*"):
        if path.suffix.lower() in {".tif", ".tiff"}:
            tiffs.append(path)
            if len(tiffs) >= count:
                break
    return tiffs


def _image(groups: dict[str, str | None], name: str) -> ImageRef:
    if groups.get("well"):
        well = Well.parse(str(groups["well"]))
    else:
        row, column = str(groups.get("row")), str(groups.get("column"))
        well = Well(
            whole_number(row) if is_whole_number(row) else row_number(row), whole_number(column)
        )
    number = {key: whole_number(groups.get(key) or "1") for key in ("field", "z", "time")}
    channel = str(groups.get("channel") or "1")
    if is_whole_number(channel):
        channel = str(whole_number(channel))
    return ImageRef(well, number["field"], number["time"], channel, number["z"], name)


def _channel_order(channel: str) -> tuple[bool, int, str]:
    """Numbered channels by their number, before named ones."""
    numbered = is_whole_number(channel)
    return not numbered, whole_number(channel) if numbered else 0, channel


def read_tiff(path: Path, limits: Limits) -> NDArray[np.generic]:
    """Page 0 of a TIFF as (Y, X).

    Raises ImageError for anything but a whole, grey, sensibly sized plane.
    """
    import tifffile

    if not path.is_file():
        raise ImageError(f"{path.name}: the file is missing")
    with damaged(ImageError, path.name), tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        if _has_second_page(tiff):
            raise ImageError(
                f"{path.name}: the file holds several pages; one file per plane is expected, and"
                " the other pages would be lost"
            )
        shape = page.shape
        if len(shape) != 2:
            raise ImageError(
                f"{path.name}: the image has shape {shape}; a single grey plane is expected"
            )
        if shape[0] * shape[1] > limits.image_pixels or 0 in shape:
            raise ImageError(f"{path.name}: {shape[0]} × {shape[1]} pixels is not a camera image")
        expected = sum(page.databytecounts)
        available = path.stat().st_size
        if any(
            o + n > available for o, n in zip(page.dataoffsets, page.databytecounts, strict=True)
        ):
            raise ImageError(
                f"{path.name}: the file is cut short ({available:,} bytes, {expected:,} of pixels"
                " are declared)"
            )
        return np.asarray(page.asarray())


def _has_second_page(tiff: Any) -> bool:
    # Counting all pages would follow a hostile chain of a million.
    try:
        tiff.pages[1]
    except IndexError:
        return False
    return True


_IN_SECONDS = {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "min": 60.0, "h": 3600.0, "d": 86400.0}
_IN_UM = {"µm": 1.0, "um": 1.0, "nm": 1e-3, "mm": 1e3}


def _metadata(tiff: Any) -> Element | None:
    """The XML that OME and MetaMorph write as description; None for any other text."""
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    text = (tiff.pages.first.description or "").strip()
    if not text.startswith("<") or len(text) > _MOST_CHARACTERS:
        return None
    try:
        root: Element = fromstring(text)
    except (ParseError, DefusedXmlException, ValueError):
        return None
    return root


def _metamorph(metadata: Element) -> dict[str, str]:
    """MetaMorph's properties by id; empty for OME-XML."""
    return {prop.get("id", ""): prop.get("value", "") for prop in metadata.iter("prop")}


def _exposed(path: Path) -> tuple[float | None, bool]:
    """Seconds since 1970 by the description, and whether they are of a local time without zone."""
    import tifffile

    with suppress(ImageError), damaged(ImageError, path.name), tifffile.TiffFile(path) as tiff:
        metadata = _metadata(tiff)
        if metadata is None:
            return None, False
        if text := _metamorph(metadata).get("acquisition-time-local"):
            taken = datetime.strptime(text, "%Y%m%d %H:%M:%S.%f")
            return taken.replace(tzinfo=UTC).timestamp(), True
        return _by_ome(metadata, path.name)
    return None, False


def _by_ome(metadata: Element, name: str) -> tuple[float | None, bool]:
    """The image's AcquisitionDate and the plane's DeltaT after it; without date, DeltaT alone."""
    image, plane = _ome_plane(metadata, name)
    if image is None:
        return None, False
    after = None
    if plane is not None and (text := plane.get("DeltaT")):
        after = float(text) * _IN_SECONDS[plane.get("DeltaTUnit", "s")]
    date = image.findtext("{*}AcquisitionDate")
    if date is None:
        return (after if after else None), False
    began, local = seconds_of(date)
    return began + (after or 0.0), local


def _ome_plane(metadata: Element, name: str) -> tuple[Element | None, Element | None]:
    """The Image and the Plane of the file's first page.

    One description may speak of all files of a series; then TiffData names each one's planes.
    """
    images = metadata.findall(".//{*}Image")
    for image in images:
        for part in image.iterfind(".//{*}TiffData"):
            named = any(u.get("FileName") == name for u in part.iterfind("{*}UUID"))
            if named and part.get("IFD", "0") == "0":
                place = {f"The{k}": part.get(f"First{k}", "0") for k in "ZCT"}
                planes = image.iterfind(".//{*}Plane")
                of_file = (p for p in planes if all(p.get(k) == v for k, v in place.items()))
                return image, next(of_file, None)
    if len(images) != 1:
        return (images[0] if images else None), None
    every = images[0].findall(".//{*}Plane")
    return images[0], every[0] if len(every) == 1 else None


def seconds_of(text: str) -> tuple[float, bool]:
    """ISO 8601 as seconds since 1970, and whether it is a local time without zone.

    A time without zone counts as UTC, whatever the machine's own zone. Raises ValueError.
    """
    taken = datetime.fromisoformat(text)
    local = taken.tzinfo is None
    return (taken.replace(tzinfo=UTC) if local else taken).timestamp(), local


def _pixel_size(path: Path) -> float | None:
    """Pixel size in µm from OME-XML, MetaMorph or resolution tags with a unit, or None."""
    import tifffile

    # A damaged first file fails its own well when it is read; here it only has no size.
    with suppress(ImageError), damaged(ImageError, path.name), tifffile.TiffFile(path) as tiff:
        page, metadata = tiff.pages.first, _metadata(tiff)
        if metadata is not None:
            pixels = metadata.find(".//{*}Pixels[@PhysicalSizeX]")
            if pixels is not None:
                factor = _IN_UM.get(pixels.get("PhysicalSizeXUnit", "µm"))
                return None if factor is None else float(pixels.get("PhysicalSizeX", "")) * factor
            settings = _metamorph(metadata)
            units = settings.get("spatial-calibration-units", "")
            if units in {"um", "µm"} or units.startswith("micron"):
                return float(settings.get("spatial-calibration-x", "0")) or None
        resolution, unit_tag = page.tags.get("XResolution"), page.tags.get("ResolutionUnit")
        if resolution is None or unit_tag is None or int(unit_tag.value) != 3:
            return None  # dots per inch are a printer's setting that editors write into every file
        across, per = resolution.value
        return 1e4 * per / across if across else None
    return None
