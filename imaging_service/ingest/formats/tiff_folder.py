"""Folders of single-plane TIFFs that are named by well, field and channel.

Strategy. Names say which image is which; an `.HTD` or `.xdce` beside them says what was announced,
what the channels are called and, for InCell, the pixel size. Every header is read before any pixel:
sizes, types and copies are compared over the whole plate, so that one odd well is named and fails,
and never speaks for the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imaging_service.errors import ScanError
from imaging_service.ingest.formats import cellvoyager, harmony, jdce
from imaging_service.ingest.formats.incell import read_xdce
from imaging_service.ingest.formats.metaxpress import Acquired, read_htd
from imaging_service.ingest.images.odd_pixels import odd_pixels
from imaging_service.ingest.images.scan_files import ScanFiles, scan_files
from imaging_service.ingest.images.stacks import (
    Stacked,
    copies_in_time,
    expanded,
    told_apart,
    without_copies,
)
from imaging_service.ingest.images.tiff_image import Header, read_tiff, survey
from imaging_service.ingest.images.tiff_words import exposed
from imaging_service.ingest.names import (
    Named,
    Taken,
    channel_order,
    image_named,
    is_known,
    parse_names,
    time_points,
)
from imaging_service.ingest.optics.overlaps import field_shape, overlaps
from imaging_service.ingest.pixel_size import PixelSize, Trust, decide
from imaging_service.ingest.plan import (
    FindingKind,
    ImageRef,
    Limits,
    PlatePlan,
    ScanFinding,
)
from imaging_service.ingest.several import one_plate
from imaging_service.protocol import Acquisition
from plate_maps.wells import is_whole_number

# Names of indices by which other readers know the very images that these names only hint at.
INDICES = {
    "harmony": harmony.NAMES,
    "cellvoyager": (cellvoyager.INDEX,),
    "jdce": (jdce.INDEX,),
}
# Numbers of channels up to which those between are announced; above, they are wavelengths.
_MOST_NUMBERED = 32


class TiffFolderReader:
    """Reader "tiff"."""

    name = "tiff"

    def sniff(self, root: Path) -> float:
        """0.5 if any TIFF fits a shipped pattern.

        It is not 1: a vendor's index knows more than names.
        """
        return 0.5 if is_known(_images(scan_files(root, Limits()))) else 0.0

    def plan(self, root: Path, limits: Limits, acquisition: Acquisition) -> PlatePlan:
        """List files by name, and read their headers."""
        files = scan_files(root, limits)
        names = _images(files)
        if not names:
            raise ScanError(f"{root} has no TIFF; give the folder of the plate's images")
        if len(names) > limits.images:
            raise ScanError(
                f"{root} has {len(names):,} TIFFs, more than the limit of {limits.images:,}"
            )
        _refuse_beside_an_index(files)
        named = parse_names(root, names, acquisition.file_pattern)
        measurement, named = _one_plate(root, named, acquisition.measurement)
        neighbours = files.near(named.groups)
        acquired = read_htd(neighbours) or read_xdce(neighbours, limits)
        stacked = _images_of(root, named, () if acquired is None else acquired.waves)
        headers = survey(root, (i.path for i in stacked.images), limits)
        if any(groups.get("z") == "0" for groups in named.groups.values()):
            stacked = without_copies(root, stacked, headers)
        stacked = replace(
            stacked,
            images=tuple(
                replace(i, position_um=headers[i.path].position_um)
                for i in expanded(stacked.images, headers)
            ),
        )
        waves = () if acquired is None else acquired.waves
        waves = waves or _pages_channels(headers)
        size = _pixel_size(stacked, headers, named, acquired)
        broken, odd = odd_pixels(stacked.images, headers)
        shape = field_shape(stacked.images, headers)
        plan = PlatePlan(
            self.name,
            measurement or root.name,
            root,
            _channels(stacked.images, waves),
            size.um,
            None if acquired is None else acquired.format,
            tuple(sorted(stacked.images)),
            pixel_size_source=size.source,
            findings=(
                *size.findings,
                *stacked.findings,
                *copies_in_time(root, stacked.images, headers),
                *odd,
                *overlaps(stacked.images, shape, size.um),
                *_strays(named),
                *files.junk_finding(),
            ),
            projections=stacked.projections,
            broken=broken,
            field_px=shape,
        )
        return plan if acquired is None else _announced(plan, acquired)

    def read(self, plan: PlatePlan, image: ImageRef, limits: Limits) -> NDArray[np.generic]:
        """One plane; the header is checked before memory is allocated."""
        return read_tiff(plan.root / image.path, limits, *image.index)

    def exposed_s(self, plan: PlatePlan, image: ImageRef) -> float | None:
        """From MetaMorph's or OME's description.

        TIFF's own DateTime is not taken: editors write when they saved.
        """
        return image.exposed_s or exposed(plan.root / image.path)[0]

    def local_clock(self, plan: PlatePlan, image: ImageRef) -> bool:
        """Whether the description's time has no zone."""
        return image.local_time or exposed(plan.root / image.path)[1]


def _images(files: ScanFiles) -> tuple[str, ...]:
    """TIFFs without the small pictures that ImageXpress keeps beside them."""
    return tuple(p for p in files.tiffs if "_thumb" not in p.rpartition("/")[2].lower())


def _refuse_beside_an_index(files: ScanFiles) -> None:
    """Refuse to guess from names what an index of the very images says.

    The folder above counts too: users point at the folder of the images.
    """
    above = files.root.resolve().parent
    for reader, names in INDICES.items():
        inside = [str(files.root / p) for p in files.named(*names)]
        outside = [
            str(p)
            for p in sorted(above.glob("*"))
            if any(fnmatch(p.name.lower(), name) for name in names)
        ]
        for index in (*inside, *outside):
            if reader == "harmony" and not harmony.is_index(Path(index)):
                continue
            raise ScanError(
                f"{index} says which image is which, and their pixel size; names alone do not: read"
                f" the folder {Path(index).parent} with acquisition.reader = {reader!r} or 'auto'"
            )


def _one_plate(root: Path, named: Named, wanted: str) -> tuple[str, Named]:
    """The files of one plate; several are refused."""
    stamps = time_points(groups.get("stamp") or "" for groups in named.groups.values())
    images = {
        path: _image(root, path, groups, stamps.get(groups.get("stamp") or ""))
        for path, groups in named.groups.items()
    }
    prefixes = {path: groups.get("plate") or "" for path, groups in named.groups.items()}
    measurement, chosen = one_plate(images, prefixes, str(root), wanted)
    kept = {path: groups for path, groups in named.groups.items() if path in chosen}
    return measurement, replace(named, groups=kept)


def _image(
    root: Path, path: str, groups: Mapping[str, str | None], taken: Taken | None = None
) -> ImageRef:
    try:
        return image_named(groups, path, taken)
    except ValueError as error:
        raise ScanError(f"{root / path}: {error}") from error


def _images_of(root: Path, named: Named, waves: tuple[str, ...]) -> Stacked:
    """Planes, and projections apart; two files of one plane are refused.

    Channels that the files number have the instrument's names, where it gives them.
    """
    names = {str(n): name for n, name in enumerate(waves, start=1)}
    stamps = time_points(groups.get("stamp") or "" for groups in named.groups.values())
    stacked = any(g.get("z") or g.get("token_z") for g in named.groups.values())
    planes: list[ImageRef] = []
    without: list[ImageRef] = []
    places: dict[tuple[object, ...], str] = {}
    for path, groups in named.groups.items():
        image = _image(root, path, groups, stamps.get(groups.get("stamp") or ""))
        has_z = (groups.get("z") or groups.get("token_z")) is not None
        # MetaXpress's ZStep_0 holds projections; other names count planes from 0.
        projected = stacked and (
            not has_z or (named.pattern == "imagexpress" and groups.get("z") == "0")
        )
        place = (image.well, image.field, image.time, image.channel, image.z if has_z else None)
        if place in places:
            raise ScanError(
                f"{path} and {places[place]} are the same plane by name (well {image.well},"
                f" field {image.field}, channel {image.channel}); give one plate's folder, or a"
                " file_pattern that tells them apart"
            )
        places[place] = path
        image = replace(image, channel=names.get(image.channel, image.channel))
        (without if projected else planes).append(image)
    return told_apart(planes, without)


def _channels(images: tuple[ImageRef, ...], waves: tuple[str, ...]) -> tuple[str, ...]:
    """The announced channels in their order, then others that are there.

    Between numbers those that are not there are announced, too, so that numbers stay numbers.
    """
    names = sorted({i.channel for i in images}, key=channel_order)
    if waves:
        return (*waves, *(n for n in names if n not in waves))
    if all(is_whole_number(n) for n in names):
        most = int(names[-1])
        if int(names[0]) >= 1 and most <= _MOST_NUMBERED:
            return tuple(str(n) for n in range(1, most + 1))
    return tuple(names)


def _pages_channels(headers: Mapping[str, Header]) -> tuple[str, ...]:
    """Channels of files of several pages, in their order; none where files differ."""
    orders = {tuple(dict.fromkeys(c for c, _, _ in h.layout)) for h in headers.values()} - {()}
    order = orders.pop() if len(orders) == 1 else ()
    return order if len(order) > 1 else ()


def _pixel_size(
    stacked: Stacked, headers: Mapping[str, Header], named: Named, acquired: Acquired | None
) -> PixelSize:
    statements = [] if acquired is None or acquired.size is None else [acquired.size]
    for image in stacked.images:
        size = headers[image.path].size
        # Harmony writes the sensor's pixel into the tags of its TIFFs, whatever the objective.
        if size is not None and not (named.pattern == "harmony-tiff" and size.trust is Trust.TAG):
            statements.append(replace(size, well=image.well))
    return decide(statements)


def _strays(named: Named) -> tuple[ScanFinding, ...]:
    if not named.strays:
        return ()
    return (
        ScanFinding(
            FindingKind.LEFT_OUT,
            f"{len(named.strays)} TIFF(s) do not fit the file pattern and were left out, the first:"
            f" {named.strays[0]}",
        ),
    )


def _announced(plan: PlatePlan, acquired: Acquired) -> PlatePlan:
    """The plan with what the instrument announced, and the files that it lists and are absent."""
    there = set(plan.files()) | {i.path for i in plan.projections}
    missing = tuple(sorted(i for i in acquired.images if i.path not in there))
    return replace(plan, missing=missing, announced=acquired.announced)
