"""The page of keys: a secret is on one answer and on no other."""

from __future__ import annotations

import re

import pytest

from imaging_service.database.tenants import KeyRow

PLACE = "/account/keys"
SECRET = re.compile(r"mns_[0-9a-f]{12}_[A-Za-z0-9_-]{43}")


def made(answer):
    assert answer.status_code == 200
    (secret,) = set(SECRET.findall(answer.text))
    return secret


def identity(secret):
    return secret.split("_")[1]


def with_key(labs, secret, path="/session"):
    labs.keys["new"] = secret
    return labs.ask("new", "GET", path).status_code


def test_a_key_is_shown_once_and_is_what_was_asked_for(two_labs):
    sent = {"name": "laptop <1>", "role": "reviewer", "project": "als", "days": "30"}
    answer = two_labs.ask("operator", "POST", PLACE, data=sent)
    secret = made(answer)
    assert answer.headers["cache-control"] == "no-store"
    with two_labs.session() as session:
        row = session.get_one(KeyRow, identity(secret))
        assert (row.name, row.role, row.project_id) == ("laptop <1>", "reviewer", "als")
        assert (row.expires_at - row.created_at).days == 30
    assert with_key(two_labs, secret) == 200
    page = two_labs.ask("operator", "GET", PLACE).text
    assert SECRET.findall(page) == []
    assert page.count("laptop &lt;1&gt;") > 0
    assert identity(secret) in page


def test_a_key_is_replaced_and_revoked_from_its_row(two_labs):
    secret = made(two_labs.ask("viewer", "POST", PLACE, data={"name": "a", "role": "viewer"}))
    other = made(two_labs.ask("viewer", "POST", f"{PLACE}/{identity(secret)}/rotate"))
    assert other != secret
    assert with_key(two_labs, other) == 200
    answer = two_labs.ask("viewer", "POST", f"{PLACE}/{identity(other)}/revoke")
    assert (answer.status_code, answer.headers["location"]) == (303, PLACE)
    assert with_key(two_labs, other) == 401


def test_members_see_their_own_keys_and_administrators_those_of_the_laboratory(two_labs):
    viewers, operators = (identity(two_labs.keys[name]) for name in ("viewer", "operator"))
    seen = {
        caller: two_labs.ask(caller, "GET", PLACE).text
        for caller in ("viewer", "administrator", "other lab")
    }
    assert [key in seen["viewer"] for key in (viewers, operators)] == [True, False]
    assert [key in seen["administrator"] for key in (viewers, operators)] == [True, True]
    assert [key in seen["other lab"] for key in (viewers, operators)] == [False, False]
    # Another member's key can be ended, and not replaced.
    assert f"{PLACE}/{viewers}/revoke" in seen["administrator"]
    assert f"{PLACE}/{viewers}/rotate" not in seen["administrator"]


def test_a_key_shows_what_it_may_do_and_not_the_limit_that_its_owner_never_reaches(two_labs):
    made(two_labs.ask("viewer", "POST", PLACE, data={"name": "whole key", "role": "administrator"}))
    made(two_labs.ask("operator", "POST", PLACE, data={"name": "less", "role": "reviewer"}))

    def roles(caller, name):
        page = two_labs.ask(caller, "GET", PLACE).text
        return re.findall(rf"<tr><td>{name}</td><td>[^<]*</td><td>([^<]*)</td>", page)

    assert roles("viewer", "whole key") == ["viewer"]
    assert roles("operator", "less") == ["reviewer (limited from operator)"]


def test_a_key_whose_owner_has_left_is_not_shown_as_one_that_works(two_labs):
    former = identity(two_labs.keys["former"])
    row = two_labs.ask("administrator", "GET", PLACE).text.split(former)[0].rsplit("<tr>", 1)[1]
    assert row.count('class="tag done"') == 0


@pytest.mark.parametrize(
    ("caller", "sent", "status"),
    [
        ("wrong scope", {"name": "a", "role": "viewer"}, 403),
        ("viewer", {"name": "", "role": "viewer"}, 422),
        ("viewer", {"name": "a", "role": "king"}, 422),
        ("viewer", {"name": "a", "role": "viewer", "project": "ftd"}, 404),
        ("viewer", {"name": "a", "role": "viewer", "days": "9999"}, 422),
    ],
)
def test_a_key_that_cannot_be_is_refused_on_a_page_that_says_why(two_labs, caller, sent, status):
    answer = two_labs.ask(caller, "POST", PLACE, data=sent)
    assert (answer.status_code, SECRET.findall(answer.text)) == (status, [])
    assert '<p class="notice' in answer.text


def test_a_service_without_members_says_how_to_let_others_in(site):
    page = site.get(PLACE).text
    assert page.count("first-administrator") == 1
    assert "<form" not in page.split("<main")[1]
