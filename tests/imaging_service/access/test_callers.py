from __future__ import annotations

import pytest

from imaging_service.access.callers import (
    caller_of_session,
    caller_with_key,
    local_caller,
    token_digest,
)
from imaging_service.access.keys import make_key, revoke
from imaging_service.access.members import end_member, find_member, find_project, share
from imaging_service.access.roles import Role
from imaging_service.database.tenants import KeyRow


@pytest.fixture
def session(two_labs):
    with two_labs.session() as opened:
        yield opened


def test_a_member_has_the_role_in_all_projects_of_the_laboratory_and_in_no_other(session, two_labs):
    caller = caller_with_key(session, two_labs.keys["operator"])
    assert caller is not None
    assert (caller.name, caller.lab, caller.roles) == ("operator", "alpha", {"als": Role.OPERATOR})
    assert (caller.lab_role, caller.everywhere, caller.local) == (Role.OPERATOR, False, False)


@pytest.mark.parametrize(
    ("member", "shared", "role"),
    [
        ("other lab", Role.REVIEWER, Role.REVIEWER),
        ("other viewer", Role.ADMINISTRATOR, Role.VIEWER),
        ("other lab", Role.ADMINISTRATOR, Role.ADMINISTRATOR),
    ],
)
def test_in_a_shared_project_the_lesser_role_counts(session, two_labs, member, shared, role):
    share(session, find_project(session, "als"), "beta", shared)
    caller = caller_with_key(session, two_labs.keys[member])
    assert caller is not None
    assert caller.roles["als"] is role


def test_a_key_limits_its_owner(session, two_labs):
    limited = caller_with_key(session, two_labs.keys["wrong scope"])
    assert limited is not None
    assert (limited.roles, limited.lab_role) == ({"als": Role.VIEWER}, Role.VIEWER)
    bound = caller_with_key(session, two_labs.keys["bound"])
    assert bound is not None
    assert (bound.roles, bound.lab_role) == ({"als": Role.ADMINISTRATOR}, None)


def test_only_an_unlimited_key_administers_all_laboratories(session, two_labs):
    caller = caller_with_key(session, two_labs.keys["service"])
    assert caller is not None
    assert caller.everywhere
    assert set(caller.roles) == {"als", "ftd", "default"}
    owner = find_member(session, "service")
    for more in ({"role": Role.OPERATOR}, {"project": "als"}):
        limited = caller_with_key(session, make_key(session, owner, "x", **more).secret)
        assert limited is not None
        assert not limited.everywhere


def test_the_key_of_a_former_member_opens_nothing(session, two_labs):
    assert caller_with_key(session, two_labs.keys["former"]) is None


def test_a_session_ends_with_the_key_that_opened_it_and_with_the_membership(session, two_labs):
    member = two_labs.members["operator"]
    key = two_labs.keys["operator"].split("_")[1]
    assert caller_of_session(session, member, key).name == "operator"
    assert caller_of_session(session, two_labs.members["viewer"], key) is None
    assert caller_of_session(session, member, "x") is None
    assert caller_of_session(session, "", "") is None
    assert caller_of_session(session, member, "").name == "operator"
    revoke(session.get_one(KeyRow, key))
    session.flush()
    assert caller_of_session(session, member, key) is None
    end_member(session, find_member(session, "operator"))
    session.flush()
    assert caller_of_session(session, member, "") is None


def test_the_local_user_may_do_everything(session):
    caller = local_caller(session)
    assert caller.local
    assert set(caller.roles.values()) == {Role.ADMINISTRATOR}


def test_the_digest_of_a_token_is_not_the_token():
    assert token_digest("abc") != token_digest("abe")
    assert "abc" not in token_digest("abc")
