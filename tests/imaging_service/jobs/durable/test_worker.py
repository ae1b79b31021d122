from __future__ import annotations

import io
import sqlite3
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from imaging_service.errors import Forbidden
from imaging_service.jobs.durable import worker
from imaging_service.settings import Settings


def test_a_data_folder_has_one_worker(tmp_path):
    mine, other = (Settings(data_dir=tmp_path / name) for name in ("data", "other"))
    with worker.only_worker(mine):
        with pytest.raises(Forbidden), worker.only_worker(mine):
            pass
        with worker.only_worker(other):
            pass
    with worker.only_worker(mine):
        pass


def test_workers_on_one_postgres_are_told_apart_by_their_names(tmp_path):
    a, b, again = (
        Settings(data_dir=tmp_path, database_url="postgresql://x/y", worker_name=name)
        for name in ("a", "b", "a")
    )
    with (
        worker.only_worker(a),
        worker.only_worker(b),
        pytest.raises(Forbidden),
        worker.only_worker(again),
    ):
        pass


@pytest.mark.parametrize("words", worker._UNWRITABLE)
def test_a_database_that_cannot_be_written_is_noticed(words):
    stumbled = threading.Event()
    worker.watch_database(stumbled)
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        with pytest.raises(sa.exc.OperationalError):
            connection.execute(sa.text("SELECT * FROM nowhere"))
        assert not stumbled.is_set()

        @sa.event.listens_for(engine, "do_execute")
        def fail(*_):
            raise sqlite3.OperationalError(words)

        with pytest.raises(sa.exc.OperationalError):
            connection.execute(sa.text("SELECT 1"))
    assert stumbled.is_set()
    engine.dispose()


def test_a_worker_ends_with_the_server_s_end_of_the_pipe(monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"")))
    ends = []
    monkeypatch.setattr(worker.os, "_exit", ends.append)
    stop, begun = threading.Event(), threading.Event()
    worker._watch_parent(stop, begun)
    # What has not begun leaves nothing, so it ends at once.
    assert (stop.is_set(), ends) == (True, [0])
    begun.set()
    worker._watch_parent(stop, begun)
    assert ends == [0]


class Child:
    """A worker process that dies after so many looks at it."""

    def __init__(self, looks):
        self.looks, self.returncode, self.killed = looks, 3, False
        self.stdin = io.BytesIO()

    def poll(self):
        self.looks -= 1
        return None if self.looks >= 0 else 3

    def wait(self, timeout):
        raise subprocess.TimeoutExpired("worker", timeout)

    def kill(self):
        self.killed = True


class Stop:
    """Is set after so many pauses; keeps them."""

    def __init__(self, pauses):
        self.left, self.waited = pauses, []

    def is_set(self):
        return self.left == 0

    def wait(self, pause):
        self.waited.append(pause)
        self.left -= 1


@pytest.fixture
def children(monkeypatch):
    started = []
    monkeypatch.setattr(worker.time, "sleep", lambda _: None)

    def start(command, **more):
        started.append((command, more["env"], Child(0)))
        return started[-1][2]

    monkeypatch.setattr(worker.subprocess, "Popen", start)
    return started


def test_a_worker_that_dies_at_once_is_started_more_and_more_slowly(children, tmp_path):
    stop = Stop(8)
    worker.supervise(Settings(data_dir=tmp_path), stop)
    assert stop.waited == [1.0, 2.0, 4.0, 8.0, 16.0, 30, 30, 30]
    assert len(children) == 8
    command, environment, _ = children[0]
    assert command == [sys.executable, "-m", "imaging_service.cli", "worker"]
    assert environment["IMAGING_SERVICE_DATA_DIR"] == str(tmp_path.resolve())
    assert environment["IMAGING_SERVICE_SUPERVISED"] == "1"


def test_a_worker_that_ran_for_long_is_started_again_at_once(children, tmp_path, monkeypatch):
    clock = iter(range(0, 10_000, 31))
    monkeypatch.setattr(worker.time, "monotonic", lambda: next(clock))
    stop = Stop(3)
    worker.supervise(Settings(data_dir=tmp_path), stop)
    assert stop.waited == [0.5, 0.5, 0.5]


def test_a_worker_that_does_not_end_by_itself_is_killed(children, tmp_path, monkeypatch):
    stop = threading.Event()
    monkeypatch.setattr(Child, "poll", lambda _: stop.set())
    worker.supervise(Settings(data_dir=tmp_path), stop)
    ((_, _, child),) = children
    assert child.stdin.closed
    assert child.killed
