"""Fields of a well that show the same place, by the positions of the stage."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import numpy as np

from imaging_service.ingest.images.tiff_image import Header
from imaging_service.ingest.plan import FindingKind, ImageRef, PlatePlan, ScanFinding
from phenotypes.cells.ownership import TOUCHES, Centre, overlap_share
from plate_maps import Well

Place = tuple[float, float]


def field_shape(images: Iterable[ImageRef], headers: Mapping[str, Header]) -> tuple[int, int]:
    """(Y, X) of a scan's largest field in pixels; (0, 0) where no image can be read."""
    shapes = [
        (shape[0], shape[1])
        for image in images
        if len(shape := headers[image.path].shape) == 2 and not headers[image.path].fault
    ]
    return max(shapes, default=(0, 0))


def positions(images: Iterable[ImageRef]) -> dict[Well, dict[int, Place]]:
    """Well ► field ► position of its centre in µm, of its first time point that has one."""
    wells: dict[Well, dict[int, Place]] = defaultdict(dict)
    for image in sorted(images, key=lambda i: i.time):
        if image.position_um is not None:
            wells[image.well].setdefault(image.field, image.position_um)
    return wells


def centres(fields: Mapping[int, Place], pixel_um: float) -> dict[int, Centre]:
    """Field ► its centre in whole pixels, (row downwards, column); none where two are one.

    A stage takes no two fields at one place: then the positions are not those of the fields.
    """
    placed = {n: (round(-y / pixel_um), round(x / pixel_um)) for n, (x, y) in fields.items()}
    return placed if len(set(placed.values())) == len(placed) else {}


def overlaps(
    images: Iterable[ImageRef], shape: tuple[int, int], pixel_um: float | None
) -> tuple[ScanFinding, ...]:
    """Findings that name wells with overlapping fields, and wells whose positions are not believed.

    None where positions or the pixel size are unknown. Only distances count, so that it does not
    matter which way the stage's axes point.
    """
    if pixel_um is None or 0 in shape:
        return ()
    worst: dict[Well, tuple[float, int, int]] = {}
    doubted: list[Well] = []
    for well, fields in positions(images).items():
        share = _largest(fields, (shape[1] * pixel_um, shape[0] * pixel_um))
        if share is None:
            continue
        if centres(fields, pixel_um):
            worst[well] = share
        else:
            doubted.append(well)
    findings = []
    if worst:
        well, (largest, first, second) = max(worst.items(), key=lambda pair: pair[1][0])
        findings.append(
            ScanFinding(
                FindingKind.OVERLAP,
                f"fields overlap in {len(worst)} well(s), by up to {largest:.1%} of a field (well"
                f" {well}, fields {first} and {second}): what two fields show is counted once, in"
                " the field whose centre is nearer",
                tuple(sorted(worst)),
            )
        )
    if doubted:
        findings.append(
            ScanFinding(
                FindingKind.OVERLAP,
                f"fields of {len(doubted)} well(s), such as {doubted[0]}, have one and the same"
                " position: positions of these wells are not believed, and what several fields"
                " show is counted in each",
                tuple(sorted(doubted)),
            )
        )
    return tuple(findings)


def overlapping_centres(plan: PlatePlan, pixel_um: float) -> tuple[tuple[str, int, Centre], ...]:
    """(well, field, centre in pixels) of all wells in which fields overlap; numbers follow from it.

    Empty for a scan whose fields do not overlap.
    """
    listed: list[tuple[str, int, Centre]] = []
    if 0 in plan.field_px:
        return ()
    for well, fields in sorted(positions(plan.images).items()):
        placed = sorted(centres(fields, pixel_um).items())
        if any(
            overlap_share(a, b, plan.field_px) > 0
            for n, (_, a) in enumerate(placed)
            for _, b in placed[n + 1 :]
        ):
            listed += [(well.name, field, centre) for field, centre in placed]
    return tuple(listed)


def _largest(fields: Mapping[int, Place], side_um: Place) -> tuple[float, int, int] | None:
    """(share, field, field) of the largest overlap of two fields of a well."""
    numbers = sorted(fields)
    places = np.array([fields[n] for n in numbers])
    apart = np.abs(places[:, None, :] - places[None, :, :])
    common = 1 - apart / np.array(side_um)
    share = np.where((common > TOUCHES).all(axis=2), common.prod(axis=2), 0.0)
    share[np.tril_indices(len(numbers))] = 0.0
    i, j = np.unravel_index(int(share.argmax()), share.shape)
    return (float(share[i, j]), numbers[i], numbers[j]) if share[i, j] > 0 else None
