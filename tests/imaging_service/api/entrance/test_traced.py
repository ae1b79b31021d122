from __future__ import annotations

import logging

import pytest

from imaging_service.api.routes import health


def test_a_request_s_id_is_in_its_answer_and_on_its_line(served, caplog):
    caplog.set_level(logging.INFO, "imaging_service.requests")
    answer = served.get("/runs/RUN", headers={"X-Request-ID": "mine-1"})
    assert answer.headers["x-request-id"] == "mine-1"
    (record,) = [r for r in caplog.records if r.name == "imaging_service.requests"]
    assert (record.more["method"], record.more["path"], record.more["status"]) == (
        "GET",
        f"/runs/{served.run}",
        200,
    )


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, 'a"b'])
def test_an_id_that_could_forge_a_line_is_replaced(served, given):
    made = served.get("/health", headers={"X-Request-ID": given}).headers["x-request-id"]
    assert made != given
    assert len(made) == 16


def test_refusals_and_failures_have_an_id_too(served, monkeypatch):
    def fails(_):
        raise ZeroDivisionError

    monkeypatch.setattr(health, "look", fails)
    answers = [
        served.get("/health"),
        served.get("/health", headers={"Host": "evil.example"}),
        served.get("/nowhere"),
    ]
    assert [a.status_code for a in answers] == [500, 400, 404]
    assert all(a.headers["x-request-id"] for a in answers[1:])
