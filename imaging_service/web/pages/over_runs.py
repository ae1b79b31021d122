"""What the page of a line or a compound shows over all runs: plates, rows and their addresses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from imaging_service.web.findings import responds
from imaging_service.web.templating import query

Row = Mapping[str, Any]
# Intervals that a forest can show and still be read.
MOST_INTERVALS = 60


@dataclass
class PlateRows:
    """A run of a plate: its wells with the line or compound, and how many of its rows respond."""

    run: str
    plate: str
    submitted_at: datetime
    protocol: str
    wells: list[Row] = field(default_factory=list)
    rows: int = 0
    responding: int = 0


@dataclass(frozen=True)
class Everywhere:
    """Addresses of the pages over all runs; a row has the run that it is of.

    `lab` is the laboratory that names are of; "" where the caller sees one only.
    """

    lab: str = ""

    def line_page(self, line: str) -> str:
        """Address of a line's page."""
        return f"/line{query({'name': line, 'lab': self.lab})}"

    def compound_page(self, compound: str) -> str:
        """Address of a compound's page."""
        return f"/compound{query({'name': compound, 'lab': self.lab})}"

    def curve_page(self, row: Row) -> str:
        """Address of a row with its curve, in its run."""
        of = {name: row[name] for name in ("line", "compound", "phenotype")}
        return f"/view/{row['run']}/curve{query(of)}"

    def plate_page(self, row: Row) -> str:
        """Address of a row's run."""
        return f"/view/{row['run']}"


def by_plate(wells: Sequence[Row], rows: Sequence[Row]) -> list[PlateRows]:
    """One entry per run, in the order of the wells.

    Both have `run`, wells also `plate`, `submitted_at` and `protocol`.
    """
    plates: dict[str, PlateRows] = {}
    for well in wells:
        known = PlateRows(well["run"], well["plate"], well["submitted_at"], well["protocol"])
        plates.setdefault(well["run"], known).wells.append(well)
    for row in rows:
        plate = plates.get(row["run"])
        if plate is not None:
            plate.rows += 1
            plate.responding += responds(row)
    return list(plates.values())


def forest_rows(rows: Sequence[Row], phenotype: str, other: str) -> list[dict[str, Any]]:
    """Rows of one phenotype that have an effect, labelled by `other` and plate; none if too many.

    A plate of several runs has the run beside its name.
    """
    kept = [r for r in rows if r["phenotype"] == phenotype and r["effect"] is not None]
    if len(kept) > MOST_INTERVALS:
        return []
    runs: dict[str, set[str]] = {}
    for row in kept:
        runs.setdefault(row["plate"], set()).add(row["run"])
    return [
        {
            **row,
            "label": f"{row[other]} · {row['plate']}"
            + (f" ({row['run'][:8]})" if len(runs[row["plate"]]) > 1 else ""),
        }
        for row in sorted(kept, key=lambda r: (r[other], r["plate"], r["run"]))
    ]
