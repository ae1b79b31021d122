"""The same caller, a while later: long answers end when the key, the membership or a share does."""

from __future__ import annotations

from sqlmodel import Session

from imaging_service.access.callers import caller_of_session, local_caller
from imaging_service.access.keys import have_keys
from imaging_service.access.roles import Caller


def caller_again(session: Session, caller: Caller) -> Caller | None:
    """The caller with the roles of now; None where it would be let in no more."""
    if caller.local:
        return None if have_keys(session) else local_caller(session)
    return caller_of_session(session, caller.member, caller.key)
