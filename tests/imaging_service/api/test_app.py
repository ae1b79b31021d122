from __future__ import annotations

import pytest

from imaging_service.api.routes import health


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

    monkeypatch.setattr(health, "look", fails)
    answer = served.get("/health")
    assert (answer.status_code, answer.json()["type"]) == (500, "urn:imaging-service:unexpected")
    assert "secret" not in answer.text


def test_the_openapi_document_names_every_operation(served):
    document = served.get("/openapi.json").json()
    operations = [o for path in document["paths"].values() for o in path.values()]
    assert len(operations) >= 20
    assert all(o.get("summary") for o in operations)
    everywhere = {"400", "401", "403", "404", "405", "413", "422", "500", "503"}
    assert all(everywhere <= set(o["responses"]) for o in operations)
    patch = document["paths"]["/runs/{run}/fields/{well}/{field}/labels"]["patch"]["responses"]
    assert set(patch) == everywhere | {"200", "409", "412", "428"}
    assert set(document["paths"]["/runs/{run}"]["get"]["responses"]) == everywhere | {"200"}
