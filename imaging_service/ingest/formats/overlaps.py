"""Fields of a well that show the same place, by the positions of the stage."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import numpy as np

from imaging_service.ingest.images.tiff_image import Header
from imaging_service.ingest.plan import FindingKind, ImageRef, ScanFinding
from plate_maps import Well

# Stages are told to a tenth of a µm; fields that touch may seem to overlap by this share of a side.
_TOUCHES = 0.005

Place = tuple[float, float]


def overlaps(
    images: Iterable[ImageRef], headers: Mapping[str, Header], pixel_um: float | None
) -> tuple[ScanFinding, ...]:
    """One finding that names the wells with overlapping fields; none where positions are unknown.

    Only distances count, so that it does not matter which way the stage's axes point.
    """
    wells: dict[Well, dict[int, Place]] = defaultdict(dict)
    side = (0, 0)
    for image in images:
        shape = headers[image.path].shape
        if image.position_um is not None and len(shape) == 2 and not headers[image.path].fault:
            wells[image.well].setdefault(image.field, image.position_um)
            side = max(side, (shape[1], shape[0]))
    if pixel_um is None or 0 in side:
        return ()
    worst: dict[Well, tuple[float, int, int]] = {}
    for well, fields in wells.items():
        share = _largest(fields, (side[0] * pixel_um, side[1] * pixel_um))
        if share is not None:
            worst[well] = share
    if not worst:
        return ()
    well, (largest, first, second) = max(worst.items(), key=lambda pair: pair[1][0])
    return (
        ScanFinding(
            FindingKind.OVERLAP,
            f"fields overlap in {len(worst)} well(s), by up to {largest:.1%} of a field (well"
            f" {well}, fields {first} and {second}): cells there are counted in both",
            tuple(sorted(worst)),
        ),
    )


def _largest(fields: Mapping[int, Place], side_um: Place) -> tuple[float, int, int] | None:
    """(share, field, field) of the largest overlap of two fields of a well."""
    numbers = sorted(fields)
    places = np.array([fields[n] for n in numbers])
    apart = np.abs(places[:, None, :] - places[None, :, :])
    common = 1 - apart / np.array(side_um)
    share = np.where((common > _TOUCHES).all(axis=2), common.prod(axis=2), 0.0)
    share[np.tril_indices(len(numbers))] = 0.0
    i, j = np.unravel_index(int(share.argmax()), share.shape)
    return (float(share[i, j]), numbers[i], numbers[j]) if share[i, j] > 0 else None
