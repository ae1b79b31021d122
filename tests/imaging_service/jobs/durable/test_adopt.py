from __future__ import annotations

import json

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from imaging_service.database.session import database_engine
from imaging_service.database.tables import RunRow
from imaging_service.jobs.durable.adopt import adopt_older, adopt_reviews
from imaging_service.jobs.durable.opening import APPLICATION_VERSION
from imaging_service.jobs.durable.queue import job_client, request_review, submit_run
from imaging_service.jobs.durable.workflows import run_folder
from imaging_service.review.log import ReviewLog
from imaging_service.schemas import Verdict


@pytest.fixture
def run(data_folder, small_inputs):
    return submit_run(data_folder, small_inputs)


def row(settings, run):
    with Session(database_engine(settings.url)) as session:
        return session.get_one(RunRow, run)


def test_a_run_of_this_version_is_left_to_its_job(data_folder, run):
    assert adopt_older(data_folder) == {}
    assert row(data_folder, run).attempt == 1


def test_a_run_whose_job_an_older_job_engine_has_goes_on_as_its_next_attempt(data_folder, run):
    with database_engine(data_folder.url).begin() as connection:
        connection.execute(sa.text("UPDATE workflow_status SET application_version='1'"))
    assert adopt_older(data_folder) == {run: "goes on"}
    assert (row(data_folder, run).state, row(data_folder, run).attempt) == ("queued", 2)
    assert adopt_older(data_folder) == {}


@pytest.mark.parametrize("damage", ["record", "scan", "unreadable"])
def test_a_run_of_an_older_version_that_cannot_be_begun_again_says_so(
    data_folder, run, damage, small_inputs
):
    record = run_folder(data_folder, run).record
    content = json.loads(record.read_text()) | {"software_version": "0.1.0"}
    if damage == "record":
        record.unlink()
    elif damage == "scan":
        content["inputs"]["scan"] = "/no/such/scan"
        record.write_text(json.dumps(content))
    else:
        record.write_text(json.dumps({"run_id": 1}))
    assert list(adopt_older(data_folder)) == [run]
    ended = row(data_folder, run)
    assert (ended.state, ended.attempt) == ("failed", 2)
    assert ended.reason
    assert adopt_older(data_folder) == {}


def test_corrected_tables_that_an_older_version_was_to_make_are_asked_for_again(data_folder, run):
    def jobs():
        listed = job_client(data_folder.url).list_workflows(workflow_id_prefix=f"{run}:review:")
        return [(job.app_version, job.status) for job in listed]

    verdict = Verdict(well="B02", accepted=True, author="ann", time="2026-01-01T00:00:00Z")
    ReviewLog(run_folder(data_folder, run).root).judge(verdict)
    request_review(data_folder, run)
    assert adopt_reviews(data_folder) == []
    with database_engine(data_folder.url).begin() as connection:
        connection.execute(
            sa.text("UPDATE workflow_status SET application_version='2' WHERE queue_name='reviews'")
        )
    assert adopt_reviews(data_folder) == [run]
    assert jobs() == [("2", "CANCELLED"), (APPLICATION_VERSION, "ENQUEUED")]
    assert adopt_reviews(data_folder) == []


def test_a_review_of_a_run_that_was_removed_is_asked_for_no_more(data_folder, run):
    request_review(data_folder, run, again=True)
    with database_engine(data_folder.url).begin() as connection:
        connection.execute(sa.text("UPDATE workflow_status SET application_version='2'"))
        connection.execute(sa.text("DELETE FROM run"))
    assert adopt_reviews(data_folder) == [run]
    assert adopt_reviews(data_folder) == []
