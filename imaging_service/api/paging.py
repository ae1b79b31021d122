"""Rows of a stored table as an answer: conditions, order and columns, a page at a time or whole."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Depends, Query, Request, Response

from imaging_service.api.answers import AskedDep
from imaging_service.api.problems import described
from imaging_service.api.tables import MEDIA, Format, FormatQuery, attached, table_bytes
from imaging_service.errors import NotFound, Outdated, SelectionRefused
from imaging_service.store.selection import Selection

# Rows of a page of JSON that are sent if no number is asked for, and at most.
PAGE, LARGEST_PAGE = 1000, 10_000

Where = Annotated[
    list[str] | None,
    Query(description="column==value; also !=, <, <=, >, >=; null: no value. All must hold."),
]
# For a route's part of the OpenAPI document.
ROWS_CONTENT: dict[int | str, dict[str, object]] = {
    200: {
        "description": (
            "Rows. JSON and CSV come in pages, whose Link header names the next; Parquet and"
            " Arrow hold all rows that were selected, unless a limit is given."
        ),
        "content": {media: {} for media in MEDIA.values()},
    },
    304: {"description": "You have it: the ETag in If-None-Match is that of these rows."},
    **described(409),
}


class Rows:
    """Which rows and columns of a table the request wants, and in which format."""

    def __init__(
        self,
        request: Request,
        asked: AskedDep,
        fmt: FormatQuery = Format.JSON,
        where: Where = None,
        sort: Annotated[
            list[str] | None, Query(description="Column, or -column for the largest first.")
        ] = None,
        columns: Annotated[str, Query(description="Columns, by commas; all if not given.")] = "",
        limit: Annotated[int | None, Query(ge=1, le=LARGEST_PAGE)] = None,
        cursor: Annotated[str, Query(description="From the Link header of the page before.")] = "",
    ) -> None:
        self._request, self._asked, self._format = request, asked, fmt
        self._where, self._sort, self._columns = where, sort, columns
        self._limit, self._cursor = limit, cursor

    def answer(self, path: Path, parts: Sequence[object], filename: str) -> Response:
        """The rows of a Parquet file; `parts` tell it from all other tables.

        Raises NotFound for a file that is not there, Outdated for a page of a table that has
        changed, SelectionRefused for what the table cannot be asked.
        """
        version = _version(path)
        first = _first(self._cursor, version) if self._cursor else 0
        paged = self._format in (Format.JSON, Format.CSV)
        count = self._limit or (PAGE if paged else None)
        columns = [c for c in self._columns.split(",") if c]
        selection = Selection(self._where or (), self._sort or (), columns)
        known = (
            *parts,
            version,
            self._where,
            self._sort,
            self._columns,
            first,
            count,
            self._format.value,
        )
        headers = attached(filename, self._format)
        if paged and count:
            # The row after the last says whether there is a next page, so that no page is empty.
            after = first + count
            more = self._asked.kept(
                ("more", *known), lambda: bytes(len(selection.rows(path, after, 1)))
            )
            if more:
                headers["Link"] = f'<{_next(self._request, after, version)}>; rel="next"'

        def make() -> bytes:
            return table_bytes(selection.rows(path, first, count), self._format)

        return self._asked.answer(known, make, MEDIA[self._format], headers)


RowsDep = Annotated[Rows, Depends()]


def _version(path: Path) -> str:
    """Changes whenever the file is written anew; a file is never changed in place."""
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
