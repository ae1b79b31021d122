"""A run's wells for the panel: conditions, phenotypes, curves and how far the review is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from imaging_service.review.run import Run, Standing


@dataclass(frozen=True)
class WellMark:
    """A well as the plate view shows it.

    `state`: failed, skipped, excluded, open, begun, accepted, mixed or rejected.
    """

    well: str
    row: int
    column: int
    state: str
    words: str


class WellTable:
    """Wells and curves of a run as they stood when they were read.

    `wells` can be opened; the others are in `unusable`, each with its reason.
    """

    def __init__(self, run: Run) -> None:
        run.refresh()
        self.rows = {row["well"]: row for row in run.wells()}
        self.curves = run.curves()
        self.protocol: dict[str, Any] = run.record["inputs"]["protocol"]
        self.wells = [
            row["well"] for row in self.rows.values() if row["n_fields"] and int(row["n_fields"])
        ]
        self.unusable = {
            well: row["reason"] for well, row in self.rows.items() if well not in self.wells
        }

    @property
    def phenotypes(self) -> list[str]:
        """Phenotypes of the run's responses."""
        return list(self.protocol["response"]["phenotypes"])

    @property
    def longitudinal(self) -> bool:
        """Whether neurons are tracked through time."""
        return self.protocol.get("survival") is not None

    def fields(self, well: str) -> int:
        """Number of fields of a well that was analysed."""
        return int(self.rows[well]["n_fields"])

    def condition(self, well: str) -> str:
        """Line, compound and dose."""
        row = self.rows[well]
        dose = (
            f" {format_dose(float(row['dose_molar']))}"
            if row["dose_molar"] and row["control"] == "none"
            else ""
        )
        return f"{row['line']} · {row['compound'] or row['control']}{dose}"

    def words(self, well: str) -> str:
        """What the well is, and its phenotypes beside the vehicle mean of its line."""
        row = self.rows[well]
        lines = [self.condition(well)]
        if row["status"] != "done":
            lines.append(f"{row['status']}: {row['reason']}")
        for name in self.phenotypes:
            value, vehicle = row[name], self.vehicle_mean(row["line"], name)
            shown = f"{float(value):.4g}" if value else "–"
            lines.append(
                f"{name}: {shown}" + (f" (vehicle {vehicle:.4g})" if vehicle is not None else "")
            )
        return "\n".join(lines)

    def vehicle_mean(self, line: str, name: str) -> float | None:
        """Mean of a phenotype over the line's vehicle wells; None where there is none."""
        values = [
            float(r[name])
            for r in self.rows.values()
            if r["line"] == line and r["control"] == "vehicle" and r["status"] == "done" and r[name]
        ]
        return sum(values) / len(values) if values else None

    def curve(self, well: str, phenotype: str) -> dict[str, Any] | None:
        """The curve of a well's compound, or for a vehicle well the first that has it.

        None where there is no curve.
        """
        row = self.rows[well]
        curves = [c for c in self.curves if (c["line"], c["phenotype"]) == (row["line"], phenotype)]
        return next(
            (c for c in curves if c["compound"] == row["compound"]),
            next((c for c in curves if well in c["wells"]), None),
        )

    def marks(self, standing: Standing, *, blinded: bool) -> list[WellMark]:
        """Every well of the plate map with how far its review is.

        For a blinded reviewer without what is in the well.
        """
        marks = []
        for well in self.rows:
            letters = well.rstrip("0123456789")
            row = 0
            for letter in letters:
                row = 26 * row + ord(letter) - 64
            state, words = self._state(well, standing)
            parts = filter(None, (well, "" if blinded else self.condition(well), words))
            marks.append(WellMark(well, row, int(well[len(letters) :]), state, " · ".join(parts)))
        return marks

    def _state(self, well: str, standing: Standing) -> tuple[str, str]:
        if well in self.unusable:
            return self.rows[well]["status"], self.unusable[well]
        whole = standing.get((well, None, None))
        if whole is not None:
            return ("accepted", "") if whole.accepted else ("rejected", whole.reason)
        n = self.fields(well)
        judged = [v for i in range(n) if (v := standing.get((well, i + 1, None))) is not None]
        if len(judged) == n:
            refused = sum(not v.accepted for v in judged)
            return (
                ("accepted", "")
                if not refused
                else (
                    ("rejected", "all fields")
                    if refused == n
                    else ("mixed", f"{refused} of {n} fields rejected")
                )
            )
        if judged:
            return "begun", f"{len(judged)} of {n} fields judged"
        row = self.rows[well]
        return ("excluded", row["reason"]) if row["status"] != "done" else ("open", "")


def format_dose(molar: float) -> str:
    """A dose with the unit that a bench scientist would write, to three digits."""
    # `plate_maps.conditions.format_dose` again: a reviewer's napari must not need the science
    # packages, and a test compares the two.
    for unit, size in (("M", 1.0), ("mM", 1e-3), ("µM", 1e-6), ("nM", 1e-9)):
        if molar >= 0.9995 * size:
            return f"{molar / size:.3g} {unit}"
    return f"{molar / 1e-12:.3g} pM"
