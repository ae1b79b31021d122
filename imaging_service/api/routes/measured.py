"""Every table of a run, cells and tracks as well, a page at a time or whole."""

from __future__ import annotations

from fastapi import APIRouter, Response

from imaging_service.api.access import SessionDep, SettingsDep
from imaging_service.api.paging import ROWS_CONTENT, RowsDep
from imaging_service.api.routes.reviewing.fields import finished, folder_of
from imaging_service.api.tables import LabelSource, LabelsQuery
from imaging_service.errors import NotFound
from imaging_service.review.local import TABLES, LocalRun

router = APIRouter(prefix="/runs/{run}/tables", tags=["runs"])


@router.get(
    "/{name}",
    summary="Any table of a run, by page",
    response_class=Response,
    responses=ROWS_CONTENT,
)
def get_table(
    run: str,
    name: str,
    session: SessionDep,
    settings: SettingsDep,
    rows: RowsDep,
    labels: LabelsQuery = LabelSource.NEWEST,
) -> Response:
    """Cells, fields, wells, quality, responses, checks, tracks or hazards.

    A page is named by its table as well as by its place: where a review changed the table since
    the page before, the answer is 409 and reading begins again.
    """
    row = finished(run, session)
    root = folder_of(row, settings)
    if name not in TABLES:
        raise NotFound(f"there is no table {name[:80]!r}; a run has {', '.join(TABLES)}")
    path = (
        root / f"{name}.parquet"
        if labels is LabelSource.ENGINE
        else LocalRun(root).file(f"{name}.parquet")
    )
    return rows.answer(path, (row.id, name), f"{row.id[:12]}-{name}")
