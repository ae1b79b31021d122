"""Responses: matrix and table, one row with its curve, one line, one compound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from fastapi import Response
from fastapi.responses import HTMLResponse
from sqlmodel import Session

from imaging_service.access.roles import Caller
from imaging_service.api.access import CallerDep, SessionDep
from imaging_service.api.answers import AskedDep
from imaging_service.api.pages.page import OrderQuery, PageQuery, kept, page_router, show
from imaging_service.api.pages.reading import Reading, ReadingDep
from imaging_service.api.tables import FiltersDep, NameQuery
from imaging_service.database.tables import LineRow
from imaging_service.database.tenants import ProjectRow
from imaging_service.errors import NotFound
from imaging_service.web.findings import by_evidence, sentence
from imaging_service.web.pages.films import no_survival
from imaging_service.web.pages.responses import (
    ORDERS,
    curve_wells,
    furthest,
    matrix_phenotype,
    response_page,
    statuses,
)
from imaging_service.web.specifications.registry import Choice, RunTables, chart
from imaging_service.web.templating import query

router = page_router()
_MOST_CHARTS = 12
_MOST_SURVIVAL = 6


@router.get("/view/{run}/responses")
def view_responses(
    reading: ReadingDep,
    asked: AskedDep,
    chosen: FiltersDep,
    order: OrderQuery = "evidence",
    page: PageQuery = 1,
) -> Response:
    """Lines × compounds, and the table with its filters in the address."""
    return kept(asked, reading, lambda: _responses_page(reading, chosen, order, page))


def _responses_page(
    reading: Reading, chosen: dict[str, str], order: str, page: int
) -> HTMLResponse:
    responses = reading.table("responses")
    shown = matrix_phenotype(responses, chosen["phenotype"], reading.phenotypes)
    tables = RunTables(reading.plate_format, (), responses)
    hazards = [
        h
        for h in reading.table("hazards")
        if chosen["line"] in ("", h["line"]) and chosen["compound"] in ("", h["compound"])
    ]
    return show(
        "responses.html",
        title=f"{reading.run.plate_name}: responses",
        tab="responses",
        reading=reading,
        run=reading.run,
        chosen=chosen,
        order=order,
        orders=ORDERS,
        shown=response_page(responses, chosen, order, page),
        statuses=statuses(responses),
        hazards=hazards,
        **_survival(reading, hazards),
        phenotype=shown,
        matrix=_drawn(reading, tables, "matrix", shown, curve_page=_to_curve(reading, shown)),
    )


@router.get("/view/{run}/curve")
def view_curve(
    reading: ReadingDep,
    asked: AskedDep,
    line: NameQuery,
    compound: NameQuery,
    phenotype: NameQuery,
) -> Response:
    """One row of the response table: why it has its status, its curve, and the wells behind it."""
    return kept(asked, reading, lambda: _curve_page(reading, line, compound, phenotype))


def _curve_page(reading: Reading, line: str, compound: str, phenotype: str) -> HTMLResponse:
    tables = reading.tables(curves=True)
    of = {"line": line, "compound": compound, "phenotype": phenotype}
    row = _one(tables.responses, of)
    if row is None:
        raise NotFound(
            f"the response table has no row of {compound} on {line}, {phenotype}; choose one in"
            " the table of responses"
        )
    curve = _one(tables.curves, of)
    wells = curve_wells(curve) if curve else []
    return show(
        "curve.html",
        title=f"{compound} on {line}: {phenotype}",
        tab="responses",
        reading=reading,
        run=reading.run,
        row=row,
        sentence=sentence(row),
        wells=wells,
        furthest=furthest(wells),
        drawn=[
            c
            for c in (
                _drawn(reading, tables, "curve", phenotype, compound, line),
                _drawn(reading, tables, "curve", phenotype, compound),
                _drawn(reading, tables, "forest", phenotype, compound),
            )
            if c
        ],
        others=[
            r
            for r in tables.responses
            if (r["line"], r["compound"]) == (line, compound) and r is not row
        ],
    )


@router.get("/view/{run}/line")
def view_line(
    reading: ReadingDep, session: SessionDep, caller: CallerDep, asked: AskedDep, name: NameQuery
) -> Response:
    """A line: its record in the registry, and all compounds on it by evidence."""
    record = _registered(session, reading, caller, name)
    return kept(asked, reading, lambda: _line_page(reading, name, record), record)


def _line_page(reading: Reading, name: str, record: dict[str, Any]) -> HTMLResponse:
    tables = reading.tables(curves=True)
    rows = by_evidence(r for r in tables.responses if r["line"] == name)
    wells = [w for w in tables.wells if w["line"] == name]
    if not wells:
        raise NotFound(f"no well of this plate has line {name}")
    drawn = [
        _drawn(reading, tables, "curve", r["phenotype"], r["compound"], name)
        for r in rows[:_MOST_CHARTS]
    ]
    return show(
        "subject.html",
        title=f"Line {name}",
        tab="responses",
        kind="line",
        other="compound",
        name=name,
        reading=reading,
        run=reading.run,
        rows=rows,
        wells=wells,
        record=record,
        **_survival_of(reading, "line", name),
        drawn=[c for c in drawn if c],
    )


@router.get("/view/{run}/compound")
def view_compound(reading: ReadingDep, asked: AskedDep, name: NameQuery) -> Response:
    """A compound: all lines, as curves and as a forest for each phenotype."""
    return kept(asked, reading, lambda: _compound_page(reading, name))


def _compound_page(reading: Reading, name: str) -> HTMLResponse:
    tables = reading.tables(curves=True)
    rows = by_evidence(r for r in tables.responses if r["compound"] == name)
    wells = [w for w in tables.wells if w["compound"] == name]
    if not wells:
        raise NotFound(f"no well of this plate has compound {name}")
    names = list(dict.fromkeys(r["phenotype"] for r in rows))
    drawn = [
        _drawn(reading, tables, kind, phenotype, name)
        for phenotype in names[: _MOST_CHARTS // 2]
        for kind in ("curve", "forest")
    ]
    return show(
        "subject.html",
        title=f"Compound {name}",
        tab="responses",
        kind="compound",
        other="line",
        name=name,
        reading=reading,
        run=reading.run,
        rows=rows,
        wells=wells,
        record={},
        **_survival_of(reading, "compound", name),
        drawn=[c for c in drawn if c],
    )


def _registered(session: Session, reading: Reading, caller: Caller, line: str) -> dict[str, Any]:
    """The line's record in the registry of the run's laboratory, for its own members."""
    project = session.get(ProjectRow, reading.row.project_id)
    if project is None or not (caller.everywhere or caller.lab == project.lab_id):
        return {}
    row = session.get(LineRow, (project.lab_id, line))
    record: dict[str, Any] = orjson.loads(row.content) if row else {}
    return record


def _one(rows: Any, of: dict[str, str]) -> dict[str, Any] | None:
    return next((r for r in rows if all(r[k] == v for k, v in of.items())), None)


def _drawn(
    reading: Reading,
    tables: RunTables,
    kind: str,
    phenotype: str,
    compound: str = "",
    line: str = "",
    curve_page: Any = None,
) -> dict[str, Any] | None:
    """A chart with its name and the address of the API that gives it; None with nothing to draw."""
    choice = Choice(phenotype, compound, line, well_page=reading.well_page, curve_page=curve_page)
    try:
        spec = chart(kind, tables, choice)
    except NotFound:
        return None
    of = {"phenotype": phenotype, "compound": compound, "line": line}
    name = " of ".join([kind, ", ".join(v for v in of.values() if v)])
    return {
        "spec": spec,
        "name": name,
        "address": f"/runs/{reading.row.id}/charts/{kind}{query(dict(of))}",
    }


def _survival_of(reading: Reading, kind: str, name: str) -> dict[str, Any]:
    hazards = [h for h in reading.table("hazards") if h[kind] == name]
    return {"hazards": hazards, **_survival(reading, hazards)}


def _survival(reading: Reading, hazards: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Survival charts of the pairs of line and compound with the strongest evidence.

    With their numbers, the count of all pairs, and why a film has no chart.
    """
    tables = reading.tables(tracks=True) if hazards or reading.is_film else None
    if tables is None or tables.tracks is None:
        return {"survival": [], "pairs": 0, "no_survival": ""}
    # Only a film's pages need what computes it.
    from imaging_service.web.specifications.survival import arms_of, pairs_by_evidence

    pairs = pairs_by_evidence(hazards)
    charts = []
    for line, compound in pairs[:_MOST_SURVIVAL]:
        drawn = _drawn(reading, tables, "survival", "", compound, line)
        if drawn is not None:
            charts.append(drawn | {"arms": arms_of(tables.tracks, line, compound)})
    # Of a film with curves, a page of a line without compounds has nothing to say.
    asked = hazards or not reading.table("hazards")
    none_why = no_survival(tables.tracks, len(charts), reading.table("checks")) if asked else ""
    return {"survival": charts, "pairs": len(pairs), "no_survival": none_why}


def _to_curve(reading: Reading, phenotype: str) -> Any:
    def page(line: str, compound: str) -> str:
        of: dict[str, object] = {"line": line, "compound": compound, "phenotype": phenotype}
        return f"{reading.address('curve')}{query(of)}"

    return page
