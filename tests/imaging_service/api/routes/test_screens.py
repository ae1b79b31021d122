"""Screens over HTTP: ordered, followed, read."""

from __future__ import annotations

import io
import json

import polars as pl
import pytest

from imaging_service.access.callers import caller_with_key, local_caller
from imaging_service.api.routes import events
from imaging_service.api.routes.screens import look
from imaging_service.database.tables import ScreenRow
from imaging_service.database.tenants import LOCAL_PROJECT
from imaging_service.screens.folder import TABLES
from tests.messages import states

SCREENS = f"/projects/{LOCAL_PROJECT}/screens"


@pytest.fixture
def fitted(screened):
    """(service, the id of a screen of three plates that is done)."""
    screen = screened.order(screened.runs).json()["id"]
    assert screened.work(screen) == "done"
    return screened, screen


def test_a_screen_is_ordered_fitted_and_read_in_every_format(fitted, tmp_path):
    screened, screen = fitted
    state = screened.screen(screen).json()
    assert {k: state[k] for k in ("name", "project", "state", "rows", "hits", "author")} == {
        "name": "als",
        "project": LOCAL_PROJECT,
        "state": "done",
        "rows": 4,
        "hits": 1,
        "author": "local user",
    }
    assert state["progress"] == {"gathered": 3, "plates": 3}
    folder = screened.settings.project_root(LOCAL_PROJECT) / "screens" / screen
    for name in TABLES:
        file = pl.read_parquet(folder / f"{name}.parquet")
        table = f"/tables/{name}"
        assert screened.screen(screen, table).json() == json.loads(file.write_json())
        arrow = screened.screen(screen, f"{table}?format=arrow").content
        assert pl.read_ipc_stream(io.BytesIO(arrow)).equals(file)
        parquet = screened.screen(screen, f"{table}?format=parquet").content
        assert pl.read_parquet(io.BytesIO(parquet)).equals(file)
        csv = screened.screen(screen, f"{table}?format=csv")
        assert csv.content == (folder / f"{name}.csv").read_bytes()
        assert f'filename="{screen}-{name}.csv"' in csv.headers["content-disposition"]
    assert screened.screen(screen, "/report").text == "als"
    listed = screened.get(SCREENS).json()
    assert [s["id"] for s in listed] == [screen]
    assert screened.get(f"{SCREENS}?format=csv").text.count("\n") == 2


def test_rows_are_chosen_paged_and_known_as_those_of_a_run(fitted):
    screened, screen = fitted
    answer = screened.screen(
        screen, "/tables/responses?where=line==S1&where=hit==true&columns=line,phenotype"
    )
    assert answer.json() == [{"line": "S1", "phenotype": "nc_log2_aggregate"}]
    tag = answer.headers["etag"]
    again = screened.get(
        f"{SCREENS}/{screen}/tables/responses?where=line==S1&where=hit==true&columns=line,phenotype",
        headers={"If-None-Match": tag},
    )
    assert again.status_code == 304
    page = screened.screen(screen, "/tables/doses?limit=3")
    following = screened.get(page.links["next"]["url"]).json()
    assert page.json() + following == screened.screen(screen, "/tables/doses?limit=6").json()


def test_until_it_is_done_a_screen_has_no_tables_and_says_why(screened):
    screen = screened.order(screened.runs[:1]).json()["id"]
    for path in ("/tables/responses", "/report"):
        answer = screened.screen(screen, path)
        assert answer.status_code == 409
        assert states("order.no_tables_yet", answer.json()["detail"], state="queued", why="")
    with screened.session() as session:
        row = session.get_one(ScreenRow, screen)
        row.state, row.reason = "failed", "disk full"
        session.commit()
    detail = screened.screen(screen, "/tables/responses").json()["detail"]
    assert states("order.no_tables_yet", detail, state="failed", why=": disk full")
    assert screened.screen(screen).json()["rows"] is None
    assert screened.ask("DELETE", f"{SCREENS}/{screen}").status_code == 204
    assert screened.screen(screen).status_code == 404


def test_an_order_that_cannot_be_is_refused_by_name(screened):
    for change, status in (
        ({"runs": []}, 422),
        ({"name": ""}, 422),
        ({"name": "two\nlines"}, 422),
        ({"effect_dose_molar": {"x": 0}}, 422),
        ({"effect_dose_molar": {"x": float("inf")}}, 422),
        ({"effect_floor": {"hope": 1}}, 422),
        ({"unknown": 1}, 422),
        ({"runs": [{"run": "ffffffff"}]}, 404),
        ({"runs": [{"run": "ffff"}]}, 422),
    ):
        body = {"name": "x", "runs": [{"run": screened.runs[0]}]} | change
        answer = screened.ask(
            "POST",
            SCREENS,
            content=json.dumps(body),
            headers={"Content-Type": "application/json"},
        )
        assert (change, answer.status_code) == (change, status)
        assert answer.json()["detail"]
    assert screened.get(SCREENS).json() == []


def test_what_a_screen_does_not_have_is_not_found(fitted):
    screened, screen = fitted
    for path in (f"{screen}/tables/cells", "0" * 16, f"{'0' * 16}/events", "x/tables/doses"):
        assert screened.get(f"{SCREENS}/{path}").status_code == 404, path


def test_a_screen_of_another_project_is_as_one_that_is_missing(two_labs):
    with two_labs.session() as session:
        session.add(ScreenRow(id="s" * 16, project_id="als", name="x", n_plates=1, state="done"))
        session.commit()
        callers = {c: caller_with_key(session, two_labs.keys[c]) for c in ("viewer", "other lab")}
    for path in ("", "/tables/responses", "/report", "/events"):
        of_ftd = f"/projects/ftd/screens/{'s' * 16}{path}"
        answer = two_labs.ask("other lab", "GET", of_ftd)
        assert answer.status_code == 404
        missing = two_labs.ask("other lab", "GET", of_ftd.replace("s" * 16, "m" * 16))
        assert answer.text == missing.text.replace("m" * 16, "s" * 16)
    url = two_labs.settings.url
    assert look(url, callers["viewer"], "als", "s" * 16).name == "x"
    assert look(url, callers["other lab"], "als", "s" * 16) is None
    assert look(url, callers["viewer"], "ftd", "s" * 16) is None


def test_a_screen_is_followed_until_it_has_ended(screened, monkeypatch):
    monkeypatch.setattr(events, "EVERY_S", 0.0)
    screen = screened.order(screened.runs[:2]).json()["id"]
    with screened.session() as session:
        caller = local_caller(session)
    assert look(screened.settings.url, caller, LOCAL_PROJECT, screen).state == "queued"
    screened.work(screen)
    told = screened.screen(screen, "/events").text
    (data,) = [line for line in told.splitlines() if line.startswith("data: ")]
    assert told.count("event: screen\n") == 1
    assert json.loads(data.removeprefix("data: "))["state"] == "done"
