"""Charts of a run over HTTP: the specification that pages and report draw, or its picture."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Query, Response

from imaging_service.api.pages.reading import ReadingDep
from imaging_service.api.problems import described
from imaging_service.api.tables import NameQuery

router = APIRouter(prefix="/runs/{run}", tags=["runs"], responses=described(409))


class ChartFormat(StrEnum):
    """How a chart is sent: as its Vega-Lite specification, or drawn."""

    JSON = "json"
    SVG = "svg"
    PNG = "png"


@router.get(
    "/charts/{name}",
    summary="A chart of the run",
    response_class=Response,
    responses={
        200: {
            "description": "The chart's Vega-Lite specification, or the chart drawn.",
            "content": {"application/json": {}, "image/svg+xml": {}, "image/png": {}},
        }
    },
)
def get_chart(
    name: str,
    reading: ReadingDep,
    phenotype: NameQuery = "",
    compound: NameQuery = "",
    line: NameQuery = "",
    fmt: Annotated[ChartFormat, Query(alias="format")] = ChartFormat.JSON,
) -> Response:
    """`name` is plate, curve, matrix, forest, survival or windows; another name lists them."""
    from imaging_service.web import charts
    from imaging_service.web.specifications.registry import Choice, chart

    tables = reading.tables(
        curves=name == "curve", quality=name == "windows", tracks=name == "survival"
    )
    spec = chart(name, tables, Choice(phenotype, compound, line))
    stem = "-".join(p for p in (reading.row.id[:12], name, phenotype, compound, line) if p)
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in stem)
    headers = {"Content-Disposition": f'inline; filename="{safe}.{fmt.value}"'}
    if fmt is ChartFormat.JSON:
        return Response(json.dumps(spec), media_type="application/json", headers=headers)
    if fmt is ChartFormat.SVG:
        # An SVG is a document: nothing in it may run, whatever a name from a plate map holds.
        headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'"
        return Response(charts.svg(spec), media_type="image/svg+xml", headers=headers)
    return Response(charts.png(spec), media_type="image/png", headers=headers)
