"""What the pages of quality show: checks by what they found, and vehicle wells over plates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from phenotypes.columns.statuses import CheckStatus, WellStatus

Row = Mapping[str, Any]
_ORDER = {CheckStatus.WARNING: 0, CheckStatus.NOT_ASSESSABLE: 1, CheckStatus.OK: 2}


def checks_by_finding(checks: Sequence[Row]) -> list[Row]:
    """Checks, warnings first, then what could not be assessed, then what is in order."""
    return sorted(checks, key=lambda c: (_ORDER[c["status"]], c["check"], c["subject"]))


def odd_vehicles(wells: Sequence[Row]) -> list[Row]:
    """Vehicle wells that were left out or failed."""
    return [w for w in wells if w["control"] == "vehicle" and w["status"] != WellStatus.DONE]


def plate_summary(quality: Sequence[Row], checks: Sequence[Row]) -> dict[str, Any]:
    """One plate in one row: its lowest robust Z′ and SSMD, and how many checks warn.

    None where no line has both controls.
    """
    z = [q["robust_z_prime"] for q in quality if q["robust_z_prime"] is not None]
    ssmd = [abs(q["ssmd"]) for q in quality if q["ssmd"] is not None]
    return {
        "lowest_z": min(z, default=None),
        "lowest_ssmd": min(ssmd, default=None),
        "warnings": sum(c["status"] == CheckStatus.WARNING for c in checks),
        "lines": len({q["line"] for q in quality}),
    }


def vehicle_means(plate: str, submitted: str, quality: Sequence[Row], name: str) -> list[Row]:
    """Mean of a phenotype over vehicle wells, one row per line of a plate."""
    return [
        {"plate": plate, "submitted": submitted, "line": q["line"], "mean": q["vehicle_mean"]}
        for q in quality
        if q["phenotype"] == name and q["vehicle_mean"] is not None
    ]
