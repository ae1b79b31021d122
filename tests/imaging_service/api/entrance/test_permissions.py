"""Every route of the application × every kind of caller (A4)."""

from __future__ import annotations

import pytest
from fastapi import APIRouter
from starlette.responses import PlainTextResponse

from imaging_service.api import app as application
from imaging_service.api.entrance.door import Door
from imaging_service.api.entrance.permissions import PERMISSIONS, asked, unlisted
from tests.imaging_service.offered import offered_release
from tests.imaging_service.tenants import MISSING, PLATE, RUN, ask

VIEWER, REVIEWER, OPERATOR, ADMINISTRATOR = "viewer", "reviewer", "operator", "administrator"
RANK = [VIEWER, REVIEWER, OPERATOR, ADMINISTRATOR]
UNKNOWN = ["anonymous", "expired", "revoked", "former"]
# What each route asks for, written down a second time: a slip in the table of the product is one
# here too only if it is made twice.
ROUTES = {
    "open": """
        GET /health | GET /health/live | GET /health/ready | GET /openapi.json | HEAD /openapi.json
        GET /docs | GET /login | GET /open | GET /login/oidc | GET /login/oidc/callback
        POST /session | GET /assets/{name:path}""",
    "any caller": """
        GET /session | GET /events | GET /metrics | POST /logout | GET / | GET /plates | GET /runs | GET /labs | GET /projects
        GET /models | GET /engines | GET /quality | GET /submit | GET /screens
        GET /responses | GET /line | GET /compound | GET /engines/own
        GET /keys | POST /keys | POST /keys/{key}/rotate | DELETE /keys/{key}
        GET /account/keys | POST /account/keys | POST /account/keys/{key}/rotate
        POST /account/keys/{key}/revoke | GET /account/projects | GET /releases
        GET /exports | GET /exports/progress | GET /offers""",
    "the release": "GET /releases/{release}/bundle",
    "viewer of the run": """
        GET /view/{run} | GET /runs/{run} | GET /runs/{run}/progress | GET /runs/{run}/wells
        GET /runs/{run}/responses | GET /runs/{run}/hazards | GET /runs/{run}/checks
        GET /runs/{run}/report | GET /runs/{run}/record | GET /runs/{run}/cells
        GET /runs/{run}/curves | GET /runs/{run}/agreement | GET /runs/{run}/plate.zarr/{path:path}
        HEAD /runs/{run}/plate.zarr/{path:path} | GET /runs/{run}/fields/{well}/{field}/labels
        GET /runs/{run}/fields/{well}/{field}/history | GET /runs/{run}/verdicts
        GET /runs/{run}/review | GET /runs/{run}/queue | GET /runs/{run}/tables/{name}
        GET /runs/{run}/arrival | GET /runs/{run}/arrival/plates/{channel}.png
        GET /runs/{run}/arrival/{table} | GET /runs/{run}/files
        GET /runs/{run}/files/{path:path}
        GET /runs/{run}/charts/{name} | GET /view/{run}/progress | GET /view/{run}/plate
        GET /view/{run}/quality | GET /view/{run}/review | GET /view/{run}/agreement | GET /view/{run}/responses
        GET /view/{run}/curve | GET /view/{run}/line | GET /view/{run}/compound
        GET /view/{run}/wells/{well} | GET /view/{run}/wells/{well}/fields/{field}/cell
        GET /view/{run}/wells/{well}/fields/{field}/{layer}/{level}/{row}/{column}.png""",
    "reviewer of the run": """
        PATCH /runs/{run}/fields/{well}/{field}/labels
        POST /runs/{run}/fields/{well}/{field}/revert | POST /runs/{run}/verdicts
        POST /runs/{run}/review | POST /runs/{run}/queue/claims""",
    "operator of the run": """
        DELETE /runs/{run} | POST /runs/{run}/cancel | POST /runs/{run}/resume
        POST /runs/{run}/retry | POST /view/{run}/retry | POST /view/{run}/cancel
        POST /view/{run}/resume | PUT /runs/{run}/priority""",
    "viewer of the project": """
        GET /screens/{screen} | GET /screens/{screen}/report | GET /screens/{screen}/progress
        GET /screens/{screen}/tables/{table}.{fmt} | GET /uploads
        GET /projects/{project}/protocols | GET /projects/{project}/protocols/{digest}
        GET /projects/{project}/screens | GET /projects/{project}/screens/{screen}
        GET /projects/{project}/screens/{screen}/events
        GET /projects/{project}/screens/{screen}/tables/{name}
        GET /projects/{project}/screens/{screen}/report
        GET /projects/{project}/screens/{screen}/files
        GET /projects/{project}/screens/{screen}/files/{path:path}
        GET /projects/{project}/exports | POST /projects/{project}/exports | POST /exports/order
        GET /projects/{project}/exports/{export} | GET /projects/{project}/exports/{export}/file
        GET /projects/{project}/exports/{export}/events | GET /projects/{project}/summaries""",
    "viewer of the plate": """
        GET /plates/{plate} | GET /plates/{plate}/maps | GET /plates/{plate}/maps/{version}""",
    "operator of the plate": "POST /plates/{plate}/maps",
    "operator of the project": """
        POST /runs | POST /uploads | GET /blobs/{sha256} | PUT /blobs/{sha256}
        POST /uploads/{upload}/commit | GET /submit/scan | POST /submit/map | POST /submit/run | POST /screens/order
        POST /projects/{project}/screens | DELETE /projects/{project}/screens/{screen}
        DELETE /projects/{project}/exports/{export} | POST /projects/{project}/summaries""",
    "administrator of the project": """
        GET /projects/{project}/summaries/{site} | DELETE /projects/{project}/summaries/{site}
        GET /projects/{project}/shares | PUT /projects/{project}/shares
        DELETE /projects/{project}/shares/{lab} | POST /account/projects/{project}/shares
        POST /account/projects/{project}/shares/{lab}/end""",
    "viewer of the lab": "GET /lines | GET /batches | GET /compounds | GET /members | GET /account/members",
    "operator of the lab": "PUT /lines | PUT /batches | PUT /compounds",
    "administrator of the lab": """
        POST /members | PATCH /members/{member} | DELETE /members/{member} | POST /projects
        GET /audit | GET /account/audit | POST /account/projects | POST /account/members
        POST /account/members/{member}/role | POST /account/members/{member}/end""",
    "the service": "POST /labs | PATCH /labs/{lab} | POST /account/labs",
}
ASKED = {
    tuple(route.split()): need
    for need, routes in ROUTES.items()
    for line in routes.splitlines()
    for route in line.split("|")
    if route.strip()
}
PARTS = {
    "run": RUN,
    "plate": PLATE,
    "project": "als",
    "name": "cells",
    "version": "1",
    "well": "B03",
    "field": "1",
    "path:path": "B/3/zarr.json",
    "name:path": "pages.css",
    "layer": "pixels",
    "level": "0",
    "row": "0",
    "column": "0",
    "screen": "als",
    "export": "tables",
    "release": "0" * 16,
    "site": "north",
    "table": "responses",
    "fmt": "csv",
    "sha256": "0" * 64,
    "upload": "u",
    "member": "m",
    "key": "k",
    "lab": "beta",
    "digest": "0" * 64,
}


@pytest.fixture(scope="module")
def labs(made_labs, tmp_path_factory):
    """A copy that the requests of this module write their audit log to."""
    copy = made_labs.copy(tmp_path_factory.mktemp("labs"))
    yield copy
    copy.close()


def address(path: str, **other: str) -> str:
    """A route's path with its parts filled in, of project `als` of laboratory `alpha`."""
    for name, value in (PARTS | other).items():
        path = path.replace(f"{{{name}}}", value)
    return f"{path}?project={(PARTS | other)['project']}&lab={other.get('of_lab', 'alpha')}"


def routes_of_the_application() -> set[tuple[str, str]]:
    document = {("GET", "/openapi.json"), ("HEAD", "/openapi.json")}
    return document | {
        (method, route.path)
        for router in application.ROUTERS
        for route in router.routes
        for method in route.methods
    }


async def inside(scope, receive, send):
    await PlainTextResponse("inside")(scope, receive, send)


def expected(need: str, caller: str) -> int:
    if need == "open":
        return 200
    if caller in UNKNOWN:
        return 401
    if need == "the release":
        return 404
    if need == "any caller" or caller == "service":
        return 200
    if need == "the service":
        return 403
    if caller == "other lab":
        return 404
    role = VIEWER if caller == "wrong scope" else caller
    return 200 if RANK.index(role) >= RANK.index(need.split()[0]) else 403


def test_the_table_holds_every_route_of_the_application_and_no_other():
    assert set(ASKED) == set(PERMISSIONS) == routes_of_the_application()


@pytest.mark.parametrize("caller", [*UNKNOWN, "other lab", "wrong scope", *RANK, "service"])
def test_every_route_lets_in_whom_it_should_and_no_other(labs, caller):
    door = Door(inside, labs.settings, "")
    got = {
        route: ask(door, route[0], address(route[1]), labs.shown(caller)).status_code
        for route in ASKED
    }
    assert got == {route: expected(need, caller) for route, need in ASKED.items()}


def test_what_is_foreign_is_answered_as_what_is_missing_byte_for_byte(labs):
    door = Door(inside, labs.settings, "")
    missing = {"run": MISSING, "plate": MISSING, "project": "xyz", "of_lab": "gamma"}
    compared = 0
    for (method, path), need in ASKED.items():
        if expected(need, "other lab") != 404:
            continue
        shown = labs.shown("other lab")
        foreign = ask(door, method, address(path), shown)
        absent = ask(door, method, address(path, **missing), shown)
        as_if = absent.content
        for is_missing, is_foreign in ((MISSING, RUN), ("xyz", "als"), ("gamma", "alpha")):
            at = PLATE if "{plate}" in path and is_missing == MISSING else is_foreign
            as_if = as_if.replace(is_missing.encode(), at.encode())
        assert (foreign.status_code, foreign.content) == (absent.status_code, as_if), (method, path)
        assert set(foreign.headers) == set(absent.headers)
        compared += 1
    assert compared > 30


def test_a_beginning_of_an_id_that_only_a_foreign_run_has_leads_nowhere(labs):
    door = Door(inside, labs.settings, "")
    for beginning, status in ((RUN[:8], 200), ("b" * 8, 404), (MISSING[:8], 404)):
        path = f"/runs/{beginning}"
        assert ask(door, "GET", path, labs.shown("viewer")).status_code == status


def test_a_key_that_is_bound_to_a_project_reaches_nothing_else(labs):
    door = Door(inside, labs.settings, "")
    shown = labs.shown("bound")
    answers = {
        path: ask(door, "POST", path, shown).status_code
        for path in ("/runs?project=als", "/runs", "/runs?project=ftd", "/members", "/labs")
    }
    assert answers == {
        "/runs?project=als": 200,
        "/runs": 200,
        "/runs?project=ftd": 404,
        "/members": 403,
        "/labs": 403,
    }


def test_each_path_is_one_route_s(labs):
    for method, template in PERMISSIONS:
        known = asked(method, address(template).partition("?")[0])
        assert known is not None
        assert known.template == template


@pytest.mark.parametrize("path", ["/nowhere", "/runs/", "/runs/a/b/c", "/RUNS"])
def test_what_no_row_names_is_closed_to_the_anonymous_and_unknown_to_the_rest(labs, path):
    door = Door(inside, labs.settings, "")
    assert ask(door, "GET", path, {}).status_code == 401
    assert ask(door, "GET", path, labs.shown("service")).status_code == 404


def test_a_method_that_a_path_lacks_is_refused_before_the_application(labs):
    door = Door(inside, labs.settings, "")
    answer = ask(door, "DELETE", "/runs", labs.shown("service"))
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")


def test_an_application_with_a_route_that_is_not_in_the_table_does_not_start(labs, monkeypatch):
    forgetful = APIRouter()

    @forgetful.get("/secret")
    def secret() -> str:
        return "of another lab"

    monkeypatch.setattr(application, "ROUTERS", (*application.ROUTERS, forgetful))
    assert unlisted([("GET", "/secret"), ("GET", "/runs")]) == [("GET", "/secret")]
    with pytest.raises(RuntimeError):
        application.create_app(labs.settings)


def test_the_key_of_a_release_reaches_its_bundle_and_no_route_besides(
    two_labs, tmp_path, monkeypatch
):
    offered = offered_release(two_labs, tmp_path, monkeypatch)
    door = Door(inside, two_labs.settings, "")
    shown = {"Authorization": f"Bearer {offered.key}"}
    got = {
        route: ask(door, route[0], address(route[1], release=offered.release), shown).status_code
        for route in ASKED
    }
    let_in = {("GET", "/releases"), ("GET", "/releases/{release}/bundle")}
    assert got == {
        route: 200 if need == "open" or route in let_in else 403 for route, need in ASKED.items()
    }
