from __future__ import annotations

from datetime import timedelta

import pytest
from sqlmodel import select

from imaging_service.access import keys
from imaging_service.access.callers import caller_with_key
from imaging_service.access.keys import (
    is_valid,
    make_key,
    note_use,
    revoke,
    rotate,
)
from imaging_service.access.members import find_member
from imaging_service.access.roles import Role
from imaging_service.database.tenants import KeyRow, now
from imaging_service.errors import AccessRefused, NotFound


@pytest.fixture
def session(two_labs):
    with two_labs.session() as opened:
        yield opened


@pytest.fixture
def owner(session):
    return find_member(session, "operator")


def known(session, sent):
    """The id of the key that a caller shows; None where it opens nothing."""
    session.flush()
    caller = caller_with_key(session, sent)
    return caller and caller.key


def test_of_a_key_only_the_digest_is_kept(session, owner, two_labs):
    made = make_key(session, owner, "laptop")
    session.commit()
    secret = made.secret.split("_", 2)[2]
    assert len(secret) == 43
    assert made.secret not in repr(made)
    files = [path.read_bytes() for path in two_labs.folder.rglob("*") if path.is_file()]
    assert files
    assert [content for content in files if secret.encode() in content] == []
    assert made.row.digest not in made.secret


def test_two_keys_differ(session, owner):
    one, other = make_key(session, owner, "a"), make_key(session, owner, "a")
    assert one.secret != other.secret
    assert one.row.id != other.row.id


def test_a_key_is_known_by_its_secret_only(session, owner):
    made, other = make_key(session, owner, "a"), make_key(session, owner, "b")
    assert known(session, made.secret) == made.row.id
    _, identity, secret = made.secret.split("_", 2)
    mixed = f"mns_{identity}_{other.secret.split('_', 2)[2]}"
    for wrong in (mixed, secret, made.secret[:-1], made.secret + " ", f"mns_{identity}_", "", "é"):
        assert known(session, wrong) is None, wrong


def test_a_key_ends_at_its_hour(session, owner, monkeypatch):
    made = make_key(session, owner, "a", days=30)
    assert made.row.expires_at - made.row.created_at == timedelta(days=30)
    assert is_valid(made.row)
    end = made.row.expires_at
    monkeypatch.setattr(keys, "now", lambda: end - timedelta(seconds=1))
    assert known(session, made.secret) == made.row.id
    monkeypatch.setattr(keys, "now", lambda: end)
    assert known(session, made.secret) is None


def test_a_revoked_key_is_unknown_at_once_and_keeps_its_hour(session, owner):
    made = make_key(session, owner, "a")
    revoke(made.row)
    first = made.row.revoked_at
    assert known(session, made.secret) is None
    revoke(made.row)
    assert made.row.revoked_at == first


def test_a_rotated_key_works_on_for_a_day_and_the_new_one_may_do_the_same(session, owner):
    made = make_key(session, owner, "a", role=Role.REVIEWER, project="als", days=90)
    fresh = rotate(session, made.row)
    assert fresh.secret != made.secret
    assert (fresh.row.role, fresh.row.project_id, fresh.row.name) == ("reviewer", "als", "a")
    assert fresh.row.expires_at - fresh.row.created_at == timedelta(days=90)
    assert known(session, made.secret) == made.row.id
    left = made.row.expires_at - now()
    assert timedelta(hours=23) < left <= timedelta(days=1)
    assert known(session, fresh.secret) == fresh.row.id


def test_a_key_that_has_an_hour_left_does_not_live_longer_by_its_rotation(session, owner):
    made = make_key(session, owner, "a")
    made.row.expires_at = soon = now() + timedelta(hours=1)
    rotate(session, made.row)
    assert made.row.expires_at == soon


def test_a_key_that_has_ended_is_not_rotated(session, owner):
    made = make_key(session, owner, "a")
    revoke(made.row)
    with pytest.raises(AccessRefused):
        rotate(session, made.row)


@pytest.mark.parametrize("more", [{"days": 0}, {"days": 3651}, {"name": " "}, {"name": 81 * "x"}])
def test_a_key_without_a_name_or_an_end_is_refused(session, owner, more):
    with pytest.raises(AccessRefused):
        make_key(session, owner, **({"name": "a"} | more))


def test_a_key_for_an_unknown_project_or_a_former_member_is_refused(session, owner):
    with pytest.raises(NotFound):
        make_key(session, owner, "a", project="xyz")
    with pytest.raises(AccessRefused):
        make_key(session, find_member(session, "former"), "a")


def test_the_use_of_a_key_is_noted_once_an_hour(session, owner, monkeypatch):
    row = make_key(session, owner, "a").row
    note_use(session, row.id, row.used_at)
    first = row.used_at
    assert first is not None
    note_use(session, row.id, row.used_at)
    assert row.used_at == first
    monkeypatch.setattr(keys, "now", lambda: first + timedelta(hours=2))
    note_use(session, row.id, row.used_at)
    assert row.used_at == first + timedelta(hours=2)


def test_no_row_keeps_a_secret(session, two_labs):
    stored = [repr(row) for row in session.exec(select(KeyRow)).all()]
    assert len(stored) == len(two_labs.keys)
    for secret in two_labs.keys.values():
        assert [row for row in stored if secret.split("_", 2)[2] in row] == []
