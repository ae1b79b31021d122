"""Exports over HTTP: ordered, followed, downloaded, removed."""

from __future__ import annotations

import hashlib
import io

import polars as pl
import pytest
from sqlmodel import select

from imaging_service.access.callers import caller_with_key
from imaging_service.api.routes import events
from imaging_service.api.routes.exchange.exports import look
from imaging_service.client import ServiceRefused
from imaging_service.database.tables import ExportRow, RunRow
from imaging_service.database.tenants import AuditRow
from imaging_service.orders import NewExport
from tests.imaging_service.exported import EXPORTS
from tests.imaging_service.tenants import RUN
from tests.messages import says, states


def test_an_export_of_a_run_is_ordered_written_and_downloaded(exporting):
    run = exporting.screened.runs[0]
    ordered = exporting.order(run=run, format="parquet")
    assert ordered.status_code == 202, ordered.text
    state = ordered.json()
    export = state["id"]
    assert (state["state"], state["run"], state["screen"], state["size"]) == (
        "queued",
        run,
        "",
        None,
    )
    early = exporting.get(export, "/file")
    assert early.status_code == 409
    assert states("export.not_done", early.json()["detail"])
    assert exporting.work(export) == "done"
    done = exporting.get(export).json()
    assert (done["state"], done["progress"]) == (
        "done",
        {"written": len(done["tables"]), "tables": len(done["tables"])},
    )
    answer = exporting.get(export, "/file")
    assert answer.headers["etag"] == f'"{done["sha256"]}"'
    assert f'filename="{export}.zip"' in answer.headers["content-disposition"]
    assert hashlib.sha256(answer.content).hexdigest() == done["sha256"]
    folder = exporting.screened.settings.run_root(run)
    with exporting.zip(export) as archive:
        for name in done["tables"]:
            table = pl.read_parquet(io.BytesIO(archive.read(f"{name}.parquet")))
            assert table.equals(pl.read_parquet(folder / f"{name}.parquet")), name
    part = exporting.get(export, "/file", headers={"Range": "bytes=0-1"})
    assert (part.status_code, part.content) == (206, b"PK")
    listed = exporting.screened.get(EXPORTS).json()
    assert [e["id"] for e in listed] == [export]
    assert exporting.screened.get(f"{EXPORTS}?format=csv").text.count("\n") == 2
    assert exporting.screened.ask("DELETE", f"{EXPORTS}/{export}").status_code == 204
    assert exporting.screened.get(EXPORTS).json() == []


def test_an_export_of_a_screen_has_the_screen_s_tables(exporting):
    screen = exporting.screened.order(exporting.screened.runs[:2]).json()["id"]
    assert exporting.screened.work(screen) == "done"
    export = exporting.order(screen=screen, tables=["responses"], format="csv").json()["id"]
    assert exporting.work(export) == "done"
    folder = exporting.screened.settings.project_root("default") / "screens" / screen
    with exporting.zip(export) as archive:
        assert archive.read("responses.csv") == (folder / "responses.csv").read_bytes()


@pytest.mark.parametrize("wanted", [{}, {"run": "f" * 64, "screen": "s"}, {"run": "x", "a": 1}])
def test_an_export_is_of_one_run_or_one_screen(exporting, wanted):
    assert exporting.order(**wanted).status_code == 422


def test_a_client_orders_follows_and_downloads_an_export(exporting, tmp_path, monkeypatch):
    monkeypatch.setattr(events, "EVERY_S", 0.0)
    run = exporting.screened.runs[0]
    with exporting.screened.client(project="default") as client:
        ordered = client.order_export(NewExport(run=run, tables=["wells"], format="csv"))
        assert exporting.work(ordered.id) == "done"
        assert [e.id for e in client.exports()] == [ordered.id]
        assert [e.state for e in client.export_events(ordered.id)] == ["done"]
        client.download_export(ordered.id, tmp_path / "wells.zip")
        assert (tmp_path / "wells.zip").read_bytes() == exporting.get(ordered.id, "/file").content
        with exporting.screened.session() as session:
            session.get(ExportRow, ordered.id).sha256 = "0" * 64
            session.commit()
        with pytest.raises(ServiceRefused, match=says("client.export_damaged")):
            client.download_export(ordered.id, tmp_path / "again.zip")
        assert not (tmp_path / "again.zip").exists()
        client.delete_export(ordered.id)
        assert client.exports() == []


def test_who_sees_the_project_sees_its_exports_and_no_other_laboratory_does(two_labs):
    with two_labs.session() as session:
        session.get(RunRow, RUN).state = "done"
        row = ExportRow(
            id="e" * 16,
            project_id="als",
            run_id=RUN,
            source_attempt=1,
            revision=1,
            tables="wells",
            format="csv",
            n_tables=1,
        )
        session.add(row)
        session.commit()
    path = "/projects/als/exports"
    assert [e["id"] for e in two_labs.ask("viewer", "GET", path).json()] == ["e" * 16]
    foreign = two_labs.ask("other lab", "GET", f"{path}/{'e' * 16}")
    missing = two_labs.ask("other lab", "GET", f"{path}/{'0' * 16}")
    assert (foreign.status_code, foreign.json()) == (missing.status_code, missing.json())
    elsewhere = two_labs.ask("other lab", "GET", f"/projects/ftd/exports/{'e' * 16}")
    assert elsewhere.status_code == 404
    assert two_labs.ask("viewer", "DELETE", f"{path}/{'e' * 16}").status_code == 403
    with two_labs.session() as session:
        url = two_labs.settings.url
        callers = [caller_with_key(session, two_labs.keys[n]) for n in ("viewer", "other lab")]
    seen = [look(url, caller, "als", "e" * 16) for caller in callers]
    assert (seen[0].state, seen[1]) == ("queued", None)
    two_labs.ask("viewer", "POST", path, json={"run": "f" * 64})
    with two_labs.session() as session:
        actions = [(a.actor, a.action, a.outcome) for a in session.exec(select(AuditRow)).all()]
    assert ("viewer", "POST /projects/{project}/exports", "404") in actions


def test_an_export_whose_file_was_lost_says_so_and_is_written_again_when_ordered(exporting):
    run = exporting.screened.runs[0]
    export = exporting.order(run=run, tables=["wells"]).json()["id"]
    assert exporting.work(export) == "done"
    before = exporting.get(export, "/file").content
    folder = exporting.screened.settings.project_root("default") / "exports" / export
    (folder / f"{export}.zip").unlink()
    lost = exporting.get(export, "/file")
    assert lost.status_code == 404
    assert states("export.file_lost", lost.json()["detail"])
    again = exporting.order(run=run, tables=["wells"]).json()
    assert (again["id"], again["state"], again["size"]) == (export, "queued", None)
    assert exporting.work(export) == "done"
    assert exporting.get(export, "/file").content == before
