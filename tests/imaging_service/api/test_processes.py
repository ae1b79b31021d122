"""Two processes of the API on one address: a caller cannot tell which of them answers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlmodel import Session, col, select

from imaging_service.access.keys import make_key
from imaging_service.access.members import add_member
from imaging_service.access.roles import Role
from imaging_service.access.secret_files import LOCAL_TOKEN, secret
from imaging_service.api import processes
from imaging_service.api.metrics import SHARED_FOLDER
from imaging_service.database.session import database_engine, find_run
from imaging_service.database.tables import TableRow
from imaging_service.database.tenants import LOCAL_LAB
from imaging_service.settings import Settings
from tests.service import Service

AT_ONCE = 12


@dataclass
class Pair:
    """A server of two processes over a finished run."""

    service: Service
    settings: Settings
    run: str

    def children(self) -> dict[int, psutil.Process]:
        """The processes that answer, by their ids."""
        return {
            child.pid: child
            for child in psutil.Process(self.service.process.pid).children()
            if child.status() != psutil.STATUS_ZOMBIE
            and any("spawn_main" in word for word in child.cmdline())
        }

    def counted_by(self) -> set[int]:
        """Which processes have answered a request."""
        folders = [Path(c.environ()[SHARED_FOLDER]) for c in self.children().values()]
        return {int(p.stem.removeprefix("counter_")) for p in folders[0].glob("counter_*.db")}

    def ask(self, path: str, **more) -> list[httpx.Response]:
        """The same request many times at once, each over a connection of its own."""
        url, headers = f"{self.service.url}{path}", {"Authorization": self.service.key}

        def one(_: int) -> httpx.Response:
            return httpx.get(url, timeout=60, **({"headers": headers} | more))

        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(one, range(AT_ONCE)))

    def ask_both(self, path: str, **more) -> list[httpx.Response]:
        """Ask until each of the two has answered something."""
        answers = self.ask(path, **more)
        deadline = time.monotonic() + 60
        while len(self.counted_by() & set(self.children())) < 2:
            assert time.monotonic() < deadline, self.service.log()
            answers += self.ask(path, **more)
        return answers


@pytest.fixture(scope="module")
def pair(site, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    shutil.copytree(site.settings.data_dir, folder / "data")
    service = Service(folder, folder)
    service.start(worker=False, processes=2).close()
    settings = Settings(data_dir=folder / "data")
    yield Pair(service, settings, site.run)
    service.stop()
    database_engine(settings.url).dispose()


@pytest.mark.parametrize(
    ("cores", "wanted", "count"), [(2, 0, 1), (8, 0, 2), (64, 0, 4), (64, 1, 1), (2, 3, 3)]
)
def test_there_is_one_process_per_four_cores_unless_the_user_wants_others(
    monkeypatch, cores, wanted, count
):
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert processes.process_count(wanted) == count


@pytest.mark.slow
def test_requests_of_both_are_counted_together(pair):
    answers = pair.ask_both(f"/runs/{pair.run}/wells")
    assert {a.status_code for a in answers} == {200}
    key = "imaging_service_requests_total", "/runs/{run}/wells", "200", "GET"
    for answer in pair.ask("/metrics"):
        counted = {
            (s.name, *sorted(s.labels.values())): s.value
            for family in text_string_to_metric_families(answer.text)
            for s in family.samples
        }
        assert counted[key] == len(answers)
        assert counted["imaging_service_runs", "done"] == 1


def test_a_table_that_a_review_changed_is_the_new_one_from_both(pair):
    path = f"/runs/{pair.run}/wells"
    (before,) = {(a.headers["ETag"], a.text) for a in pair.ask_both(path)}
    with Session(database_engine(pair.settings.url)) as session:
        run = find_run(session, pair.run)
        rows = session.exec(
            select(TableRow).where(TableRow.run_id == run.id, col(TableRow.revision) == 1)
        ).all()
        for row in rows:
            content = json.loads(row.content) | {"reason": "reviewed"}
            values = row.model_dump(exclude={"id"})
            session.add(TableRow(**values | {"revision": 2, "content": json.dumps(content)}))
        run.revision = 2
        session.commit()
    (after,) = {(a.headers["ETag"], a.text) for a in pair.ask(path)}
    assert after[0] != before[0]
    assert {row["reason"] for row in json.loads(after[1])} == {"reviewed"}
    known = {"Authorization": pair.service.key, "If-None-Match": before[0]}
    assert {a.status_code for a in pair.ask(path, headers=known)} == {200}


def test_a_session_that_one_began_is_known_to_both_and_ended_for_both(pair):
    token = secret(pair.settings.data_dir, LOCAL_TOKEN)
    opened = httpx.get(f"{pair.service.url}/open", params={"token": token})
    session = {"headers": {}, "cookies": dict(opened.cookies)}
    assert {a.status_code for a in pair.ask_both("/runs", **session)} == {200}
    with Session(database_engine(pair.settings.url)) as database:
        member = add_member(database, LOCAL_LAB, "first", Role.ADMINISTRATOR)
        make_key(database, member, "first key")
        database.commit()
    assert {a.status_code for a in pair.ask("/runs", **session)} == {401}
    assert {a.status_code for a in pair.ask("/runs")} == {401}


def test_one_that_is_lost_is_replaced_and_both_end_with_a_killed_server(pair):
    before = pair.children()
    assert len(before) == 2
    lost = min(before)
    os.kill(lost, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while len(pair.children()) < 2 or lost in pair.children():
        assert time.monotonic() < deadline, pair.service.log()
        assert pair.ask("/health/live")[0].status_code == 200
    left = list(pair.children().values())
    pair.service.kill()
    assert psutil.wait_procs(left, timeout=120)[1] == []
    with socket.socket() as address:
        address.bind(("127.0.0.1", pair.service.port))
