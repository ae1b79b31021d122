from __future__ import annotations

import sqlite3

import pytest

from imaging_service.errors import StoreError
from imaging_service.jobs.durable.opening import prepare_database
from tests.messages import says


def test_a_database_is_prepared_twice_alike(tmp_path):
    url = f"sqlite:///{tmp_path / 'data' / 'service.db'}"
    prepare_database(url)
    prepare_database(url)
    with sqlite3.connect(tmp_path / "data" / "service.db") as connection:
        names = {n for (n,) in connection.execute("SELECT name FROM sqlite_master")}
    connection.close()
    assert {"run", "worker", "store", "workflow_status"} <= names


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
