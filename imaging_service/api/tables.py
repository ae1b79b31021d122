"""A run's tables as JSON, CSV or Parquet."""

from __future__ import annotations

from enum import StrEnum

from fastapi import Response
from sqlmodel import Session

from imaging_service.db import table_content
from imaging_service.errors import NotReady
from imaging_service.models import RunRow


class Format(StrEnum):
    """How a table is sent."""

    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"


def table_response(session: Session, run: RunRow, kind: str, fmt: Format, filters: dict[str, str]) -> Response:
    """The rows of one table. Raises NotReady until the run is done."""
    if run.state != "done":
        why = f": {run.reason}" if run.reason else ""
        raise NotReady(f"run {run.id[:12]} is {run.state}{why}; its {kind} exist once it is done")
    content = table_content(session, run.id, kind, filters)
    # The rows are JSON already: joining them costs a hundredth of parsing and encoding them again.
    body = "[" + ",".join(content) + "]"
    if fmt is Format.JSON:
        return Response(body, media_type="application/json")
    import polars as pl

    from imaging_service.store.tables import csv_bytes, parquet_bytes
    from phenotypes.columns import Level, columns, conform, empty_table

    level: Level = "well" if kind == "wells" else "response"
    table = empty_table(level)
    if content:
        schema = {c.name: c.dtype for c in columns(level).values()}
        table = conform(pl.read_json(body.encode(), schema=schema), level)
    name = f"{run.id[:12]}-{kind}.{fmt.value}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    if fmt is Format.CSV:
        return Response(csv_bytes(table), media_type="text/csv", headers=headers)
    return Response(parquet_bytes(table), media_type="application/vnd.apache.parquet", headers=headers)
