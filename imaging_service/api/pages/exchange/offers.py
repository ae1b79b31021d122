"""Releases that are offered: what, to whom, until when, and how often it was handed over."""

from __future__ import annotations

from fastapi.responses import HTMLResponse

from imaging_service.access.roles import Role
from imaging_service.api.access import CallerDep, SessionDep, SettingsDep
from imaging_service.api.pages.page import page_router, show
from imaging_service.database.tenants import now

router = page_router()


@router.get("/offers")
def view_offers(session: SessionDep, settings: SettingsDep, caller: CallerDep) -> HTMLResponse:
    """Offers of the caller's laboratory; who requested them, for its administrators alone."""
    # Imported here: they bring what reads screens, which takes a second to load.
    from imaging_service.release.requests.offers import offers
    from imaging_service.release.requests.standing import standing

    when = now()
    return show(
        "exchange/offers.html",
        title="Releases offered",
        offers=[(row, standing(settings, row, when)) for row in offers(session, caller)],
        # Names of people outside, as the audit log has them.
        names=caller.everywhere or caller.lab_role is Role.ADMINISTRATOR,
        lab=caller.lab,
    )
