"""PerkinElmer / Revvity Harmony and Operetta exports with `Index.idx.xml` (version 5)."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

import numpy as np
from numpy.typing import NDArray

from imaging_service.errors import ScanError
from imaging_service.ingest.plan import ImageRef, Limits, PlatePlan
from imaging_service.ingest.tiff_folder import read_tiff, seconds_of
from imaging_service.protocol import Acquisition
from plate_maps import PlateFormat, Well
from plate_maps.wells import whole_number

INDEX = "Index.idx.xml"


class HarmonyReader:
    """Reader "harmony"."""

    name = "harmony"

    def sniff(self, root: Path) -> float:
        """1 if the index is there."""
        return 1.0 if _find_index(root) else 0.0

    def plan(self, root: Path, limits: Limits, acquisition: Acquisition) -> PlatePlan:
        """Read the index; images that it names and that are absent are listed as missing."""
        index = _find_index(root)
        if index is None:
            raise ScanError(
                f"{root} has no {INDEX}, neither in the folder itself nor in Images/; give the"
                " folder of a Harmony export"
            )
        plate, records = _parse(index, limits)
        images: list[ImageRef] = []
        missing: list[ImageRef] = []
        sizes: set[tuple[str, str]] = set()
        channels: dict[str, None] = {}
        names = _channel_names(records)
        seen: set[tuple[object, ...]] = set()
        for record in records:
            channel = names[record["ChannelID"]]
            channels.setdefault(channel)
            sizes.add((record["ImageResolutionX"], record["ImageResolutionY"]))
            relative = f"{index.parent.relative_to(root).as_posix()}/{record['URL']}".removeprefix(
                "./"
            )
            try:
                ref = ImageRef(
                    Well(whole_number(record["Row"]), whole_number(record["Col"])),
                    whole_number(record["FieldID"]),
                    whole_number(record["TimepointID"] or "0") + 1,
                    channel,
                    whole_number(record["PlaneID"] or "1"),
                    relative,
                    exposed_s=_seconds(record["AbsTime"])[0],
                    local_time=_seconds(record["AbsTime"])[1],
                )
            except ValueError as error:
                raise ScanError(f"{index}: image {record['URL']}: {error}") from error
            place = (ref.well, ref.field, ref.time, ref.channel, ref.z)
            if place in seen:
                raise ScanError(
                    f"{index}: well {ref.well}, field {ref.field}, channel {channel!r} is"
                    " listed twice; give the export of one measurement"
                )
            seen.add(place)
            # A name such as ../../etc would leave the scan; vendors write plain file names.
            inside = Path(record["URL"]).name == record["URL"]
            (images if inside and (root / relative).is_file() else missing).append(ref)
        if len(sizes) != 1:
            raise ScanError(
                f"{index}: the images have {len(sizes)} different pixel sizes; all images of a"
                " plate must have the same"
            )
        x, y = sizes.pop()
        if x != y:
            raise ScanError(f"{index}: pixels are not square ({x} × {y} m)")
        notes = (
            [
                f"{len(missing)} image(s) of the index are not in the folder, the first:"
                f" {missing[0].path}"
            ]
            if missing
            else []
        )
        try:
            metres = float(x)
            grid = PlateFormat(
                whole_number(plate["PlateRows"]), whole_number(plate["PlateColumns"])
            )
        except ValueError as error:
            raise ScanError(f"{index}: plate or pixel size: {error}") from error
        return PlatePlan(
            self.name,
            plate["Name"] or root.name,
            root,
            tuple(channels),
            metres * 1e6,
            grid,
            tuple(sorted(images)),
            tuple(notes),
            tuple(sorted(missing)),
        )

    def read(self, plan: PlatePlan, image: ImageRef, limits: Limits) -> NDArray[np.generic]:
        """One plane."""
        return read_tiff(plan.root / image.path, limits)

    def exposed_s(self, plan: PlatePlan, image: ImageRef) -> float | None:
        """When the plane was taken: AbsTime of the index."""
        return image.exposed_s

    def local_clock(self, plan: PlatePlan, image: ImageRef) -> bool:
        """Whether AbsTime has no zone."""
        return image.local_time


def _channel_names(records: list[dict[str, str]]) -> dict[str, str]:
    """Channel id ► name; two channels of one name are told apart by their id."""
    names = {r["ChannelID"]: r["ChannelName"] or r["ChannelID"] for r in records}
    return {
        i: name if list(names.values()).count(name) == 1 else f"{name} ({i})"
        for i, name in names.items()
    }


def _find_index(root: Path) -> Path | None:
    return next((p for p in (root / INDEX, root / "Images" / INDEX) if p.is_file()), None)


def _local(tag: str) -> str:
    return tag.rsplit("}", 1)[-1]


_IMAGE_KEYS = (
    "URL",
    "Row",
    "Col",
    "FieldID",
    "PlaneID",
    "TimepointID",
    "ChannelID",
    "ChannelName",
    "ImageResolutionX",
    "ImageResolutionY",
    "AbsTime",
)
_REQUIRED = ("URL", "Row", "Col", "FieldID", "ChannelID", "ImageResolutionX", "ImageResolutionY")


def _parse(index: Path, limits: Limits) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Values of the plate and of its images.

    They are streamed: the index of a full plate has hundreds of megabytes.
    """
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import iterparse

    size = index.stat().st_size
    if size > limits.xml_bytes:
        raise ScanError(f"{index} has {size:,} bytes, more than the limit of {limits.xml_bytes:,}")
    plate: dict[str, str] = {}
    records: list[dict[str, str]] = []
    try:
        for _, element in iterparse(str(index), events=("end",), forbid_dtd=True):
            tag = _local(element.tag)
            if tag == "Plate" and not plate:
                plate = {key: _text(element, key) for key in ("Name", "PlateRows", "PlateColumns")}
            # Lists of wells hold elements called Image too, without content.
            elif tag == "Image" and len(element):
                record = {key: _text(element, key) for key in _IMAGE_KEYS}
                absent = [key for key in _REQUIRED if not record[key]]
                if absent:
                    raise ScanError(
                        f"{index}: image {_text(element, 'id') or len(records) + 1} has no"
                        f" {', '.join(absent)}; only version 5 of the index is read"
                    )
                records.append(record)
                element.clear()
    except (ParseError, DefusedXmlException) as error:
        raise ScanError(f"{index} is not readable XML: {error}") from error
    if not plate.get("PlateRows") or not records:
        raise ScanError(f"{index} names no plate or no images; export the plate again")
    return plate, records


def _seconds(text: str) -> tuple[float | None, bool]:
    """ISO 8601 as seconds since 1970, and whether it is a local time without zone.

    Harmony writes 1 to 7 decimals of a second, which `fromisoformat` takes from Python 3.11 on.
    """
    try:
        return seconds_of(text)
    except ValueError:
        return None, False


def _text(element: Element, name: str) -> str:
    for child in element:
        if _local(child.tag) == name:
            return (child.text or "").strip()
    return ""
