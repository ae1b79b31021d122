"""The audit log: filtered, a page at a time, to be exported as it is seen."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from fastapi.responses import HTMLResponse

from imaging_service.access.audit import Wanted, newest
from imaging_service.api.access import CallerDep, SessionDep
from imaging_service.api.accounts.audit import WantedDep
from imaging_service.api.pages.page import page_router, show

router = page_router()
_PER_PAGE = 100


@router.get("/account/audit")
def view_audit(
    caller: CallerDep,
    session: SessionDep,
    wanted: WantedDep,
    before: Annotated[int | None, Query(ge=1, le=2**62)] = None,
) -> HTMLResponse:
    """The newest entries that fit the filters, or those before one."""
    entries = newest(session, caller, wanted, _PER_PAGE + 1, before)
    return show(
        "account/audit.html",
        title="Audit log",
        tab="audit",
        caller=caller,
        entries=entries[:_PER_PAGE],
        chosen={name: getattr(wanted, name) for name in Wanted.__dataclass_fields__},
        older=entries[_PER_PAGE - 1].id if len(entries) > _PER_PAGE else None,
        first=before is None,
    )
