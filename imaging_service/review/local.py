"""A run's folder as a reviewer sees it: pixels and labels of fields, the tables, the queue. Light:
zarr to read arrays, polars for cells.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Sequence
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imaging_service.errors import NotFound, ServiceError, StoreError, damaged
from imaging_service.review.crops import Crop
from imaging_service.review.field_image import (
    FieldImage,
    FieldPixels,
    Row,
    Window,
    audit,
    read_pixels,
    read_window,
    well_group,
)
from imaging_service.review.log import ENGINE_VERSION, GRAPH, ReviewLog
from imaging_service.schemas import LabelVersion, QueueEntry, ReviewState, Verdict

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    Labels = NDArray[np.int32]

# Tables of a run, each a Parquet file.
TABLES = ("wells", "responses", "cells", "fields", "quality", "checks", "tracks", "hazards")


class LocalRun:
    """The folder that `imaging-service analyze` wrote. Raises NotFound if it is not one.

    `reading` names an independent reading of it (`review_log`).

    Examples
    --------
    >>> from imaging_service import LocalRun
    >>> run = LocalRun("results")
    >>> run
    LocalRun('results', plate 'Phantom-1', 24 wells)
    >>> sorted(run.table("responses")["line"].unique())
    ['HC-01', 'SOD1-07', 'SOD1-07-iso']
    """

    def __init__(self, root: str | PathLike[str], reading: str = "") -> None:
        root = Path(root)
        record = root / "run.json"
        if not record.is_file():
            raise NotFound(
                f"{root} has no run.json; give the --out folder of a finished `imaging-service"
                " analyze`"
            )
        self.root, self.reading = root, reading
        self.review = ReviewLog(root, reading)
        self.record: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
        plate = Path(self.record["plate"])
        # The folder may have been moved or mailed since: the plate beside the record comes first.
        self.plate = root / "plate.zarr" if (root / "plate.zarr").is_dir() else plate
        self._pixels: dict[tuple[str, int], FieldPixels] = {}
        # Opening a group reads its metadata again; what is in it never changes.
        self._group = lru_cache(maxsize=64)(_open_group)

    def __repr__(self) -> str:
        reading = f", reading {self.reading!r}" if self.reading else ""
        wells = len(self.record["wells"])
        return (
            f"LocalRun({str(self.root)!r}, plate {self.record['plate_name']!r}, {wells}"
            f" wells{reading})"
        )

    def table(self, name: str) -> pl.DataFrame:
        """A table of the run with its types, corrected where `review apply` has run.

        Parameters
        ----------
        name
            One of TABLES: "wells", "responses", "cells", "fields", "quality", "checks", "tracks"
            or "hazards". Columns and units are in `docs/columns.md`.

        Raises
        ------
        NotFound
            There is no such table, or this run is of a version that did not write it.
        """
        import polars as pl

        path = self.root / self.newest(f"{name}.parquet")
        if name not in TABLES or not path.is_file():
            raise NotFound(
                f"{self.root} has no table {name!r}; tables of a run: {', '.join(TABLES)}"
            )
        with damaged(StoreError, str(path)):
            return pl.read_parquet(path)

    def again(self, reading: str) -> LocalRun:
        """The same folder once more, as an independent reading or (empty) as the run's own review."""
        return LocalRun(self.root, reading)

    def refresh(self) -> None:
        """Nothing to do: tables are read from the folder each time they are asked for."""

    def _rows(self, name: str) -> list[Row]:
        with (self.root / name).open(encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))

    def newest(self, name: str) -> str:
        """A table as corrected where `review apply` has run; as the engine's labels gave it for an
        independent reading.
        """
        return (
            f"corrected/{name}"
            if not self.reading and (self.root / "corrected" / "corrected.json").is_file()
            else name
        )

    def wells(self) -> list[Row]:
        """The well table, corrected where `review apply` has run; values as text, empty where there
        is none.
        """
        return self._rows(self.newest("wells.csv"))

    def responses(self) -> list[Row]:
        """The response table, likewise."""
        return self._rows(self.newest("responses.csv"))

    def curves(self) -> list[dict[str, Any]]:
        """Dose-response curves with the wells behind them, likewise."""
        curves: list[dict[str, Any]] = json.loads(
            (self.root / self.newest("curves.json")).read_text(encoding="utf-8")
        )
        return curves

    def queue(self) -> list[QueueEntry]:
        """Fields by what is worth a look, the most urgent first; empty for runs of versions before
        0.2.
        """
        if not (self.root / "review" / "queue.csv").is_file():
            return []
        return [
            QueueEntry(
                well=row["well"], field=int(row["field"]), score=float(row["score"]), why=row["why"]
            )
            for row in self._rows("review/queue.csv")
        ]

    def claim(self, reviewer: str, count: int) -> list[tuple[str, int]]:
        """The next `count` fields of the queue that nobody judged.

        Whoever works on a folder works on it alone, so nothing is claimed.
        """
        del reviewer
        judged = self.review.standing()
        left = (
            (e.well, e.field)
            for e in self.queue()
            if (e.well, e.field, None) not in judged and (e.well, None, None) not in judged
        )
        return [place for place, _ in zip(left, range(count), strict=False)]

    def read_pixels(self, well: str, number: int) -> FieldPixels:
        """Lazy pixels of a field, counted from 1.

        Raises StoreError, also for an incomplete store.
        """
        if (well, number) not in self._pixels:
            where = f"well {well}, field {number}"
            with damaged(StoreError, where):
                found = read_pixels(self._group(self.plate, well, f"{number - 1}"))
                for level, array in enumerate(found.levels):
                    audit(array, f"{where}, pixels, level {level}")
            self._pixels[well, number] = found
        return self._pixels[well, number]

    def read_field(
        self, well: str, number: int, frame: int = 1, window: Window | None = None
    ) -> FieldImage:
        """Lazy pixels and the newest labels of a field and time point, both counted from 1.

        Raises StoreError.
        """
        found = self.read_pixels(well, number)
        version = self.review.head(well, number)
        if version == ENGINE_VERSION:
            whole = self.engine_labels(well, number, frame, window)
        else:
            whole = self.review.labels(
                self.engine_labels(well, number, frame), well, number, version, frame
            )
            if window is not None:
                place = (
                    slice(window.y, window.y + window.height),
                    slice(window.x, window.x + window.width),
                )
                whole = {name: labels[place] for name, labels in whole.items()}
        return FieldImage(
            found.levels,
            found.channels,
            found.roles,
            whole,
            found.pixel_size_um,
            version,
            frame,
            found.frame_interval_h,
            (window.y, window.x) if window else (0, 0),
            self.graph(well, number, frame, window),
        )

    def label_version(self, well: str, number: int) -> int:
        """The newest version of a field's labels."""
        return self.review.head(well, number)

    def engine_labels(
        self, well: str, number: int, frame: int = 1, window: Window | None = None
    ) -> dict[str, Labels]:
        """A field's labels at a time point, or a window of them, as the engine made them.

        Raises StoreError.
        """
        where = f"well {well}, field {number}"
        with damaged(StoreError, f"{where}, labels"):
            labels = self._group(self.root / "labels.zarr", well, f"{number - 1}/labels")
            found = {}
            for name in (n for n in labels.attrs["ome"]["labels"] if n != GRAPH):
                audit(labels[f"{name}/0"], f"{where}, {name}")
                found[name] = read_window(labels[f"{name}/0"], frame, window)
            return found

    def graph(
        self, well: str, number: int, frame: int = 1, window: Window | None = None
    ) -> Labels | None:
        """The neurites' skeleton of a field as it was measured; None where it was not, or not since
        it was corrected (`review apply`).
        """
        import numpy as np

        version = self.review.frame_version(well, number, frame)
        if version > 1:
            kept = (
                self.root
                / "review"
                / "measured"
                / well
                / f"{number}-{frame}-{version:04d}-graph.npz"
            )
            if self.reading or not kept.is_file():
                return None
            with damaged(StoreError, str(kept)), np.load(kept) as stored:
                return read_window(stored["graph"], frame, window)
        labels = self._group(self.root / "labels.zarr", well, f"{number - 1}/labels")
        with damaged(StoreError, f"well {well}, field {number}, {GRAPH}"):
            return (
                read_window(labels[f"{GRAPH}/0"], frame, window)
                if GRAPH in labels.attrs["ome"]["labels"]
                else None
            )

    def cells(self, well: str, number: int) -> list[dict[str, Any]]:
        """Rows of the cell table of a field, all time points, as corrected where `review apply` has
        run. Raises StoreError.
        """
        try:
            return cell_rows(self.root / self.newest("cells.parquet"), well, number)
        except ImportError as error:
            raise ServiceError(
                "cells are read with polars: pip install 'motor-neuron-imaging-service[review]'"
            ) from error

    def commit(
        self,
        well: str,
        number: int,
        parent: int,
        crops: Sequence[Crop],
        author: str,
        reason: str,
        undoes: int | None = None,
    ) -> LabelVersion:
        """Write the next version of a field's labels. Raises ReviewConflict, ReviewRefused."""
        return self.review.commit(well, number, parent, crops, author, reason, undoes=undoes)

    def revert(
        self, well: str, number: int, to: int, author: str, reason: str, undoes: int | None = None
    ) -> LabelVersion:
        """Go back to an earlier version, as a new one."""
        return self.review.revert(
            lambda frame: self.engine_labels(well, number, frame),
            well,
            number,
            to,
            author,
            reason,
            undoes,
        )

    def judge(self, verdict: Verdict) -> None:
        """Write a verdict."""
        self.review.judge(verdict)

    def state(self) -> ReviewState:
        """How far the tables have followed the review."""
        return review_state(self.root)

    def apply(self) -> None:
        """Let the tables follow, by `imaging-service review apply` in a process of its own.

        Raises ServiceError with its words.
        """
        command = [sys.executable, "-m", "imaging_service.cli", "review", "apply", str(self.root)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ServiceError((done.stderr or done.stdout).strip()[-500:])

    def lag(self) -> ReviewState | None:
        """Where the tables lag behind the review; None where they do not."""
        state = self.state()
        return state if state.applied != state.revision else None

    def poll(self) -> int:
        """0: nothing waits, and the tables of a folder move only when they are told to."""
        return 0

    def waiting(self) -> str:
        """Empty: what is written is on the disk."""
        return ""

    def close(self) -> None:
        """Nothing is held open."""


def _open_group(store: Path, well: str, rest: str = "") -> Any:
    import zarr

    where = "/".join(filter(None, (well_group(well), rest)))
    try:
        return zarr.open_group(store / where, mode="r")
    except FileNotFoundError as error:
        raise StoreError(
            f"{store.name} has no {where}: well {well} was not analysed, or the store is incomplete"
        ) from error


def review_state(root: Path) -> ReviewState:
    """How far the tables of a run's folder have followed its review."""
    record = root / "corrected" / "corrected.json"
    applied = (
        json.loads(record.read_text(encoding="utf-8"))["revision"]
        if record.is_file()
        else ENGINE_VERSION
    )
    return ReviewState(revision=ReviewLog(root).revision(), applied=applied)


def cell_rows(path: Path, well: str, number: int) -> list[dict[str, Any]]:
    """Rows of one field of a cell table. Raises StoreError where the table is not there."""
    import polars as pl

    if not path.is_file():
        raise StoreError(f"{path} is not there")
    return (
        pl.scan_parquet(path)
        .filter((pl.col("well") == well) & (pl.col("field") == number))
        .collect()
        .to_dicts()
    )
