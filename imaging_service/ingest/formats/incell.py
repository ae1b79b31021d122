"""InCell's `.xdce` (IN Cell Analyzer): the images by name, the plate and the pixel size."""

from __future__ import annotations

from xml.etree.ElementTree import Element  # the type only; defusedxml parses

from imaging_service.errors import ScanError
from imaging_service.incoming.file_pattern import FilePattern
from imaging_service.ingest.formats.metaxpress import Acquired
from imaging_service.ingest.formats.vendor_xml import attributes, elements, local
from imaging_service.ingest.images.scan_files import ScanFiles
from imaging_service.ingest.names import PATTERNS, image_named
from imaging_service.ingest.pixel_size import SizeStatement
from imaging_service.ingest.plan import Announced, ImageRef, Limits
from imaging_service.ingest.plate_size import plate_of
from plate_maps import PlateFormat


def read_xdce(files: ScanFiles, limits: Limits) -> Acquired | None:
    """The scan's xdce, or None where there is none.

    Raises ScanError for several of them, and for what is wrong in one, by name.
    """
    paths = files.named("*.xdce")
    if not paths:
        return None
    if len(paths) > 1:
        raise ScanError(
            f"{files.root} holds {len(paths)} acquisitions: {', '.join(paths)}; give the folder of"
            " one"
        )
    path = files.root / paths[0]
    folder = paths[0].rpartition("/")[0]
    pattern = FilePattern(PATTERNS["incell"])
    fmt: PlateFormat | None = None
    size: SizeStatement | None = None
    images: list[ImageRef] = []
    waves: dict[str, int] = {}
    with elements(path, limits) as parts:
        for name, element in parts:
            values = attributes(element)
            if name == "Plate" and "rows" in values:
                fmt = plate_of(values["rows"], values.get("columns", ""), str(path))
            elif name == "ObjectiveCalibration" and "pixel_width" in values:
                size = _size(values, paths[0])
            elif name == "Image" and values.get("filename"):
                image = _image(pattern, values["filename"], folder, str(path))
                images.append(image)
                waves.setdefault(image.channel, _wave(element, len(waves)))
                element.clear()
    if not images:
        raise ScanError(f"{path} names no image; export the plate again")
    return Acquired(
        Announced(
            paths[0],
            tuple(sorted({i.well for i in images})),
            max(i.field for i in images),
            tuple(sorted(waves, key=lambda c: waves[c])),
            max(i.z for i in images),
            len({i.time for i in images}),
        ),
        fmt,
        tuple(sorted(waves, key=lambda c: waves[c])),
        size,
        tuple(images),
    )


def _size(values: dict[str, str], place: str) -> SizeStatement:
    def number(key: str) -> float:
        try:
            return float(values.get(key, ""))
        except ValueError:
            return float("nan")

    return SizeStatement(number("pixel_width"), number("pixel_height"), "InCell index", place)


def _image(pattern: FilePattern, filename: str, folder: str, place: str) -> ImageRef:
    groups = pattern.match(filename)
    if groups is None:
        raise ScanError(
            f"{place}: image {filename!r:.80} is not named as an InCell's; export the plate again"
        )
    try:
        return image_named(groups, f"{folder}/{filename}" if folder else filename)
    except ValueError as error:
        raise ScanError(f"{place}: image {filename!r:.80}: {error}") from error


def _wave(element: Element, otherwise: int) -> int:
    """The channel's place in the order of acquisition."""
    for child in element:
        if local(child.tag) == "Identifier":
            text = attributes(child).get("wave_index", "")
            return int(text) if text.isascii() and text.isdigit() else otherwise
    return otherwise
