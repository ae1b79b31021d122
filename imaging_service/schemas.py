"""Messages between the API and its clients."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from imaging_service.incoming.manifest import ManifestFile

RunState = Literal["queued", "running", "waiting", "done", "failed", "cancelled"]
RunPriority = Literal["high", "normal", "low"]

_EXAMPLE_RUN = "3f0c9d2a41b7"


class Problem(BaseModel):
    """RFC 9457 problem: the one shape of every error."""

    type: str = Field(
        description="Stable code of the error, as a URN.",
        examples=["urn:imaging-service:not_found"],
    )
    title: str = Field(examples=["Not found"])
    status: int = Field(examples=[404])
    detail: str = Field(
        description="What is wrong, where, and what to do.", examples=["there is no run 3f0c"]
    )


class Sent(BaseModel):
    """What a request may hold.

    No text in it has a NUL or half a pair of surrogates: databases and file systems take neither.
    """

    @model_validator(mode="before")
    @classmethod
    def _written_text(cls, content: Any) -> Any:
        for text in _texts(content):
            if not is_text(text):
                raise ValueError(f"{text[:40]!r} holds a character that cannot be written")
        return content


def is_text(value: str) -> bool:
    """Whether a text can be stored: it has neither NUL nor half a pair of surrogates."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in value


def _texts(content: Any) -> Iterator[str]:
    waiting = [content]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict):
            waiting += [*part, *part.values()]
        elif isinstance(part, list | tuple):
            waiting += part


class Submission(Sent):
    """A plate to analyse. Paths are on the server, under its scan roots."""

    model_config = ConfigDict(extra="forbid")

    scan: str = Field(
        description="Folder of the scan; an OME-Zarr plate may lie at s3://BUCKET/FOLDER.",
        examples=["/scans/plate-12"],
    )
    plate_map_name: str = Field(
        description="Name of the plate map's file; its ending says the format.",
        examples=["plate_map.csv"],
    )
    plate_map_base64: str = Field(description="The file's bytes.", max_length=28_000_000)
    protocol: dict[str, Any] = Field(description="The protocol file's content.")
    engine: str | None = Field(
        None, description="Overrides the protocol's engine.", examples=["classical"]
    )
    device: Literal["auto", "cpu", "cuda"] = "auto"
    plate: str = Field(
        "",
        max_length=200,
        description="Barcode in a map of several plates; the scan folder's name if not given.",
    )
    priority: RunPriority = Field(
        "normal", description="Of a new run, among those that are going on."
    )


class NewPlateMap(Sent):
    """Another map of a plate that was analysed already."""

    model_config = ConfigDict(extra="forbid")

    plate_map_name: str = Field(
        description="Name of the file; its ending says the format.", examples=["plate_map.csv"]
    )
    plate_map_base64: str = Field(description="The file's bytes.", max_length=28_000_000)
    plate: str = Field("", max_length=200, description="Barcode in a map of several plates.")


class PlateMapVersion(BaseModel):
    """A version of a plate's map, with the runs that were analysed with it."""

    version: int = Field(description="From 1.")
    source: str = Field(examples=["plate_map.csv"])
    author: str
    created_at: datetime
    wells: int
    runs: list[str]


class EngineModel(BaseModel):
    """Weights of a segmentation engine."""

    engine: str = Field(examples=["motornet"])
    licence: str
    training_data: str
    origin: str
    sha256: str | None = Field(
        description="Of shipped weights the pinned digest; of others that of their first load."
    )
    shipped: bool
    here: bool = Field(description="Whether the file is on the service's machine.")
    figures: dict[str, str] = Field(
        description="What was measured, and how it came out; empty where nothing was."
    )


class ProtocolVersion(BaseModel):
    """A protocol that a project's runs were analysed with."""

    digest: str
    name: str = Field(examples=["phantom-fixed-endpoint"])
    version: int = Field(description="From 1, by name.")
    author: str
    created_at: datetime
    runs: int = Field(description="How many of the project's runs have it.")


class UploadManifest(BaseModel):
    """A scan that is to be uploaded."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(description="Folder that the scan will have.", examples=["plate-12"])
    files: list[ManifestFile]


class UploadBegun(BaseModel):
    """An upload, and the digests of the contents that it lacks."""

    id: str
    missing: list[str]


class UploadState(BaseModel):
    """An upload, and how much of it has arrived."""

    id: str
    name: str = Field(description="Folder that the scan has or will have.", examples=["plate-12"])
    files: int
    bytes: int
    missing: int = Field(description="Files whose content has not arrived.")
    committed: bool = Field(description="Whether it is a scan, to be submitted.")


class BlobState(BaseModel):
    """How many bytes of a content have arrived."""

    arrived: int


class UploadedScan(BaseModel):
    """An upload that is complete: the scan's folder on the server."""

    scan: str = Field(examples=["/data/scans/plate-12"])


class Progress(BaseModel):
    """Wells of a run by how far they are."""

    done: int = 0
    failed: int = 0
    skipped: int = Field(0, description="In the plate map, but not in the scan.")
    left: int = Field(0, description="Queued or being analysed.")


class Run(BaseModel):
    """One analysis of one plate with one map and one protocol."""

    id: str = Field(examples=[_EXAMPLE_RUN])
    plate_id: str
    plate_name: str = Field(examples=["plate-12"])
    protocol_name: str = Field(examples=["phantom-fixed-endpoint"])
    engine: str = Field(examples=["classical"])
    state: RunState
    priority: RunPriority = "normal"
    reason: str = Field(
        "",
        description=(
            "Why the run failed or what it waits for; of a run with failed wells, how to try them"
            " again."
        ),
    )
    progress: Progress
    submitted_at: datetime
    notes: list[str] = Field(default_factory=list, description="Remarks on plate map and scan.")


class RunEvent(BaseModel):
    """What of a run has changed; `GET /runs/{id}` has the rest."""

    id: str = Field(examples=[_EXAMPLE_RUN])
    state: RunState
    reason: str = ""
    done: int = Field(description="Wells.")
    failed: int
    revision: int = Field(description="The one of the review that the tables stand at.")


class Plate(BaseModel):
    """A converted scan."""

    id: str
    name: str
    rows: int = Field(examples=[16])
    columns: int = Field(examples=[24])
    channels: list[str]
    pixel_size_um: float = Field(examples=[0.65])


class WellState(BaseModel):
    """How one well of a run ended, as soon as it has."""

    well: str = Field(examples=["B03"])
    status: Literal["done", "failed", "skipped"]
    reason: str = ""
    n_fields: int = 0
    n_nuclei: int = 0


class RegistryChange(BaseModel):
    """What a registry file changed: names of lines or batches."""

    added: list[str] = Field(default_factory=list)
    changed: list[str] = Field(
        default_factory=list, description="Known before, with other content."
    )
    unchanged: list[str] = Field(default_factory=list)


class Region(BaseModel):
    """A rectangle of a field's labels, in pixels of the full resolution."""

    compartment: str = Field(examples=["nuclei"])
    frame: int = Field(1, ge=1, description="Time point, from 1.")
    y: int = Field(ge=0)
    x: int = Field(ge=0)
    height: int = Field(ge=1)
    width: int = Field(ge=1)


class LabelVersion(BaseModel):
    """A reviewer's version of a field's labels; `regions` are what was changed."""

    well: str = Field(examples=["B03"])
    field: int = Field(description="From 1.")
    version: int = Field(description="From 2; 1 is the engine's.")
    parent: int = Field(description="The version that was corrected.")
    author: str
    reason: str = ""
    time: datetime
    undoes: int | None = Field(None, description="The version that it takes back.")
    edit: str = Field(
        "", description="The reviewer's own key of the correction: sent twice, it is written once."
    )
    regions: list[Region]


class Verdict(Sent):
    """A reviewer's acceptance or rejection of a field, a well (no field) or a track."""

    well: str = Field(examples=["B03"])
    field: int | None = Field(None, description="From 1; the whole well if not given.")
    track: int | None = None
    frame: int | None = Field(
        None, description="Where the track was pointed at: time point, and the cell's label in it."
    )
    label: int | None = None
    accepted: bool
    author: str
    reason: str = Field("", description="Why; required for a rejection.")
    time: datetime
    label_version: int | None = Field(
        None, description="The version of the field's labels that the reviewer saw."
    )

    @model_validator(mode="after")
    def _a_rejection_says_why(self) -> Verdict:
        if not self.accepted and not self.reason.strip():
            raise ValueError(f"well {self.well}: a rejection needs a reason")
        if self.track is not None and self.field is None:
            raise ValueError(
                f"well {self.well}, track {self.track}: a verdict on a track needs its field"
            )
        return self


class FieldLabels(BaseModel):
    """A field's labels without their pixels: their version, and where each lies."""

    label_version: int
    regions: list[Region]


class QueueEntry(BaseModel):
    """A field of the review's queue."""

    well: str = Field(examples=["B03"])
    field: int
    score: float = Field(description="Urgency of a look, in units of one warning.")
    why: str = Field(
        "", description="In words. It may name the compound: hide it from a blinded reviewer."
    )
    judged: bool = False
    claimed_by: str = Field("", description="The reviewer who is looking at it now.")


class Claim(Sent):
    """A reviewer's request for fields of the queue to look at."""

    model_config = ConfigDict(extra="forbid")

    reviewer: str = Field(min_length=1, max_length=100)
    count: int = Field(1, ge=1, le=50)


class ReviewState(BaseModel):
    """How far a run's tables have followed its review."""

    revision: int = Field(
        description="1 before any review, one more for every correction and verdict."
    )
    applied: int = Field(description="The revision that the tables stand at.")
    reason: str = Field("", description="Why the tables could not follow.")


class Revert(Sent):
    """A request to go back to an earlier version of a field's labels."""

    model_config = ConfigDict(extra="forbid")

    to: int = Field(ge=1, description="1 is the engine's.")
    undoes: int | None = Field(None, description="The version that this takes back.")
    author: str = Field(min_length=1)
    reason: str = ""


class SentSummary(BaseModel):
    """A site's summary that was sent to a project, for the hub to take."""

    site: str = Field(examples=["north"])
    lab: str = Field(description="The sender's laboratory.")
    sender: str
    sent_at: datetime
    size: int = Field(description="Bytes of the zip.")
    sha256: str = Field(description="Of the zip.")


class OfferedRelease(BaseModel):
    """A controlled release that the service hands over."""

    id: str = Field(examples=["b1c9d2a41b7c3d04"])
    name: str
    manifest_sha256: str = Field(description="Of the bundle's manifest: which bundle it is.")
    size: int = Field(description="Bytes of the zip.")
    sha256: str = Field(description="Of the zip.")
    offered_at: datetime


class FolderFile(BaseModel):
    """A file of a run's or a screen's folder."""

    path: str = Field(description="In the folder, with `/`.", examples=["review/queue.csv"])
    size: int = Field(description="Bytes.")
    version: str = Field(description="Another text once the file was written again.")


class Retry(Sent):
    """Which failed wells of a run are to be analysed again."""

    model_config = ConfigDict(extra="forbid")

    wells: list[Annotated[str, Field(max_length=8)]] | None = Field(
        None, max_length=3072, description="All that failed, if not given.", examples=[["B03"]]
    )


class Priority(Sent):
    """How soon a run's wells have their turn."""

    model_config = ConfigDict(extra="forbid")

    priority: RunPriority


class WorkerState(BaseModel):
    """One worker, as the database knows it."""

    name: str
    seen_s: float = Field(description="Seconds since it was last heard of.")
    alive: bool
    state: str = Field(description="working, or what it waits for.")


class Health(BaseModel):
    """Whether the service can take work, and what keeps it from that."""

    version: str
    ready: bool
    database: str = Field(description="ok, or what is wrong.")
    store: str = Field(description="ok, or why the data folder can take no work.")
    workers: list[WorkerState] = Field(default_factory=list)
    problems: list[str] = Field(default_factory=list, description="In words; empty where ready.")
