"""Sign-in at an identity provider: whose account of the service an identity is."""

from __future__ import annotations

from collections.abc import Mapping

from sqlmodel import Session, col, select

from imaging_service.access.audit import note
from imaging_service.database.tenants import MemberRow
from imaging_service.errors import Forbidden


def member_of(session: Session, issuer: str, claims: Mapping[str, object]) -> MemberRow:
    """The member that an identity belongs to; commits what a first sign-in binds.

    A sign-in makes no member. An administrator adds a member with an e-mail address;
    the first sign-in with that address, which the provider says it has verified, binds the
    identity, and from then on only the identity counts: addresses are given to other people.

    Raises Forbidden for an identity that belongs to no member, or to one who has left.
    """
    subject = str(claims.get("sub") or "")
    email = str(claims.get("email") or "").strip().lower()
    query = select(MemberRow).where(MemberRow.issuer == issuer, MemberRow.subject == subject)
    row = session.exec(query).first() if subject else None
    if row is None and subject and email and claims.get("email_verified") is True:
        row = session.exec(
            select(MemberRow).where(MemberRow.email == email, col(MemberRow.subject).is_(None))
        ).first()
        if row is not None and row.ended_at is None:
            row.issuer, row.subject = issuer, subject
            note(session, row.name, "first sign-in", row.id, lab=row.lab_id)
            session.commit()
    if row is None or row.ended_at is not None:
        raise Forbidden(
            f"{email or 'this account'} belongs to no member of this service; ask an administrator"
            " of your laboratory to add a member with this e-mail address"
        )
    return row
