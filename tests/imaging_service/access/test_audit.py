from __future__ import annotations

import pytest
import sqlalchemy as sa

from imaging_service.access import audit
from imaging_service.access.audit import entries, note
from imaging_service.access.callers import caller_with_key


@pytest.fixture
def session(two_labs):
    with two_labs.session() as opened:
        note(opened, "ann", "a", lab="alpha", project="als")
        note(opened, "bob", "b", lab="beta", project="ftd")
        note(opened, "cy", "c", lab="core", project="als")
        note(opened, "dan", "d")
        opened.commit()
        yield opened


@pytest.mark.parametrize(
    ("member", "seen"), [("administrator", "ac"), ("other lab", "b"), ("service", "abcd")]
)
def test_a_caller_reads_what_concerns_its_laboratory_and_projects(session, two_labs, member, seen):
    caller = caller_with_key(session, two_labs.keys[member])
    assert caller is not None
    assert "".join(e.action for e in entries(session, caller)) == seen


def test_reading_goes_on_after_an_entry_and_over_pages(session, two_labs, monkeypatch):
    caller = caller_with_key(session, two_labs.keys["service"])
    assert caller is not None
    monkeypatch.setattr(audit, "_PAGE", 3)
    read = list(entries(session, caller))
    assert [e.action for e in read] == list("abcd")
    assert [e.action for e in entries(session, caller, after=read[1].id)] == list("cd")


@pytest.mark.parametrize(
    "statement", ["UPDATE audit SET actor = 'eve'", "DELETE FROM audit WHERE id = 1"]
)
def test_the_database_refuses_to_change_or_remove_an_entry(session, statement):
    with pytest.raises(sa.exc.DatabaseError):
        session.execute(sa.text(statement))
    session.rollback()
    count = session.execute(sa.text("SELECT count(*) FROM audit WHERE actor <> 'eve'")).scalar()
    assert count == 4


def test_a_long_subject_is_cut(session, two_labs):
    note(session, "ann", "a", 1000 * "x", lab="alpha")
    session.commit()
    caller = caller_with_key(session, two_labs.keys["service"])
    assert caller is not None
    assert len(list(entries(session, caller))[-1].object) == 500
