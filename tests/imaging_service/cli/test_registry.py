from __future__ import annotations

import asyncio

import httpx
import pytest
from typer.testing import CliRunner

from imaging_service.api.app import create_app
from imaging_service.cli.main import app as cli
from imaging_service.client import Client
from imaging_service.database.session import database_engine, upgrade
from imaging_service.settings import Settings
from plate_maps.registry import read_lines
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


def test_the_commands_carry_files_both_ways(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(
        Client, "ask", lambda _self, method, path, **more: ask(settings, method, path, **more)
    )
    (tmp_path / "lines.tsv").write_text("\ufeff" + LINES, encoding="utf-8")
    done = CliRunner().invoke(cli, ["registry", "import", "--lines", str(tmp_path / "lines.tsv")])
    assert states("registry.imported", done.output, what="lines", added=3, changed=0, unchanged=0)
    CliRunner().invoke(cli, ["registry", "export", "--out", str(tmp_path / "out")])
    assert read_lines((tmp_path / "out" / "lines.tsv").read_text()) == dict(
        sorted(read_lines(LINES).items())
    )
    assert CliRunner().invoke(cli, ["registry", "import"]).exit_code == 2
