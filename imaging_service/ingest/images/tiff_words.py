"""What the words in a TIFF say: its pixel size, and when it was taken.

The words are OME-XML, MetaMorph's XML or ImageJ's text in the description, and the resolution tags.
"""

from __future__ import annotations

import math
import re
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element  # the type only; defusedxml parses

from imaging_service.errors import ImageError, damaged
from imaging_service.ingest.images.multipage import Page, pages_of
from imaging_service.ingest.pixel_size import SizeStatement, Trust

# Far above any plane's own metadata; a longer description is not read.
_MOST_CHARACTERS = 10_000_000
IN_SECONDS = {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "min": 60.0, "h": 3600.0, "d": 86400.0}
IN_UM = {"µm": 1.0, "μm": 1.0, "um": 1.0, "nm": 1e-3, "mm": 1e3}


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


def description_of(path: Path) -> Element | None:
    """The XML in a TIFF's description; None for any other text. Raises what the library does."""
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        return _metadata(tiff)


def _metamorph(metadata: Element) -> dict[str, str]:
    """MetaMorph's properties by id; empty for OME-XML."""
    return {prop.get("id", ""): prop.get("value", "") for prop in metadata.iter("prop")}


def exposed(path: Path) -> tuple[float | None, bool]:
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
        after = float(text) * IN_SECONDS[plane.get("DeltaTUnit", "s")]
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


def stated(
    tiff: Any, name: str, path: str
) -> tuple[SizeStatement | None, tuple[float, float] | None]:
    """Pixel size by the file's strongest source, and stage position in µm; None where unsaid."""
    metadata = _metadata(tiff)
    size, position = None, None
    if metadata is not None:
        size = _size_by_ome(metadata, name, path) or _size_by_metamorph(metadata, path)
        position = _position(metadata)
    return size or _size_by_imagej(tiff, path) or _size_by_tags(tiff, path), position


def layout_of(tiff: Any, name: str) -> tuple[Page, ...]:
    """What each page of a file of several is, by OME-XML; empty where it does not say."""
    metadata = _metadata(tiff)
    pages = () if metadata is None else pages_of(metadata, name)
    return pages if len(pages) > 1 and _has_exactly(tiff, len(pages)) else ()


def _has_exactly(tiff: Any, count: int) -> bool:
    # Counting all pages would follow a hostile chain of a million.
    try:
        tiff.pages[count - 1]
    except IndexError:
        return False
    try:
        tiff.pages[count]
    except IndexError:
        return True
    return False


def _position(metadata: Element) -> tuple[float, float] | None:
    """MetaMorph's position of the stage, which is in µm."""
    settings = _metamorph(metadata)
    x, y = (_number(settings.get(f"stage-position-{axis}", "")) for axis in "xy")
    return (x, y) if math.isfinite(x) and math.isfinite(y) else None


def _size_by_ome(metadata: Element, name: str, path: str) -> SizeStatement | None:
    image, _ = _ome_plane(metadata, name)
    pixels = None if image is None else image.find("{*}Pixels[@PhysicalSizeX]")
    if pixels is None:
        return None
    x, y = pixels.get("PhysicalSizeX", ""), pixels.get("PhysicalSizeY")
    of_x = IN_UM.get(pixels.get("PhysicalSizeXUnit", "µm"))
    of_y = IN_UM.get(pixels.get("PhysicalSizeYUnit", "µm"))
    if of_x is None or of_y is None:
        return None
    width = _number(x) * of_x
    return SizeStatement(
        width, width if y is None else _number(y) * of_y, "OME-XML", path, Trust.FILE
    )


def _size_by_metamorph(metadata: Element, path: str) -> SizeStatement | None:
    settings = _metamorph(metadata)
    units = settings.get("spatial-calibration-units", "")
    calibrated = settings.get("spatial-calibration-state", "on") != "off"
    if not calibrated or not (units in IN_UM or units.startswith("micron")):
        return None
    factor = IN_UM.get(units, 1.0)
    x = _number(settings.get("spatial-calibration-x", "")) * factor
    y = settings.get("spatial-calibration-y")
    return SizeStatement(
        x, x if y is None else _number(y) * factor, "MetaMorph calibration", path, Trust.FILE
    )


def _size_by_imagej(tiff: Any, path: str) -> SizeStatement | None:
    text = str(tiff.pages.first.description or "")
    unit = re.search(r"^unit=(micron|um|µm|\\u00B5m|nm|mm)\s*$", text, re.MULTILINE)
    per_unit = _resolution(tiff)
    if not text.startswith("ImageJ=") or unit is None or per_unit is None:
        return None
    factor = IN_UM.get(unit[1], 1.0)
    return SizeStatement(
        factor / per_unit[0], factor / per_unit[1], "ImageJ calibration", path, Trust.FILE
    )


def _size_by_tags(tiff: Any, path: str) -> SizeStatement | None:
    unit_tag, per_unit = tiff.pages.first.tags.get("ResolutionUnit"), _resolution(tiff)
    if per_unit is None or unit_tag is None or int(unit_tag.value) != 3:
        return None  # dots per inch are a printer's setting that editors write into every file
    return SizeStatement(1e4 / per_unit[0], 1e4 / per_unit[1], "resolution tags", path, Trust.TAG)


def _resolution(tiff: Any) -> tuple[float, float] | None:
    """Pixels per unit in x and y; None where a tag is absent or 0."""
    both = []
    for name in ("XResolution", "YResolution"):
        tag = tiff.pages.first.tags.get(name)
        across, per = tag.value if tag is not None else (0, 1)
        if not across or not per:
            return None
        both.append(across / per)
    return both[0], both[1]


def _number(text: str) -> float:
    """The number, or NaN: a size that cannot be read is refused with the other impossible ones."""
    try:
        return float(text)
    except ValueError:
        return float("nan")
