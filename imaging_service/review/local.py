"""A run's folder as a reviewer sees it: pixels and labels of fields, the tables, the queue.

Light: zarr reads the arrays, polars the cells.
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
from imaging_service.incoming.s3 import on_disk, place
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

# Fields that are kept open: a server keeps a run for as long as it lives.
_MOST_OPEN = 500
# Tables of a run, each a Parquet file.
TABLES = ("wells", "responses", "cells", "fields", "quality", "checks", "tracks", "hazards")


class LocalRun:
    """The folder that `imaging-service analyze` wrote. Raises NotFound if it is not one.

    `reading` names an independent reading of it (`imaging_service.review.log`).

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
        root = on_disk(place(root))
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
        # The folder may have been moved or sent since: the plate beside the record comes first.
        self.plate = root / "plate.zarr" if (root / "plate.zarr").is_dir() else plate
        self._pixels: dict[tuple[str, int], FieldPixels] = {}
        self._labels: dict[tuple[str, int], dict[str, tuple[Any, ...]]] = {}
        # Opening a group reads its metadata again, and that never changes.
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
            There is no table of this name, or the run's version did not write it.
        """
        import polars as pl

        path = self.root / self.newest(f"{name}.parquet")
        if name not in TABLES or not path.is_file():
            raise NotFound(
                f"{self.root} has no table {name!r}; the tables of a run are {', '.join(TABLES)}"
            )
        with damaged(StoreError, str(path)):
            return pl.read_parquet(path)

    def again(self, reading: str) -> LocalRun:
        """The same folder once more, as an independent reading or (empty) as the run's review."""
        return LocalRun(self.root, reading)

    def refresh(self) -> None:
        """Nothing to do: tables are read from the folder each time they are asked for."""

    def file(self, name: str) -> Path:
        """A file of the run, corrected where `review apply` has run.

        Raises NotFound where the run's version did not write it, or it was deleted.
        """
        path = self.root / self.newest(name)
        if not path.is_file():
            version = self.record.get("software_version", "unknown")
            raise NotFound(
                f"run {self.record['run_id'][:12]} has no {name}: version {version} of the service"
                " did not write it, or it was deleted; submit the plate again"
            )
        return path

    @staticmethod
    def _rows(path: Path) -> list[Row]:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            return list(csv.DictReader(stream))

    def newest(self, name: str) -> str:
        """Path of a table in the run's folder, corrected where `review apply` has run.

        For an independent reading it is the table of the engine's labels.
        """
        return (
            f"corrected/{name}"
            if not self.reading and (self.root / "corrected" / "corrected.json").is_file()
            else name
        )

    def wells(self) -> list[Row]:
        """The well table, corrected where `review apply` has run.

        Values are text, empty where there is no value.
        """
        return self._rows(self.file("wells.csv"))

    def responses(self) -> list[Row]:
        """The response table, likewise."""
        return self._rows(self.file("responses.csv"))

    def curves(self) -> list[dict[str, Any]]:
        """Dose-response curves with the wells behind them, likewise."""
        curves: list[dict[str, Any]] = json.loads(
            self.file("curves.json").read_text(encoding="utf-8")
        )
        return curves

    def queue(self) -> list[QueueEntry]:
        """Fields by how much they need a look, the most urgent first.

        Empty for runs of versions before 0.2.
        """
        if not (self.root / "review" / "queue.csv").is_file():
            return []
        return [
            QueueEntry(
                well=row["well"], field=int(row["field"]), score=float(row["score"]), why=row["why"]
            )
            for row in self._rows(self.root / "review" / "queue.csv")
        ]

    def claim(self, reviewer: str, count: int) -> list[tuple[str, int]]:
        """The next `count` fields of the queue that are not judged.

        A folder has one reviewer at a time, so nothing is claimed.
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
                pixels = read_pixels(self._group(self.plate, well, f"{number - 1}"))
                for level, array in enumerate(pixels.levels):
                    audit(array, f"{where}, pixels, level {level}")
            if len(self._pixels) >= _MOST_OPEN:
                self._pixels.clear()
            self._pixels[well, number] = pixels
        return self._pixels[well, number]

    def read_field(
        self, well: str, number: int, frame: int = 1, window: Window | None = None
    ) -> FieldImage:
        """Lazy pixels and the newest labels of a field and time point, both counted from 1.

        Raises StoreError.
        """
        pixels = self.read_pixels(well, number)
        version = self.review.head(well, number)
        if version == ENGINE_VERSION:
            labels = self.engine_labels(well, number, frame, window)
        else:
            labels = self.review.labels(
                self.engine_labels(well, number, frame), well, number, version, frame
            )
            if window is not None:
                place = (
                    slice(window.y, window.y + window.height),
                    slice(window.x, window.x + window.width),
                )
                labels = {name: image[place] for name, image in labels.items()}
        return FieldImage(
            pixels.levels,
            pixels.channels,
            pixels.roles,
            labels,
            pixels.pixel_size_um,
            version,
            frame,
            pixels.hours,
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
            group = self._group(self.root / "labels.zarr", well, f"{number - 1}/labels")
            labels = {}
            for name in (n for n in group.attrs["ome"]["labels"] if n != GRAPH):
                audit(group[f"{name}/0"], f"{where}, {name}")
                labels[name] = read_window(group[f"{name}/0"], frame, window)
            return labels

    def label_levels(self, well: str, number: int) -> dict[str, tuple[Any, ...]]:
        """Lazy levels (Y, X), or (T, Y, X), of the engine's labels of a field, by compartment.

        Each is half as large as the one before; nothing is read before it is indexed. Raises
        StoreError.
        """
        if (well, number) not in self._labels:
            where = f"well {well}, field {number}"
            with damaged(StoreError, f"{where}, labels"):
                group = self._group(self.root / "labels.zarr", well, f"{number - 1}/labels")
                levels = {}
                for name in (n for n in group.attrs["ome"]["labels"] if n != GRAPH):
                    datasets = group[name].attrs["ome"]["multiscales"][0]["datasets"]
                    levels[name] = tuple(group[f"{name}/{d['path']}"] for d in datasets)
                    for level, array in enumerate(levels[name]):
                        audit(array, f"{where}, {name}, level {level}")
            if len(self._labels) >= _MOST_OPEN:
                self._labels.clear()
            self._labels[well, number] = levels
        return self._labels[well, number]

    def graph(
        self, well: str, number: int, frame: int = 1, window: Window | None = None
    ) -> Labels | None:
        """The neurites' skeleton of a field as it was measured.

        None where it was not measured, or not since the field was corrected (`review apply`).
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
        """Rows of the cell table of a field, all time points, corrected where `review apply` ran.

        Raises StoreError.
        """
        try:
            return cell_rows(self.root / self.newest("cells.parquet"), well, number)
        except ImportError as error:
            raise ServiceError(
                "reading cells needs polars: pip install 'motor-neuron-imaging-service[review]'"
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

        Raises ServiceError with its message.
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
        raise StoreError(
            f"there is no file {path}, so well {well}, field {number} has no cells to show"
        )
    return (
        pl.scan_parquet(path)
        .filter((pl.col("well") == well) & (pl.col("field") == number))
        .collect()
        .to_dicts()
    )
