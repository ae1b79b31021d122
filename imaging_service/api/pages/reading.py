"""One run as its pages read it: rows of the database, and files of its folder."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import orjson
from cachetools import LRUCache
from fastapi import Depends
from sqlmodel import Session

from imaging_service.api.access import SessionDep, SettingsDep
from imaging_service.api.routes.runs import read_run
from imaging_service.database.session import find_plate, find_run, table_content, well_rows
from imaging_service.errors import NotFound, NotReady
from imaging_service.review.local import LocalRun
from imaging_service.schemas import Run
from imaging_service.settings import Settings
from imaging_service.store.arrival import PAGE, arrival_folder, read_arrival
from imaging_service.web.pages.drawn_plate import progress_plate
from imaging_service.web.specifications.registry import RunTables
from imaging_service.web.templating import query
from plate_maps import PlateFormat

if TYPE_CHECKING:
    import polars as pl

    from imaging_service.web.scan_report import ScanFindings

Rows = list[dict[str, Any]]
GOING_ON = ("queued", "running", "waiting")
# Tables that were read last, as rows: reading one takes longer than most pages. A table of 384
# wells takes 10 MB.
_TABLES: LRUCache[tuple[object, ...], Rows] = LRUCache(24)
_LOCK = threading.Lock()


class Reading:
    """A run by its id, or the beginning of it. Raises NotFound.

    Tables are those of the newest labels; they raise RunNotDone until the run is done.
    """

    def __init__(self, run: str, session: SessionDep, settings: SettingsDep) -> None:
        self.session: Session = session
        self.settings: Settings = settings
        self.row = find_run(session, run)
        self.root = settings.run_root(self.row.id)

    @cached_property
    def run(self) -> Run:
        """The run and its progress."""
        return read_run(self.session, self.row)

    @property
    def version(self) -> tuple[object, ...]:
        """What tells all that is known of a run that is done from what was known before."""
        row = self.row
        known = (row.revision, row.review_reason, row.map_version, row.protocol_digest)
        return *row.of_tables, *known, self.run.model_dump_json(), self.written_ns

    @property
    def written(self) -> Path:
        """The file that is written whenever the run's folder changes once it is done."""
        return self.root / "run.json"

    @cached_property
    def written_ns(self) -> int:
        """When it was written."""
        return self.written.stat().st_mtime_ns

    @cached_property
    def plate_format(self) -> PlateFormat:
        """Rows and columns of the plate."""
        plate = find_plate(self.session, self.row.plate_id)
        return PlateFormat(plate.rows, plate.columns)

    @cached_property
    def record(self) -> dict[str, Any]:
        """The run's record without its list of source files; empty where it is not written yet."""
        for path in (self.root / "run.json", self.root / "work" / "record.json"):
            if path.is_file():
                return _record(path, path.stat().st_mtime_ns)
        return {}

    @property
    def looked(self) -> bool:
        """Whether the page of the scan is there."""
        return (arrival_folder(self.root) / PAGE).is_file()

    @cached_property
    def scan(self) -> ScanFindings | None:
        """How the scan looked; None while the run has not looked at it."""
        from imaging_service.web.scan_report import scan_findings

        arrival = read_arrival(self.root)
        if arrival == "" and self.row.state in GOING_ON:
            return None
        return scan_findings(arrival, self.record.get("channels", ()))

    @cached_property
    def local(self) -> LocalRun:
        """The run's folder: pixels, labels, review. Raises RunNotDone until the run is done."""
        self.must_be_done()
        path = self.root / "run.json"
        return _local(self.root, path.stat().st_mtime_ns)

    def must_be_done(self) -> None:
        """Raise RunNotDone for a run that has no tables yet."""
        if self.row.state != "done":
            raise RunNotDone(self)

    def progress(self) -> dict[str, Any]:
        """State, drawn plate and failed wells, for the run's page and those that wait for it."""
        rows = well_rows(self.session, self.row.id)
        ended = {r.well: (r.status, r.reason) for r in rows}
        skipped = self.record.get("skipped", {})
        planned = sorted({*self.record.get("wells", ()), *ended, *skipped})
        known = ended | {w: ("skipped", reason) for w, reason in skipped.items()}
        title = f"{self.run.plate_name}, {self.run.state}"
        return {
            "reading": self,
            "run": self.run,
            "record": self.record,
            "plate": progress_plate(title, self.plate_format, planned, known),
            "failed": [r for r in rows if r.status == "failed"],
            "going_on": self.row.state in GOING_ON,
        }

    def damaged(self, failed: Iterable[str]) -> list[str]:
        """Wells of those that failed that were submitted damaged, so that no retry helps."""
        from imaging_service.jobs.records import RunFolder, submitted_damaged

        return submitted_damaged(RunFolder(self.root), failed)

    @property
    def scan_folder(self) -> str:
        """Where the scan was when it was submitted."""
        return str(self.record.get("inputs", {}).get("scan", ""))

    def table(self, kind: str) -> Rows:
        """Rows of wells, responses, hazards or checks, in order; not to be changed."""
        self.must_be_done()
        row = self.row
        key = (self.settings.url, *row.of_tables, row.revision, kind)
        with _LOCK:
            kept = _TABLES.get(key)
        if kept is None:
            content = table_content(self.session, row, kind, {})
            kept = orjson.loads(f"[{','.join(content)}]")
            with _LOCK:
                _TABLES[key] = kept
        return kept

    @cached_property
    def quality(self) -> Rows:
        """Rows of the quality table, from its file: the database does not have it."""
        return self.local.table("quality").to_dicts()

    @cached_property
    def tracks(self) -> pl.DataFrame | None:
        """The track table, from its file; None in a fixed assay, whose run has none."""
        try:
            return self.local.table("tracks")
        except NotFound:
            return None

    @cached_property
    def curves(self) -> Rows:
        """Curves as plain values."""
        path = self.local.file("curves.json")
        return _curves(path, path.stat().st_mtime_ns)

    @property
    def is_film(self) -> bool:
        """Whether the assay follows neurons through time."""
        return bool(self.record.get("inputs", {}).get("protocol", {}).get("survival"))

    @property
    def measurement(self) -> dict[str, Any]:
        """Limits of what is measured, as the run's protocol has them."""
        return dict(self.record.get("inputs", {}).get("protocol", {}).get("measurement", {}))

    @cached_property
    def phenotypes(self) -> list[str]:
        """Phenotypes of the response table or the protocol, in the protocol's order."""
        protocol = self.record.get("inputs", {}).get("protocol", {})
        return list(protocol.get("response", {}).get("phenotypes", ()))

    def tables(
        self, *, curves: bool = False, quality: bool = False, tracks: bool = False
    ) -> RunTables:
        """What charts are drawn from."""
        return RunTables(
            self.plate_format,
            self.table("wells"),
            self.table("responses"),
            self.quality if quality else (),
            self.curves if curves else (),
            self.tracks if tracks else None,
        )

    def well_page(self, well: str, field: int = 1) -> str:
        """Address of a well's page."""
        tail = f"?field={field}" if field > 1 else ""
        return f"/view/{self.row.id}/wells/{well}{tail}"

    @property
    def protocol_file(self) -> str:
        """Address of the protocol that the run was submitted with; "" in runs from before."""
        row = self.row
        kept = f"/projects/{row.project_id}/protocols/{row.protocol_digest}?format=toml"
        return kept if row.protocol_digest else ""

    @property
    def map_rows(self) -> str:
        """Address of the version of the plate map that the run was made with; "" before them."""
        row = self.row
        return f"/plates/{row.plate_id}/maps/{row.map_version}" if row.map_version else ""

    def line_page(self, line: str) -> str:
        """Address of a line's page."""
        return f"{self.address('line')}{query({'name': line})}"

    def compound_page(self, compound: str) -> str:
        """Address of a compound's page."""
        return f"{self.address('compound')}{query({'name': compound})}"

    def curve_page(self, row: Mapping[str, Any]) -> str:
        """Address of a row of the response table with its curve."""
        of = {name: row[name] for name in ("line", "compound", "phenotype")}
        return f"{self.address('curve')}{query(of)}"

    def address(self, *parts: str) -> str:
        """Address of one of the run's pages."""
        return "/".join([f"/view/{self.row.id}", *(quote(p, safe="") for p in parts)])


@lru_cache(maxsize=64)
def _record(path: Path, written_ns: int) -> dict[str, Any]:
    del written_ns  # part of the key: a run that was begun again has another record
    record: dict[str, Any] = orjson.loads(path.read_bytes())
    record.pop("source_files", None)
    return record


@lru_cache(maxsize=16)
def _local(root: Path, written_ns: int) -> LocalRun:
    del written_ns
    return LocalRun(root)


@lru_cache(maxsize=16)
def _curves(path: Path, written_ns: int) -> Rows:
    del written_ns  # a review writes the file anew
    rows: Rows = orjson.loads(path.read_bytes())
    return rows


class RunNotDone(NotReady):
    """A page of a run needs tables that are not there yet; `page` is what is shown in its place."""

    def __init__(self, reading: Reading) -> None:
        row = reading.row
        why = f": {row.reason}" if row.reason else ""
        super().__init__(
            f"run {row.id[:12]} is {row.state}{why}; its tables and pictures are there once it is"
            " done"
        )
        # Read now: the session is closed when the page is made.
        title = f"{reading.run.plate_name}: not analysed yet"
        self.page = {**reading.progress(), "title": title, "tab": ""}


ReadingDep = Annotated[Reading, Depends()]
