from __future__ import annotations

import time

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from imaging_service import __version__
from imaging_service.api.routes import health
from imaging_service.database.session import database_engine
from imaging_service.database.tables import WorkerRow


def worker(served, seen=0.0, state="working"):
    with Session(database_engine(served.settings.url)) as session:
        session.merge(
            WorkerRow(
                name="w", host="h", process=1, version="v", seen=time.time() - seen, state=state
            )
        )
        session.commit()


def test_a_service_with_a_living_worker_is_ready(served):
    worker(served)
    known = served.get("/health").json()
    assert (known["version"], known["ready"], known["database"], known["store"]) == (
        __version__,
        True,
        "ok",
        "ok",
    )
    assert [(w["name"], w["alive"]) for w in known["workers"]] == [("w", True)]
    assert served.get("/health/ready").status_code == 200


@pytest.mark.parametrize("seen", [None, 60.0])
def test_without_a_living_worker_nothing_is_taken(served, seen):
    if seen is not None:
        worker(served, seen)
    known = served.get("/health").json()
    assert (known["ready"], len(known["problems"])) == (False, 1)
    answer = served.get("/health/ready")
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:imaging-service:busy")


def test_a_full_disk_is_told(served, monkeypatch):
    full = "no space left on the disk of /d"
    worker(served, state=full)
    monkeypatch.setattr(health, "shortage", lambda _: full)
    known = served.get("/health").json()
    assert (known["ready"], known["store"], known["problems"]) == (False, full, [full])


def test_a_database_that_is_away_is_told_and_the_server_lives(served, monkeypatch):
    def away(_):
        raise sa.exc.OperationalError("SELECT", None, Exception("connection refused"))

    monkeypatch.setattr(health, "database_engine", away)
    known = served.get("/health").json()
    assert (known["ready"], known["database"]) == (
        False,
        "database not reachable: connection refused",
    )
    assert served.get("/health/live").json() == {"version": __version__}
