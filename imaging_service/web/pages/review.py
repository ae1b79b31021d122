"""What the review's page shows: how far it is, who did what, and how often masks were right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from imaging_service.schemas import LabelVersion, QueueEntry, Verdict


@dataclass(frozen=True)
class Reviewer:
    """One reviewer: corrections written, fields accepted and rejected."""

    name: str
    corrections: int
    accepted: int
    rejected: int


@dataclass(frozen=True)
class QueuedField:
    """A field of the queue with what became of it: "", accepted, rejected or corrected."""

    entry: QueueEntry
    outcome: str
    author: str


def reviewers(verdicts: Sequence[Verdict], versions: Sequence[LabelVersion]) -> list[Reviewer]:
    """Reviewers by name."""
    corrections = Counter(v.author for v in versions)
    accepted = Counter(v.author for v in verdicts if v.accepted)
    rejected = Counter(v.author for v in verdicts if not v.accepted)
    return [
        Reviewer(name, corrections[name], accepted[name], rejected[name])
        for name in sorted({*corrections, *accepted, *rejected})
    ]


def queued_fields(
    queue: Sequence[QueueEntry],
    standing: dict[tuple[str, int | None, int | None], Verdict],
    versions: Sequence[LabelVersion],
) -> list[QueuedField]:
    """The queue, most urgent first, with the verdict that stands on a field or on its well."""
    corrected = {(v.well, v.field): v.author for v in versions}
    rows = []
    for entry in queue:
        verdict = standing.get((entry.well, entry.field, None)) or standing.get(
            (entry.well, None, None)
        )
        outcome, author = "", ""
        if (entry.well, entry.field) in corrected:
            outcome, author = "corrected", corrected[entry.well, entry.field]
        if verdict is not None:
            outcome = "accepted" if verdict.accepted else "rejected"
            author = verdict.author
        rows.append(QueuedField(entry, outcome, author))
    return rows
