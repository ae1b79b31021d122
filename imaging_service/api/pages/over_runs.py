"""A line or a compound over all runs and screens that the caller may see, and lists of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse
from sqlmodel import Session

from imaging_service.access.roles import Caller
from imaging_service.api.access import CallerDep, SessionDep, SettingsDep
from imaging_service.api.pages.page import OrderQuery, PageQuery, page_router, show
from imaging_service.api.pages.screens import screens_with
from imaging_service.api.routes.responses import MOST_ORDERED
from imaging_service.api.tables import FiltersDep, NameQuery
from imaging_service.database.over_runs import (
    Named,
    RowOfRun,
    named_over_runs,
    rows_over_runs,
)
from imaging_service.database.tables import LineRow
from imaging_service.errors import NotFound
from imaging_service.settings import Settings
from imaging_service.web.findings import ANSWERED, by_evidence, responds
from imaging_service.web.pages.over_runs import Everywhere, by_plate, forest_rows
from imaging_service.web.pages.responses import ORDERS, response_page
from imaging_service.web.specifications.forest import plates_forest

router: APIRouter = page_router()
Runs = Annotated[str, Query(max_length=10, pattern="^(newest|all)$")]


@router.get("/line")
def view_line(
    session: SessionDep,
    settings: SettingsDep,
    caller: CallerDep,
    filters: FiltersDep,
    name: NameQuery = "",
    lab: NameQuery = "",
    order: OrderQuery = "evidence",
    runs: Runs = "newest",
    page: PageQuery = 1,
) -> HTMLResponse:
    """A line of one laboratory: its record, plates and screens, and every row.

    All lines without a name.
    """
    if not name:
        return _list(session, "line")
    chosen = filters | {"line": name}
    return _page(session, settings, caller, "line", chosen, lab, order, runs, page)


@router.get("/compound")
def view_compound(
    session: SessionDep,
    settings: SettingsDep,
    caller: CallerDep,
    filters: FiltersDep,
    name: NameQuery = "",
    lab: NameQuery = "",
    order: OrderQuery = "evidence",
    runs: Runs = "newest",
    page: PageQuery = 1,
) -> HTMLResponse:
    """A compound of one laboratory: its plates and screens, and every row.

    All compounds without a name.
    """
    if not name:
        return _list(session, "compound")
    chosen = filters | {"compound": name}
    return _page(session, settings, caller, "compound", chosen, lab, order, runs, page)


def _list(session: Session, kind: str) -> HTMLResponse:
    names = named_over_runs(session, kind)
    return show(
        "names.html",
        title=f"{kind.capitalize()}s",
        kind=kind,
        names=names,
        several=len({n.lab for n in names}) > 1,
    )


def _of_laboratory(known: Sequence[Named], wanted: str, caller: Caller) -> Named | None:
    """The name in the laboratory that is asked for; else in the caller's own, or the first."""
    own_lab = [n for n in known if n.lab == (wanted or caller.lab)]
    if wanted:
        return own_lab[0] if own_lab else None
    return next(iter([*own_lab, *known]), None)


def _page(
    session: Session,
    settings: Settings,
    caller: Caller,
    kind: str,
    chosen: dict[str, str],
    lab: str,
    order: str,
    runs: str,
    page: int,
) -> HTMLResponse:
    name, other = chosen[kind], "compound" if kind == "line" else "line"
    known = named_over_runs(session, kind, name)
    of = _of_laboratory(known, lab, caller)
    if of is None:
        where = f" in laboratory {lab}" if lab else ""
        raise NotFound(
            f"no well of a run that you may see has {kind} {name}{where}; /{kind} lists all {kind}s"
        )
    counted = [
        n for n in named_over_runs(session, kind, name, newest=runs == "newest") if n.lab == of.lab
    ]
    newest = runs == "newest" and bool(counted)
    wells = _rows(session, "wells", {kind: name}, of.lab, newest)
    rows = _rows(session, "responses", {kind: name}, of.lab, newest)
    screens, unread = screens_with(session, settings, caller, kind, name, of.lab)
    own_lab = of.lab == caller.lab
    # Names are a laboratory's own, so an address without it could lead to another line.
    addresses = Everywhere("" if own_lab and len(known) == 1 else of.lab)
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
        runs="newest" if newest else "all",
        lab=addresses.lab,
        own=own_lab,
        others=[n for n in known if n.lab != of.lab],
        total=counted[0].plates if newest else of.runs,
        superseded=runs == "newest" and not newest,
        record=_registered(session, caller, name) if kind == "line" and own_lab else {},
        plates=by_plate(wells, rows),
        counts=_counts(rows),
        screens=screens,
        unread=unread,
        shown=response_page(rows, chosen, order, page),
        statuses=Counter(r["status"] for r in rows),
        phenotype=phenotype,
        forest=plates_forest(compared, f"{name} · {phenotype}", other),
        too_many=not compared and any(r["effect"] is not None for r in kept),
        addresses=addresses,
        cut=MOST_ORDERED if max(len(rows), len(wells)) == MOST_ORDERED else 0,
    )


def _rows(
    session: Session, table: str, filters: dict[str, str], lab: str, newest: bool
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

    read = rows_over_runs(session, table, filters, lab=lab, newest=newest, count=MOST_ORDERED)
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
