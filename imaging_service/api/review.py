"""Reviewing a run over HTTP: fields with their newest labels, corrections, verdicts.

A correction names the version that it was made on (`If-Match`). Without it the answer is 428; where somebody was faster, 412, and nothing
is written. Pixels and labels travel as NumPy's .npz: `pixels` (C, Y, X), `labels_COMPARTMENT` (Y, X), and in corrections one array a
compartment with `origin_COMPARTMENT`, its upper left corner (y, x).
"""

from __future__ import annotations

import io
import json
import zipfile
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Body, Header, Query, Response
from fastapi.responses import FileResponse
from sqlmodel import Session

from imaging_service.api.access import SessionDep, SettingsDep
from imaging_service.client import RunFolder
from imaging_service.db import find_run
from imaging_service.errors import NotFound, NotReady, PreconditionRequired, ReviewRefused
from imaging_service.review_log import COMPARTMENTS, Crop
from imaging_service.schemas import LabelVersion, Revert, Verdict
from imaging_service.settings import Settings

router = APIRouter(prefix="/runs/{run}", tags=["review"])
_MOST_BYTES = 128 * 2**20
_NPZ = "application/x-npz"


def _opened(run: str, session: Session, settings: Settings) -> RunFolder:
    from imaging_service.jobs.workflows import run_folder

    row = find_run(session, run)
    if row.state != "done":
        raise NotReady(f"run {row.id[:12]} is {row.state}; it can be reviewed once it is done")
    return RunFolder(run_folder(settings, row.id).root)


def _known(folder: RunFolder, well: str, field: int) -> None:
    """Raises NotFound for a field that was not analysed: a well's name becomes a folder's, and must be one of the run's."""
    rows = {row["well"]: row for row in folder.wells()}
    if well not in rows or not rows[well]["n_fields"] or not 1 <= field <= int(rows[well]["n_fields"]):
        raise NotFound(f"the run has no field {field} of well {well}")


@router.get("/record", summary="The run's record", response_class=FileResponse)
def get_record(run: str, session: SessionDep, settings: SettingsDep) -> FileResponse:
    """`run.json`: inputs, protocol, engine, thresholds, how each well ended."""
    return FileResponse(_opened(run, session, settings).root / "run.json", media_type="application/json")


@router.get("/fields/{well}/{field}", summary="Pixels and newest labels of a field", response_class=Response)
def get_field(run: str, well: str, field: int, session: SessionDep, settings: SettingsDep) -> Response:
    """.npz; the labels' version is the ETag."""
    folder = _opened(run, session, settings)
    _known(folder, well, field)
    image = folder.read_field(well, field)
    meta = {"channels": image.channels, "roles": image.roles, "pixel_size_um": image.pixel_size_um, "label_version": image.label_version}
    arrays: dict[str, Any] = {"pixels": image.pixels, "meta": np.frombuffer(json.dumps(meta).encode(), np.uint8)}
    arrays |= {f"labels_{name}": labels for name, labels in image.labels.items()}
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return Response(stream.getvalue(), media_type=_NPZ, headers={"ETag": f'"{image.label_version}"'})


@router.patch("/fields/{well}/{field}/labels", summary="Correct a field's labels")
def patch_labels(
    run: str,
    well: str,
    field: int,
    content: Annotated[bytes, Body(media_type=_NPZ)],
    session: SessionDep,
    settings: SettingsDep,
    author: Annotated[str, Query(min_length=1, max_length=100)],
    reason: Annotated[str, Query(max_length=1000)] = "",
    if_match: Annotated[str | None, Header(description="The version that was corrected, in quotes.")] = None,
) -> LabelVersion:
    """Write the next version. 428 without If-Match, 412 where it is not the newest version any more."""
    folder = _opened(run, session, settings)
    _known(folder, well, field)
    parent = _version(if_match)
    crops = _crops(content, folder.engine_labels(well, field))
    return folder.review.commit(well, field, parent, crops, author, reason)


@router.get("/fields/{well}/{field}/history", summary="Versions of a field's labels")
def get_history(run: str, well: str, field: int, session: SessionDep, settings: SettingsDep) -> list[LabelVersion]:
    """Versions that reviewers made, oldest first; version 1 is the engine's."""
    folder = _opened(run, session, settings)
    _known(folder, well, field)
    return folder.review.history(well, field)


@router.post("/fields/{well}/{field}/revert", summary="Go back to an earlier version")
def revert(run: str, well: str, field: int, wanted: Revert, session: SessionDep, settings: SettingsDep) -> LabelVersion:
    """A new version that holds what the earlier one held; nothing is lost."""
    folder = _opened(run, session, settings)
    _known(folder, well, field)
    return folder.review.revert(folder.engine_labels(well, field), well, field, wanted.to, wanted.author, wanted.reason)


@router.get("/verdicts", summary="What reviewers accepted and rejected")
def get_verdicts(run: str, session: SessionDep, settings: SettingsDep) -> list[Verdict]:
    """All verdicts, oldest first; the last on a field, well or track stands."""
    return _opened(run, session, settings).review.verdicts()


@router.post("/verdicts", summary="Accept or reject a field, a well or a track", status_code=201)
def post_verdict(run: str, verdict: Verdict, session: SessionDep, settings: SettingsDep) -> Verdict:
    """A rejection needs a reason."""
    folder = _opened(run, session, settings)
    _known(folder, verdict.well, verdict.field or 1)
    folder.review.judge(verdict)
    return verdict


def _version(if_match: str | None) -> int:
    if if_match is None:
        raise PreconditionRequired("a correction needs If-Match with the version that was corrected, the ETag of the field")
    text = if_match.strip().removeprefix("W/").strip('"')
    if not text.isdigit():
        raise ReviewRefused(f"If-Match {if_match!r} is no version of labels")
    return int(text)


def _crops(content: bytes, base: dict[str, np.ndarray]) -> dict[str, Crop]:
    """The corrected rectangles, inside the field and of known compartments. Raises ReviewRefused."""
    if len(content) > _MOST_BYTES:
        raise ReviewRefused(f"the correction has {len(content):,} bytes; {_MOST_BYTES:,} are taken")
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as sent:
            arrays = {name: sent[name] for name in sent.files}
    except (ValueError, zipfile.BadZipFile, EOFError, OSError) as error:
        raise ReviewRefused(f"the correction is no .npz: {error}") from error
    crops = {}
    for name, labels in arrays.items():
        if name.startswith("origin_"):
            continue
        if name not in COMPARTMENTS or name not in base:
            raise ReviewRefused(f"the run has no labels of {name!r}; it has {', '.join(base)}")
        origin = arrays.get(f"origin_{name}")
        if origin is None or origin.shape != (2,) or labels.ndim != 2 or labels.dtype.kind not in "iu" or not labels.size:
            raise ReviewRefused(f"{name} needs integer labels (Y, X) and origin_{name} with y and x")
        y, x = (int(v) for v in origin)
        height, width = base[name].shape
        if y < 0 or x < 0 or y + labels.shape[0] > height or x + labels.shape[1] > width or labels.min() < 0 or labels.max() > 2**31 - 1:
            raise ReviewRefused(f"{name} does not lie inside the field of {height} × {width} pixels, or holds labels that are none")
        crops[name] = Crop(y, x, labels.astype(np.int32))
    if not crops:
        raise ReviewRefused("the correction holds no labels")
    return crops
