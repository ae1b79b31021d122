"""What is refused before a route sees it."""

from __future__ import annotations

import pytest

from imaging_service.api.entrance import guard


def code(answer):
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["type"].removeprefix("urn:imaging-service:")


FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "http://testserver:81"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
]


@pytest.mark.parametrize("headers", FOREIGN)
def test_every_unsafe_method_of_every_route_refuses_a_foreign_page(served, headers):
    document = served.get("/openapi.json").json()
    unsafe = [
        (method, path.replace("{run}", "RUN"))
        for path, operations in document["paths"].items()
        for method in operations
        if method.upper() not in guard.SAFE
    ]
    assert len(unsafe) >= 6
    for method, path in unsafe:
        answer = served.ask(method.upper(), path, headers=headers)
        assert code(answer) == (403, "foreign_page"), (method, path)


def test_a_body_less_review_of_a_foreign_page_changes_nothing(served):
    answer = served.ask("POST", "/runs/RUN/review", headers=FOREIGN[0])
    assert code(answer) == (403, "foreign_page")
    assert served.ask("POST", "/runs/RUN/review").status_code == 202


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://testserver"},
        {"Origin": "http://TESTSERVER"},
    ],
)
def test_programs_and_the_service_s_own_pages_pass(served, headers):
    assert served.ask("POST", "/runs/RUN/review", headers=headers).status_code == 202


def test_a_foreign_page_may_be_shown_what_the_browser_lets_it_see(served):
    assert served.get("/health", headers=FOREIGN[0]).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/runs/%00",
        "/runs/RUN/wells?line=%00",
        "/runs/RUN/wells?line=%ff",
        "/runs/RUN/plate.zarr/%00",
        "/runs?limit=%00",
        "/view/a%00",
    ],
)
def test_an_address_that_no_file_and_no_row_can_have_is_refused(served, path):
    assert code(served.get(path)) == (400, "request_invalid")


def test_a_body_is_counted_however_its_length_is_declared(served, monkeypatch):
    monkeypatch.setattr(guard, "MOST_BYTES", 1000)
    monkeypatch.setattr(guard.Guard.__init__, "__defaults__", (1000,))

    async def pieces():
        for _ in range(20):
            yield 100 * b"x"

    sheet = {"Content-Type": "text/tab-separated-values"}
    for content in (2000 * b"x", pieces()):
        answer = served.ask("PUT", "/lines", content=content, headers=sheet)
        assert answer.status_code == 413
        assert answer.headers["content-type"] == "application/problem+json"
    assert served.ask("PUT", "/lines", content=b"line\tdonor\n", headers=sheet).status_code == 200
    broken = sheet | {"Content-Length": "many"}
    assert code(served.ask("PUT", "/lines", content=b"", headers=broken)) == (
        400,
        "request_invalid",
    )


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8765", 200),
        ("localhost", 200),
        ("[::1]:8765", 200),
        ("evil.example", 400),
        ("127.0.0.1.evil", 400),
        ("[", 400),
    ],
)
def test_only_loopback_s_own_names_are_answered(served, host, status):
    answer = served.get("/health", headers={"Host": host})
    assert answer.status_code == status
    assert status == 200 or code(answer) == (400, "request_invalid")
