"""The review's queue: which fields are worth a look, and who is looking at them.

The worker ranks the fields when a run is done. A reviewer claims the next ones: a claimed field
goes to no other reviewer until it is judged, or until the claim is a quarter of an hour old, so
that a reviewer who went home blocks nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import sqlalchemy as sa
from fastapi import APIRouter
from sqlmodel import Session, col, select

from imaging_service.api.access import SessionDep
from imaging_service.api.problems import described
from imaging_service.api.routes.reviewing.fields import Reviewed, ReviewedDep
from imaging_service.database.tables import ClaimRow
from imaging_service.schemas import Claim, QueueEntry

router = APIRouter(prefix="/runs/{run}/queue", tags=["review"], responses=described(409))
HELD_S = 15 * 60


@router.get("", summary="Fields by what is worth a look")
def get_queue(reviewed: ReviewedDep, session: SessionDep) -> list[QueueEntry]:
    """The most urgent fields first, with their reasons.

    Each says whether it was judged, and which reviewer is looking at it now.
    """
    return list(_entries(reviewed, session))


@router.post("/claims", summary="Take the next fields to look at")
def claim(reviewed: ReviewedDep, session: SessionDep, wanted: Claim) -> list[QueueEntry]:
    """The most urgent fields that are not judged and that no other reviewer is looking at.

    What the reviewer holds already comes first. Fewer than asked for, or none, where no more are
    left.
    """
    session.execute(sa.delete(ClaimRow).where(col(ClaimRow.until) < time.time()))
    reviewer = reviewed.author(wanted.reviewer)
    taken: list[QueueEntry] = []
    for entry in sorted(_entries(reviewed, session), key=lambda e: e.claimed_by != reviewer):
        if len(taken) == wanted.count:
            break
        if entry.judged or entry.claimed_by not in ("", reviewer):
            continue
        if _hold(session, reviewed, entry, reviewer):
            taken.append(entry.model_copy(update={"claimed_by": reviewer}))
    session.commit()
    return taken


def _entries(reviewed: Reviewed, session: Session) -> Iterator[QueueEntry]:
    judged = reviewed.run.review.standing()
    query = select(ClaimRow).where(
        ClaimRow.run_id == reviewed.row.id,
        ClaimRow.reading == reviewed.reading,
        col(ClaimRow.until) >= time.time(),
    )
    held = {(c.well, c.field): c.reviewer for c in session.exec(query).all()}
    for entry in reviewed.run.queue():
        place = (entry.well, entry.field)
        is_judged = (*place, None) in judged or (entry.well, None, None) in judged
        yield entry.model_copy(update={"judged": is_judged, "claimed_by": held.get(place, "")})


def _hold(session: Session, reviewed: Reviewed, entry: QueueEntry, reviewer: str) -> bool:
    """Claim a field, or hold it longer; False where another reviewer has just claimed it."""
    place = {"reading": reviewed.reading, "well": entry.well, "field": entry.field}
    until = time.time() + HELD_S
    mine = sa.update(ClaimRow).filter_by(run_id=reviewed.row.id, reviewer=reviewer, **place)
    if session.connection().execute(mine.values(until=until)).rowcount:
        return True
    try:
        with session.begin_nested():
            session.add(
                ClaimRow.model_validate(
                    {"run_id": reviewed.row.id, "reviewer": reviewer, "until": until, **place}
                )
            )
    except sa.exc.IntegrityError:
        return False
    return True
