"""Cancel, resume, retry, delete and prefer over HTTP."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa

from imaging_service.access.members import find_project, share
from imaging_service.access.roles import Role
from imaging_service.database.session import database_engine
from imaging_service.database.tables import RunRow
from tests.imaging_service.tenants import FOREIGN_RUN, MISSING, RUN
from tests.messages import states


def put(served, sql):
    with database_engine(served.settings.url).begin() as connection:
        connection.execute(sa.text(sql))


def code(answer):
    return answer.status_code, answer.json()["type"].removeprefix("urn:imaging-service:")


def test_a_running_run_is_cancelled_says_how_it_goes_on_and_goes_on(served):
    put(served, "UPDATE run SET state='waiting', reason='/x is away'")
    assert served.get("/runs/RUN").json()["reason"] == "/x is away"
    assert code(served.ask("DELETE", "/runs/RUN")) == (409, "not_ready")
    assert code(served.ask("POST", "/runs/RUN/retry")) == (409, "not_ready")
    answer = served.ask("POST", "/runs/RUN/cancel")
    assert (answer.status_code, answer.json()["state"]) == (202, "cancelled")
    assert states("resume.how", answer.json()["reason"], run=served.run[:12])
    answer = served.ask("POST", "/runs/RUN/resume")
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")


def test_failed_wells_are_tried_again(served):
    put(served, "UPDATE well_result SET status='failed', reason='x' WHERE well='B02'")
    assert states("retry.how", served.get("/runs/RUN").json()["reason"], run=served.run[:12])
    assert code(served.ask("POST", "/runs/RUN/retry", json={"wells": ["B03"]})) == (
        404,
        "not_found",
    )
    for body in ({"wells": ["B02"], "more": 1}, {"wells": ["B02\0"]}, {"wells": "B02"}):
        assert code(served.ask("POST", "/runs/RUN/retry", json=body)) == (422, "request_invalid")
    answer = served.ask("POST", "/runs/RUN/retry", json={"wells": ["B02"]})
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    assert answer.json()["progress"] == {"done": 5, "failed": 0, "skipped": 1, "left": 1}


def test_a_finished_run_is_deleted_once(served):
    assert served.ask("DELETE", "/runs/RUN").status_code == 204
    assert code(served.ask("DELETE", "/runs/RUN")) == (404, "not_found")
    assert served.get("/runs").json() == []


def test_a_queued_run_gets_another_priority_and_the_log_says_who_gave_it(two_labs):
    assert two_labs.ask("viewer", "GET", f"/runs/{RUN}").json()["priority"] == "normal"
    for caller in ("viewer", "reviewer"):
        refused = two_labs.ask(caller, "PUT", f"/runs/{RUN}/priority", json={"priority": "high"})
        assert code(refused) == (403, "forbidden")
    answer = two_labs.ask("operator", "PUT", f"/runs/{RUN}/priority", json={"priority": "high"})
    assert (answer.status_code, answer.json()["priority"]) == (200, "high")
    assert two_labs.ask("viewer", "GET", f"/runs/{RUN}").json()["priority"] == "high"
    entries = map(json.loads, two_labs.ask("administrator", "GET", "/audit").text.splitlines())
    action = "PUT /runs/{run}/priority"
    assert [(e["actor"], e["object"], e["outcome"]) for e in entries if e["action"] == action][
        -2:
    ] == [("operator", RUN, "begun"), ("operator", RUN, "200")]
    wrong = two_labs.ask("operator", "PUT", f"/runs/{RUN}/priority", json={"priority": "first"})
    assert code(wrong) == (422, "request_invalid")


def test_a_run_outlives_the_member_who_submitted_it(two_labs):
    ended = two_labs.members["operator"]
    assert two_labs.ask("administrator", "DELETE", f"/members/{ended}").status_code == 204
    assert two_labs.ask("operator", "POST", f"/runs/{RUN}/cancel").status_code == 401
    assert two_labs.ask("viewer", "GET", f"/runs/{RUN}").json()["state"] == "queued"
    answer = two_labs.ask("administrator", "PUT", f"/runs/{RUN}/priority", json={"priority": "low"})
    assert (answer.status_code, answer.json()["priority"]) == (200, "low")


def test_another_laboratory_sets_no_priority_in_a_project_that_is_shared_with_it(two_labs):
    with two_labs.session() as session:
        share(session, find_project(session, "als"), "beta", Role.OPERATOR)
        session.commit()
    priority = {"json": {"priority": "high"}}
    refused = two_labs.ask("other lab", "PUT", f"/runs/{RUN}/priority", **priority)
    assert code(refused) == (403, "forbidden")
    assert states("priority.other_lab", refused.json()["detail"], project="als", lab="alpha")
    for path in (f"/runs/{FOREIGN_RUN}/priority", f"/runs/{MISSING}/priority"):
        assert code(two_labs.ask("operator", "PUT", path, **priority)) == (404, "not_found")
    submission = {"scan": "/x", "plate_map_name": "m.csv", "plate_map_base64": "", "protocol": {}}
    refused = two_labs.ask(
        "other lab", "POST", "/runs?project=als", json=submission | {"priority": "high"}
    )
    assert states("priority.other_lab", refused.json()["detail"], project="als", lab="alpha")
    everywhere = two_labs.ask("service", "PUT", f"/runs/{RUN}/priority", **priority)
    assert everywhere.status_code == 200


@pytest.mark.parametrize("state", ["running", "waiting", "done", "failed", "cancelled"])
def test_the_priority_of_a_run_that_has_begun_stays(two_labs, state):
    with two_labs.session() as session:
        session.get_one(RunRow, RUN).state = state
        session.commit()
    refused = two_labs.ask("operator", "PUT", f"/runs/{RUN}/priority", json={"priority": "low"})
    assert code(refused) == (409, "not_ready")
    assert states("priority.while_queued", refused.json()["detail"], run=RUN[:12], state=state)
    assert two_labs.ask("viewer", "GET", f"/runs/{RUN}").json()["priority"] == "normal"


@pytest.mark.parametrize("verb", ["cancel", "resume", "retry"])
def test_a_run_that_is_done_refuses_what_does_not_fit(served, verb):
    assert code(served.ask("POST", f"/runs/RUN/{verb}")) == (409, "not_ready")
    assert code(served.ask("POST", f"/runs/abcdef123/{verb}")) == (404, "not_found")
