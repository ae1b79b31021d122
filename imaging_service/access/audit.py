"""The audit log: who changed what, when. The database refuses to change or remove an entry."""

from __future__ import annotations

from collections.abc import Iterator

from sqlmodel import Session, col, select

from imaging_service.access.roles import Caller
from imaging_service.accounts import AuditEntry
from imaging_service.database.tenants import AuditRow
from imaging_service.logs import without_keys

BEGUN = "begun"
_PAGE = 1000


def note(
    session: Session,
    actor: str,
    action: str,
    subject: str = "",
    *,
    outcome: str = "done",
    lab: str = "",
    project: str = "",
    key: str = "",
    request: str = "",
) -> None:
    """Add an entry; the caller commits, in one transaction with the change where it can."""
    session.add(
        AuditRow(
            actor=actor,
            key_id=key,
            lab_id=lab,
            project_id=project,
            action=action,
            # A user may name a key by all of it, and others read this log.
            object=without_keys(subject[:500]),
            outcome=outcome,
            request=request,
        )
    )


def entries(session: Session, caller: Caller, after: int = 0) -> Iterator[AuditEntry]:
    """Entries that a caller may read, oldest first, from the one after `after` on.

    Those of the caller's laboratory and of its projects; an administrator of the service reads
    all.
    """
    query = select(AuditRow).order_by(col(AuditRow.id))
    if not caller.everywhere:
        query = query.where(
            (col(AuditRow.lab_id) == caller.lab)
            | col(AuditRow.project_id).in_(sorted(caller.roles))
        )
    while rows := session.exec(query.where(col(AuditRow.id) > after).limit(_PAGE)).all():
        for row in rows:
            yield AuditEntry.model_validate(row, from_attributes=True)
        after = rows[-1].id or 0
