"""A review of one run, without Qt: which wells there are, what they hold, the field being looked at, and what the reviewer does to it.

Corrections are versions of a field's labels and verdicts (`imaging_service.review_log`), written into the run's folder at once: nothing is
kept in memory that a crash could lose. The tables follow with `imaging-service review apply`.
"""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imaging_service.client import Client, FieldImage, RemoteRun, RunFolder
from imaging_service.review_log import Crop
from imaging_service.schemas import LabelVersion, Verdict

Labels = NDArray[np.int32]
# Nuclei and somas carry one number a cell: what is done to the one is done to the other.
CELL = ("nuclei", "somas")


@dataclass
class ReviewSession:
    """Wells of a run in plate order and the place in it. Fields count from 1.

    Only wells that were analysed can be opened; the others are in `unusable` with the reason.
    """

    run: RunFolder | RemoteRun
    wells: list[str] = field(init=False)
    unusable: dict[str, str] = field(init=False)
    position: int = field(init=False, default=0)
    number: int = field(init=False, default=1)
    author: str = field(default_factory=getpass.getuser)
    blinded: bool = False

    def __post_init__(self) -> None:
        rows = self.run.wells()
        self._rows = {row["well"]: row for row in rows}
        self.wells = [row["well"] for row in rows if row["status"] == "done"]
        self.unusable = {row["well"]: row["reason"] for row in rows if row["status"] != "done"}

    @classmethod
    def open(cls, folder: Path) -> ReviewSession:
        """A session on the folder of `imaging-service analyze`. Raises NotFound."""
        return cls(RunFolder(folder))

    @classmethod
    def connect(cls, url: str, run: str) -> ReviewSession:
        """A session on a run of a service. Raises ServiceRefused."""
        return cls(RemoteRun(Client(url), run))

    def close(self) -> None:
        """End the connection to a service, if there is one."""
        self.run.close()

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

    def next_ranked(self) -> bool:
        """The first field of the queue that nobody judged yet; False where there is none, or no queue."""
        judged = self.run.review.standing()
        for well, number in self.run.queue():
            if well in self.wells and (well, number, None) not in judged and (well, None, None) not in judged:
                self.position, self.number = self.wells.index(well), number
                return True
        return False

    def image(self) -> FieldImage:
        """Pixels and labels of the field being looked at."""
        return self.run.read_field(self.well, self.number)

    def caption(self) -> str:
        """What the well is, and its phenotypes beside the vehicle mean of its line; blinded, only which field it is."""
        if self.blinded:
            return f"field {self.number} of {self.run.fields(self.well)} (blinded)"
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

    def save(self, shown: FieldImage, painted: Mapping[str, Labels], reason: str = "") -> LabelVersion | None:
        """Write what differs from the field as it was shown as its next version; None where nothing does.

        Only the smallest rectangle around the changes is written. Raises ReviewConflict where the field was corrected since it was shown.
        """
        crops = {}
        for name, labels in painted.items():
            rows, columns = np.nonzero(np.asarray(labels) != shown.labels[name])
            if len(rows):
                y, x = int(rows.min()), int(columns.min())
                crops[name] = Crop(y, x, np.asarray(labels, np.int32)[y : rows.max() + 1, x : columns.max() + 1])
        if not crops:
            return None
        return self.run.review.commit(self.well, self.number, shown.label_version, crops, self.author, reason)

    def erase(self, shown: FieldImage, compartment: str, label: int) -> LabelVersion | None:
        """Take an object out; a nucleus goes with its soma, a soma leaves its nucleus. None where there is no such object."""
        names = CELL if compartment == "nuclei" else (compartment,)
        painted = {n: np.where(shown.labels[n] == label, 0, shown.labels[n]) for n in names if n in shown.labels}
        return self.save(shown, painted, f"erased {compartment} {label}")

    def merge(self, shown: FieldImage, first: int, second: int) -> LabelVersion | None:
        """Make two cells one, under the first one's number."""
        painted = {n: np.where(shown.labels[n] == second, first, shown.labels[n]) for n in CELL if n in shown.labels}
        return self.save(shown, painted, f"merged {second} into {first}")

    def split(self, shown: FieldImage, label: int, points: list[tuple[float, float]]) -> LabelVersion | None:
        """Cut a cell in as many as there are points (y, x) in pixels: each pixel goes to the nearest; the first keeps the number.

        Raises ValueError for fewer than two points or where a point lies outside the cell's nucleus.
        """
        nuclei = shown.labels["nuclei"]
        if len(points) < 2 or any(nuclei[int(y), int(x)] != label for y, x in points):
            raise ValueError(f"a split needs two points or more inside nucleus {label}")
        numbers = [label, *range(int(nuclei.max()) + 1, int(nuclei.max()) + len(points))]
        painted = {}
        for name in (n for n in CELL if n in shown.labels):
            labels = shown.labels[name].copy()
            y, x = np.nonzero(labels == label)
            nearest = np.argmin([(y - py) ** 2 + (x - px) ** 2 for py, px in points], axis=0)
            labels[y, x] = np.asarray(numbers, np.int32)[nearest]
            painted[name] = labels
        return self.save(shown, painted, f"split {label} in {len(points)}")

    def undo(self) -> LabelVersion | None:
        """Take the field's last correction back, as a version of its own; None where there is none."""
        log, head = self.run.review, self.run.review.head(self.well, self.number)
        history = {v.version: v for v in log.history(self.well, self.number)}
        if head not in history:
            return None
        base = self.run.engine_labels(self.well, self.number)
        return log.revert(base, self.well, self.number, history[head].parent, self.author, f"undid version {head}")

    def accept(self) -> None:
        """The field is fine as it is."""
        self._judge(accepted=True, reason="", whole=False)

    def reject(self, reason: str, *, whole: bool = False) -> None:
        """The field, or the whole well, is not to be used. Raises ValueError without a reason."""
        self._judge(accepted=False, reason=reason, whole=whole)

    def _judge(self, *, accepted: bool, reason: str, whole: bool) -> None:
        verdict = Verdict(
            well=self.well,
            field=None if whole else self.number,
            accepted=accepted,
            author=self.author,
            reason=reason,
            time=datetime.now(UTC),
        )
        self.run.review.judge(verdict)

    def said(self) -> str:
        """What reviewers said of this field so far, in a line."""
        standing = self.run.review.standing()
        verdict = standing.get((self.well, self.number, None)) or standing.get((self.well, None, None))
        head = self.run.review.head(self.well, self.number)
        parts = [] if verdict is None else ["accepted" if verdict.accepted else f"rejected: {verdict.reason}"]
        return " · ".join([*parts, *([f"label version {head}"] if head > 1 else [])])
