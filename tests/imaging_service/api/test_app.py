from __future__ import annotations

import json

import pytest

from imaging_service.api import pages
from imaging_service.api.app import problem


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/runs/abcdef123", 404, "not_found"),
        ("GET", "/plates/none", 404, "not_found"),
        ("GET", "/nowhere", 404, "not_found"),
        ("DELETE", "/runs", 405, "method_not_allowed"),
        ("GET", "/runs?limit=0", 422, "request_invalid"),
        ("GET", "/runs?limit=501", 422, "request_invalid"),
        ("GET", "/runs/RUN/wells?format=xml", 422, "request_invalid"),
        ("GET", "/runs/RUN/wells?labels=mine", 422, "request_invalid"),
    ],
)
def test_every_error_is_a_problem_document(served, method, path, status, code):
    answer = served.ask(method, path)
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (answer.status_code, body["status"], body["type"]) == (
        status,
        status,
        f"urn:imaging-service:{code}",
    )
    assert body["detail"]


def test_an_unexpected_error_says_nothing_of_what_is_inside(served, monkeypatch):
    def fails(*_):
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(pages, "__version__", property(fails))
    monkeypatch.setattr(pages, "Health", fails)
    answer = served.get("/health")
    assert (answer.status_code, answer.json()["type"]) == (500, "urn:imaging-service:unexpected")
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1:8765", 200), ("localhost", 200), ("evil.example", 400), ("127.0.0.1.evil", 400)],
)
def test_only_loopback_s_own_names_are_answered(served, host, status):
    assert served.get("/health", headers={"Host": host}).status_code == status


def test_headers_of_an_error_are_kept():
    answer = problem(405, "method_not_allowed", "no", {"allow": "GET"})
    assert (answer.status_code, answer.headers["allow"], json.loads(answer.body)["title"]) == (
        405,
        "GET",
        "Method Not Allowed",
    )


def test_the_openapi_document_names_every_operation(served):
    document = served.get("/openapi.json").json()
    operations = [o for path in document["paths"].values() for o in path.values()]
    assert len(operations) >= 20
    assert all(o.get("summary") for o in operations)
    assert set(document["paths"]["/runs/{run}"]["get"]["responses"]) == {"200", "404", "422"}
