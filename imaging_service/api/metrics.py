"""Figures for Prometheus: requests of this server, and what the database and the disk say.

Addresses are counted by route (`/runs/{run}/wells`), so that the number of series does not grow
with the number of runs.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from typing import Any, cast

import sqlalchemy as sa
from fastapi import FastAPI
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from sqlmodel import Session, col, select

from imaging_service.database.session import database_engine
from imaging_service.database.tables import RunRow, WellRow, WorkerRow
from imaging_service.settings import Settings

# A worker says every five seconds that it lives.
SILENT_S = 30.0
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.5, 1, 2.5, 10)
_ROUTE = ("method", "route")
# The library's own name for the folder in which several processes count together.
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


class Metrics:
    """What the processes of one server count, beside what all servers share."""

    def __init__(self, settings: Settings) -> None:
        self.registry = CollectorRegistry()
        counted = self.registry
        if os.environ.get(SHARED_FOLDER):
            # All processes' figures are read from the folder; this one's alone are shown nowhere.
            counted = CollectorRegistry()
            cast(Any, MultiProcessCollector)(self.registry)
        self._seconds = Histogram(
            "imaging_service_request_seconds",
            "Seconds until a request was answered whole",
            _ROUTE,
            buckets=_SECONDS,
            registry=counted,
        )
        self._requests = Counter(
            "imaging_service_requests",
            "Requests that were answered",
            (*_ROUTE, "status"),
            registry=counted,
        )
        self.registry.register(_Shared(settings))

    def count(self, scope: Mapping[str, Any], status: int, seconds: float) -> None:
        """Count one request by the route that the application found for it."""
        route = str(getattr(scope.get("route"), "path", scope.get("template", "none")))
        self._seconds.labels(scope["method"], route).observe(seconds)
        self._requests.labels(scope["method"], route, str(status)).inc()

    def text(self) -> bytes:
        """All figures in Prometheus's text format."""
        return generate_latest(self.registry)


class _Shared(Collector):
    """Runs, wells, workers and disk: read when they are asked for, the same from every server."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def describe(self) -> list[Any]:
        """Nothing: the database need not be there yet when this is registered."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """A database that is away is `imaging_service_database_up 0`, and no figure of it."""
        up = GaugeMetricFamily("imaging_service_database_up", "1 where the database answers")
        try:
            yield from self._counts()
            up.add_metric([], 1)
        except sa.exc.SQLAlchemyError:
            up.add_metric([], 0)
        yield up
        disk = shutil.disk_usage(self._settings.data_dir.resolve())
        free = GaugeMetricFamily("imaging_service_store_free_bytes", "Space on the data's disk")
        free.add_metric([], disk.free)
        yield free

    def _counts(self) -> list[GaugeMetricFamily]:
        with Session(database_engine(self._settings.url)) as session:
            runs = session.exec(
                select(RunRow.state, sa.func.count()).group_by(col(RunRow.state))
            ).all()
            wells = session.exec(
                select(WellRow.status, sa.func.count()).group_by(col(WellRow.status))
            ).all()
            seen = session.exec(select(WorkerRow.seen)).all()
        by_state = GaugeMetricFamily("imaging_service_runs", "Runs by state", labels=["state"])
        for state, number in runs:
            by_state.add_metric([state], number)
        by_status = GaugeMetricFamily(
            "imaging_service_wells", "Wells that ended, by status", labels=["status"]
        )
        for status, number in wells:
            by_status.add_metric([status], number)
        alive = GaugeMetricFamily("imaging_service_workers_alive", "Workers heard of lately")
        alive.add_metric([], sum(time.time() - s < SILENT_S for s in seen))
        return [by_state, by_status, alive]


def install(app: FastAPI, settings: Settings) -> None:
    """Let the application count."""
    app.state.metrics = Metrics(settings)
