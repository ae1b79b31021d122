"""API keys: made, shown once, recognised by their digest, rotated and revoked.

A key is `mns_ID_SECRET`. The id is public and finds the row; of the secret, 256 random bits, only
the SHA-256 is kept. A slow hash would protect passwords that people choose; it does nothing for
random bits, and would cost every request a tenth of a second.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from imaging_service.access.roles import Role
from imaging_service.database.tenants import KeyRow, MemberRow, ProjectRow, now
from imaging_service.errors import AccessRefused, NotFound

DAYS = 365
# A rotated key works on for a day, so that what uses it can be told the new one without a gap.
OVERLAP = timedelta(days=1)
# How the key of a decided request for a release begins, which is of no member.
RELEASE_KEY = "mnr_"
_KEY = re.compile(r"mns_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
# The hour of the last use is told; a write for every request would not be.
_USED_EVERY = timedelta(hours=1)
_ANY_MEMBER = sa.select(col(MemberRow.id)).limit(1)


@dataclass(frozen=True)
class NewKey:
    """A key that was just made. `secret` is shown once and kept nowhere."""

    row: KeyRow
    secret: str = field(repr=False)


def make_key(
    session: Session,
    member: MemberRow,
    name: str,
    *,
    role: Role = Role.ADMINISTRATOR,
    project: str | None = None,
    days: int = DAYS,
) -> NewKey:
    """Add a key of a member; the caller commits.

    Parameters
    ----------
    role
        The most that the key may do; its owner's own role limits it as well.
    project
        The only project that the key may be used for.
    days
        After so many days the key ends, 1 to 3650.

    Raises AccessRefused for a member who has left or a number of days out of range, NotFound for an
    unknown project.
    """
    if member.ended_at is not None:
        raise AccessRefused(f"{member.name} is not a member any more, and cannot have a key")
    if not 1 <= days <= 3650:
        raise AccessRefused(f"a key lasts 1 to 3650 days, not {days}")
    if project is not None and session.get(ProjectRow, project) is None:
        raise NotFound(f"there is no project {project}")
    if not 0 < len(name.strip()) <= 80:
        raise AccessRefused("a key needs a name of 1 to 80 letters, such as “laptop”")
    return _new(session, member.id, name.strip(), role, project, timedelta(days=days))


def _new(
    session: Session, member: str, name: str, role: str, project: str | None, lasts: timedelta
) -> NewKey:
    created = now()
    identity, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    row = KeyRow(
        id=identity,
        member_id=member,
        name=name,
        digest=_digest(secret),
        role=str(role),
        project_id=project,
        created_at=created,
        expires_at=created + lasts,
    )
    session.add(row)
    session.flush()
    return NewKey(row, f"mns_{identity}_{secret}")


def id_of_key(sent: str) -> str:
    """The public part of a key, by which its row is found; empty for any other text."""
    match = _KEY.fullmatch(sent)
    return match[1] if match else ""


def is_right(sent: str, digest: str) -> bool:
    """Whether a key's secret has a digest; never for no digest, which takes as long."""
    match = _KEY.fullmatch(sent)
    same = hmac.compare_digest(digest or _digest(""), _digest(match[2] if match else sent))
    return bool(digest) and same


def is_valid(row: KeyRow | sa.Row[Any]) -> bool:
    """Whether a key, or a row with its `revoked_at` and `expires_at`, can be used now."""
    return row.revoked_at is None and now() < row.expires_at


def note_use(session: Session, key: str, used_at: datetime | None) -> None:
    """Keep when a key was last used, to the hour; commits."""
    if used_at is None or now() - used_at > _USED_EVERY:
        used = sa.update(KeyRow).where(col(KeyRow.id) == key).values(used_at=now())
        session.connection().execute(used)
        session.commit()


def rotate(session: Session, row: KeyRow) -> NewKey:
    """A new key that may do the same as long from now; the old one ends after a day at most.

    The caller commits. Raises AccessRefused for a key that has ended.
    """
    if not is_valid(row):
        raise AccessRefused(f"key {row.id} has ended; make a new one")
    lasts = row.expires_at - row.created_at
    made = _new(session, row.member_id, row.name, row.role, row.project_id, lasts)
    row.expires_at = min(row.expires_at, now() + OVERLAP)
    return made


def revoke(row: KeyRow) -> None:
    """End a key at once; the caller commits. A key that was revoked stays as it is."""
    row.revoked_at = row.revoked_at or now()


def keys_of(session: Session, members: list[str]) -> list[KeyRow]:
    """All keys of some members, the newest first, those that have ended included."""
    query = select(KeyRow).where(col(KeyRow.member_id).in_(members))
    return list(session.exec(query.order_by(col(KeyRow.created_at).desc())).all())


def have_keys(session: Session) -> bool:
    """Whether the service has members, and so asks every caller for a key."""
    return session.connection().execute(_ANY_MEMBER).first() is not None


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()
