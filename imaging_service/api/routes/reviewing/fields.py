"""Reviewing a run over HTTP: labels of fields, corrections, verdicts, and the tables that follow.

A correction names the version that it was made on (`If-Match`). Without it the answer is 428; where
another reviewer wrote a version since, 412, and nothing is written. With an `Idempotency-Key` a
correction that is sent twice, because its answer was lost, is written once. Labels travel as
NumPy's .npz: `crop_0`, `crop_1`, … int32 (Y, X), and `meta`, JSON that says where each lies
(`imaging_service.review.crops.pack`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Body, Depends, Header, Query, Response
from fastapi.responses import FileResponse
from sqlmodel import Session

from imaging_service.api.access import CallerDep, SessionDep, SettingsDep
from imaging_service.api.problems import described
from imaging_service.database.session import find_run
from imaging_service.database.tables import RunRow
from imaging_service.errors import NotFound, NotReady, PreconditionRequired, ReviewRefused
from imaging_service.review.crops import Crop, pack, unpack, with_crops
from imaging_service.review.field_image import Window, compact
from imaging_service.review.local import LocalRun, cell_rows
from imaging_service.review.log import COMPARTMENTS, GRAPH, check_cells
from imaging_service.review.pieces import check_pieces
from imaging_service.schemas import FieldLabels, LabelVersion, Region, Revert, ReviewState, Verdict
from imaging_service.settings import Settings
from plate_maps.wells import is_whole_number, whole_number

router = APIRouter(prefix="/runs/{run}", tags=["review"], responses=described(409))
_MOST_BYTES = 128 * 2**20
_NPZ = "application/x-npz"


class Reviewed:
    """A finished run that is being reviewed, or an independent reading of it."""

    def __init__(
        self,
        run: str,
        session: SessionDep,
        settings: SettingsDep,
        caller: CallerDep,
        reading: Annotated[
            str,
            Query(
                max_length=40,
                description="An independent reading, which the tables do not follow.",
            ),
        ] = "",
    ) -> None:
        self.row, self.settings, self.reading = finished(run, session), settings, reading
        self.run = LocalRun(folder_of(self.row, settings), reading)
        self._caller = caller
        # The row is read; labels and files take longer than a connection should be kept.
        session.close()

    def author(self, named: str) -> str:
        """The author of a change; `named` is what the client says, which counts without keys."""
        return self._caller.author(named)

    def changed(self) -> None:
        """Let the tables follow, unless this is a reading apart."""
        from imaging_service.jobs.durable.queue import request_review

        if not self.reading:
            request_review(self.settings, self.row.id)


def finished(run: str, session: Session) -> RunRow:
    """A run that is done. Raises NotReady for any other."""
    row = find_run(session, run)
    if row.state != "done":
        raise NotReady(f"run {row.id[:12]} is {row.state}; it can be reviewed once it is done")
    return row


def folder_of(row: RunRow, settings: Settings) -> Path:
    """The run's folder."""
    return settings.run_root(row.id)


ReviewedDep = Annotated[Reviewed, Depends()]


def _known(run: LocalRun, well: str, field: int) -> None:
    """Raise NotFound for a field that was not analysed.

    A well's name becomes a folder's, so it must be one of the run's.
    """
    rows = {row["well"]: row for row in run.wells()}
    if (
        well not in rows
        or not rows[well]["n_fields"]
        or not 1 <= field <= int(rows[well]["n_fields"])
    ):
        raise NotFound(f"well {well}, field {field}: no such field was analysed in this run")


@router.get("/record", summary="The run's record", response_class=FileResponse)
def get_record(reviewed: ReviewedDep) -> FileResponse:
    """`run.json`: inputs, protocol, engine, thresholds, how each well ended."""
    return FileResponse(reviewed.run.root / "run.json", media_type="application/json")


@router.get("/cells", summary="Cells of a field")
def get_cells(
    reviewed: ReviewedDep, well: str, field: Annotated[int, Query(ge=1)]
) -> list[dict[str, object]]:
    """Rows of the cell table of all time points of a field, as corrected."""
    _known(reviewed.run, well, field)
    return cell_rows(reviewed.run.file("cells.parquet"), well, field)


@router.get("/curves", summary="Dose-response curves", response_class=FileResponse)
def get_curves(reviewed: ReviewedDep) -> FileResponse:
    """Curves per line × compound × phenotype, as corrected.

    Each has its wells with dose and response, and the fitted curve with its band.
    """
    return FileResponse(reviewed.run.file("curves.json"), media_type="application/json")


@router.get(
    "/fields/{well}/{field}/labels", summary="Newest labels of a field", response_class=Response
)
def get_labels(
    reviewed: ReviewedDep,
    well: str,
    field: int,
    frame: Annotated[int, Query(ge=1)] = 1,
    y: Annotated[int, Query(ge=0)] = 0,
    x: Annotated[int, Query(ge=0)] = 0,
    height: Annotated[int | None, Query(ge=1)] = None,
    width: Annotated[int | None, Query(ge=1)] = None,
) -> Response:
    """Labels of every compartment and `neurite_graph`, as .npz; the ETag is the labels' version.

    With y, x, height and width, only that window of the field.
    """
    run = reviewed.run
    _known(run, well, field)
    window = None if height is None or width is None else Window(y, x, height, width)
    image = run.read_field(well, field, frame, window)
    if frame > image.frames:
        raise NotFound(
            f"well {well}, field {field}: there is no time point {frame}; the field has"
            f" {image.frames}"
        )
    top, left = image.origin
    layers = {**image.labels, **({} if image.graph is None else {GRAPH: image.graph})}
    crops = [Crop(name, top, left, compact(labels), frame) for name, labels in layers.items()]
    meta = FieldLabels(label_version=image.label_version, regions=[c.region for c in crops])
    return Response(
        pack(meta.model_dump(), crops),
        media_type=_NPZ,
        headers={"ETag": f'"{image.label_version}"'},
    )


@router.patch(
    "/fields/{well}/{field}/labels",
    summary="Correct a field's labels",
    responses=described(412, 428),
)
def patch_labels(
    reviewed: ReviewedDep,
    well: str,
    field: int,
    content: Annotated[bytes, Body(media_type=_NPZ)],
    author: Annotated[
        str,
        Query(
            max_length=100,
            description=(
                "Only where the service has no keys: elsewhere the author is the key's owner."
            ),
        ),
    ] = "",
    reason: Annotated[str, Query(max_length=1000)] = "",
    if_match: Annotated[
        str | None, Header(description="The version that was corrected, in quotes.")
    ] = None,
    idempotency_key: Annotated[str, Header(max_length=100)] = "",
    undoes: Annotated[
        int | None, Query(ge=2, description="The version that this one takes back.")
    ] = None,
) -> LabelVersion:
    """Write the next version.

    428 without If-Match, 412 where it is not the newest version any more.
    """
    run = reviewed.run
    _known(run, well, field)
    parent = _version(if_match)
    crops = _crops(content)
    for frame in sorted({c.frame for c in crops}):
        where = f"well {well}, field {field}"
        frames = run.read_pixels(well, field).levels[0].shape
        if frame > (frames[0] if len(frames) == 4 else 1):
            raise ReviewRefused(f"{where} has no time point {frame}")
        base = run.engine_labels(well, field, frame)
        _fits(crops, base, where)
        if parent == run.review.head(well, field):
            before = run.review.labels(base, well, field, frame=frame)
            after = with_crops(before, crops, frame)
            check_cells(after, where)
            # What is taken back was there before, in as many pieces as it may have been.
            if undoes is None:
                check_pieces(before, after, where)
    version = run.review.commit(
        well, field, parent, crops, reviewed.author(author), reason, idempotency_key, undoes
    )
    reviewed.changed()
    return version


@router.get("/fields/{well}/{field}/history", summary="Versions of a field's labels")
def get_history(reviewed: ReviewedDep, well: str, field: int) -> list[LabelVersion]:
    """Versions that reviewers made, oldest first; version 1 is the engine's."""
    _known(reviewed.run, well, field)
    return reviewed.run.review.history(well, field)


@router.post(
    "/fields/{well}/{field}/revert",
    summary="Go back to an earlier version",
    responses=described(412),
)
def revert(reviewed: ReviewedDep, well: str, field: int, wanted: Revert) -> LabelVersion:
    """A new version that holds what the earlier one held; nothing is lost."""
    _known(reviewed.run, well, field)
    version = reviewed.run.revert(
        well, field, wanted.to, reviewed.author(wanted.author), wanted.reason, wanted.undoes
    )
    reviewed.changed()
    return version


@router.get("/verdicts", summary="What reviewers accepted and rejected")
def get_verdicts(reviewed: ReviewedDep) -> list[Verdict]:
    """All verdicts, oldest first; the last on a field, well or track stands."""
    return reviewed.run.review.verdicts()


@router.post("/verdicts", summary="Accept or reject a field, a well or a track", status_code=201)
def post_verdict(reviewed: ReviewedDep, verdict: Verdict) -> Verdict:
    """A rejection needs a reason."""
    _known(reviewed.run, verdict.well, verdict.field or 1)
    verdict = verdict.model_copy(update={"author": reviewed.author(verdict.author)})
    reviewed.run.review.judge(verdict)
    reviewed.changed()
    return verdict


@router.get("/review", summary="How far the tables have followed the review")
def get_state(reviewed: ReviewedDep) -> ReviewState:
    """The review's revision, and the one that the tables stand at (`applied`).

    The tables follow by themselves after every correction and verdict.
    """
    row = reviewed.row
    return ReviewState(
        revision=reviewed.run.review.revision(), applied=row.revision, reason=row.review_reason
    )


@router.post("/review", summary="Let the tables follow the review", status_code=202)
def follow_review(reviewed: ReviewedDep) -> ReviewState:
    """Ask for the tables again where they could not follow; otherwise they follow by themselves."""
    from imaging_service.jobs.durable.queue import request_review

    revision = request_review(reviewed.settings, reviewed.row.id)
    return ReviewState(revision=revision, applied=reviewed.row.revision)


@router.get("/agreement", summary="How well two readings agree")
def get_agreement(
    reviewed: ReviewedDep,
    second: Annotated[
        str, Query(max_length=40, description="Another reading; the engine's labels if not given.")
    ] = "",
    compartment: Annotated[str, Query(max_length=40)] = "nuclei",
) -> dict[str, object]:
    """F1, Dice and kappa over the fields that both reviewed; `reading` is the first.

    Beside them the engine's F1 against the objects that both readings have.
    """
    from dataclasses import asdict

    from imaging_service.jobs.review.agreement import agreement

    other = LocalRun(reviewed.run.root, second) if second else None
    return asdict(agreement(reviewed.run, other, compartment))


def _version(if_match: str | None) -> int:
    if if_match is None:
        raise PreconditionRequired(
            "a correction needs the header If-Match with the version that was corrected: the ETag"
            " of the field's labels"
        )
    text = if_match.strip().removeprefix("W/").strip('"')
    if not is_whole_number(text):
        raise ReviewRefused(
            f"If-Match {if_match!r} is not a version of labels; send the ETag of the field's labels"
        )
    return whole_number(text)


def _crops(content: bytes) -> list[Crop]:
    if len(content) > _MOST_BYTES:
        raise ReviewRefused(
            f"the correction has {len(content):,} bytes; at most {_MOST_BYTES:,} are accepted"
        )
    try:
        crops = unpack(content, lambda meta: [Region.model_validate(r) for r in meta])[1]
    except (ValueError, TypeError) as error:
        raise ReviewRefused(f"the correction is not an .npz of labels: {error}") from error
    if not crops:
        raise ReviewRefused("the correction has no labels; send the crops that were changed")
    return crops


def _fits(crops: list[Crop], base: Mapping[str, np.ndarray], where: str) -> None:
    """Raise ReviewRefused for crops outside the field or of compartments that the run lacks."""
    for crop in crops:
        if crop.compartment not in COMPARTMENTS or crop.compartment not in base:
            raise ReviewRefused(
                f"{where}: the run has no labels of {crop.compartment!r}; it has {', '.join(base)}"
            )
        height, width = base[crop.compartment].shape
        region = crop.region
        if region.y + region.height > height or region.x + region.width > width:
            raise ReviewRefused(
                f"{where}: the crop of {crop.compartment} reaches over the field's edge, which is"
                f" at {height} × {width} pixels"
            )
        if crop.labels.min() < 0:
            raise ReviewRefused(f"{where}: {crop.compartment} has a negative label")
