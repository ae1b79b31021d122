from __future__ import annotations

import asyncio

import httpx
import pytest

from imaging_service.api.app import create_app
from imaging_service.database.session import database_engine, upgrade
from imaging_service.settings import Settings
from plate_maps.registry import Line, write
from tests.messages import states

LINES = "line\tdonor\tgene\tisogenic_parent\tpassage\nS1-iso\tD1\t\tS1\t31\nS1\tD1\tSOD1\t\t28\nF1\tD2\tFUS\t\t\n"


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setenv("IMAGING_SERVICE_DATA_DIR", str(tmp_path / "data"))
    found = Settings()
    upgrade(found.url)
    yield found
    database_engine(found.url).dispose()


def ask(settings, method, path, **more):
    """One request to the application, without a server."""

    async def one():
        transport = httpx.ASGITransport(create_app(settings, "token"))
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as http:
            http.headers["Authorization"] = "Bearer token"
            return await http.request(method, path, **more)

    return asyncio.run(one())


def test_over_http(settings):
    sheet = {"content": LINES.encode(), "headers": {"Content-Type": "text/tab-separated-values"}}
    assert ask(settings, "PUT", "/lines", **sheet).json() == {
        "added": ["F1", "S1", "S1-iso"],
        "changed": [],
        "unchanged": [],
    }
    assert [r["line"] for r in ask(settings, "GET", "/lines").json()] == ["F1", "S1", "S1-iso"]
    assert ask(settings, "GET", "/lines?format=tsv").text == write(
        [Line(**r) for r in ask(settings, "GET", "/lines").json()], Line
    )
    refused = ask(
        settings, "PUT", "/lines", content=b"line\tdonor\nX\t\n", headers=sheet["headers"]
    )
    assert (refused.status_code, refused.json()["type"]) == (
        422,
        "urn:imaging-service:registry_invalid",
    )
    assert states("registry.entry_unreadable", refused.json()["detail"], what="donor is missing")
    assert (
        ask(settings, "PUT", "/lines", content=b"\xff\xfe", headers=sheet["headers"]).status_code
        == 422
    )
    assert ask(
        settings, "PUT", "/batches", content=b"batch\nb1\n", headers=sheet["headers"]
    ).json()["added"] == ["b1"]
    assert ask(settings, "GET", "/batches").json()[0]["batch"] == "b1"


COMPOUNDS = b"id\tname\tblinded_code\nC1\triluzole\tB-7\n"


def test_compounds_are_kept_and_their_codes_shown_to_administrators_only(two_labs):
    sheet = {"content": COMPOUNDS, "headers": {"Content-Type": "text/tab-separated-values"}}
    assert two_labs.ask("operator", "PUT", "/compounds", **sheet).json()["added"] == ["C1"]
    codes = {
        caller: two_labs.ask(caller, "GET", "/compounds").json()[0]["blinded_code"]
        for caller in ("viewer", "reviewer", "operator", "administrator")
    }
    assert codes == {"viewer": "", "reviewer": "", "operator": "", "administrator": "B-7"}
    assert b"B-7" not in two_labs.ask("viewer", "GET", "/compounds?format=tsv").content
    assert two_labs.ask("other lab", "GET", "/compounds").json() == []
    wrong = sheet | {"content": b"id\tname\nC1\ta\nC1\tb\n"}
    assert two_labs.ask("operator", "PUT", "/compounds", **wrong).status_code == 422
