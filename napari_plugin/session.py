"""A review of one run, without Qt: which wells there are, what they hold, and the pixels of the one being looked at."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from imaging_service.client import FieldImage, RunFolder


@dataclass
class ReviewSession:
    """Wells of a run in plate order and the place in it. Fields count from 1.

    Only wells that were analysed can be opened; the others are in `unusable` with the reason.
    """

    run: RunFolder
    wells: list[str] = field(init=False)
    unusable: dict[str, str] = field(init=False)
    position: int = field(init=False, default=0)
    number: int = field(init=False, default=1)

    def __post_init__(self) -> None:
        rows = self.run.wells()
        self._rows = {row["well"]: row for row in rows}
        self.wells = [row["well"] for row in rows if row["status"] == "done"]
        self.unusable = {row["well"]: row["reason"] for row in rows if row["status"] != "done"}

    @classmethod
    def open(cls, folder: Path) -> ReviewSession:
        """A session on the folder of `imaging-service analyze`. Raises NotFound."""
        return cls(RunFolder(folder))

    @property
    def well(self) -> str:
        """The well being looked at. Raises IndexError where no well was analysed."""
        return self.wells[self.position]

    def go_to(self, well: str) -> None:
        """Look at a well. Raises ValueError saying why it cannot be."""
        if well not in self.wells:
            raise ValueError(f"well {well}: {self.unusable.get(well) or 'not in this run'}")
        self.position, self.number = self.wells.index(well), 1

    def next(self) -> bool:
        """The next field, or the next well's first; False at the end of the plate."""
        if self.number < self.run.fields(self.well):
            self.number += 1
        elif self.position + 1 < len(self.wells):
            self.position, self.number = self.position + 1, 1
        else:
            return False
        return True

    def previous(self) -> bool:
        """The field before, or the last one of the well before; False at the beginning."""
        if self.number > 1:
            self.number -= 1
        elif self.position > 0:
            self.position -= 1
            self.number = self.run.fields(self.well)
        else:
            return False
        return True

    def image(self) -> FieldImage:
        """Pixels and labels of the field being looked at."""
        return self.run.read_field(self.well, self.number)

    def caption(self) -> str:
        """What the well is, and its phenotypes beside the vehicle mean of its line."""
        row = self._rows[self.well]
        dose = f" {float(row['dose_molar']):.3g} M" if row["dose_molar"] and row["control"] == "none" else ""
        lines = [
            f"{self.well}, field {self.number} of {self.run.fields(self.well)}",
            f"{row['line']} · {row['compound'] or row['control']}{dose}",
        ]
        for name in self.run.record["inputs"]["protocol"]["response"]["phenotypes"]:
            value, vehicle = row[name], self.vehicle_mean(row["line"], name)
            shown = f"{float(value):.4g}" if value else "–"
            lines.append(f"{name}: {shown}" + (f" (vehicle {vehicle:.4g})" if vehicle is not None else ""))
        return "\n".join(lines)

    def vehicle_mean(self, line: str, name: str) -> float | None:
        """Mean of a phenotype over the line's vehicle wells; None where there is none."""
        values = [
            float(r[name])
            for r in self._rows.values()
            if r["line"] == line and r["control"] == "vehicle" and r["status"] == "done" and r[name]
        ]
        return sum(values) / len(values) if values else None
