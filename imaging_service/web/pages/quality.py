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


# Checks that say how even a plate is, in the order of their columns.
EVENNESS = ("edge_effect", "row_trend", "column_trend", "acquisition_drift")


def plate_summary(
    quality: Sequence[Row], checks: Sequence[Row], wells: Sequence[Row], name: str
) -> dict[str, Any]:
    """One plate for one phenotype: its lines' controls, how even it is, and what warns.

    `lines` are rows of the quality table, `even` has check ► row of those in EVENNESS, `warnings`
    counts the checks of all phenotypes that warn, `odd_vehicles` the vehicle wells that do not
    count.
    """
    return {
        "lines": [q for q in quality if q["phenotype"] == name],
        "even": {c["check"]: c for c in checks if c["subject"] == name and c["check"] in EVENNESS},
        "warnings": sum(c["status"] == CheckStatus.WARNING for c in checks),
        "odd_vehicles": len(odd_vehicles(wells)),
    }


def controls_over_plates(
    plate: str, submitted: str, quality: Sequence[Row], name: str
) -> list[Row]:
    """Vehicle mean and SSMD with its interval, one row per line of a plate."""
    return [
        {
            "plate": plate,
            "submitted": submitted,
            "line": q["line"],
            "mean": q["vehicle_mean"],
            "ssmd": q["ssmd"],
            "low": q["ssmd_low"],
            "high": q["ssmd_high"],
            "z": q["robust_z_prime"],
        }
        for q in quality
        if q["phenotype"] == name
    ]
