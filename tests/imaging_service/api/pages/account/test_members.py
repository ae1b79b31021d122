"""The page of a laboratory and its members."""

from __future__ import annotations

import pytest

from imaging_service.access.members import find_lab, find_member

PLACE = "/account/members"


def test_an_administrator_adds_a_member_changes_the_role_and_ends_it(two_labs):
    sent = {"name": "Ada <A>", "role": "viewer", "email": "Ada@example.org"}
    answer = two_labs.ask("administrator", "POST", PLACE, data=sent)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{PLACE}?lab=alpha")
    with two_labs.session() as session:
        row = find_member(session, "Ada <A>")
        member = row.id
        assert (row.lab_id, row.role, row.email) == ("alpha", "viewer", "ada@example.org")
    page = two_labs.ask("administrator", "GET", PLACE).text
    assert page.count("Ada &lt;A&gt;") > 0
    assert f"{PLACE}/{member}/role?lab=alpha" in page
    two_labs.ask("administrator", "POST", f"{PLACE}/{member}/role", data={"role": "operator"})
    with two_labs.session() as session:
        assert find_member(session, member).role == "operator"
    two_labs.ask("administrator", "POST", f"{PLACE}/{member}/end")
    with two_labs.session() as session:
        assert find_member(session, member).ended_at is not None
    assert f"{PLACE}/{member}/role" not in two_labs.ask("administrator", "GET", PLACE).text


def test_others_see_who_is_there_and_no_form(two_labs):
    page = two_labs.ask("viewer", "GET", PLACE).text
    assert page.count("<tr>") == 1 + len(
        [n for n in two_labs.members if n not in ("service", "other lab", "other viewer")]
    )
    assert "<form" not in page.split("<main")[1]


def test_an_administrator_of_the_service_sees_and_adds_laboratories(two_labs):
    page = two_labs.ask("service", "GET", f"{PLACE}?lab=beta").text
    assert page.count('value="beta" selected') == 1
    assert page.count("other viewer") > 0
    answer = two_labs.ask("service", "POST", "/account/labs", data={"id": "gamma", "name": "G"})
    assert answer.headers["location"] == f"{PLACE}?lab=gamma"
    with two_labs.session() as session:
        assert find_lab(session, "gamma").name == "G"
    assert two_labs.ask("service", "GET", answer.headers["location"]).status_code == 200


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        (PLACE, {"name": "", "role": "viewer"}),
        (PLACE, {"name": "viewer", "role": "viewer"}),
        (PLACE, {"name": "Ada", "role": "king"}),
        ("/account/labs", {"id": "Two Words", "name": ""}),
        ("/account/labs", {"id": "alpha", "name": ""}),
    ],
)
def test_what_cannot_be_added_is_refused_on_a_page_that_says_why(two_labs, path, sent):
    caller = "service" if path == "/account/labs" else "administrator"
    answer = two_labs.ask(caller, "POST", path, data=sent)
    assert answer.status_code == 422
    assert '<p class="notice' in answer.text


def test_a_member_of_another_laboratory_is_not_found(two_labs):
    foreign = two_labs.members["other viewer"]
    answer = two_labs.ask("administrator", "POST", f"{PLACE}/{foreign}/end")
    assert answer.status_code == 404
    with two_labs.session() as session:
        assert find_member(session, foreign).ended_at is None
