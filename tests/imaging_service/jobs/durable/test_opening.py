from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from imaging_service.database.session import database_engine
from imaging_service.errors import StoreError
from imaging_service.jobs.durable.opening import (
    APPLICATION_VERSION,
    PLATES,
    WELLS,
    has_job,
    next_place,
    prepare_database,
)
from imaging_service.jobs.durable.queue import job_client
from tests.messages import says


def test_a_database_is_prepared_twice_alike(tmp_path):
    url = f"sqlite:///{tmp_path / 'data' / 'service.db'}"
    prepare_database(url)
    prepare_database(url)
    with sqlite3.connect(tmp_path / "data" / "service.db") as connection:
        names = {n for (n,) in connection.execute("SELECT name FROM sqlite_master")}
    connection.close()
    assert {"run", "worker", "store", "workflow_status"} <= names


def test_processes_that_start_together_prepare_one_after_another(tmp_path):
    url, together = f"sqlite:///{tmp_path / 'data' / 'service.db'}", threading.Barrier(4)

    def start(_):
        together.wait(60)
        prepare_database(url)

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(start, range(4))) == [None] * 4


def test_a_damaged_database_is_said_in_one_sentence(tmp_path):
    (tmp_path / "service.db").write_bytes(b"no database" * 1000)
    with pytest.raises(StoreError, match=says("opening.damaged")):
        prepare_database(f"sqlite:///{tmp_path / 'service.db'}")


def test_a_database_of_a_newer_version_is_said_in_one_sentence(tmp_path):
    url = f"sqlite:///{tmp_path / 'service.db'}"
    prepare_database(url)
    with sqlite3.connect(tmp_path / "service.db") as connection:
        connection.execute("UPDATE imaging_service_version SET version_num='9999'")
    connection.close()
    with pytest.raises(StoreError, match=says("opening.newer")):
        prepare_database(url)


def test_a_database_that_is_away_is_named_without_its_password():
    with pytest.raises(StoreError, match=says("opening.away")) as raised:
        prepare_database("postgresql+psycopg://me:secret@127.0.0.1:1/none")
    assert "secret" not in str(raised.value)


def enqueue(settings, identity, place, version=APPLICATION_VERSION, queue=WELLS):
    options = {
        "queue_name": queue,
        "workflow_name": "analyse_well",
        "workflow_id": identity,
        "app_version": version,
        "priority": place,
    }
    job_client(settings.url).enqueue(options, "r", 1, "B02")


def test_the_place_in_the_queue_is_that_of_the_well_whose_turn_is_next(data_folder):
    with Session(database_engine(data_folder.url)) as session:
        assert next_place(session) == 0
        enqueue(data_folder, "later", 70)
        enqueue(data_folder, "next", 40)
        enqueue(data_folder, "of another version", 1, version="1")
        enqueue(data_folder, "of another queue", 2, queue=PLATES)
        assert next_place(session) == 40
        gone = sa.text("UPDATE workflow_status SET status='PENDING' WHERE workflow_uuid='next'")
        session.connection().execute(gone)
        assert next_place(session) == 70
        assert (has_job(session, "next"), has_job(session, "none")) == (True, False)
        assert has_job(session, "of another version") is False
