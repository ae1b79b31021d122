from __future__ import annotations

import pytest

from imaging_service.api.app import create_app
from tests.imaging_service.conftest import LOCAL_TOKEN
from tests.imaging_service.tenants import ask


def test_an_administrator_adds_changes_and_ends_members_of_the_own_laboratory(two_labs):
    added = two_labs.ask(
        "administrator", "POST", "/members", json={"name": "ann", "role": "reviewer"}
    )
    assert added.status_code == 201
    member = added.json()
    assert (member["lab_id"], member["role"], member["everywhere"]) == ("alpha", "reviewer", False)
    path = f"/members/{member['id']}"
    changed = two_labs.ask("administrator", "PATCH", path, json={"role": "operator"})
    assert changed.json()["role"] == "operator"
    assert two_labs.ask("administrator", "DELETE", path).status_code == 204
    listed = {m["name"]: m for m in two_labs.ask("viewer", "GET", "/members").json()}
    assert listed["ann"]["ended_at"] is not None
    stranger = two_labs.members["other lab"]
    assert stranger not in {m["id"] for m in two_labs.ask("viewer", "GET", "/members").json()}


def test_a_changed_role_holds_from_the_next_request_on(two_labs):
    run = "/runs/aaaaaaaa/cancel"
    assert two_labs.ask("viewer", "POST", run).status_code == 403
    path = f"/members/{two_labs.members['viewer']}"
    two_labs.ask("administrator", "PATCH", path, json={"role": "operator"})
    assert two_labs.ask("viewer", "POST", run).status_code == 202


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_member_of_another_laboratory_is_as_good_as_none(two_labs, method):
    more = {"json": {"role": "viewer"}} if method == "PATCH" else {}
    foreign = two_labs.members["other lab"]
    answers = [
        two_labs.ask("administrator", method, f"/members/{m}", **more)
        for m in (foreign, "000000000000")
    ]
    assert [a.status_code for a in answers] == [404, 404]
    assert answers[0].text.replace(foreign, "000000000000") == answers[1].text


def test_who_may_know_and_add_laboratories(two_labs):
    assert [lab["id"] for lab in two_labs.ask("viewer", "GET", "/labs").json()] == ["alpha"]
    everything = [lab["id"] for lab in two_labs.ask("service", "GET", "/labs").json()]
    assert everything == ["alpha", "beta", "core", "local"]
    added = two_labs.ask("service", "POST", "/labs", json={"id": "gamma", "name": "Third"})
    assert (added.status_code, added.json()) == (
        201,
        {"id": "gamma", "name": "Third", "most_runs": None, "most_upload_bytes": None},
    )
    member = two_labs.ask("service", "POST", "/members?lab=gamma", json={"name": "gus"}).json()
    assert (member["lab_id"], member["role"]) == ("gamma", "viewer")


def test_a_member_cannot_make_itself_administrator_of_the_service(two_labs):
    answer = two_labs.ask(
        "administrator", "POST", "/members", json={"name": "eve", "everywhere": True}
    )
    assert answer.status_code == 422


def test_the_user_of_a_service_without_members_is_not_locked_out(data_folder):
    app = create_app(data_folder, LOCAL_TOKEN)
    shown = {"Authorization": f"Bearer {LOCAL_TOKEN}"}
    answer = ask(app, "POST", "/members", shown, json={"name": "ann"})
    assert (answer.status_code, answer.json()["type"]) == (
        422,
        "urn:imaging-service:access_invalid",
    )
    assert ask(app, "GET", "/members", shown).json() == []


def test_an_administrator_of_the_service_limits_what_a_laboratory_may_use(two_labs):
    limits = {"most_runs": 1, "most_upload_bytes": 1000}
    changed = two_labs.ask("service", "PATCH", "/labs/alpha", json=limits)
    assert changed.json() == {"id": "alpha", "name": "Laboratory alpha", **limits}
    manifest = {
        "name": "plate",
        "files": [{"path": "a.tif", "size": 1001, "sha256": "0" * 64}],
    }
    refused = two_labs.ask("operator", "POST", "/uploads", json=manifest)
    assert (refused.status_code, refused.json()["type"]) == (
        429,
        "urn:imaging-service:quota_reached",
    )
    manifest["files"][0]["size"] = 1000
    for _ in range(2):
        assert two_labs.ask("operator", "POST", "/uploads", json=manifest).status_code == 201
    other = manifest | {"name": "another"}
    assert two_labs.ask("operator", "POST", "/uploads", json=other).status_code == 429
    assert two_labs.ask("other lab", "POST", "/uploads?project=ftd", json=other).status_code == 201
    assert two_labs.ask("service", "PATCH", "/labs/xyz", json=limits).status_code == 404
