"""A run's tables as JSON, CSV or Parquet."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, cast

from fastapi import Query, Response
from pydantic import BaseModel
from sqlmodel import Session

from imaging_service.database.session import table_content
from imaging_service.database.tables import TABLE_LEVELS, RunRow
from imaging_service.errors import NotReady
from imaging_service.review.log import ENGINE_VERSION

if TYPE_CHECKING:
    import polars as pl


class Format(StrEnum):
    """How a table is sent."""

    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"


FormatQuery = Annotated[Format, Query(alias="format", description="json, csv or parquet")]


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
    labels: LabelSource = LabelSource.NEWEST,
    **filters: str | None,
) -> Response:
    """The rows of one table; a filter that is None lets every row pass.

    Raises NotReady until the run is done.
    """
    if run.state != "done":
        why = f": {run.reason}" if run.reason else ""
        raise NotReady(f"run {run.id[:12]} is {run.state}{why}; its {kind} exist once it is done")
    revision = ENGINE_VERSION if labels is LabelSource.ENGINE else run.revision
    content = table_content(
        session,
        run,
        kind,
        {name: value for name, value in filters.items() if value is not None},
        revision,
    )
    # The rows are JSON already: joining them costs a hundredth of parsing and encoding them again.
    body = "[" + ",".join(content) + "]"
    if fmt is Format.JSON:
        return Response(body, media_type="application/json")
    import polars as pl

    from phenotypes.columns.dictionary import Level, columns, conform, empty_table

    level = cast(Level, TABLE_LEVELS[kind])
    table = empty_table(level)
    if content:
        schema = {c.name: c.dtype for c in columns(level).values()}
        table = conform(pl.read_json(body.encode(), schema=schema), level)
    return _download(table, f"{run.id[:12]}-{kind}", fmt)


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
    return _download(pl.DataFrame(flat, infer_schema_length=None), name, fmt)


def _download(table: pl.DataFrame, name: str, fmt: Format) -> Response:
    from imaging_service.store.tables import csv_bytes, parquet_bytes

    headers = {"Content-Disposition": f'attachment; filename="{name}.{fmt.value}"'}
    if fmt is Format.CSV:
        return Response(csv_bytes(table), media_type="text/csv", headers=headers)
    return Response(
        parquet_bytes(table), media_type="application/vnd.apache.parquet", headers=headers
    )
