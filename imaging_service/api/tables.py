"""A run's tables as JSON, CSV, Parquet or Arrow."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, cast

from fastapi import Depends, Query, Response
from pydantic import BaseModel
from sqlmodel import Session

from imaging_service.api.answers import Asked, OfRun
from imaging_service.database.session import table_content
from imaging_service.database.tables import TABLE_LEVELS, RunRow
from imaging_service.errors import NotReady
from imaging_service.review.log import ENGINE_VERSION
from imaging_service.web.pages.responses import ORDERS

if TYPE_CHECKING:
    import polars as pl


class Format(StrEnum):
    """How a table is sent."""

    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"
    ARROW = "arrow"


MEDIA = {
    Format.JSON: "application/json",
    Format.CSV: "text/csv",
    Format.PARQUET: "application/vnd.apache.parquet",
    Format.ARROW: "application/vnd.apache.arrow.stream",
}


# What a list of records is sent as, for a route's part of the OpenAPI document.
LIST_CONTENT: dict[int | str, dict[str, object]] = {
    200: {"content": {media: {} for fmt, media in MEDIA.items() if fmt is not Format.JSON}}
}

# A line, compound, phenotype or status, whole. A plate map sets no limit, and the systematic name
# of a peptide has many hundred characters.
NameQuery = Annotated[str, Query(max_length=4000)]


def _row_filters(
    line: NameQuery = "",
    compound: NameQuery = "",
    phenotype: NameQuery = "",
    status: NameQuery = "",
) -> dict[str, str]:
    return {"line": line, "compound": compound, "phenotype": phenotype, "status": status}


# Rows of responses that are asked for: by each of these columns one value, or any ("").
FiltersDep = Annotated[dict[str, str], Depends(_row_filters)]
Row = Mapping[str, Any]
# Rows and the name of an order ► the same rows in it.
Arrange = Callable[[Sequence[Row], str], Sequence[Row]]
ResponseOrder = Annotated[
    str,
    Query(
        pattern=f"^({'|'.join(ORDERS)})?$",
        description=f"As on the pages: {', '.join(ORDERS)}. If empty, as in the table.",
    ),
]
FormatQuery = Annotated[Format, Query(alias="format", description="json, csv, parquet or arrow")]


class LabelSource(StrEnum):
    """Labels that a table is measured on: the newest, or the engine's."""

    NEWEST = "newest"
    ENGINE = "engine"


LabelsQuery = Annotated[
    LabelSource,
    Query(alias="labels", description="newest: as reviewers left them; engine: before any review"),
]


def table_response(
    session: Session,
    run: RunRow,
    kind: str,
    fmt: Format,
    asked: Asked,
    labels: LabelSource = LabelSource.NEWEST,
    arrange: Arrange | None = None,
    order: str = "",
    **filters: str | None,
) -> Response:
    """The rows of one table; a filter that is None lets every row pass.

    Rows are in the table's order, unless `order` names the one that `arrange` puts them in. Raises
    NotReady until the run is done.
    """
    if run.state != "done":
        why = f": {run.reason}" if run.reason else ""
        raise NotReady(f"run {run.id[:12]} is {run.state}{why}; its {kind} exist once it is done")
    revision = ENGINE_VERSION if labels is LabelSource.ENGINE else run.revision
    wanted = {name: value for name, value in filters.items() if value is not None}

    def make() -> bytes:
        content = table_content(session, run, kind, wanted, revision)
        if arrange and order:
            content = arranged(content, lambda rows: arrange(rows, order))
        # The rows are JSON already: joining them costs a hundredth of parsing and encoding them.
        body = ("[" + ",".join(content) + "]").encode()
        if fmt is Format.JSON:
            return body
        import polars as pl

        from phenotypes.columns.dictionary import Level, columns, conform, empty_table

        level = cast(Level, TABLE_LEVELS[kind])
        table = empty_table(level)
        if content:
            schema = {c.name: c.dtype for c in columns(level).values()}
            table = conform(pl.read_json(body, schema=schema), level)
        return table_bytes(table, fmt)

    parts = (*run.of_tables, revision, kind, sorted(wanted.items()), order, fmt.value)
    return asked.answer(
        parts,
        make,
        MEDIA[fmt],
        attached(f"{run.id[:12]}-{kind}", fmt, wanted.values()),
        OfRun(run.entries),
    )


def arranged(content: list[str], arrange: Callable[[list[Row]], Sequence[Row]]) -> list[str]:
    """JSON objects in the order that a function puts what they hold in.

    >>> arranged(['{"a": 2}', '{"a": 1}'], lambda rows: sorted(rows, key=lambda row: row["a"]))
    ['{"a": 1}', '{"a": 2}']
    """
    rows: list[Row] = [json.loads(text) for text in content]
    texts = {id(row): text for row, text in zip(rows, content, strict=True)}
    return [texts[id(row)] for row in arrange(rows)]


def list_response(rows: Sequence[BaseModel], name: str, fmt: Format) -> Response:
    """A list of records in the format asked for.

    In CSV and Parquet lists are JSON text and parts of a record are columns.
    """
    if fmt is Format.JSON:
        return Response(
            "[" + ",".join(row.model_dump_json() for row in rows) + "]",
            media_type="application/json",
        )
    import polars as pl

    flat = []
    for row in rows:
        record: dict[str, object] = {}
        for key, value in row.model_dump(mode="json").items():
            record |= (
                value
                if isinstance(value, dict)
                else {key: json.dumps(value) if isinstance(value, list) else value}
            )
        flat.append(record)
    table = pl.DataFrame(flat, infer_schema_length=None)
    return Response(table_bytes(table, fmt), media_type=MEDIA[fmt], headers=attached(name, fmt))


def table_bytes(table: pl.DataFrame, fmt: Format) -> bytes:
    """A table in a format; equal tables give equal bytes."""
    from imaging_service.store.tables import arrow_bytes, csv_bytes, json_bytes, parquet_bytes

    written = {
        Format.JSON: json_bytes,
        Format.CSV: csv_bytes,
        Format.PARQUET: parquet_bytes,
        Format.ARROW: arrow_bytes,
    }
    return written[fmt](table)


def attached(name: str, fmt: Format, chosen: Iterable[str] = ()) -> dict[str, str]:
    """Headers that give a download its file's name; none for JSON, which programs read.

    `chosen` are the values of the filters: files of two lines have two names.

    >>> attached("3f0c-responses", Format.CSV, ["SOD1/07 µ", ""])
    {'Content-Disposition': 'attachment; filename="3f0c-responses-SOD1-07.csv"'}
    """
    if fmt is Format.JSON:
        return {}
    parts = (re.sub(r"[^A-Za-z0-9._-]+", "-", part).strip("-") for part in chosen)
    whole = "-".join([name, *filter(None, parts)])
    return {"Content-Disposition": f'attachment; filename="{whole[:150]}.{fmt.value}"'}
