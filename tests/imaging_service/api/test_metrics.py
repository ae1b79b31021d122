"""What Prometheus is told: counted requests, runs, wells, workers, and a database that is away."""

from __future__ import annotations

import time

import pytest
import sqlalchemy as sa
from prometheus_client.parser import text_string_to_metric_families
from sqlmodel import Session

from imaging_service.api import metrics
from imaging_service.database.session import database_engine
from imaging_service.database.tables import WorkerRow


def figures(served):
    """(name, labels) ► value of every sample."""
    answer = served.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        (s.name, *sorted(s.labels.values())): s.value
        for family in text_string_to_metric_families(answer.text)
        for s in family.samples
    }


def test_requests_are_counted_by_route_and_not_by_run(served):
    for _ in range(3):
        served.get("/runs/RUN/wells")
    served.get("/runs/ffffffff/wells")
    served.get("/nothing")
    counted = figures(served)
    name = "imaging_service_requests_total"
    assert counted[name, "/runs/{run}/wells", "200", "GET"] == 3
    assert counted[name, "/runs/{run}/wells", "404", "GET"] == 1
    assert counted[name, "404", "GET", "none"] == 1
    assert counted["imaging_service_request_seconds_count", "/runs/{run}/wells", "GET"] == 4
    assert not any(served.run[:12] in str(key) for key in counted)


def test_runs_wells_workers_and_disk_are_those_of_the_database(served):
    with Session(database_engine(served.settings.url)) as session:
        for name, age in (("a", 0.0), ("b", 60.0)):
            session.add(
                WorkerRow(
                    name=name, host="h", process=1, version="v", seen=time.time() - age, state=""
                )
            )
        session.commit()
    wells = served.get("/runs/RUN/progress").json()
    known = figures(served)
    assert known["imaging_service_runs", "done"] == 1
    for status in {w["status"] for w in wells} - {"skipped"}:
        number = sum(w["status"] == status for w in wells)
        assert known["imaging_service_wells", status] == number
    assert known["imaging_service_workers_alive",] == 1
    assert known["imaging_service_database_up",] == 1
    assert known["imaging_service_store_free_bytes",] > 0


@pytest.mark.parametrize(
    "error", [sa.exc.OperationalError("x", {}, Exception()), sa.exc.TimeoutError("pool")]
)
def test_a_database_that_is_away_is_a_figure_and_no_error(served, monkeypatch, error):
    def away(_):
        raise error

    monkeypatch.setattr(metrics, "database_engine", away)
    known = figures(served)
    assert known["imaging_service_database_up",] == 0
    assert not any(key[0] == "imaging_service_runs" for key in known)
