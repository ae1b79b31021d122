"""`screen order` against a service in this process."""

from __future__ import annotations

import httpx
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from imaging_service.cli.main import app
from imaging_service.cli.screens import screen_order
from imaging_service.client import Client
from imaging_service.database.tables import ScreenRow
from imaging_service.screens.folder import TABLES
from imaging_service.screens.order import read_order
from tests.messages import states


@pytest.fixture
def order(screened, monkeypatch):
    """Run the command; the service works whenever the command waits."""

    def through(request: httpx.Request) -> httpx.Response:
        got = screened.ask(
            request.method,
            request.url.raw_path.decode(),
            content=request.content,
            headers={"Content-Type": "application/json"},
        )
        return httpx.Response(got.status_code, content=got.content)

    def opened(url, project=""):
        client = Client(url, key="", project=project)
        client.close()
        client._http = httpx.Client(transport=httpx.MockTransport(through), base_url="http://s")
        return client

    monkeypatch.setattr("imaging_service.client.Client", opened)

    def sleep(_):
        for screen in screened.get("/projects/default/screens").json():
            screened.work(screen["id"])

    monkeypatch.setattr(screen_order.time, "sleep", sleep)

    def run(*arguments):
        return CliRunner().invoke(app, ["screen", "order", *map(str, arguments)])

    return run


def test_a_screen_is_ordered_waited_for_and_written(order, screened, tmp_path):
    settings = tmp_path / "screen.toml"
    settings.write_text('name = "other"\n[effect_floor]\nlive_density = 0.3\n')
    ran = order(
        "als",
        f"north:{screened.runs[0]}",
        screened.runs[1],
        "--settings",
        settings,
        "--out",
        tmp_path / "out",
    )
    assert ran.exit_code == 0, ran.output
    assert states("order.fitted", ran.output, plates=2, rows=4, hits=0)
    out = tmp_path / "out"
    assert {p.name for p in out.iterdir()} == {
        "report.html",
        *(f"{table}.{end}" for table in TABLES for end in ("csv", "parquet")),
    }
    (folder,) = (screened.settings.project_root("default") / "screens").iterdir()
    ordered = read_order(folder)
    assert (ordered.settings.name, ordered.settings.effect_floor) == ("als", {"live_density": 0.3})
    assert [run.lab for run in ordered.runs] == ["north", ""]
    assert (out / "responses.csv").read_bytes() == (folder / "responses.csv").read_bytes()


def test_a_table_of_the_service_s_screen_is_printed(order, screened):
    ordered = order("als", *screened.runs[:2], "--wait")
    screen = ordered.output.splitlines()[0]
    asked = ["screen", "table", screen, "--url", "http://s", "--format", "csv", "--line", "S1"]
    printed = CliRunner().invoke(app, asked)
    assert printed.exit_code == 0, printed.output
    rows = screened.screen(screen, "/tables/responses?where=line==S1").json()
    assert printed.output.count("\n") == 1 + len(rows) == 3


def test_a_screen_that_fails_ends_the_command_with_its_reason(order, screened, monkeypatch):
    def sleep(_):
        with screened.session() as session:
            session.exec(sa.update(ScreenRow).values(state="failed", reason="disk full"))
            session.commit()

    monkeypatch.setattr(screen_order.time, "sleep", sleep)
    ran = order("als", screened.runs[0], "--wait")
    (screen,) = screened.get("/projects/default/screens").json()
    assert ran.exit_code == 1
    assert states("order.failed", ran.output, screen=screen["id"], reason="disk full")


def test_settings_that_no_screen_has_are_refused_by_name(order, screened, tmp_path):
    settings = tmp_path / "screen.toml"
    settings.write_text("hope = 1\n")
    refused = order("als", screened.runs[0], "--settings", settings)
    assert refused.exit_code == 2
    assert states("order.unknown_setting", refused.output, setting="hope")
