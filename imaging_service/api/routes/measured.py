"""Every table of a run, cells and tracks as well, a page at a time or whole."""

from __future__ import annotations

import base64
import binascii
import json
from pathlib import Path
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response

from imaging_service.api.access import SessionDep, SettingsDep
from imaging_service.api.answers import AskedDep
from imaging_service.api.problems import described
from imaging_service.api.routes.review import finished, folder_of
from imaging_service.api.tables import (
    MEDIA,
    Format,
    FormatQuery,
    LabelSource,
    LabelsQuery,
    attached,
    table_bytes,
)
from imaging_service.errors import NotFound, Outdated, SelectionRefused
from imaging_service.review.local import TABLES, LocalRun
from imaging_service.store.selection import Selection

router = APIRouter(prefix="/runs/{run}/tables", tags=["runs"])
# Rows of a page of JSON that are sent if no number is asked for, and at most.
PAGE, LARGEST_PAGE = 1000, 10_000

Where = Annotated[
    list[str] | None,
    Query(description="column==value; also !=, <, <=, >, >=; null is no value. All must hold."),
]


@router.get(
    "/{name}",
    summary="Any table of a run, by page",
    response_class=Response,
    responses={
        200: {
            "description": (
                "Rows. JSON and CSV come in pages, whose Link header names the next; Parquet and"
                " Arrow hold all rows that were selected, unless a limit is given."
            ),
            "content": {media: {} for media in MEDIA.values()},
        },
        304: {"description": "You have it: the ETag in If-None-Match is that of these rows."},
        **described(409),
    },
)
def get_table(
    request: Request,
    run: str,
    name: str,
    session: SessionDep,
    settings: SettingsDep,
    asked: AskedDep,
    fmt: FormatQuery = Format.JSON,
    labels: LabelsQuery = LabelSource.NEWEST,
    where: Where = None,
    sort: Annotated[
        list[str] | None, Query(description="Column, or -column for the largest first.")
    ] = None,
    columns: Annotated[str, Query(description="Columns, by commas; all if not given.")] = "",
    limit: Annotated[int | None, Query(ge=1, le=LARGEST_PAGE)] = None,
    cursor: Annotated[str, Query(description="From the Link header of the page before.")] = "",
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
    version = _version(path)
    first = _first(cursor, version) if cursor else 0
    paged = fmt in (Format.JSON, Format.CSV)
    count = limit or (PAGE if paged else None)
    selection = Selection(where or (), sort or (), [c for c in columns.split(",") if c])
    parts = (row.id, name, version, where, sort, columns, first, count, fmt.value)
    headers = attached(f"{row.id[:12]}-{name}", fmt)
    if paged and count:
        # The row after the last says whether there is a next page, so that no page is empty.
        after = first + count
        if asked.kept(("more", *parts), lambda: bytes(len(selection.rows(path, after, 1)))):
            headers["Link"] = f'<{_next(request, after, version)}>; rel="next"'

    def make() -> bytes:
        return table_bytes(selection.rows(path, first, count), fmt)

    return asked.answer(parts, make, MEDIA[fmt], headers)


def _version(path: Path) -> str:
    """Changes whenever the file is written anew; a file of a run is never changed in place."""
    if not path.is_file():
        raise NotFound(f"this run has no {path.name}: its version of the service did not write it")
    state = path.stat()
    return f"{state.st_mtime_ns:x}.{state.st_size:x}.{state.st_ino:x}"


def _next(request: Request, first: int, version: str) -> str:
    packed = base64.urlsafe_b64encode(json.dumps([first, version]).encode()).decode().rstrip("=")
    query = [(k, v) for k, v in request.query_params.multi_items() if k != "cursor"]
    return f"{request.url.path}?{urlencode([*query, ('cursor', packed)])}"


def _first(cursor: str, version: str) -> int:
    """The row that a page begins with. Raises Outdated where the table is another by now."""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        first, of = json.loads(text)
        place = int(first)
    except (binascii.Error, ValueError, TypeError) as error:
        raise SelectionRefused(
            "the cursor is none of this service's; take it from the Link header as it stands"
        ) from error
    if of != version:
        raise Outdated("the table changed since the page before; read it again from its beginning")
    if place < 0:
        raise SelectionRefused("the cursor names no row")
    return place
