"""Who is let in, and what is written down of it."""

from __future__ import annotations

import asyncio

import httpx
import pytest
import sqlalchemy as sa
from sqlmodel import select

from imaging_service.access.keys import revoke
from imaging_service.access.members import find_project, share
from imaging_service.access.roles import Role
from imaging_service.api import access
from imaging_service.api.app import create_app
from imaging_service.api.entrance import door
from imaging_service.api.entrance.door import Door
from imaging_service.database.tenants import AuditRow, KeyRow
from tests.imaging_service.conftest import LOCAL_TOKEN
from tests.imaging_service.tenants import FOREIGN_RUN, HTTP, RUN, ask
from tests.messages import states


def ids(answer):
    assert answer.status_code == 200, answer.text
    return [row["id"] for row in answer.json()]


def test_lists_hold_what_the_caller_may_see(two_labs):
    assert ids(two_labs.ask("viewer", "GET", "/runs")) == [RUN]
    assert ids(two_labs.ask("other lab", "GET", "/runs")) == [FOREIGN_RUN]
    assert set(ids(two_labs.ask("service", "GET", "/runs"))) == {RUN, FOREIGN_RUN}
    assert len(ids(two_labs.ask("viewer", "GET", "/plates"))) == 1
    page = two_labs.ask("viewer", "GET", "/").text
    assert RUN[:12] in page
    assert FOREIGN_RUN[:12] not in page


def test_a_shared_project_is_seen_in_the_lesser_of_two_roles(two_labs):
    with two_labs.session() as session:
        share(session, find_project(session, "als"), "beta", Role.REVIEWER)
        session.commit()
    assert set(ids(two_labs.ask("other lab", "GET", "/runs"))) == {RUN, FOREIGN_RUN}
    cancel = f"/runs/{RUN}/cancel"
    assert two_labs.ask("other lab", "POST", cancel).status_code == 403
    # 409: let in, and the run is not done.
    assert two_labs.ask("other lab", "POST", f"/runs/{RUN}/review").status_code == 409
    assert two_labs.ask("other viewer", "POST", f"/runs/{RUN}/review").status_code == 403
    assert two_labs.ask("administrator", "DELETE", "/projects/als/shares/beta").status_code == 204
    assert two_labs.ask("other lab", "POST", cancel).status_code == 404


@pytest.mark.parametrize(
    "sent",
    [
        "Basic abc",
        "Bearer",
        "Bearer ",
        "Bearer mns_",
        "Bearer mns_000000000000_" + 43 * "x",
        "Bearer " + LOCAL_TOKEN,
        "Bearer \u00e9\u00e9",
        "Bearer " + 5000 * "x",
    ],
)
def test_what_is_no_key_is_refused_in_the_same_words(two_labs, sent):
    answer = two_labs.ask(
        "anonymous", "GET", "/runs", headers={b"Authorization": sent.encode("latin-1")}
    )
    revoked = two_labs.ask("revoked", "GET", "/runs")
    assert answer.status_code == revoked.status_code == 401
    assert answer.json() == revoked.json()
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_refused_request_s_body_is_not_read(two_labs):
    read = []

    async def body():
        read.append(1)
        yield b"{"

    for caller, status in (("anonymous", 401), ("viewer", 403)):
        shown = two_labs.shown(caller)
        answer = ask(two_labs.app, "POST", "/runs?project=als", shown, content=body())
        assert answer.status_code == status
    assert read == []


def test_a_revoked_key_is_refused_from_the_next_request_on(two_labs):
    assert two_labs.ask("operator", "GET", "/runs").status_code == 200
    with two_labs.session() as session:
        revoke(session.get_one(KeyRow, two_labs.keys["operator"].split("_")[1]))
        session.commit()
    assert two_labs.ask("operator", "GET", "/runs").status_code == 401


def test_the_first_member_closes_the_way_in_without_keys(two_labs, data_folder):
    shown = {"Authorization": f"Bearer {LOCAL_TOKEN}"}
    assert ask(create_app(data_folder, LOCAL_TOKEN), "GET", "/runs", shown).status_code == 200
    assert ask(create_app(data_folder, ""), "GET", "/runs", shown).status_code == 401
    assert ask(create_app(data_folder, ""), "GET", "/runs", {}).status_code == 401
    with_members = create_app(two_labs.settings, LOCAL_TOKEN)
    assert ask(with_members, "GET", "/runs", shown).status_code == 401


def test_a_browser_without_a_session_is_led_to_the_sign_in(two_labs):
    answer = two_labs.ask("anonymous", "GET", f"/view/{RUN}", headers={"Accept": "text/html,*/*"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/login?to=/view/{RUN}")


def log_of(two_labs):
    with two_labs.session() as session:
        rows = session.exec(select(AuditRow).order_by(AuditRow.id)).all()
        return [(r.actor, r.action, r.object, r.outcome, r.lab_id, r.project_id) for r in rows]


def test_every_change_is_written_down_before_and_after(two_labs):
    body = {"id": "screen-2", "name": "Second screen"}
    two_labs.ask("administrator", "POST", "/projects", json=body)
    two_labs.ask("operator", "POST", f"/runs/{RUN}/cancel")
    two_labs.ask("viewer", "GET", f"/runs/{RUN}")
    two_labs.ask("viewer", "POST", f"/runs/{RUN}/cancel")
    made, cancelled = "POST /projects", "POST /runs/{run}/cancel"
    assert log_of(two_labs) == [
        ("administrator", made, "", "begun", "alpha", ""),
        ("administrator", made, "screen-2", "201", "alpha", ""),
        ("operator", cancelled, RUN, "begun", "alpha", "als"),
        ("operator", cancelled, RUN, "202", "alpha", "als"),
    ]


def test_many_callers_at_once_share_the_few_connections_of_the_database(two_labs, monkeypatch):
    engine = sa.create_engine(two_labs.settings.url, pool_size=2, max_overflow=0, pool_timeout=60)
    monkeypatch.setattr(door, "database_engine", lambda _: engine)
    monkeypatch.setattr(access, "database_engine", lambda _: engine)
    transport = httpx.ASGITransport(two_labs.app, raise_app_exceptions=False)

    async def all_at_once() -> list[int]:
        async with httpx.AsyncClient(transport=transport, base_url=HTTP) as http:
            asked = [http.get(f"/runs/{RUN}", headers=two_labs.shown("viewer")) for _ in range(40)]
            return [answer.status_code for answer in await asyncio.gather(*asked)]

    assert asyncio.run(all_at_once()) == [200] * 40
    engine.dispose()


def test_a_caller_for_whom_no_connection_is_left_may_come_again(two_labs, monkeypatch):
    engine = sa.create_engine(two_labs.settings.url, pool_size=1, max_overflow=0, pool_timeout=0.01)
    monkeypatch.setattr(door, "database_engine", lambda _: engine)
    with engine.connect():
        answer = two_labs.ask("viewer", "GET", f"/runs/{RUN}")
    assert (answer.status_code, answer.json()["type"], answer.headers["retry-after"]) == (
        503,
        "urn:imaging-service:machine_failed",
        "10",
    )
    engine.dispose()


def test_a_change_that_cannot_be_written_down_is_not_carried_out(two_labs, monkeypatch):
    def full(*_, **__):
        raise sa.exc.OperationalError("INSERT", {}, Exception("database or disk is full"))

    monkeypatch.setattr(door, "note", full)
    answer = two_labs.ask("administrator", "POST", "/projects", json={"id": "screen-2"})
    assert (answer.status_code, answer.json()["type"]) == (
        503,
        "urn:imaging-service:machine_failed",
    )
    monkeypatch.undo()
    assert "screen-2" not in two_labs.ask("administrator", "GET", "/projects").text


def test_a_change_whose_outcome_cannot_be_written_down_stands_as_begun(two_labs, monkeypatch):
    noted = door.note

    def once(session, actor, action, *more, outcome, **others):
        if outcome != "begun":
            raise sa.exc.OperationalError("INSERT", {}, Exception("away"))
        noted(session, actor, action, *more, outcome=outcome, **others)

    monkeypatch.setattr(door, "note", once)
    answer = two_labs.ask("administrator", "POST", "/projects", json={"id": "screen-2"})
    assert answer.status_code == 201
    assert [row[3] for row in log_of(two_labs)] == ["begun"]


def test_a_caller_of_a_route_that_changes_state_names_the_project(two_labs):
    with two_labs.session() as session:
        share(session, find_project(session, "ftd"), "alpha", Role.OPERATOR)
        session.commit()
    answer = two_labs.ask("operator", "POST", "/uploads", json={"name": "x", "files": []})
    assert (answer.status_code, answer.json()["type"]) == (
        422,
        "urn:imaging-service:access_invalid",
    )
    assert states("door.name_the_project", answer.json()["detail"])
    named = two_labs.ask(
        "operator", "POST", "/uploads?project=ftd", json={"name": "x", "files": []}
    )
    assert named.json()["type"] == "urn:imaging-service:upload_invalid"


def test_a_websocket_is_closed_before_the_application(two_labs):
    sent = []

    async def application(scope, receive, send):
        raise AssertionError("let in")

    async def send(message):
        sent.append(message)

    opened = Door(application, two_labs.settings, "")
    asyncio.run(opened({"type": "websocket", "path": "/runs", "headers": []}, None, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_what_is_behind_the_door_is_asked_for_each_time(two_labs, site):
    """Without a word on it a browser keeps a file with a date for days, over reviews and rights."""
    kept = {
        "/runs": "private, no-cache",
        "/runs/RUN/report": "private, no-cache",
        "/runs/RUN/files/wells.csv": "private, no-cache",
        "/runs/RUN/wells": "private, no-cache",
        "/runs/unknown": "private, no-cache",
        "/view/RUN": "private, no-cache",
    }
    assert {path: site.get(path).headers.get("cache-control") for path in kept} == kept
    refused = two_labs.ask("revoked", "GET", "/runs")
    assert (refused.status_code, refused.headers["cache-control"]) == (401, "private, no-cache")
    assert "cache-control" not in site.get("/health").headers
