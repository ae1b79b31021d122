"""A run: what it found, how far it is, which wells failed, what can be done, and its review."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from imaging_service.access.roles import Role
from imaging_service.api.access import CallerDep, SessionDep, SettingsDep
from imaging_service.api.answers import AskedDep
from imaging_service.api.pages.page import PageQuery, kept, page_router, show
from imaging_service.api.pages.reading import GOING_ON, Reading, ReadingDep
from imaging_service.web.findings import findings
from imaging_service.web.pages.drawn_plate import contents_plate
from imaging_service.web.pages.films import survival_sentences
from imaging_service.web.pages.review import first_looks, queued_fields, reviewers

router = page_router()
# Fields of the queue on one page.
_PER_PAGE = 50
WellsQuery = Annotated[list[str] | None, Query(alias="well", max_length=3072)]


@router.get("/view/{run}")
def view_run(reading: ReadingDep, caller: CallerDep, asked: AskedDep) -> Response:
    """The run's first page; its buttons are for callers who may use them."""
    operates = caller.roles[reading.row.project_id].includes(Role.OPERATOR)
    return kept(asked, reading, lambda: _run_page(reading, operates), by_role=operates)


def _run_page(reading: Reading, operates: bool) -> HTMLResponse:
    done = reading.row.state == "done"
    finding_rows, plan = None, None
    if done:
        wells = reading.table("wells")
        finding_rows = findings(
            reading.table("responses"),
            wells,
            reading.table("checks"),
            reading.record.get("accuracy"),
        )
        plan = contents_plate(
            wells, reading.plate_format, page=reading.well_page, line_page=reading.line_page
        )
    progress = reading.progress()
    failed = [] if progress["going_on"] else [w.well for w in progress["failed"]]
    return show(
        "run.html",
        title=reading.run.plate_name,
        findings=finding_rows,
        survival=survival_sentences(reading.table("hazards")) if done else [],
        contents=plan,
        scan=reading.scan,
        tab="run",
        operates=operates,
        damaged=reading.damaged(failed),
        **progress,
    )


@router.get("/view/{run}/progress")
def view_progress(reading: ReadingDep) -> Response:
    """How far the run is, to be put into its page; sends the page anew once the run has ended."""
    if reading.row.state not in GOING_ON:
        return Response(headers={"HX-Refresh": "true"})
    return show("progress.html", **reading.progress())


@router.post("/view/{run}/retry")
def retry_wells(
    reading: ReadingDep, settings: SettingsDep, session: SessionDep, wells: WellsQuery = None
) -> RedirectResponse:
    """Try failed wells again, all or those given, and show the run."""
    from imaging_service.jobs.durable.verbs import retry

    return _back(retry(settings, session, reading.row.id, wells).id)


@router.post("/view/{run}/cancel")
def cancel_run(reading: ReadingDep, settings: SettingsDep, session: SessionDep) -> RedirectResponse:
    """Stop the run, and show it."""
    from imaging_service.jobs.durable.verbs import cancel

    return _back(cancel(settings, session, reading.row.id).id)


@router.post("/view/{run}/resume")
def resume_run(reading: ReadingDep, settings: SettingsDep, session: SessionDep) -> RedirectResponse:
    """Let the run go on, and show it."""
    from imaging_service.jobs.durable.verbs import resume

    return _back(resume(settings, session, reading.row.id).id)


@router.get("/view/{run}/review")
def view_review(reading: ReadingDep, page: PageQuery = 1) -> HTMLResponse:
    """How far the review is, and which fields are worth a look."""
    log = reading.local.review
    versions = [v for place in log.corrected() for v in log.history(*place)]
    verdicts = log.verdicts()
    fields = queued_fields(reading.local.queue(), log.standing(), versions)
    pages = max(1, -(-len(fields) // _PER_PAGE))
    page = min(page, pages)
    return show(
        "review.html",
        title=f"{reading.run.plate_name}: review",
        tab="review",
        reading=reading,
        run=reading.run,
        revision=log.revision(),
        judged=sum(bool(f.outcome) for f in fields),
        total=len(fields),
        first=first_looks(fields) if page == 1 else None,
        fields=fields[(page - 1) * _PER_PAGE : page * _PER_PAGE],
        page=page,
        pages=pages,
        reviewers=reviewers(verdicts, versions),
        versions=sorted(versions, key=lambda v: v.time, reverse=True)[:100],
        rejected=[v for v in log.standing().values() if not v.accepted],
    )


@router.get("/view/{run}/agreement")
def view_agreement(reading: ReadingDep) -> HTMLResponse:
    """How well the engine's labels agree with the reviewer's, to be put into the review's page."""
    from imaging_service.jobs.review.agreement import agreement, reviewed

    run = reading.local
    places = reviewed(run)
    kinds = run.label_levels(*places[0][:2]) if places else ()
    return show(
        "agreement.html",
        reading=reading,
        run=reading.run,
        agreements=[agreement(run, compartment=kind) for kind in kinds],
    )


def _back(run: str) -> RedirectResponse:
    return RedirectResponse(f"/view/{run}", status_code=303)
