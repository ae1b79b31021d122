"""Images whose intensities cannot be compared with those of other wells.

An 8-bit well among 16-bit ones, or a well whose camera values were shifted, reads as an effect of
its treatment. Such an image fails its well, and a finding names it. What most wells have counts.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from imaging_service.ingest.images.tiff_image import Header
from imaging_service.ingest.plan import FindingKind, ImageRef, ScanFinding
from plate_maps import Well

T = TypeVar("T", str, bool)

# Which of two types, or of shifted and unshifted values, counts where as many wells have either.
_FIRST: Mapping[object, int] = {"uint16": 2, "uint8": 1, False: 2}


def odd_pixels(
    images: Sequence[ImageRef], headers: Mapping[str, Header]
) -> tuple[tuple[ImageRef, ...], tuple[ScanFinding, ...]]:
    """Images that are damaged, coloured or of another type than most wells, and findings."""
    by_channel: dict[str, list[ImageRef]] = defaultdict(list)
    for image in images:
        by_channel[image.channel].append(image)
    reasons: dict[ImageRef, str] = {}
    for of in by_channel.values():
        read = [i for i in of if not headers[i.path].fault]
        reasons |= {i: headers[i.path].fault for i in of if headers[i.path].fault}
        reasons |= {
            i: "the file holds several pages; one file per plane is expected, and the other pages"
            " would be lost"
            for i in read
            if headers[i.path].pages > 1 and not i.index
        }
        kind = _most({i: headers[i.path].dtype for i in read})
        shifted = {i: v for i in read if (v := headers[i.path].left_aligned) is not None}
        usual = _most(shifted)
        for image in read:
            if headers[image.path].dtype != kind:
                reasons[image] = (
                    f"its pixels are {headers[image.path].dtype}, those of most wells {kind}: their"
                    " intensities cannot be compared"
                )
            elif usual is False and shifted.get(image):
                reasons[image] = (
                    "its intensities are multiples of 16, as of a 12-bit camera whose values were"
                    " shifted to the left; those of other wells are not"
                )
    broken = tuple(sorted(replace(i, reason=_named(i.path, why)) for i, why in reasons.items()))
    findings = tuple(
        ScanFinding(FindingKind.PIXELS, f"well {i.well}: {i.reason}", (i.well,)) for i in broken
    )
    return broken, findings


def _named(path: str, why: str) -> str:
    """The reason with the file's name, which a damaged file's own reason has already."""
    return why if why.startswith(path.rpartition("/")[2]) else f"{path}: {why}"


def _most(values: Mapping[ImageRef, T]) -> T | None:
    """The value that most wells have."""
    wells: dict[Well, set[T]] = defaultdict(set)
    for image, value in values.items():
        wells[image.well].add(value)
    counted = Counter(v for of in wells.values() for v in of)
    return max(counted, key=lambda v: (counted[v], _FIRST.get(v, 0)), default=None)
