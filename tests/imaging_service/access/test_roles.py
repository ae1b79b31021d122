from __future__ import annotations

import pytest

from imaging_service.access.roles import Caller, Role, key_role, least


def test_each_role_includes_those_before_it():
    included = {role: [r.value for r in Role if role.includes(r)] for role in Role}
    assert included == {
        Role.VIEWER: ["viewer"],
        Role.REVIEWER: ["viewer", "reviewer"],
        Role.OPERATOR: ["viewer", "reviewer", "operator"],
        Role.ADMINISTRATOR: ["viewer", "reviewer", "operator", "administrator"],
    }


def test_the_least_of_several_roles():
    assert least(Role.ADMINISTRATOR, Role.REVIEWER, Role.OPERATOR) is Role.REVIEWER


@pytest.mark.parametrize(
    ("local", "named", "author"),
    [(False, "eve", "ann"), (False, "", "ann"), (True, "eve", "eve"), (True, " ", "ann")],
)
def test_the_author_is_the_key_s_owner_and_not_what_the_client_says(local, named, author):
    assert Caller(member="1", name="ann", lab="l", local=local).author(named) == author


def test_a_key_may_do_what_the_lesser_of_owner_and_limit_may():
    assert key_role(Role.VIEWER, Role.VIEWER) == "viewer"
    assert key_role(Role.REVIEWER, Role.ADMINISTRATOR) == "reviewer"
    assert key_role(Role.ADMINISTRATOR, Role.OPERATOR) == "operator (limited from administrator)"
