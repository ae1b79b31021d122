"""The page of projects and whom they are shared with."""

from __future__ import annotations

from imaging_service.access.members import find_project
from imaging_service.database.tenants import ShareRow
from tests.messages import states

PLACE = "/account/projects"


def test_a_project_is_added_shared_and_no_longer_shared(two_labs):
    answer = two_labs.ask("administrator", "POST", PLACE, data={"id": "tdp", "name": "TDP <43>"})
    assert (answer.status_code, answer.headers["location"]) == (303, PLACE)
    with two_labs.session() as session:
        assert find_project(session, "tdp").lab_id == "alpha"
    shared = two_labs.ask(
        "administrator", "POST", f"{PLACE}/tdp/shares", data={"lab": "beta", "role": "reviewer"}
    )
    assert shared.status_code == 303
    page = two_labs.ask("administrator", "GET", PLACE).text
    assert page.count("TDP &lt;43&gt;") == 1
    assert f"{PLACE}/tdp/shares/beta/end" in page
    page = two_labs.ask("other lab", "GET", PLACE).text
    assert states("account.role_in_it", page, role="reviewer")
    two_labs.ask("administrator", "POST", f"{PLACE}/tdp/shares/beta/end")
    with two_labs.session() as session:
        assert session.get(ShareRow, ("tdp", "beta")) is None


def test_others_see_their_projects_and_no_form(two_labs):
    page = two_labs.ask("viewer", "GET", PLACE).text
    assert "als" in page
    assert "ftd" not in page
    assert "<form" not in page.split("<main")[1]


def test_what_cannot_be_is_refused(two_labs):
    asked = {
        (PLACE, "Two Words", 422),
        (PLACE, "als", 422),
        (f"{PLACE}/als/shares", "nowhere", 404),
        (f"{PLACE}/als/shares", "alpha", 422),
        (f"{PLACE}/ftd/shares", "alpha", 404),
    }
    for path, named, status in asked:
        sent = {"id": named, "lab": named, "role": "viewer"}
        assert two_labs.ask("administrator", "POST", path, data=sent).status_code == status, path
