from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import sqlalchemy as sa
from sqlmodel import Session, select

from imaging_service.access.members import add_lab, add_project, find_lab
from imaging_service.database.session import database_engine
from imaging_service.database.tables import PlateRow, RunRow, WellRow
from imaging_service.errors import QuotaReached
from imaging_service.jobs.durable import queue
from imaging_service.jobs.durable.queue import queue_run, request_review, submit_run
from imaging_service.jobs.durable.workflows import run_folder
from imaging_service.jobs.plan import identify
from imaging_service.review.log import ReviewLog
from imaging_service.schemas import Verdict


@pytest.fixture
def session(data_folder):
    with Session(database_engine(data_folder.url)) as opened:
        yield opened


def queued(session):
    """(workflow id, queue, name) of every job that waits."""
    return sorted(
        session.connection()
        .execute(sa.text("SELECT workflow_uuid, queue_name, name FROM workflow_status"))
        .all()
    )


def test_a_submission_is_a_row_a_folder_and_a_job(data_folder, small_inputs, session):
    run = submit_run(data_folder, small_inputs)
    row = session.get_one(RunRow, run)
    assert (row.state, row.attempt, row.n_wells, row.n_skipped, row.engine) == (
        "queued",
        1,
        6,
        1,
        "classical",
    )
    assert "C04" not in row.notes
    plate = session.get_one(PlateRow, row.plate_id)
    assert (
        plate.name,
        plate.rows,
        plate.columns,
        json.loads(plate.channels),
        plate.pixel_size_um,
    ) == (
        "Small-1",
        4,
        6,
        ["1", "2", "3"],
        0.65,
    )
    assert run_folder(data_folder, run).task("C03").is_file()
    assert queued(session) == [(f"{run}:1", "plates", "analyse_plate")]


def test_each_laboratory_has_its_own_part_of_the_queue(data_folder, small_inputs, session):
    """Eight plates whose scans are away keep the next one waiting, but none of another laboratory."""
    add_lab(session, "beta")
    add_project(session, "beta", "als")
    session.commit()
    submit_run(data_folder, small_inputs)
    record, plan = identify(small_inputs)
    queue_run(data_folder, record, plan, project="als")
    parts = sa.text("SELECT queue_partition_key, priority FROM workflow_status")
    assert sorted(session.connection().execute(parts).all()) == [("beta", 0), ("local", 0)]


@pytest.fixture
def at_once(data_folder, small_inputs, monkeypatch):
    """Submit the plate under two names of the protocol, at the same time; how each ended."""
    both, lay_out = threading.Barrier(2), queue.lay_out
    monkeypatch.setattr(queue, "lay_out", lambda *given: (both.wait(60), lay_out(*given))[1])

    def submit(name):
        protocol = small_inputs.protocol.model_copy(update={"name": name})
        return submit_run(data_folder, replace(small_inputs, protocol=protocol))

    def submitted(*names):
        with ThreadPoolExecutor(2) as threads:
            return [threads.submit(submit, name) for name in names]

    return submitted


def test_of_two_submissions_at_once_one_is_over_the_limit(at_once, session):
    find_lab(session, "local").most_runs = 1
    session.commit()
    errors = [sent.exception() for sent in at_once("first", "second")]
    assert {type(error) for error in errors} == {type(None), QuotaReached}
    assert len(session.exec(select(RunRow)).all()) == 1


@pytest.mark.parametrize(("names", "runs"), [(("first", "second"), 2), (("same", "same"), 1)])
def test_two_submissions_of_one_plate_at_once_are_both_taken(at_once, session, names, runs):
    assert len({sent.result() for sent in at_once(*names)}) == runs
    assert len(session.exec(select(RunRow)).all()) == len(queued(session)) == runs
    assert len(session.exec(select(PlateRow)).all()) == 1


def test_the_same_submission_is_the_same_run_and_another_protocol_another(
    data_folder, small_inputs, session
):
    run = submit_run(data_folder, small_inputs)
    assert submit_run(data_folder, small_inputs) == run
    assert len(queued(session)) == 1
    other = replace(
        small_inputs, protocol=small_inputs.protocol.model_copy(update={"name": "other"})
    )
    assert submit_run(data_folder, other) != run
    assert len(session.exec(select(RunRow)).all()) == 2
    assert len(session.exec(select(PlateRow)).all()) == 1


def test_a_failed_run_is_tried_again_and_keeps_what_is_done(data_folder, small_inputs, session):
    run = submit_run(data_folder, small_inputs)
    row = session.get_one(RunRow, run)
    row.state, row.reason = "failed", "disk"
    session.add_all(
        [
            WellRow(run_id=run, well="B02", status="done"),
            WellRow(run_id=run, well="B03", status="failed"),
        ]
    )
    session.commit()
    assert submit_run(data_folder, small_inputs) == run
    session.expire_all()
    row = session.get_one(RunRow, run)
    assert (row.state, row.reason, row.attempt) == ("queued", "", 2)
    assert session.exec(select(WellRow.well)).all() == ["B02"]
    assert [job[0] for job in queued(session)] == [f"{run}:1", f"{run}:2"]


def test_a_review_is_followed_once_a_revision(data_folder, small_inputs, session):
    run = submit_run(data_folder, small_inputs)
    assert request_review(data_folder, run) == 1
    assert len(queued(session)) == 1  # the tables stand there already
    said = Verdict(well="B02", accepted=True, author="ann", time="2026-01-01T00:00:00Z")
    ReviewLog(run_folder(data_folder, run).root).judge(said)
    assert [request_review(data_folder, run) for _ in range(2)] == [2, 2]
    assert [job for job in queued(session) if job[1] == "reviews"] == [
        (f"{run}:review:2", "reviews", "follow_review")
    ]


def test_a_review_that_could_not_be_followed_is_asked_for_under_a_new_name(
    data_folder, small_inputs, session
):
    run = submit_run(data_folder, small_inputs)
    row = session.get_one(RunRow, run)
    row.review_reason = "work was deleted"
    session.commit()
    assert request_review(data_folder, run) == 1
    (job,) = [job for job in queued(session) if job[1] == "reviews"]
    assert job[0].startswith(f"{run}:review:1:")
    session.expire_all()
    assert session.get_one(RunRow, run).review_reason == ""


def test_a_new_run_of_a_laboratory_at_its_limit_is_refused_and_leaves_nothing(
    data_folder, small_inputs, session
):
    find_lab(session, "local").most_runs = 0
    session.commit()
    with pytest.raises(QuotaReached):
        submit_run(data_folder, small_inputs)
    assert queued(session) == []
    assert not (data_folder.data_dir / "runs").exists()
    find_lab(session, "local").most_runs = 1
    session.commit()
    # The same run again is no new one.
    assert submit_run(data_folder, small_inputs) == submit_run(data_folder, small_inputs)
