from __future__ import annotations

import pytest

from imaging_service.api.app import create_app
from tests.imaging_service.conftest import LOCAL_TOKEN
from tests.imaging_service.tenants import ask


def made(answer):
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()


def status(two_labs, key: str) -> int:
    return ask(two_labs.app, "GET", "/session", {"Authorization": f"Bearer {key}"}).status_code


def test_a_key_is_shown_once(two_labs):
    new = made(two_labs.ask("viewer", "POST", "/keys", json={"name": "laptop", "days": 30}))
    assert status(two_labs, new["key"]) == 200
    listed = two_labs.ask("viewer", "GET", "/keys")
    assert new["id"] in [key["id"] for key in listed.json()]
    assert new["key"].split("_", 2)[2] not in listed.text
    assert "digest" not in listed.text


def test_a_limited_key_makes_none_and_replaces_only_itself(two_labs):
    other = two_labs.keys["administrator"].split("_")[1]
    for caller in ("wrong scope", "bound"):
        assert two_labs.ask(caller, "POST", "/keys", json={"name": "x"}).status_code == 403
        assert two_labs.ask(caller, "POST", f"/keys/{other}/rotate").status_code == 403
        mine = two_labs.keys[caller].split("_")[1]
        new = made(two_labs.ask(caller, "POST", f"/keys/{mine}/rotate"))
        assert (new["role"], new["project_id"]) == {
            "wrong scope": ("viewer", None),
            "bound": ("administrator", "als"),
        }[caller]


def test_a_key_may_be_limited_to_a_project_that_its_owner_sees(two_labs):
    wanted = {"name": "x", "role": "reviewer"}
    new = made(two_labs.ask("operator", "POST", "/keys", json=wanted | {"project_id": "als"}))
    assert (new["role"], new["project_id"]) == ("reviewer", "als")
    foreign = two_labs.ask("viewer", "POST", "/keys", json=wanted | {"project_id": "ftd"})
    missing = two_labs.ask("viewer", "POST", "/keys", json=wanted | {"project_id": "xyz"})
    assert foreign.status_code == missing.status_code == 404
    assert foreign.json()["detail"].replace("ftd", "xyz") == missing.json()["detail"]


def test_a_rotated_key_is_another_that_works_beside_the_old_one(two_labs):
    old = two_labs.keys["reviewer"]
    new = made(two_labs.ask("reviewer", "POST", f"/keys/{old.split('_')[1]}/rotate"))
    assert status(two_labs, new["key"]) == status(two_labs, old) == 200
    assert two_labs.ask("reviewer", "DELETE", f"/keys/{old.split('_')[1]}").status_code == 204
    assert status(two_labs, old) == 401
    assert status(two_labs, new["key"]) == 200


@pytest.mark.parametrize(
    ("caller", "owner", "seen"),
    [
        ("viewer", "viewer", True),
        ("viewer", "operator", False),
        ("administrator", "operator", True),
        ("administrator", "other lab", False),
        ("wrong scope", "operator", False),
        ("bound", "operator", False),
        ("service", "other lab", True),
    ],
)
def test_whose_keys_a_caller_sees_and_ends(two_labs, caller, owner, seen):
    key = two_labs.keys[owner].split("_")[1]
    listed = [k["id"] for k in two_labs.ask(caller, "GET", "/keys").json()]
    assert (key in listed) is seen
    missing = two_labs.ask(caller, "DELETE", "/keys/000000000000")
    ended = two_labs.ask(caller, "DELETE", f"/keys/{key}")
    if seen:
        assert ended.status_code == 204
        assert status(two_labs, two_labs.keys[owner]) == 401
    else:
        assert ended.json()["detail"].replace(key, "000000000000") == missing.json()["detail"]
        assert status(two_labs, two_labs.keys[owner]) == 200


def test_an_administrator_does_not_get_a_member_s_key(two_labs):
    key = two_labs.keys["operator"].split("_")[1]
    answer = two_labs.ask("administrator", "POST", f"/keys/{key}/rotate")
    assert (answer.status_code, answer.json()["type"]) == (
        422,
        "urn:imaging-service:access_invalid",
    )


def test_a_service_without_members_has_no_keys(data_folder):
    app = create_app(data_folder, LOCAL_TOKEN)
    shown = {"Authorization": f"Bearer {LOCAL_TOKEN}"}
    answer = ask(app, "POST", "/keys", shown, json={"name": "x"})
    assert (answer.status_code, answer.json()["type"]) == (
        422,
        "urn:imaging-service:access_invalid",
    )
