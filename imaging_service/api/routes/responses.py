"""Responses of a line or a compound over all runs that the caller may see."""

from __future__ import annotations

import json
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response

from imaging_service.api.access import SessionDep
from imaging_service.api.tables import (
    MEDIA,
    FiltersDep,
    Format,
    FormatQuery,
    NameQuery,
    ResponseOrder,
    Row,
    attached,
    table_bytes,
)
from imaging_service.database.over_runs import RowOfRun, rows_over_runs
from imaging_service.errors import SelectionRefused
from imaging_service.web.pages.responses import ordered_responses

router = APIRouter(prefix="/responses", tags=["runs"])
# Rows of an answer, if no number is asked for, and at most.
LARGEST_PAGE = 10_000
# Rows that are put in order, here and on the pages; those of the newest runs.
MOST_ORDERED = 20_000


@router.get(
    "",
    summary="Responses of a line or compound over all runs",
    response_class=Response,
    responses={
        200: {
            "description": (
                "Rows of response tables, each with `run`, `plate`, `project` and `lab`, the newest"
                " run first."
                " The Link header names the next page."
            ),
            "content": {media: {} for media in MEDIA.values()},
        }
    },
)
def get_responses(
    request: Request,
    session: SessionDep,
    filters: FiltersDep,
    lab: Annotated[
        NameQuery, Query(description="Only projects of this laboratory: names are its own.")
    ] = "",
    newest: Annotated[bool, Query(description="Only the newest run of each plate.")] = False,
    order: ResponseOrder = "",
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = LARGEST_PAGE,
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
    fmt: FormatQuery = Format.JSON,
) -> Response:
    """Rows at the newest labels of each run that is done; `line` or `compound` must be given.

    Without an order the newest run is first; in one, the newest MOST_ORDERED rows are.
    """
    if not (filters["line"] or filters["compound"]):
        raise SelectionRefused(
            "name a line or a compound; the responses of one run are at /runs/RUN/responses"
        )
    # The row after the last says whether there is a next page.
    first, count = (page - 1) * limit, limit + 1
    read = (0, MOST_ORDERED) if order else (first, count)
    rows = rows_over_runs(
        session, "responses", filters, lab=lab, newest=newest, first=read[0], count=read[1]
    )
    if order:
        rows = in_order(rows, order)[first : first + count]
    headers = attached("responses", fmt, filters.values())
    if len(rows) > limit:
        query = [(k, v) for k, v in request.query_params.multi_items() if k != "page"]
        after = urlencode([*query, ("page", page + 1)])
        headers["Link"] = f'<{request.url.path}?{after}>; rel="next"'
    return Response(written(rows[:limit], fmt), media_type=MEDIA[fmt], headers=headers)


def in_order(rows: list[RowOfRun], order: str) -> list[RowOfRun]:
    """Rows in the order that the page of a line or compound shows them in."""
    contents: list[Row] = [json.loads(row.content) for row in rows]
    by_content = {id(content): row for content, row in zip(contents, rows, strict=True)}
    return [by_content[id(content)] for content in ordered_responses(contents, order)]


def written(rows: list[RowOfRun], fmt: Format) -> bytes:
    """Rows with their run, plate, project and laboratory, in a format."""
    names = ("run", "plate", "project", "lab")
    # The rows are JSON objects already.
    objects = (
        json.dumps({name: getattr(row, name) for name in names})[:-1] + f",{row.content[1:]}"
        for row in rows
    )
    body = ("[" + ",".join(objects) + "]").encode()
    if fmt is Format.JSON:
        return body
    import polars as pl

    from phenotypes.columns.dictionary import columns

    schema = {c.name: c.dtype for c in columns("response").values()}
    return table_bytes(
        pl.read_json(body, schema={**dict.fromkeys(names, pl.String), **schema}), fmt
    )
