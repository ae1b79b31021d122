"""What the review's page shows: how far it is, who did what, and how often masks were right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from imaging_service.schemas import LabelVersion, QueueEntry, Verdict

# Wells of the short list that the page begins with.
MOST_FIRST = 10


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


@dataclass(frozen=True)
class FirstLook:
    """A well to look at first: reasons that its listed fields share, and each field's own."""

    well: str
    shared: str
    fields: tuple[tuple[int, str], ...]


def first_looks(queue: Sequence[QueuedField]) -> list[FirstLook]:
    """The wells to look at first, at most MOST_FIRST, the most urgent first.

    A field is listed if it was not judged and stands out from the plate: its score is above the
    middle one. What every second field has, such as neurites that cross, is no reason to look at
    one of them before the others.
    """
    if not queue:
        return []
    middle = median(f.entry.score for f in queue)
    wells: dict[str, list[QueueEntry]] = {}
    for field in queue:
        if field.entry.score > middle and not field.outcome:
            wells.setdefault(field.entry.well, []).append(field.entry)
    return [_first_look(well, entries) for well, entries in list(wells.items())[:MOST_FIRST]]


def _first_look(well: str, entries: Sequence[QueueEntry]) -> FirstLook:
    reasons = {e.field: e.why.split("; ") for e in sorted(entries, key=lambda e: e.field)}
    several = len(reasons) > 1
    first = next(iter(reasons.values()))
    shared = [r for r in first if several and all(r in others for others in reasons.values())]
    return FirstLook(
        well,
        "; ".join(shared),
        tuple((n, "; ".join(r for r in whys if r not in shared)) for n, whys in reasons.items()),
    )


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
