"""Cancel, resume, retry and delete over HTTP."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from imaging_service.database.session import database_engine
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


@pytest.mark.parametrize("verb", ["cancel", "resume", "retry"])
def test_a_run_that_is_done_refuses_what_does_not_fit(served, verb):
    assert code(served.ask("POST", f"/runs/RUN/{verb}")) == (409, "not_ready")
    assert code(served.ask("POST", f"/runs/abcdef123/{verb}")) == (404, "not_found")
