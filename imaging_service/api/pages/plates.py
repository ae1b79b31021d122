"""The plate: any phenotype as a heat map, its quality, and plates over time."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Response
from fastapi.responses import HTMLResponse
from sqlmodel import col, select

from imaging_service.api.access import SessionDep, SettingsDep
from imaging_service.api.answers import AskedDep
from imaging_service.api.pages.page import PageQuery, kept, page_router, show
from imaging_service.api.pages.reading import Reading, ReadingDep
from imaging_service.database.over_runs import newest_runs
from imaging_service.database.tables import PlateRow, RunRow
from imaging_service.errors import NotFound, StoreError
from imaging_service.web.pages.drawn_plate import phenotype_plate, why_without
from imaging_service.web.pages.plates import (
    PER_PAGE,
    extreme_wells,
    measured_phenotypes,
    ranked_wells,
)
from imaging_service.web.pages.quality import (
    EVENNESS,
    checks_by_finding,
    controls_over_plates,
    odd_vehicles,
    plate_summary,
)
from imaging_service.web.specifications.quality import (
    control_windows,
    separation_over_plates,
    vehicle_drift,
)
from phenotypes.columns.dictionary import columns

router = page_router()
# Plates that are put beside each other.
_PLATES = 40


@router.get("/view/{run}/plate")
def view_plate(
    reading: ReadingDep,
    asked: AskedDep,
    phenotype: Annotated[str, Query(max_length=100)] = "",
    order: Annotated[str, Query(max_length=10, pattern="^(well|low|high)?$")] = "",
    page: PageQuery = 1,
) -> Response:
    """One phenotype over the plate, and its wells as a table from the lowest or highest."""
    return kept(asked, reading, lambda: _plate_page(reading, phenotype, order, page))


def _plate_page(reading: Reading, phenotype: str, order: str, page: int) -> HTMLResponse:
    wells = reading.table("wells")
    known = measured_phenotypes(wells)
    name = phenotype or next((p for p in reading.phenotypes if p in known), next(iter(known), ""))
    if phenotype and phenotype not in known:
        raise NotFound(
            f"phenotype {phenotype} has no number on this plate; measured: {', '.join(known)}"
        )
    unit = known.get(name, "")
    rows = ranked_wells(wells, name, order)
    pages = max(1, -(-len(rows) // PER_PAGE))
    page = min(page, pages)
    return show(
        "plate.html",
        title=f"{reading.run.plate_name}: {name.replace('_', ' ') or 'plate'}",
        tab="plate",
        reading=reading,
        run=reading.run,
        phenotype=name,
        unit=unit,
        known=known,
        wanted=reading.phenotypes,
        order=order or "well",
        plate=phenotype_plate(
            wells, name, unit, reading.plate_format, reading.well_page, reading.measurement
        ),
        extremes=extreme_wells(wells, name),
        rows=rows[(page - 1) * PER_PAGE : page * PER_PAGE],
        why_without=why_without,
        page=page,
        pages=pages,
    )


@router.get("/view/{run}/quality")
def view_quality(reading: ReadingDep, asked: AskedDep) -> Response:
    """Controls, checks and odd vehicle wells of one plate."""
    return kept(asked, reading, lambda: _quality_page(reading))


def _quality_page(reading: Reading) -> HTMLResponse:
    wells = reading.table("wells")
    return show(
        "quality.html",
        title=f"{reading.run.plate_name}: quality",
        tab="quality",
        reading=reading,
        run=reading.run,
        quality=reading.quality,
        windows=control_windows(reading.quality),
        checks=checks_by_finding(reading.table("checks")),
        odd=odd_vehicles(wells),
        counts={
            status: sum(w["status"] == status for w in wells)
            for status in ("done", "excluded", "failed", "skipped")
        },
    )


@router.get("/quality")
def view_plates(
    session: SessionDep,
    settings: SettingsDep,
    phenotype: Annotated[str, Query(max_length=100)] = "",
) -> HTMLResponse:
    """The newest plates beside each other: controls and evenness, one phenotype over time.

    The newest run of each plate counts, at the time of its first: one that was analysed again would
    look like another plate, or a later one.
    """
    newest = (
        select(RunRow, PlateRow.created_at)
        .where(col(RunRow.id).in_(newest_runs()), PlateRow.id == RunRow.plate_id)
        .order_by(col(PlateRow.created_at).desc())
        .limit(_PLATES)
    )
    plates: list[dict[str, Any]] = []
    for row, first in session.exec(newest).all():
        reading = Reading(row.id, session, settings)
        try:
            quality, why = reading.quality, ""
        except (NotFound, StoreError) as error:
            quality, why = [], str(error)
        shown = {"reading": reading, "run": reading.run, "first": first}
        plates.append(shown | {"quality": quality, "why": why})
    names = sorted({q["phenotype"] for p in plates for q in p["quality"]})
    name = phenotype or next(iter(names), "")
    controls = []
    for p in plates:
        reading, run = p["reading"], p["run"]
        tables = reading.table("checks"), reading.table("wells")
        p |= plate_summary(p["quality"], *tables, name)
        controls += controls_over_plates(run.plate_name, p["first"].isoformat(), p["quality"], name)
    known = columns("well")
    unit = known[name].unit if name in known else ""
    return show(
        "plates.html",
        title="Quality over plates",
        plates=plates,
        names=names,
        phenotype=name,
        unit=unit,
        evenness=EVENNESS,
        drawn={
            f"vehicle wells of {name} over plates": vehicle_drift(controls, name, unit),
            f"controls of {name} over plates": separation_over_plates(controls, name),
        },
    )
