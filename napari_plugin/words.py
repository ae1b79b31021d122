"""What the panel says of a session, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from imaging_service.review.local import LocalRun
from napari_plugin.well_table import Standing

if TYPE_CHECKING:
    from napari_plugin.session import ReviewSession


def caption(session: ReviewSession, why: Mapping[tuple[str, int], str]) -> str:
    """What the well is, its phenotypes beside vehicle, and why the queue has it; blinded, only which field it is."""
    of = f"field {session.number} of {session.table.fields(session.well)}"
    if session.blinded:
        return f"{of} (blinded)"
    reason = why.get((session.well, session.number), "") if session.follows_queue else ""
    return f"{session.well}, {of}\n{session.table.words(session.well)}" + (f"\nworth a look: {reason}" if reason else "")


def said(session: ReviewSession, standing: Standing) -> str:
    """What reviewers said of the field and its well so far; a blinded one sees only what they said themselves."""
    parts = []
    for what, place in (("well ", (session.well, None, None)), ("", (session.well, session.number, None))):
        verdict = standing.get(place)
        if verdict is not None and (not session.blinded or verdict.author == session.author):
            parts.append(f"{what}accepted" if verdict.accepted else f"{what}rejected by {verdict.author}: {verdict.reason}")
    if session.shown is not None and session.shown.label_version > 1:
        parts.append(f"label version {session.shown.label_version}")
    return " · ".join(parts)


def progress(session: ReviewSession, standing: Standing) -> str:
    """How many fields are judged, which record this is, and whether the tables lag behind it."""
    every = [(well, n + 1) for well in session.wells for n in range(session.table.fields(well))]
    judged = sum((well, n, None) in standing or (well, None, None) in standing for well, n in every)
    parts = [f"{judged} of {len(every)} fields judged"]
    if session.run.reading:
        parts.append(f"independent reading “{session.run.reading}”, which no table follows")
    elif isinstance(session.run, LocalRun) and (state := session.run.state()).applied != state.revision:
        parts.append(f"tables at revision {state.applied} of {state.revision}: U lets them follow")
    if session.shown is not None and session.shown.graph is None:
        parts.append("the neurite graph is drawn again once the tables have followed")
    return " · ".join(parts)


def waiting(session: ReviewSession) -> str:
    """What is not sent yet, and what was refused; empty on a folder and where all is well."""
    if isinstance(session.run, LocalRun):
        return ""
    unsent = len(session.run.journal.pending())
    parts = [f"{unsent} edits wait for the service"] if unsent else []
    parts += [f"refused: {why} (kept in {session.run.journal.folder / 'refused'})" for _, why in session.run.refused]
    return "\n".join(parts)
