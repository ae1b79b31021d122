"""A service whose machine can be taken apart: disk, share, database, processes."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
from contextlib import suppress
from pathlib import Path

import psutil
import sqlalchemy as sa

from tests.postgres import Postgres
from tests.service import Service

# The data folder's disk: room for a dozen runs.
DISK_MIB = 200
API_PROCESSES = 2


class Site:
    """Folders, a database and the processes of a service; each can be taken away and given back.

    On SQLite the server keeps its one worker; on Postgres two workers of their own stand beside it.
    What is ended is started again, as systemd would.
    """

    def __init__(self, folder: Path, database: str) -> None:
        self.folder, self.scans, self.data = folder, folder / "share" / "scans", folder / "data"
        self.postgres = Postgres() if database == "postgres" else None
        self.service: Service | None = None
        self._wants_server, self._held = True, None
        self._workers: dict[str, subprocess.Popen[bytes]] = {}
        self.restarts = 0

    def open(self) -> None:
        self.data.mkdir()
        _mount("-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(self.data))
        settings = {}
        if self.postgres:
            self.postgres.start()
            settings["database_url"] = self.postgres.url
        self.service = Service(self.folder, self.scans, **settings)
        self.service.environment["OMP_NUM_THREADS"] = "1"
        worker = self.postgres is None
        self.service.start(worker=worker, seconds=300, processes=API_PROCESSES).close()
        self.headers = {"Authorization": self.service.key}
        self.tend()

    def close(self) -> None:
        self._wants_server = False
        server = self.service and self.service.process
        for process in (server, *self._workers.values()):
            if process is not None:
                kill(tree(process.pid))
        subprocess.run(["umount", "--lazy", str(self.data)], check=True)
        if self.postgres:
            self.postgres.remove()

    def tend(self) -> None:
        """Start again what has ended, unless a fault keeps it away."""
        if self._wants_server and self.service.process.poll() is not None:
            self.restarts += 1
            with (self.folder / "serve.log").open("ab") as log:
                more = ["--processes", str(API_PROCESSES)]
                more += [] if self.postgres is None else ["--no-worker"]
                self.service.process = subprocess.Popen(
                    [*_command("serve"), "--port", str(self.service.port), *more],
                    env=self.service.environment,
                    stdout=log,
                    stderr=log,
                )
        if self.postgres is None:
            return
        for name in ("a", "b"):
            process = self._workers.get(name)
            if process is None or process.poll() is not None:
                self._workers[name] = self.service.start_worker(worker_name=name)

    def processes(self, of: str) -> list[psutil.Process]:
        """Processes that are there now: server, API, supervisor, worker or compute."""
        server = tree(self.service.process.pid)
        if of == "server":
            return server[:1]
        if of == "API":
            return [p for p in server[1:] if _answers(p, server[0])]
        outer = [server, *(tree(p.pid) for p in self._workers.values())]
        if of == "supervisor":
            return [t[0] for t in outer[1:] if t]
        trees = [tree(p.pid) for t in outer for p in t[1:] if _is_worker(p)]
        trees = [t for t in trees if t]
        if of == "worker":
            return [t[0] for t in trees]
        return [p for t in trees for p in t[1:] if _computes(p)]

    def take_server(self) -> None:
        """SIGKILL, and no new start until `give_server`."""
        self._wants_server = False
        kill(self.processes("server"))
        self.service.process.wait()

    def give_server(self) -> None:
        self._wants_server = True

    def take_machine(self) -> None:
        """The whole machine: no process of it says goodbye."""
        self._wants_server = False
        machine = (self.service.process, *self._workers.values())
        kill([one for process in machine for one in tree(process.pid)])
        for process in machine:
            process.wait()

    def fill_disk(self) -> None:
        with (self.data / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
            while ballast.write(65536 * b"x"):
                pass
        with (self.data / "ballast-2").open("wb", buffering=0) as ballast, suppress(OSError):
            while ballast.write(64 * b"x"):
                pass

    def empty_disk(self) -> None:
        for name in ("ballast", "ballast-2"):
            (self.data / name).unlink(missing_ok=True)

    def take_database(self) -> None:
        """Crash Postgres; keep SQLite's file from every other writer."""
        if self.postgres:
            self.postgres.crash()
            return
        self._held = sqlite3.connect(
            self.data / "service.db", isolation_level=None, timeout=10, check_same_thread=False
        )
        self._held.execute("BEGIN EXCLUSIVE")

    def give_database(self) -> None:
        if self.postgres:
            self.postgres.start()
        elif self._held is not None:
            self._held.close()
            self._held = None

    def rows_of(self, run: str) -> list[tuple[str, str, int]]:
        """(well, status, number of rows) of a run, from the database itself."""
        url = self.postgres.url if self.postgres else f"sqlite:///{self.data / 'service.db'}"
        engine = sa.create_engine(url)
        query = (
            "SELECT well, status, count(*) FROM well_result WHERE run_id = :run"
            " GROUP BY well, status ORDER BY well"
        )
        with engine.connect() as connection:
            rows = connection.execute(sa.text(query), {"run": run}).all()
        engine.dispose()
        return [tuple(row) for row in rows]


def tree(pid: int) -> list[psutil.Process]:
    """The process and its descendants that live."""
    try:
        root = psutil.Process(pid)
        if root.status() == psutil.STATUS_ZOMBIE:
            return []
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def kill(processes: list[psutil.Process], number: int = signal.SIGKILL) -> None:
    for process in reversed(processes):
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def _is_worker(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.cmdline()[1:] == ["-m", "imaging_service.cli", "worker"]
    return False


def _answers(process: psutil.Process, server: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.ppid() == server.pid and "spawn_main" in " ".join(process.cmdline())
    return False


def _computes(process: psutil.Process) -> bool:
    """Dask's process that holds the wells, not those which only look after others."""
    with suppress(psutil.NoSuchProcess):
        return process.cpu_times().user > 1
    return False


def _command(verb: str) -> list[str]:
    import sys

    return [sys.executable, "-m", "imaging_service.cli", verb]


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)
