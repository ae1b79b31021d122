"""Keys, the audit log and backups on Postgres."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import alembic.command
import pytest
import sqlalchemy as sa
from sqlmodel import Session

from imaging_service.access.audit import note
from imaging_service.access.callers import caller_with_key
from imaging_service.access.keys import make_key
from imaging_service.access.members import add_lab, add_member, add_project, find_project, share
from imaging_service.access.roles import Role
from imaging_service.backups.backup import back_up
from imaging_service.backups.databases import POSTGRES, check_empty
from imaging_service.backups.restore import restore
from imaging_service.database.session import alembic_config, database_engine
from imaging_service.database.tables import PlateRow, RunRow
from imaging_service.errors import BackupError, StoreError
from imaging_service.jobs.durable.opening import prepare_database
from imaging_service.settings import Settings
from tests.messages import says
from tests.postgres import Postgres, programs


@pytest.fixture(scope="module")
def postgres():
    running = Postgres()
    running.start()
    prepare_database(running.url)
    yield running
    database_engine(running.url).dispose()
    running.remove()


@pytest.mark.slow
def test_a_server_and_workers_that_start_together_prepare_an_empty_database(postgres):
    with database_engine(postgres.url).begin() as connection:
        for statement in ("SCHEMA dbos CASCADE", "SCHEMA public CASCADE"):
            connection.execute(sa.text(f"DROP {statement}"))
        connection.execute(sa.text("CREATE SCHEMA public"))
    code = (
        "import sys; from imaging_service.jobs.durable.opening import prepare_database\n"
        "import alembic.command, dbos; print('here', flush=True); sys.stdin.readline()\n"
        "prepare_database(sys.argv[1])"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = [sys.executable, "-c", code, postgres.url]
    started = [subprocess.Popen(command, text=True, **pipes) for _ in range(4)]
    for process in started:
        process.stdout.readline()
    for process in started:
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60)[1] for process in started]
    assert [process.returncode for process in started] == [0] * 4, said
    alembic.command.check(alembic_config(postgres.url))


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_that_cannot_hold_every_letter_is_refused(postgres, encoding):
    """A server that was set up without a locale makes such databases, and β and µ are names."""
    name = encoding.lower()
    with database_engine(postgres.url).connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(
            sa.text(f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
        )
    url = sa.engine.make_url(postgres.url).set(database=name).render_as_string(False)
    with pytest.raises(
        StoreError, match=says("opening.encoding", encoding=encoding, database=name)
    ):
        prepare_database(url)
    with pytest.raises(StoreError):
        check_empty(url, Path(POSTGRES))


def test_both_ends_of_a_connection_notice_that_the_other_is_cut_off(postgres):
    """The job engine's too, which makes its own; a lost machine's locks would last for minutes."""
    limits = {"keepalives_idle": 15, "keepalives_interval": 10, "user_timeout": 45_000}
    known = {
        "keepalives_idle": socket.TCP_KEEPIDLE,
        "keepalives_interval": socket.TCP_KEEPINTVL,
        "user_timeout": socket.TCP_USER_TIMEOUT,
    }
    for engine in (database_engine(postgres.url), sa.create_engine(postgres.url)):
        # The pool's rollback between the two must not undo it.
        for _ in range(2):
            with engine.connect() as connection:
                there = {
                    name: connection.execute(
                        sa.text(f"SELECT setting::int FROM pg_settings WHERE name = 'tcp_{name}'")
                    ).scalar()
                    for name in limits
                }
                file = connection.connection.driver_connection.fileno()
                with socket.socket(fileno=os.dup(file)) as ours:
                    here = {
                        name: ours.getsockopt(socket.IPPROTO_TCP, option)
                        for name, option in known.items()
                    }
            assert there == here == limits
    engine.dispose()


def test_the_schema_is_that_of_the_models(postgres):
    alembic.command.check(alembic_config(postgres.url))


@pytest.mark.parametrize(
    "statement", ["UPDATE audit SET actor = 'eve'", "DELETE FROM audit", "TRUNCATE audit"]
)
def test_the_audit_log_is_append_only(postgres, statement):
    with Session(database_engine(postgres.url)) as session:
        note(session, "ann", "a")
        session.commit()
        noted = session.execute(sa.text("SELECT id, actor FROM audit ORDER BY id")).all()
        with pytest.raises(sa.exc.DatabaseError):
            session.execute(sa.text(statement))
        session.rollback()
        assert session.execute(sa.text("SELECT id, actor FROM audit ORDER BY id")).all() == noted
        assert noted


def test_the_door_reads_roles_and_runs_as_the_models_do(postgres):
    with Session(database_engine(postgres.url)) as session:
        for lab, project in (("gamma", "als"), ("delta", "ftd")):
            add_lab(session, lab)
            add_project(session, lab, project)
        share(session, find_project(session, "ftd"), "gamma", Role.REVIEWER)
        key = make_key(session, add_member(session, "gamma", "bea", Role.OPERATOR), "x").secret
        roles = {"als": Role.OPERATOR, "ftd": Role.REVIEWER}
        assert caller_with_key(session, key).roles == roles
        plate = {"name": "P", "rows": 8, "columns": 12, "channels": "[]", "pixel_size_um": 0.5}
        session.add(PlateRow(id="p", project_id="als", **plate))
        session.flush()
        run = {"protocol_name": "x", "engine": "classical", "n_wells": 1, "n_skipped": 0}
        session.add(RunRow(id="r", project_id="als", plate_id="p", **run))
        session.flush()
        session.expire_all()
        row = session.connection().execute(sa.select(RunRow)).one()
        assert session.get_one(RunRow, "r").entries == tuple(row)
        # A backup would look for their files.
        session.rollback()


def test_a_backup_is_restored_into_an_empty_database_and_keys_work(postgres, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{programs()}:/usr/bin:/bin")
    settings = Settings(data_dir=tmp_path / "data", database_url=postgres.url)
    settings.data_dir.mkdir()
    (settings.data_dir / "store.id").write_text("id")
    with Session(database_engine(postgres.url)) as session:
        add_lab(session, "alpha")
        key = make_key(session, add_member(session, "alpha", "ann", Role.VIEWER), "x").secret
        note(session, "ann", "a")
        session.commit()
    back_up(settings, tmp_path / "out")
    shutil.rmtree(settings.data_dir)
    with pytest.raises(BackupError):
        restore(settings, tmp_path / "out")
    # It was refused before the first file.
    assert not settings.data_dir.exists()
    with (
        database_engine(postgres.url)
        .connect()
        .execution_options(isolation_level="AUTOCOMMIT") as connection
    ):
        connection.execute(sa.text("CREATE DATABASE restored"))
    url = sa.engine.make_url(postgres.url).set(database="restored").render_as_string(False)
    again = Settings(data_dir=settings.data_dir, database_url=url)
    restore(again, tmp_path / "out")
    with Session(database_engine(url)) as session:
        assert caller_with_key(session, key).name == "ann"
        with pytest.raises(sa.exc.DatabaseError):
            session.execute(sa.text("DELETE FROM audit"))
    database_engine(url).dispose()
