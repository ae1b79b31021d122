from __future__ import annotations

import pytest

from imaging_service.access.members import add_member, end_member, find_member
from imaging_service.access.provider import member_of
from imaging_service.access.roles import Role
from imaging_service.errors import Forbidden

ISSUER = "https://id.example.org"
CLAIMS = {"sub": "s-1", "email": "Ann@example.org", "email_verified": True}


@pytest.fixture
def session(two_labs):
    with two_labs.session() as opened:
        add_member(opened, "alpha", "ann", Role.REVIEWER, email="ann@example.org")
        opened.commit()
        yield opened


def test_the_first_sign_in_with_a_verified_address_binds_the_identity(session):
    assert member_of(session, ISSUER, CLAIMS).name == "ann"
    # The address may change from then on, and may be given to another person.
    assert member_of(session, ISSUER, CLAIMS | {"email": "x@example.org"}).name == "ann"
    with pytest.raises(Forbidden):
        member_of(session, ISSUER, CLAIMS | {"sub": "s-2"})
    with pytest.raises(Forbidden):
        member_of(session, "https://other.example.org", CLAIMS)


@pytest.mark.parametrize(
    "change",
    [
        {"email_verified": False},
        {"email_verified": "true"},
        {"email": "eve@example.org"},
        {"email": ""},
        {"sub": ""},
        {"sub": None},
    ],
)
def test_an_identity_without_a_member_or_a_verified_address_is_refused(session, change):
    with pytest.raises(Forbidden):
        member_of(session, ISSUER, CLAIMS | change)
    assert find_member(session, "ann").subject is None


@pytest.mark.parametrize("bound", [True, False])
def test_a_former_member_cannot_sign_in(session, bound):
    if bound:
        member_of(session, ISSUER, CLAIMS)
    end_member(session, find_member(session, "ann"))
    with pytest.raises(Forbidden):
        member_of(session, ISSUER, CLAIMS)
