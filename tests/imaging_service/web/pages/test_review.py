from __future__ import annotations

from datetime import UTC, datetime

from imaging_service.review.log import latest
from imaging_service.schemas import LabelVersion, QueueEntry, Verdict
from imaging_service.web.pages.review import queued_fields, reviewers

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def verdict(field, author, accepted=True):
    return Verdict(
        well="B02", field=field, author=author, accepted=accepted, reason="blur", time=NOW
    )


def version(field, author):
    return LabelVersion(
        well="B02",
        field=field,
        version=2,
        parent=1,
        author=author,
        reason="split",
        time=NOW,
        regions=[],
    )


def test_each_reviewer_has_corrections_and_verdicts():
    rows = reviewers([verdict(1, "Bo"), verdict(2, "Ada", False)], [version(1, "Ada")])
    assert [(r.name, r.corrections, r.accepted, r.rejected) for r in rows] == [
        ("Ada", 1, 0, 1),
        ("Bo", 0, 1, 0),
    ]


def test_the_last_verdict_on_a_field_or_its_well_stands():
    queue = [QueueEntry(well="B02", field=f, score=1.0, why="") for f in (1, 2, 3)]
    standing = latest([verdict(1, "Bo", False), verdict(1, "Ada")])
    fields = queued_fields(queue, standing, [version(2, "Cy")])
    assert [(f.outcome, f.author) for f in fields] == [
        ("accepted", "Ada"),
        ("corrected", "Cy"),
        ("", ""),
    ]
    whole = latest([verdict(None, "Di", False)])
    assert {f.outcome for f in queued_fields(queue, whole, [])} == {"rejected"}
