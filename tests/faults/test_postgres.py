"""Several workers on one Postgres; one of them, or the database, is lost."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import sqlalchemy as sa

from tests.hosts import kill_all
from tests.messages import states
from tests.service import wait_for

pytestmark = pytest.mark.slow


def one_row_a_well(url: str) -> bool:
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        rows = connection.execute(
            sa.text("SELECT well, count(*) FROM well_result GROUP BY well")
        ).all()
    engine.dispose()
    return sorted(rows) == [(w, 1) for w in ("B02", "B03", "B04", "B05", "C02", "C03")]


def test_a_lost_worker_s_run_is_taken_over_within_two_minutes(
    small_on_postgres, small_run, postgres
):
    small = small_on_postgres
    run = small.submit()
    path = min(small.scan.glob("p_B05_*.tif"))
    away = path.rename(small.folder / path.name)
    with small.worker(worker_name="a") as lost:
        assert (
            wait_for(small.client, run.id, states=("waiting", "done", "failed")).state == "waiting"
        )
        with small.worker(worker_name="b"):
            while len(small.client.ask("GET", "/health").json()["workers"]) < 2:
                time.sleep(0.5)
            kill_all(lost)
            away.rename(path)
            started = time.monotonic()
            ended = wait_for(small.client, run.id)
            assert time.monotonic() - started < 180, "two minutes, and the work itself"
            assert (ended.state, ended.progress.failed) == ("done", 0), small.service.worker_log()
            assert states("alive.took_over", small.service.worker_log(), dead="a")
    assert one_row_a_well(postgres.url)
    small.tables_equal(run.id, small_run)


def test_two_processes_of_the_api_answer_as_one(small_on_postgres, small_run):
    small = small_on_postgres
    small.client.close()
    small.service.stop()
    small.client = small.service.start(worker=False, processes=2)

    def answers(path):
        url, headers = f"{small.service.url}{path}", {"Authorization": small.service.key}
        with ThreadPoolExecutor(12) as pool:
            return list(pool.map(lambda _: httpx.get(url, headers=headers, timeout=60), range(24)))

    run = small.submit()
    assert {a.json()["state"] for a in answers(f"/runs/{run.id}")} == {"queued"}
    with small.worker():
        assert wait_for(small.client, run.id).state == "done", small.service.worker_log()
        small.tables_equal(run.id, small_run)
        assert {a.json()["state"] for a in answers(f"/runs/{run.id}")} == {"done"}
        (table,) = {(a.headers["ETag"], a.text) for a in answers(f"/runs/{run.id}/wells")}
        assert len(json.loads(table[1])) == 7
        small.client.delete(run.id)
        assert {a.status_code for a in answers(f"/runs/{run.id}/wells")} == {404}


def test_a_database_that_crashes_in_the_middle_is_waited_for(
    small_on_postgres, small_run, postgres
):
    small = small_on_postgres
    run = small.submit()
    path = min(small.scan.glob("p_B05_*.tif"))
    away = path.rename(small.folder / path.name)
    with small.worker():
        assert (
            wait_for(small.client, run.id, states=("waiting", "done", "failed")).state == "waiting"
        )
        postgres.crash()
        away.rename(path)
        time.sleep(10)
        assert small.client.ask("GET", "/health/live").status_code == 200
        assert not small.client.ask("GET", "/health").json()["ready"]
        postgres.start()
        ended = wait_for(small.client, run.id)
        assert (ended.state, ended.progress.failed) == ("done", 0), small.service.worker_log()
    assert one_row_a_well(postgres.url)
    small.tables_equal(run.id, small_run)
