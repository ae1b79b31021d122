from __future__ import annotations

from datetime import UTC, datetime

from imaging_service.review.log import latest
from imaging_service.schemas import LabelVersion, QueueEntry, Verdict
from imaging_service.web.pages.review import MOST_FIRST, first_looks, queued_fields, reviewers

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


CROSS = "neurites of several neurons cross ({}% of the length)"
ODD = "the whole well is unlike the other vehicle wells of its line in live_density (robust z -5.2)"


def ranked(*entries, standing=None):
    queue = [QueueEntry(well=w, field=f, score=s, why=why) for w, f, s, why in entries]
    return queued_fields(queue, standing or {}, [])


def common(count):
    """Fields of which each has what every other has."""
    return [(f"D{i:02d}", 1, 0.5, CROSS.format(60)) for i in range(1, count + 1)]


def test_what_a_well_s_fields_share_is_said_of_the_well_and_the_rest_of_each_field():
    fields = ranked(
        ("N20", 2, 2.2, f"{ODD}; {CROSS.format(93)}"),
        ("N20", 1, 2.2, f"{ODD}; {CROSS.format(63)}"),
        ("F08", 1, 1.6, f"{ODD}; {CROSS.format(71)}"),
        *common(9),
    )
    odd, one = first_looks(fields)
    assert (odd.well, odd.shared) == ("N20", ODD)
    assert odd.fields == ((1, CROSS.format(63)), (2, CROSS.format(93)))
    assert (one.well, one.shared) == ("F08", "")
    assert one.fields == ((1, f"{ODD}; {CROSS.format(71)}"),)


def test_what_most_fields_have_is_no_reason_to_look_at_one_first():
    assert first_looks(ranked(*common(20))) == []
    assert first_looks([]) == []


def test_the_list_is_short_and_leaves_out_what_was_judged():
    entries = [(f"B{i:02d}", 1, 3.0 - i / 100, ODD) for i in range(1, 15)]
    fields = ranked(*entries, *common(40))
    assert [look.well for look in first_looks(fields)] == [w for w, *_ in entries[:MOST_FIRST]]
    standing = {("B01", 1, None): verdict(1, "Ada")}
    assert first_looks(ranked(*entries, *common(40), standing=standing))[0].well == "B02"
