"""What a scan holds, before any pixel is read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from dataclasses import field as declared
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from imaging_service.incoming.s3 import place
from plate_maps import PlateFormat, Well
from segmentation.filters.light_profile import LightProfile

# A field of a record: a path of this machine, or an address on S3.
Place = Annotated[Path, AfterValidator(place)]


@dataclass(frozen=True)
class Limits:
    """Limits that a hostile or broken scan reaches before memory is allocated."""

    image_pixels: int = 2**28
    images: int = 2_000_000
    xml_bytes: int = 500 * 2**20
    # Folders into which links of a scan may lead, besides the scan itself.
    roots: tuple[Path, ...] = ()


@dataclass(frozen=True, order=True)
class ImageRef:
    """One plane of one channel.

    `path` is relative to the scan; `index` finds the plane inside the file or array. `exposed_s` is
    when the plane was taken, in seconds since 1970, where the scan's index says, and `local_time`
    whether that is a local time without zone. `position_um` is the stage position of the field's
    centre (x to the right, y up), `z_um` the plane's height. `reason` is why the plane is missing,
    in the instrument's own words where it gives any. None of these is part of the plane's identity.

    A missing or broken image with an empty channel stands for all channels of its field and time
    point.
    """

    well: Well
    field: int
    time: int
    channel: str
    z: int
    path: str
    index: tuple[int, ...] = ()
    exposed_s: float | None = declared(default=None, compare=False)
    local_time: bool = declared(default=False, compare=False)
    position_um: tuple[float, float] | None = declared(default=None, compare=False)
    z_um: float | None = declared(default=None, compare=False)
    reason: str = declared(default="", compare=False)


class FindingKind(StrEnum):
    """What a finding about a scan is about."""

    LOST = "lost"  # announced by the instrument, or there in other wells, and not there
    INSTRUMENT = "instrument"  # an error that the instrument recorded
    PIXEL_SIZE = "pixel_size"  # sizes that were doubted, contradicted or not stated
    PIXELS = "pixels"  # types or ranges of intensity that differ between wells
    COPIES = "copies"  # files that repeat another one's pixels
    PROJECTIONS = "projections"  # projections that the instrument stored beside the planes
    LEFT_OUT = "left_out"  # files that are not images of this plate
    OVERLAP = "overlap"  # fields of a well that show the same place


@dataclass(frozen=True)
class ScanFinding:
    """One remark about a scan, for people; `wells` are those that it concerns, none for all."""

    kind: FindingKind
    message: str
    wells: tuple[Well, ...] = ()


@dataclass(frozen=True)
class Announced:
    """What the instrument says that it took; empty or 0 where it does not say.

    `source` names the file that says so; `fields` counts fields per well, `planes` those of the
    longest stack, `times` time points.
    """

    source: str = ""
    wells: tuple[Well, ...] = ()
    fields: int = 0
    channels: tuple[str, ...] = ()
    planes: int = 0
    times: int = 0


@dataclass(frozen=True)
class PlatePlan:
    """All planes of a scan.

    `pixel_size_um` is None where the scan does not say, and `pixel_size_source` says what did.
    `channels` are all those that the instrument announces, in the order of acquisition, with those
    of which no image is there; their numbers count from 1. `notes` are remarks of the reader and,
    once compared, the findings in words; `findings` are what is lost, doubted or left out. `hours`
    are those of the time points by number, where the scan has them for the whole plate. `missing`
    images are not there; `broken` ones are, and cannot be read or compared, so that their wells
    fail with their reason. `projections` are the instrument's own, which are not planes.
    `flat_fields` are the instrument's profiles of the light, by channel, and `field_px` is the
    (Y, X) shape of a field where its positions count.
    """

    reader: str
    name: str
    root: Place
    channels: tuple[str, ...]
    pixel_size_um: float | None
    format: PlateFormat | None
    images: tuple[ImageRef, ...]
    notes: tuple[str, ...] = ()
    missing: tuple[ImageRef, ...] = ()
    hours: Mapping[int, float] = declared(default_factory=dict)
    pixel_size_source: str = ""
    announced: Announced = Announced()
    findings: tuple[ScanFinding, ...] = ()
    projections: tuple[ImageRef, ...] = ()
    broken: tuple[ImageRef, ...] = ()
    flat_fields: Mapping[str, LightProfile] = declared(default_factory=dict)
    field_px: tuple[int, int] = (0, 0)

    @property
    def wells(self) -> tuple[Well, ...]:
        """Scanned wells in order, with those of which all files are absent."""
        return tuple(sorted({i.well for i in (*self.images, *self.missing, *self.broken)}))

    def lost_fields(self) -> dict[tuple[Well, int], str]:
        """(Well, field) ► reason, for fields of which no image at all is there."""
        there = {(i.well, i.field) for i in self.images}
        there |= {(i.well, i.field) for i in self.broken}
        lost: dict[tuple[Well, int], str] = {}
        for image in sorted(self.missing):
            place = (image.well, image.field)
            if place not in there:
                lost[place] = lost.get(place) or image.reason
        return lost

    def files(self) -> tuple[str, ...]:
        """Relative paths of all files, sorted."""
        return tuple(sorted({image.path for image in self.images}))


def by_well(images: Iterable[ImageRef]) -> dict[Well, tuple[ImageRef, ...]]:
    """Planes of each well, sorted by field, time, channel and z."""
    each: dict[Well, list[ImageRef]] = {}
    for image in images:
        each.setdefault(image.well, []).append(image)
    return {well: tuple(sorted(planes)) for well, planes in each.items()}


def plan_digest(plan: PlatePlan) -> str:
    """SHA-256 (hex) of what the plan says of the files: place of each plane, and pixel size.

    Vendors keep that in an index beside the images, so equal images do not mean an equal scan.
    """
    planes = [
        (kind, i.well.name, i.field, i.time, i.channel, i.z, i.path, i.index)
        for kind, images in (("there", plan.images), ("missing", plan.missing))
        for i in images
    ]
    meant: tuple[object, ...] = (plan.reader, plan.channels, plan.pixel_size_um, planes)
    if plan.flat_fields:
        meant = (*meant, sorted(plan.flat_fields.items()))
    return hashlib.sha256(repr(meant).encode()).hexdigest()
