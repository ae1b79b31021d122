"""The steps of the durable workflows, called one by one in this process."""

from __future__ import annotations

import json
import shutil

import polars as pl
import pytest
import sqlalchemy as sa
from sqlmodel import Session, select

from imaging_service.database.session import database_engine, table_content
from imaging_service.database.tables import RunRow, WellRow
from imaging_service.errors import ImageError, MachineError
from imaging_service.jobs.durable import workflows
from imaging_service.jobs.durable.queue import submit_run
from tests.imaging_service.conftest import Here
from tests.messages import says


@pytest.fixture
def session(served):
    with Session(database_engine(served.settings.url)) as opened:
        yield opened


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (MachineError("process lost"), True),
        (OSError(28, "No space left on device"), True),
        (sa.exc.OperationalError("locked", None, Exception()), True),
        (ImageError("blank"), False),
        (ValueError("bad data"), False),
        (sa.exc.IntegrityError("twice", None, Exception()), False),
    ],
)
def test_only_what_the_machine_did_is_worth_another_attempt(error, again):
    assert workflows.worth_retrying(error) is again


def test_a_run_begins_with_the_wells_that_have_not_ended(data_folder, small_inputs, monkeypatch):
    run = submit_run(data_folder, small_inputs)
    calls = []

    class Cluster(Here):
        def run(self, function, *args, key):
            calls.append((function.__name__, key))

    monkeypatch.setattr(workflows.Context, "settings", data_folder, raising=False)
    monkeypatch.setattr(workflows.Context, "cluster", Cluster(), raising=False)
    with Session(database_engine(data_folder.url)) as session:
        session.add(WellRow(run_id=run, well="B04", status="done"))
        session.commit()
    assert workflows.begin.__wrapped__(run) == ["B02", "B03", "B05", "C02", "C03"]
    assert calls == [("calibrate", f"calibrate-{run[:12]}")]
    with Session(database_engine(data_folder.url)) as session:
        assert session.get_one(RunRow, run).state == "running"


def test_a_well_has_one_row_however_often_its_step_ran(served, session):
    outcome = {"well": "B02", "status": "failed", "reason": "late", "n_fields": 0, "n_nuclei": 0}
    assert workflows.commit_well.__wrapped__(served.run, outcome) == "failed"
    rows = session.exec(select(WellRow).where(WellRow.well == "B02")).all()
    assert [(r.status, r.n_fields) for r in rows] == [("done", 2)]


def test_a_well_that_was_given_up_is_failed_with_the_reason(served):
    made = workflows.give_up.__wrapped__(served.run, "B02", "well B02: MachineError: lost")
    assert made == {
        "well": "B02",
        "status": "failed",
        "reason": "well B02: MachineError: lost",
        "n_fields": 0,
        "n_nuclei": 0,
    }


def test_the_summary_puts_every_row_into_the_database_in_order(served, session):
    row = session.get_one(RunRow, served.run)
    assert row.state == "done"
    for kind in ("wells", "responses", "checks", "hazards"):
        stored = [json.loads(c) for c in table_content(session, row, kind, {})]
        assert stored == pl.read_parquet(served.folder / f"{kind}.parquet").to_dicts(), kind


def test_nan_does_not_get_into_the_database(tmp_path):
    pl.DataFrame({"line": ["L1"], "ec50": [float("nan")]}).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(ValueError, match=says("json.number_that_it_has_not")):
        workflows.table_rows(tmp_path / "t.parquet", "r", "wells")


def test_a_row_s_filters_stand_beside_it(tmp_path):
    pl.DataFrame({"line": ["L1", None], "status": ["ok", "flat"], "x": [1, 2]}).write_parquet(
        tmp_path / "t.parquet"
    )
    rows = workflows.table_rows(tmp_path / "t.parquet", "r", "responses", 3)
    assert [
        (r["position"], r["line"], r["status"], r["compound"], r["revision"]) for r in rows
    ] == [
        (0, "L1", "ok", "", 3),
        (1, "", "flat", "", 3),
    ]
    assert json.loads(rows[1]["content"]) == {"line": None, "status": "flat", "x": 2}


def test_a_revision_s_rows_replace_the_last_revision_s_and_never_the_engine_s(served, session):
    corrected = served.folder / "corrected"
    corrected.mkdir()
    for kind in ("wells", "responses", "checks", "hazards"):
        shutil.copy(served.folder / f"{kind}.parquet", corrected)
    table = pl.read_parquet(corrected / "wells.parquet")
    for revision in (2, 5):
        table.filter(pl.col("status") == "done").with_columns(
            label_version=pl.lit(revision)
        ).write_parquet(corrected / "wells.parquet")
        workflows.commit_review.__wrapped__(served.run, revision)
    session.expire_all()
    row = session.get_one(RunRow, served.run)
    assert row.revision == 5
    versions = {
        r: {
            json.loads(c)["label_version"] or 1 for c in table_content(session, row, "wells", {}, r)
        }
        for r in (1, 2, 5)
    }
    assert versions == {1: {1}, 2: set(), 5: {5}}


def test_a_review_that_cannot_be_followed_says_why_and_the_tables_stay(served, session):
    workflows.refuse_review.__wrapped__(served.run, "work was deleted")
    row = session.get_one(RunRow, served.run)
    assert (row.review_reason, row.revision, row.state) == ("work was deleted", 1, "done")


def test_a_run_that_fails_says_why(served, session):
    workflows.fail.__wrapped__(served.run, "MachineError: disk")
    row = session.get_one(RunRow, served.run)
    assert (row.state, row.reason) == ("failed", "MachineError: disk")
