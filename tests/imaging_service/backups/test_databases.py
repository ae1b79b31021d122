from __future__ import annotations

import contextlib
import sqlite3
import stat

import pytest

from imaging_service.backups.databases import restore_database, snapshot
from imaging_service.errors import BackupError
from tests.messages import states


def rows(path):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT x FROM t").fetchall()


def test_a_snapshot_holds_what_was_committed_when_it_was_taken(tmp_path):
    path = tmp_path / "service.db"
    with contextlib.closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("CREATE TABLE t (x)")
        writer.execute("INSERT INTO t VALUES (1)")
        writer.commit()
        writer.execute("INSERT INTO t VALUES (2)")
        file = snapshot(f"sqlite:///{path}", tmp_path)
        writer.commit()
    assert rows(file) == [(1,)]
    assert rows(path) == [(1,), (2,)]
    restore_database(f"sqlite:///{tmp_path / 'new' / 'service.db'}", file)
    assert rows(tmp_path / "new" / "service.db") == [(1,)]
    with pytest.raises(BackupError):
        restore_database(f"sqlite:///{path}", file)


def test_a_snapshot_of_the_other_kind_is_refused(tmp_path):
    for url, name in (
        ("sqlite:///x.db", "database.dump"),
        ("postgresql+psycopg://u:p@127.0.0.1:1/d", "database.sqlite"),
    ):
        with pytest.raises(BackupError):
            restore_database(url, tmp_path / name)


@pytest.fixture
def program(tmp_path, monkeypatch):
    """A `pg_dump` that writes down what it was called with."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()

    def write(text):
        path = tmp_path / "bin" / "pg_dump"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    return write


URL = "postgresql+psycopg://ann:pass-word@db.example.org:5433/imaging"


def test_a_password_goes_by_the_environment(program, tmp_path):
    seen = tmp_path / "seen"
    program(f'echo "$@" > {seen}; echo "$PGHOST $PGPORT $PGUSER $PGPASSWORD $PGDATABASE" >> {seen}')
    assert snapshot(URL, tmp_path) == tmp_path / "database.dump"
    arguments, environment = seen.read_text().splitlines()
    assert "pass-word" not in arguments
    assert environment == "db.example.org 5433 ann pass-word imaging"


def test_a_dump_that_fails_says_why(program, tmp_path):
    program('echo "connection refused" >&2; exit 1')
    with pytest.raises(BackupError) as refused:
        snapshot(URL, tmp_path)
    assert states("backup.dump_failed", str(refused.value))
    assert "pass-word" not in str(refused.value)


def test_a_program_that_is_not_installed_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackupError) as refused:
        snapshot(URL, tmp_path)
    assert "pg_dump" in str(refused.value)
