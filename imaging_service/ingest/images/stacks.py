"""Which images of a stack are planes, which are the instrument's projections, which are copies.

MetaXpress keeps planes in folders ZStep_1, ZStep_2 … and projections in ZStep_0 (exports) or in the
folder above (its database). A channel that was taken without z has one image there, and exports
repeat it in every ZStep folder, so that all channels seem to have planes. A maximum over planes and
a projection, or over copies, is not the maximum over the planes: they are told apart per channel.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from imaging_service.ingest.images.tiff_image import Header, same_pixels
from imaging_service.ingest.plan import FindingKind, ImageRef, ScanFinding

Place = tuple[object, ...]


@dataclass(frozen=True)
class Stacked:
    """Images that are planes, projections apart, and findings about both."""

    images: tuple[ImageRef, ...]
    projections: tuple[ImageRef, ...] = ()
    findings: tuple[ScanFinding, ...] = ()


def expanded(images: Iterable[ImageRef], headers: Mapping[str, Header]) -> list[ImageRef]:
    """Each page of a file of several as an image of its own.

    What the file's name says counts where the file has one channel, plane or time point.
    """
    every: list[ImageRef] = []
    for image in images:
        pages = headers[image.path].layout
        channels, planes, times = (len({page[axis] for page in pages}) for axis in range(3))
        every += (
            [
                replace(
                    image,
                    channel=channel if channels > 1 else image.channel,
                    z=z if planes > 1 else image.z,
                    time=time if times > 1 else image.time,
                    index=(number,),
                )
                for number, (channel, z, time) in enumerate(pages, start=1)
            ]
            if pages
            else [image]
        )
    return every


def told_apart(planes: Sequence[ImageRef], without: Sequence[ImageRef]) -> Stacked:
    """Planes of each channel, from images with a plane's number and images without.

    `without` are images outside the folders of planes, or in ZStep_0. In a channel that has planes
    they are projections; in one that has none they are its one image.
    """
    if not planes or not without:
        return Stacked((*planes, *(replace(i, z=1) for i in without)))
    stacked = {i.channel for i in planes}
    single = [i for i in without if i.channel not in stacked]
    projections = tuple(i for i in without if i.channel in stacked)
    findings = []
    if projections:
        findings.append(
            ScanFinding(
                FindingKind.PROJECTIONS,
                f"{len(projections)} projection(s) beside the planes of a stack were left out, the"
                f" first: {projections[0].path}",
            )
        )
    findings += [
        ScanFinding(
            FindingKind.PROJECTIONS,
            f"channel {channel!r} has no planes: its one image per field, a projection or an image"
            " without z, is taken",
        )
        for channel in sorted({i.channel for i in single})
    ]
    return Stacked((*planes, *(replace(i, z=1) for i in single)), projections, tuple(findings))


def without_copies(root: Path, stacked: Stacked, headers: Mapping[str, Header]) -> Stacked:
    """The first plane alone of channels all of whose planes repeat it.

    Decided per channel over all fields, so that no two fields of a channel differ in their planes.
    """
    by_place: dict[str, dict[Place, list[ImageRef]]] = defaultdict(lambda: defaultdict(list))
    for image in stacked.images:
        by_place[image.channel][image.well, image.field, image.time].append(image)
    images: list[ImageRef] = []
    findings = list(stacked.findings)
    for channel, places in by_place.items():
        several = [sorted(of, key=lambda i: i.z) for of in places.values() if len(of) > 1]
        if several and all(_copies(root, of, headers) for of in several):
            kept = [min(of, key=lambda i: i.z) for of in places.values()]
            images += [replace(i, z=1) for i in kept]
            findings.append(
                ScanFinding(
                    FindingKind.COPIES,
                    f"channel {channel!r} was taken without z: the images in its folders of planes"
                    " are copies of one, which is taken once",
                )
            )
        else:
            images += [i for of in places.values() for i in of]
    return replace(stacked, images=tuple(images), findings=tuple(findings))


def copies_in_time(
    root: Path, images: Sequence[ImageRef], headers: Mapping[str, Header]
) -> tuple[ScanFinding, ...]:
    """Images that repeat those of an earlier time point: the channel was not taken again."""
    series: dict[Place, list[ImageRef]] = defaultdict(list)
    for image in images:
        series[image.well, image.field, image.channel, image.z].append(image)
    repeated: dict[tuple[str, int], list[ImageRef]] = defaultdict(list)
    for of in series.values():
        ordered = sorted(of, key=lambda i: i.time)
        for before, after in pairwise(ordered):
            if _copies(root, [before, after], headers):
                repeated[after.channel, after.time].append(after)
    return tuple(
        ScanFinding(
            FindingKind.COPIES,
            f"channel {channel!r}: {len(of)} image(s) of time point {time} are copies of those of"
            " the time point before; the channel was not taken again",
            tuple(sorted({i.well for i in of})),
        )
        for (channel, time), of in sorted(repeated.items())
    )


def _copies(root: Path, images: Sequence[ImageRef], headers: Mapping[str, Header]) -> bool:
    # Pages of one file are not compared: a camera's own stack holds no copies.
    if any(i.index for i in images):
        return False
    starts = {headers[i.path].start for i in images}
    if len(starts) > 1 or starts == {""}:
        return False
    return all(same_pixels(root, images[0].path, i.path) for i in images[1:])
