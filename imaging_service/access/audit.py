"""The audit log: who changed what, when. The database refuses to change or remove an entry."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

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


@dataclass(frozen=True)
class Wanted:
    """Which entries are wanted: those of an actor or project, and parts of action and object.

    An empty text lets every entry pass; `since` and `until` are days in UTC, both included.
    """

    actor: str = ""
    project: str = ""
    action: str = ""
    subject: str = ""
    since: date | None = None
    until: date | None = None


def entries(
    session: Session, caller: Caller, after: int = 0, wanted: Wanted = Wanted()
) -> Iterator[AuditEntry]:
    """Entries that a caller may read, oldest first, from the one after `after` on.

    Those of the caller's laboratory and of its projects; an administrator of the service reads
    all.
    """
    query = _readable(caller, wanted).order_by(col(AuditRow.id))
    while rows := session.exec(query.where(col(AuditRow.id) > after).limit(_PAGE)).all():
        for row in rows:
            yield AuditEntry.model_validate(row, from_attributes=True)
        after = rows[-1].id or 0


def newest(
    session: Session, caller: Caller, wanted: Wanted, count: int, before: int | None = None
) -> list[AuditEntry]:
    """The last `count` entries that a caller may read, newest first; before the one of that id."""
    query = _readable(caller, wanted).order_by(col(AuditRow.id).desc()).limit(count)
    if before is not None:
        query = query.where(col(AuditRow.id) < before)
    return [AuditEntry.model_validate(r, from_attributes=True) for r in session.exec(query).all()]


def _readable(caller: Caller, wanted: Wanted) -> SelectOfScalar[AuditRow]:
    """The entries that a caller may read, of those wanted."""
    query = select(AuditRow)
    if not caller.everywhere:
        query = query.where(
            (col(AuditRow.lab_id) == caller.lab)
            | col(AuditRow.project_id).in_(sorted(caller.roles))
        )
    for column, whole in ((AuditRow.actor, wanted.actor), (AuditRow.project_id, wanted.project)):
        if whole:
            query = query.where(col(column) == whole)
    for column, part in ((AuditRow.action, wanted.action), (AuditRow.object, wanted.subject)):
        if part:
            query = query.where(col(column).contains(part, autoescape=True))
    if wanted.since is not None:
        query = query.where(col(AuditRow.time) >= _midnight(wanted.since))
    if wanted.until is not None:
        query = query.where(col(AuditRow.time) < _midnight(wanted.until) + timedelta(days=1))
    return query


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
