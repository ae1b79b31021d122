"""OME-TIFF plates: one description (OME-XML) says which page of which file is which plane.

The description is a `.companion.ome` beside the files, or stands in one of them, which then speaks
for all. Rows, columns, channels, planes and time points count from 0 in it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree.ElementTree import Element  # the type only; defusedxml parses

from imaging_service.errors import ImageError, ScanError, damaged
from imaging_service.ingest.formats.vendor_xml import elements
from imaging_service.ingest.images.multipage import Page, placed_planes
from imaging_service.ingest.images.odd_pixels import odd_pixels
from imaging_service.ingest.images.scan_files import ScanFiles, scan_files
from imaging_service.ingest.images.tiff_image import TiffPlanes, survey
from imaging_service.ingest.images.tiff_words import (
    IN_SECONDS,
    IN_UM,
    description_of,
    seconds_of,
)
from imaging_service.ingest.optics.overlaps import field_shape, overlaps
from imaging_service.ingest.pixel_size import SizeStatement, decide
from imaging_service.ingest.plan import Announced, ImageRef, Limits, PlatePlan
from imaging_service.ingest.plate_size import plate_of
from imaging_service.ingest.several import one_of
from imaging_service.protocol import Acquisition
from plate_maps import FORMATS, PlateFormat, Well
from plate_maps.wells import whole_number

COMPANION = "*.companion.ome"
_TIFFS = ("*.ome.tif", "*.ome.tiff")
# Files that are opened to find the one that speaks for all.
_MOST_OPENED = 50
_BEGINNING = 2**20


class OmeTiffReader(TiffPlanes):
    """Reader "ome-tiff"."""

    name = "ome-tiff"

    def sniff(self, root: Path) -> float:
        """1 if a companion describes a plate, 0.4 if the words of an OME-TIFF do.

        Names that fit a shipped pattern come before words: they are the instrument's.
        """
        files = scan_files(root, Limits())
        if any(_names_a_plate(root / p) for p in files.named(COMPANION)):
            return 1.0
        return 0.4 if _speaker(files) else 0.0

    def plan(self, root: Path, limits: Limits, acquisition: Acquisition) -> PlatePlan:
        """Read the description; planes that it names and whose files are absent are missing."""
        files = scan_files(root, limits)
        companions = {p: p for p in files.named(COMPANION) if _names_a_plate(root / p)}
        if companions:
            place = one_of(companions, acquisition.measurement, str(root), "companion file")
            with elements(root / place, limits) as parts:
                ome = [element for _, element in parts][-1]
        else:
            place = _speaker(files)
            described = description_of(root / place) if place else None
            if described is None:
                raise ScanError(
                    f"{root} has no companion file (.companion.ome) and no OME-TIFF whose words"
                    " describe a plate"
                )
            ome = described
        try:
            return self._planned(root, place, ome, files, limits, acquisition)
        except ValueError as error:
            raise ScanError(f"{root / place}: {error}; export the plate again") from error

    def _planned(
        self,
        root: Path,
        place: str,
        ome: Element,
        files: ScanFiles,
        limits: Limits,
        acquisition: Acquisition,
    ) -> PlatePlan:
        plates = {
            p.get("Name") or p.get("ID") or str(n): p
            for n, p in enumerate(ome.findall("{*}Plate"), start=1)
        }
        chosen = one_of(plates, "" if len(plates) == 1 else acquisition.measurement, place, "plate")
        fields = list(_fields(plates[chosen], ome, str(root / place)))
        channels = _channels([pixels for *_, pixels in fields], str(root / place))
        there = frozenset(files.paths)
        images: list[ImageRef] = []
        missing: list[ImageRef] = []
        for well, number, image, pixels in fields:
            if image is None or pixels is None:
                reason = "the description names no image of it"
                missing.append(ImageRef(well, number, 1, "", 1, place, reason=reason))
                continue
            position, (times, local) = _position(pixels), _clock(image, pixels, channels)
            planes = placed_planes(pixels)
            _refuse_twice([plane for *_, plane in planes], f"{root / place}: well {well}", number)
            missing += _unnamed(ImageRef(well, number, 1, "", 1, place), planes, pixels, channels)
            for file, page, plane in planes:
                path = _beside(place, file)
                ref = ImageRef(
                    well,
                    number,
                    plane[2],
                    plane[0],
                    plane[1],
                    path,
                    (page + 1,),
                    position_um=position,
                    exposed_s=times.get(plane),
                    local_time=local,
                )
                (images if path in there else missing).append(ref)
                if len(images) + len(missing) > limits.images:
                    raise ScanError(f"{root / place} has more than {limits.images:,} planes")
        if not images and not missing:
            raise ScanError(f"{root / place} names no plane; export the plate again")
        headers = survey(root, sorted({i.path for i in images}), limits, words=False)
        broken, odd = odd_pixels(images, headers)
        size = decide(
            statement
            for well, _, _, pixels in fields
            if pixels is not None and (statement := _size(pixels, place, well)) is not None
        )
        shape = field_shape(images, headers)
        every = (*images, *missing)
        return PlatePlan(
            self.name,
            chosen if plates[chosen].get("Name") else root.name,
            root,
            channels,
            size.um,
            _format(plates[chosen], {i.well for i in every}, str(root / place)),
            tuple(sorted(images)),
            (),
            tuple(sorted(missing)),
            pixel_size_source=size.source,
            announced=Announced(
                place,
                tuple(sorted({i.well for i in every})),
                len({i.field for i in every}),
                channels,
                len({i.z for i in every}),
                len({i.time for i in every}),
            ),
            findings=(
                *size.findings,
                *odd,
                *overlaps(images, shape, size.um),
                *files.junk_finding(),
            ),
            broken=broken,
            field_px=shape,
        )


def _names_a_plate(path: Path) -> bool:
    """Whether the beginning of a companion has a plate; others describe positions without wells."""
    with path.open("rb") as stream:
        beginning = stream.read(_BEGINNING).replace(b"\0", b"")
    return b"<Plate " in beginning or b":Plate " in beginning or b"<Plate>" in beginning


def _speaker(files: ScanFiles) -> str:
    """The OME-TIFF whose words describe a plate; empty where none of the first ones does."""
    for path in files.named(*_TIFFS)[:_MOST_OPENED]:
        try:
            with damaged(ImageError, path):
                words = description_of(files.root / path)
        except ImageError:
            continue
        if words is not None and words.find("{*}Plate") is not None:
            return path
    return ""


def _fields(
    plate: Element, ome: Element, place: str
) -> Iterator[tuple[Well, int, Element | None, Element | None]]:
    """(well, field from 1, its Image, its Pixels) in the order of the samples' indices."""
    by_id = {image.get("ID"): image for image in ome.findall("{*}Image")}
    for well in plate.findall("{*}Well"):
        named = Well(
            whole_number(well.get("Row", "")) + 1, whole_number(well.get("Column", "")) + 1
        )
        samples = sorted(
            well.findall("{*}WellSample"), key=lambda s: whole_number(s.get("Index", "0"))
        )
        for number, sample in enumerate(samples, start=1):
            ref = sample.find("{*}ImageRef")
            image = None if ref is None else by_id.get(ref.get("ID"))
            if ref is not None and image is None:
                raise ScanError(
                    f"{place}: well {named}, field {number}: its image {ref.get('ID')!r:.40} is not"
                    " described"
                )
            yield named, number, image, None if image is None else image.find("{*}Pixels")


def _refuse_twice(planes: list[Page], where: str, number: int) -> None:
    """Refuse a plane that two pages are said to be: their maximum would be taken for it."""
    twice = next((plane for plane, count in Counter(planes).items() if count > 1), None)
    if twice is not None:
        channel, z, time = twice
        raise ScanError(
            f"{where}, field {number}, channel {channel!r}, plane {z}, time point {time}: two pages"
            " are said to be this plane; export the plate again"
        )


def _unnamed(
    field: ImageRef,
    planes: list[tuple[str, int, Page]],
    pixels: Element,
    channels: tuple[str, ...],
) -> list[ImageRef]:
    """Planes that the sizes announce and that no page claims."""
    if not planes:
        return [replace(field, reason="the description names no plane of it")]
    there = {plane for *_, plane in planes}
    depth, times = (range(1, whole_number(pixels.get(f"Size{a}", "1")) + 1) for a in "ZT")
    return [
        replace(field, time=t, channel=c, z=z, reason="the description names no page of it")
        for c in channels
        for z in depth
        for t in times
        if (c, z, t) not in there
    ]


def _channels(every: list[Element | None], place: str) -> tuple[str, ...]:
    """Names of the channels, which all fields have in common."""
    orders = []
    for pixels in every:
        if pixels is None:
            continue
        count = whole_number(pixels.get("SizeC", "1"))
        named = [c.get("Name") or str(n) for n, c in enumerate(pixels.findall("{*}Channel"), 1)]
        order = tuple(named) if len(set(named)) == count else tuple(map(str, range(1, count + 1)))
        if order not in orders:
            orders.append(order)
    if len(orders) != 1:
        raise ScanError(
            f"{place}: its fields have {len(orders)} different lists of channels, such as"
            f" {'; '.join(', '.join(order) for order in orders[:2]) or 'none'}"
        )
    return orders[0]


def _position(pixels: Element) -> tuple[float, float] | None:
    """Stage position of the field, where its first plane states one in a unit of length."""
    plane = pixels.find("{*}Plane[@PositionX]")
    if plane is None:
        return None
    values = [
        _number(plane.get(f"Position{axis}"))
        * IN_UM.get(plane.get(f"Position{axis}Unit", ""), math.nan)
        for axis in "XY"
    ]
    return (values[0], values[1]) if all(map(math.isfinite, values)) else None


def _size(pixels: Element, place: str, well: Well) -> SizeStatement | None:
    x, y = (pixels.get(f"PhysicalSize{axis}") for axis in "XY")
    units = [IN_UM.get(pixels.get(f"PhysicalSize{axis}Unit", "µm")) for axis in "XY"]
    if x is None or units[0] is None or units[1] is None:
        return None
    width = _number(x) * units[0]
    height = width if y is None else _number(y) * units[1]
    return SizeStatement(width, height, "OME-XML", place, well=well)


def _clock(
    image: Element, pixels: Element, channels: tuple[str, ...]
) -> tuple[dict[Page, float], bool]:
    """Plane ► seconds since 1970, and whether they are of a local time without zone.

    A plane without DeltaT has no time of its own; where no plane has one the image's date counts.
    """
    date = image.findtext("{*}AcquisitionDate")
    if date is None:
        return {}, False
    try:
        began, local = seconds_of(date)
    except (ValueError, OverflowError):
        return {}, False
    planes = pixels.findall("{*}Plane[@DeltaT]")
    if not planes:
        return {page: began for *_, page in placed_planes(pixels)}, local
    times: dict[Page, float] = {}
    for plane in planes:
        c, z, t = (whole_number(plane.get(f"The{axis}", "0")) for axis in "CZT")
        after = _number(plane.get("DeltaT")) * IN_SECONDS.get(
            plane.get("DeltaTUnit", "s"), math.nan
        )
        if c < len(channels) and math.isfinite(after):
            times[channels[c], z + 1, t + 1] = began + after
    return times, local


def _number(text: Any) -> float:
    try:
        return float(text)
    except (TypeError, ValueError):
        return math.nan


def _format(plate: Element, wells: set[Well], place: str) -> PlateFormat | None:
    """The plate's format; None where it is not a standard one. Raises ScanError."""
    declared = plate_of(plate.get("Rows", ""), plate.get("Columns", ""), place)
    if declared is None or declared not in FORMATS.values():
        return None
    outside = sorted(well for well in wells if well not in declared)
    if outside:
        raise ScanError(f"{place}: well {outside[0]} lies outside the {declared} plate")
    return declared


def _beside(place: str, name: str) -> str:
    """Path below the scan of a file that the description names, or of its own file."""
    if not name:
        return place
    return str(PurePosixPath(place).parent / name.replace("\\", "/"))
