"""Tables of the database."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from imaging_service.database.tenants import LOCAL_LAB, LOCAL_PROJECT, Moment, now


class PlateRow(SQLModel, table=True):
    """A scan that was submitted, by its digest and how it is stored."""

    __tablename__ = "plate"

    id: str = Field(primary_key=True)
    project_id: str = Field(default=LOCAL_PROJECT, foreign_key="project.id", index=True)
    name: str
    rows: int
    columns: int
    channels: str  # JSON list
    pixel_size_um: float
    created_at: datetime = Field(default_factory=now, sa_type=Moment)


class RunRow(SQLModel, table=True):
    """One run. `state` goes queued ► running ► done or failed.

    It is "waiting" while something is away, for the `reason`, and "cancelled" until it is resumed;
    `attempt` counts how often it was begun.

    `revision` is the one of the review that the tables include (1: labels of the segmentation
    engine); `review_reason` says why the tables could not be corrected. `map_version` is the
    version of the plate's map; 0 in runs from before versions were counted. `protocol_digest` is
    empty in runs from before protocols were kept. `priority` is high, normal or low.
    """

    __tablename__ = "run"

    id: str = Field(primary_key=True)
    project_id: str = Field(default=LOCAL_PROJECT, foreign_key="project.id", index=True)
    plate_id: str = Field(foreign_key="plate.id", index=True)
    protocol_name: str
    protocol_digest: str = ""
    engine: str
    state: str = Field(default="queued", index=True)
    reason: str = ""
    attempt: int = 1
    revision: int = 1
    review_reason: str = ""
    map_version: int = 0
    priority: str = "normal"
    n_wells: int
    n_skipped: int
    notes: str = "[]"  # JSON list
    submitted_at: datetime = Field(default_factory=now, sa_type=Moment)

    @property
    def of_tables(self) -> tuple[str, int, str]:
        """What tells the run's tables, of one revision of the review, from all others.

        A retry of failed wells is another attempt. A run that was removed and submitted again has
        its id and attempt from before, and a review of its own.
        """
        return self.id, self.attempt, self.submitted_at.isoformat()

    @property
    def entries(self) -> tuple[object, ...]:
        """All that the row holds, as a statement without the ORM reads it."""
        return tuple(getattr(self, name) for name in type(self).model_fields)


class MapRow(SQLModel, table=True):
    """A version of what is in a plate's wells: the map's records as JSON, and who gave it."""

    __tablename__ = "plate_map"
    __table_args__ = (
        sa.UniqueConstraint("plate_id", "version", name="one_map_a_version"),
        sa.UniqueConstraint("plate_id", "digest", name="one_version_a_map"),
    )

    id: int | None = Field(default=None, primary_key=True)
    plate_id: str = Field(foreign_key="plate.id", index=True)
    version: int
    digest: str
    source: str
    author: str = ""
    created_at: datetime = Field(default_factory=now, sa_type=Moment)
    records: str  # JSON list of objects


class ProtocolRow(SQLModel, table=True):
    """A protocol that a project's runs were analysed with, by its digest, and its version."""

    __tablename__ = "protocol"
    __table_args__ = (
        sa.UniqueConstraint("project_id", "name", "version", name="one_protocol_a_version"),
    )

    project_id: str = Field(primary_key=True, foreign_key="project.id")
    digest: str = Field(primary_key=True)
    name: str
    version: int
    content: str  # JSON object
    author: str = ""
    created_at: datetime = Field(default_factory=now, sa_type=Moment)


class ScreenRow(SQLModel, table=True):
    """A screen that the service builds and fits; `id` is the digest of what it is made of.

    `state` goes queued ► running ► done or failed, and is "waiting" while something is away.
    `gathered` counts the plates that were taken in, `attempt` how often it was begun.
    """

    __tablename__ = "screen"

    id: str = Field(primary_key=True)
    project_id: str = Field(default=LOCAL_PROJECT, foreign_key="project.id", index=True)
    name: str
    state: str = Field(default="queued", index=True)
    reason: str = ""
    attempt: int = 1
    n_plates: int
    gathered: int = 0
    n_rows: int | None = None
    n_hits: int | None = None
    author: str = ""
    submitted_at: datetime = Field(default_factory=now, sa_type=Moment)


class ExportRow(SQLModel, table=True):
    """An export; `id` is the digest of what it is made of.

    `state` is that of a screen. `run_id` or `screen_id` is what it is of, `source_attempt` how
    often that was begun, `revision` the one of the run's review that its tables include. `written`
    counts its tables, whose names are in `tables`; `size` (bytes) and `sha256` are of the file.
    """

    __tablename__ = "export"

    id: str = Field(primary_key=True)
    project_id: str = Field(default=LOCAL_PROJECT, foreign_key="project.id", index=True)
    # No foreign keys: an export outlives the run and the screen that it is of.
    run_id: str = ""
    screen_id: str = ""
    source_attempt: int
    revision: int
    tables: str
    format: str
    state: str = Field(default="queued", index=True)
    reason: str = ""
    attempt: int = 1
    n_tables: int
    written: int = 0
    size: int | None = Field(default=None, sa_type=sa.BigInteger)
    sha256: str | None = None
    author: str = ""
    submitted_at: datetime = Field(default_factory=now, sa_type=Moment)


class ReleaseRow(SQLModel, table=True):
    """A controlled release that the service hands over to keys of decided requests.

    `id` begins the digest of the bundle's manifest. `folder` is the release's own folder, which
    holds the requests and their keys' digests; `size` (bytes) and `sha256` are of the zip.
    """

    __tablename__ = "release"

    id: str = Field(primary_key=True)
    lab_id: str = Field(foreign_key="lab.id", index=True)
    name: str
    folder: str
    manifest_sha256: str
    size: int = Field(sa_type=sa.BigInteger)
    sha256: str
    offered_by: str
    offered_at: datetime = Field(default_factory=now, sa_type=Moment)
    ended_at: datetime | None = Field(default=None, sa_type=Moment)


class WellRow(SQLModel, table=True):
    """How one well ended; the row is the commit point of the well's files."""

    __tablename__ = "well_result"
    # The database, not the job engine, ensures that a well has one row.
    __table_args__ = (sa.UniqueConstraint("run_id", "well", name="one_row_a_well"),)

    id: int | None = Field(default=None, primary_key=True)
    run_id: str = Field(foreign_key="run.id", index=True)
    well: str
    status: str
    reason: str = ""
    n_fields: int = 0
    n_nuclei: int = 0


class DonorRow(SQLModel, table=True):
    """A donor of reprogrammed cells, by the laboratory's code and nothing else."""

    __tablename__ = "donor"

    lab_id: str = Field(default=LOCAL_LAB, primary_key=True, foreign_key="lab.id")
    id: str = Field(primary_key=True)


class LineRow(SQLModel, table=True):
    """A cell line of a laboratory's registry.

    Columns hold what queries ask for, `content` the whole record (`plate_maps.registry.Line`).
    """

    __tablename__ = "line"
    __table_args__ = (
        sa.ForeignKeyConstraint(["lab_id", "donor"], ["donor.lab_id", "donor.id"]),
        sa.ForeignKeyConstraint(["lab_id", "isogenic_parent"], ["line.lab_id", "line.line"]),
    )

    lab_id: str = Field(default=LOCAL_LAB, primary_key=True, foreign_key="lab.id")
    line: str = Field(primary_key=True)
    donor: str = Field(index=True)
    gene: str = Field(default="", index=True)
    isogenic_parent: str | None = Field(default=None)
    content: str  # JSON object


class BatchRow(SQLModel, table=True):
    """A differentiation batch of a laboratory's registry (`plate_maps.registry.Batch`)."""

    __tablename__ = "differentiation_batch"

    lab_id: str = Field(default=LOCAL_LAB, primary_key=True, foreign_key="lab.id")
    batch: str = Field(primary_key=True)
    content: str  # JSON object


class CompoundRow(SQLModel, table=True):
    """A compound of a laboratory's registry (`plate_maps.compounds.Compound`)."""

    __tablename__ = "compound"

    lab_id: str = Field(default=LOCAL_LAB, primary_key=True, foreign_key="lab.id")
    id: str = Field(primary_key=True)
    content: str  # JSON object


# Tables that are kept as rows, with their level in the dictionary of columns; cells, fields and
# tracks are files only.
TABLE_LEVELS = {"wells": "well", "responses": "response", "hazards": "hazard", "checks": "check"}


class TableRow(SQLModel, table=True):
    """One row of a run's table as JSON, with the columns that tables are filtered by.

    Rows of revision 1 come from the segmentation engine's labels and stay; those of the
    newest revision of the review are replaced by the next.
    """

    __tablename__ = "table_row"
    __table_args__ = (
        sa.UniqueConstraint("run_id", "revision", "kind", "position", name="one_row_a_position"),
        sa.Index("by_run_and_kind", "run_id", "revision", "kind"),
        # With what names are counted by over all runs: the rows themselves are gigabytes.
        sa.Index("by_kind_and_line", "kind", "line", "run_id", "revision"),
        sa.Index("by_kind_and_compound", "kind", "compound", "run_id", "revision"),
    )

    id: int | None = Field(default=None, primary_key=True)
    run_id: str = Field(foreign_key="run.id")
    revision: int = 1
    kind: str  # one of TABLE_LEVELS
    position: int
    line: str = ""
    compound: str = ""
    phenotype: str = ""
    status: str = ""
    content: str  # JSON object


class ClaimRow(SQLModel, table=True):
    """A field that a reviewer is looking at, until `until`.

    The unique constraint keeps two reviewers from the same field.
    """

    __tablename__ = "review_claim"
    __table_args__ = (
        sa.UniqueConstraint("run_id", "reading", "well", "field", name="one_claim_a_field"),
    )

    id: int | None = Field(default=None, primary_key=True)
    run_id: str = Field(foreign_key="run.id", index=True)
    reading: str = ""
    well: str
    field: int
    reviewer: str
    until: float  # seconds since 1970


class StoreRow(SQLModel, table=True):
    """The data folder that this database belongs to; the folder's `store.id` holds the same."""

    __tablename__ = "store"

    id: str = Field(primary_key=True)


class WorkerRow(SQLModel, table=True):
    """A worker, by its executor's name, and when it was last heard of (seconds since 1970)."""

    __tablename__ = "worker"

    name: str = Field(primary_key=True)
    host: str
    process: int
    version: str
    seen: float
    state: str
