"""A real service for tests: server process with its worker on a free port, in a folder of its own."""

from __future__ import annotations

import atexit
import os
import random
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import httpx
import psutil

from imaging_service.client import Client

PORTS = range(20_000, 32_768)
_RESERVED: list[socket.socket] = []


def free_port() -> int:
    """A port that no process listens on, that no other caller is given, and no connection either.

    Those that the system gives (from 32768 on with Linux) are lost to any connection that is opened
    before a server listens. A server that needs eight ports, beside others in several processes,
    met one that was chosen twice. So the port of the same number for UDP is held until this process
    ends, which says to all processes of all suites that it is taken.
    """
    while True:
        port = random.SystemRandom().choice(PORTS)
        reservation = socket.socket(type=socket.SOCK_DGRAM)
        try:
            reservation.bind(("127.0.0.1", port))
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            reservation.close()
            continue
        _RESERVED.append(reservation)
        return port


@atexit.register
def _give_back() -> None:
    for reservation in _RESERVED:
        reservation.close()


class PlainHttp:
    """`httpx.get` and the others, each on a connection of its own, with a key."""

    def __init__(self, headers: dict[str, str]) -> None:
        self._headers = headers

    def __getattr__(self, verb: str):
        def ask(url: str, *, headers=None, **more) -> httpx.Response:
            return httpx.request(verb.upper(), url, headers=self._headers | (headers or {}), **more)

        return ask


class Service:
    """Start, kill and stop `imaging-service serve`."""

    def __init__(self, folder: Path, scans: Path, **settings: str) -> None:
        """`settings` are those of the service, by the names of its environment variables."""
        self.folder, self.port = folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            **os.environ,
            "IMAGING_SERVICE_DATA_DIR": str(folder / "data"),
            "IMAGING_SERVICE_SCAN_ROOTS": str(scans),
            "IMAGING_SERVICE_POLL_SECONDS": "0.1",
            # Each process that waits for wells costs seconds of imports.
            "IMAGING_SERVICE_WORKERS": "1",
            **{f"IMAGING_SERVICE_{name.upper()}": value for name, value in settings.items()},
        }
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def key(self) -> str:
        """The header `Authorization` of the user who started the service."""
        with Client(self.url) as client:
            return client.headers["Authorization"]

    @cached_property
    def http(self) -> PlainHttp:
        """Plain HTTP with the key that the started service left for its user."""
        return PlainHttp({"Authorization": self.key})

    def start(self, *, worker: bool = True, seconds: float = 180, processes: int = 0) -> Client:
        log = (self.folder / "serve.log").open("ab")
        command = [sys.executable, "-m", "imaging_service.cli", "serve", "--port", str(self.port)]
        command += ["--processes", str(processes)] + ([] if worker else ["--no-worker"])
        self.process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        log.close()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{self.url}/health", timeout=10).status_code == 200:
                    return Client(self.url)
            except httpx.HTTPError:
                time.sleep(0.2)
        raise AssertionError(f"the service did not start:\n{self.log()}")

    def start_worker(
        self, on: Callable[..., list[str]] = lambda *command: [*command], **settings: str
    ) -> subprocess.Popen[bytes]:
        """A worker of its own, beside the server; it is the caller's to end.

        `on` makes of the command that which starts it on another host.
        """
        more = {f"IMAGING_SERVICE_{name.upper()}": value for name, value in settings.items()}
        with (self.folder / "worker.log").open("ab") as log:
            return subprocess.Popen(
                on(sys.executable, "-m", "imaging_service.cli", "worker"),
                env=self.environment | more,
                stdout=log,
                stderr=log,
            )

    def worker_log(self) -> str:
        return (self.folder / "worker.log").read_text(errors="replace")[-5000:]

    def log(self) -> str:
        return (self.folder / "serve.log").read_text(errors="replace")[-5000:]

    def link(self, seconds: float = 60) -> str:
        """What opens a service without members in a browser; printed once the service answers."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            printed = (self.folder / "serve.log").read_text(errors="replace")
            if found := re.search(r"http://\S+/open\?token=\S+(?=\n)", printed):
                return found[0]
            time.sleep(0.1)
        raise AssertionError(f"no link was printed:\n{self.log()}")

    def worker(self) -> psutil.Process | None:
        """The worker process, if it is running."""
        for child in psutil.Process(self.process.pid).children():
            if "worker" in child.cmdline():
                return child
        return None

    def kill(self) -> None:
        """SIGKILL, as a machine's death would."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None:
            everything = (
                psutil.Process(self.process.pid).children(recursive=True)
                if self.process.poll() is None
                else []
            )
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            psutil.wait_procs(everything, timeout=10)
            for process in everything:
                if process.is_running():
                    process.kill()


def submit_phantom(client: Client, plate: Path):
    """Submit the phantom plate in a folder; the run's state."""
    return client.submit(plate / "Phantom-1", plate / "plate_map.csv", plate / "protocol.toml")


def wait_for(
    client: Client,
    run: str,
    *,
    states: tuple[str, ...] = ("done", "failed"),
    at_least: int = 0,
    seconds: float = 400,
):
    """The run once it is in one of the states, or has so many wells done."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        state = client.run(run)
        if state.state in states or (at_least and state.progress.done >= at_least):
            return state
        time.sleep(0.1)
    raise AssertionError(f"run {run} is {client.run(run)} after {seconds} s")
