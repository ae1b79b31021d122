"""The one shape of every error."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa

from imaging_service import errors
from imaging_service.api.problems import MEANINGS, problem
from imaging_service.api.routes import health


def every_error(kind=errors.ServiceError):
    for made in kind.__subclasses__():
        if made.__module__ == errors.__name__:
            yield made
            yield from every_error(made)


def test_every_status_that_an_error_can_have_is_described():
    statuses = {kind.http_status for kind in every_error()}
    assert statuses >= {403, 404, 409, 412, 413, 422, 428, 500, 503}
    assert statuses <= set(MEANINGS)


def test_headers_of_an_error_are_kept():
    answer = problem(405, "method_not_allowed", "no", {"allow": "GET"})
    assert (answer.status_code, answer.headers["allow"], json.loads(answer.body)["title"]) == (
        405,
        "GET",
        "Method Not Allowed",
    )


@pytest.mark.parametrize("detail", ["half a pair \ud800", "NUL \x00", 30_000 * "x"])
def test_whatever_is_quoted_can_be_sent(detail):
    assert len(json.loads(problem(422, "x", detail).body)["detail"]) <= 20_000


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        sa.exc.OperationalError("INSERT", None, Exception("database or disk is full")),
        sa.exc.TimeoutError("no connection is left"),
    ],
)
def test_a_fault_of_the_machine_is_not_the_caller_s(served, monkeypatch, error):
    def fails(_):
        raise error

    monkeypatch.setattr(health, "look", fails)
    answer = served.get("/health")
    assert (answer.status_code, answer.json()["type"]) == (
        503,
        "urn:imaging-service:machine_failed",
    )
    assert answer.headers["retry-after"] == "10"
    assert ("full" in answer.text) or ("left" in answer.text)
