"""A real service over a small scan, whose faults come and go."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa

from imaging_service.jobs.summary import TABLES
from tests.imaging_service.conftest import MAP, PROTOCOL, small_inputs, small_run
from tests.postgres import Postgres
from tests.service import Service

__all__ = ["small_inputs", "small_run"]


class Small:
    """The six wells of `small_run`: their scan, to be moved about, and a service."""

    def __init__(self, folder: Path, scan: Path, **settings: str) -> None:
        self.folder, self.scans = folder, folder / "scans"
        self.scan = shutil.copytree(scan, self.scans / scan.name)
        (folder / "map.csv").write_text(MAP)
        (folder / "protocol.toml").write_text(
            f'name = "{PROTOCOL["name"]}"\n'
            f"response.phenotypes = {json.dumps(PROTOCOL['response']['phenotypes'])}\n"
            'segmentation.engine = "classical"\n'
            '[channels]\ndna = "1"\nneurite = "2"\naggregate = "3"\n'
        )
        self.service = Service(folder, self.scans, **settings)
        self.client = None

    def submit(self):
        return self.client.submit(
            self.scan, self.folder / "map.csv", self.folder / "protocol.toml", device="cpu"
        )

    @contextmanager
    def worker(self, **settings: str):
        """A worker beside the server, from here to the block's end."""
        process = self.service.start_worker(**settings)
        try:
            yield process
        finally:
            end(process)

    def tables_equal(self, run: str, expected: Path) -> None:
        for name in TABLES:
            ours = self.folder / "data" / "runs" / run / f"{name}.parquet"
            assert ours.read_bytes() == (expected / f"{name}.parquet").read_bytes(), name


def end(process: subprocess.Popen[bytes]) -> None:
    everything = []
    if process.poll() is None:
        everything = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for child in psutil.wait_procs(everything, timeout=10)[1]:
        child.kill()


@pytest.fixture
def small(tmp_path, small_inputs):
    """A running server without a worker; tests start one when the fault is there."""
    made = Small(tmp_path, small_inputs.scan)
    made.client = made.service.start(worker=False)
    yield made
    made.client.close()
    made.service.stop()


@pytest.fixture(scope="session")
def postgres():
    """A Postgres that the session starts; its database is the tests' one after another."""
    made = Postgres()
    made.start()
    yield made
    made.remove()


@pytest.fixture
def small_on_postgres(tmp_path, small_inputs, postgres):
    """As `small`, on an empty Postgres."""
    engine = sa.create_engine(postgres.url)
    with engine.begin() as connection:
        connection.execute(sa.text("DROP SCHEMA IF EXISTS dbos CASCADE"))
        connection.execute(sa.text("DROP SCHEMA public CASCADE"))
        connection.execute(sa.text("CREATE SCHEMA public"))
    engine.dispose()
    made = Small(tmp_path, small_inputs.scan, database_url=postgres.url)
    made.client = made.service.start(worker=False)
    yield made
    made.client.close()
    made.service.stop()
