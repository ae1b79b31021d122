"""What the page of a submission shows: the scan as a drawn plate."""

from __future__ import annotations

from collections.abc import Mapping

from imaging_service.web.pages.drawn_plate import DrawnPlate, PlateWell
from plate_maps import PlateFormat, Well
from plate_maps.wells import row_letters


def scan_plate(name: str, fmt: PlateFormat, present: Mapping[str, float]) -> DrawnPlate:
    """Which wells were scanned, whole, in part, or announced and not there.

    `present` is the share of each well's images that is there.
    """
    wells = []
    for place, share in present.items():
        kind, sign = ("whole", "") if share >= 1 else ("part", "◐") if share > 0 else ("none", "×")
        words = f"{place}: {share:.0%} of its images are there"
        well = Well.parse(place)
        wells.append(PlateWell(place, well.row - 1, well.column - 1, kind, "", sign, words, ""))
    return DrawnPlate(
        f"scan {name}",
        tuple(row_letters(i) for i in range(1, fmt.rows + 1)),
        tuple(range(1, fmt.columns + 1)),
        tuple(wells),
    )


def not_in_both(present: Mapping[str, float], mapped: set[str]) -> tuple[list[str], list[str]]:
    """Wells that only the scan has, and wells that only the plate map has."""
    scanned = {w for w, share in present.items() if share > 0}
    return sorted(scanned - mapped), sorted(mapped - scanned)
