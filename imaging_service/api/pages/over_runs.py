"""A line or a compound over all runs and screens that the caller may see, and lists of them."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse
from sqlmodel import Session

from imaging_service.access.roles import Caller
from imaging_service.api.access import CallerDep, SessionDep, SettingsDep
from imaging_service.api.pages.page import page_router, show
from imaging_service.api.pages.screens import screens_with
from imaging_service.database.over_runs import RowOfRun, named_over_runs, rows_over_runs
from imaging_service.database.tables import LineRow
from imaging_service.errors import NotFound
from imaging_service.settings import Settings
from imaging_service.web.findings import ANSWERED, by_evidence, responds
from imaging_service.web.pages.over_runs import Everywhere, by_plate, forest_rows
from imaging_service.web.pages.responses import ORDERS, response_page
from imaging_service.web.specifications.forest import plates_forest

router: APIRouter = page_router()
Text = Annotated[str, Query(max_length=200)]
Page = Annotated[int, Query(ge=1, le=100_000)]
Runs = Annotated[str, Query(max_length=10, pattern="^(newest|all)$")]
# Rows of one page's runs that are read; those of the newest runs come first.
_MOST_ROWS = 20_000


@router.get("/line")
def view_line(
    session: SessionDep,
    settings: SettingsDep,
    caller: CallerDep,
    name: Text = "",
    compound: Text = "",
    phenotype: Text = "",
    status: Text = "",
    order: Annotated[str, Query(max_length=20)] = "evidence",
    runs: Runs = "newest",
    page: Page = 1,
) -> HTMLResponse:
    """A line: its record, its plates and screens, and every row; all lines without a name."""
    if not name:
        return _list(session, "line")
    chosen = {"line": name, "compound": compound, "phenotype": phenotype, "status": status}
    return _page(session, settings, caller, "line", chosen, order, runs, page)


@router.get("/compound")
def view_compound(
    session: SessionDep,
    settings: SettingsDep,
    caller: CallerDep,
    name: Text = "",
    line: Text = "",
    phenotype: Text = "",
    status: Text = "",
    order: Annotated[str, Query(max_length=20)] = "evidence",
    runs: Runs = "newest",
    page: Page = 1,
) -> HTMLResponse:
    """A compound: its plates and screens, and every row; all compounds without a name."""
    if not name:
        return _list(session, "compound")
    chosen = {"line": line, "compound": name, "phenotype": phenotype, "status": status}
    return _page(session, settings, caller, "compound", chosen, order, runs, page)


def _list(session: Session, kind: str) -> HTMLResponse:
    return show(
        "names.html", title=f"{kind.capitalize()}s", kind=kind, names=named_over_runs(session, kind)
    )


def _page(
    session: Session,
    settings: Settings,
    caller: Caller,
    kind: str,
    chosen: dict[str, str],
    order: str,
    runs: str,
    page: int,
) -> HTMLResponse:
    name, other = chosen[kind], "compound" if kind == "line" else "line"
    newest = runs == "newest"
    wells = _rows(session, "wells", {kind: name}, newest)
    if not wells:
        raise NotFound(
            f"no well of a run that you may see has {kind} {name}; /{kind} lists all {kind}s"
        )
    rows = _rows(session, "responses", {kind: name}, newest)
    kept = [r for r in rows if all(not v or r[k] == v for k, v in chosen.items())]
    phenotype = chosen["phenotype"] or next((r["phenotype"] for r in by_evidence(kept)), "")
    compared = forest_rows(kept, phenotype, other)
    return show(
        "over_runs.html",
        title=f"{kind.capitalize()} {name}",
        kind=kind,
        other=other,
        name=name,
        chosen=chosen,
        order=order,
        orders=ORDERS,
        runs=runs,
        record=_registered(session, caller, name) if kind == "line" else {},
        plates=by_plate(wells, rows),
        counts=_counts(rows),
        screens=screens_with(session, settings, caller, kind, name),
        shown=response_page(rows, chosen, order, page),
        statuses=Counter(r["status"] for r in rows),
        phenotype=phenotype,
        forest=plates_forest(compared, f"{name} · {phenotype}", other),
        too_many=not compared and any(r["effect"] is not None for r in kept),
        addresses=Everywhere(),
        cut=len(rows) == _MOST_ROWS,
    )


def _rows(
    session: Session, table: str, filters: dict[str, str], newest: bool
) -> list[dict[str, Any]]:
    """Rows with `run`, `plate`, `submitted_at` and `protocol`."""

    def row(of: RowOfRun) -> dict[str, Any]:
        content: dict[str, Any] = orjson.loads(of.content)
        return content | {
            "run": of.run,
            "plate": of.plate,
            "submitted_at": of.submitted_at,
            "protocol": of.protocol,
        }

    read = rows_over_runs(session, table, filters, newest=newest, count=_MOST_ROWS)
    return [row(r) for r in read]


def _counts(rows: list[dict[str, Any]]) -> dict[str, int]:
    return {
        "rows": len(rows),
        "responding": sum(responds(r) for r in rows),
        "refused": sum(r["status"] not in ANSWERED for r in rows),
    }


def _registered(session: Session, caller: Caller, line: str) -> dict[str, Any]:
    """The line's record in the registry of the caller's laboratory."""
    row = session.get(LineRow, (caller.lab, line))
    record: dict[str, Any] = orjson.loads(row.content) if row else {}
    return record
