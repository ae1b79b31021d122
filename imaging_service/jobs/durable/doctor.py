"""What keeps this machine from its work: each part looked at, with what to do."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import sqlalchemy as sa
from sqlmodel import Session, select

from imaging_service.database.session import database_engine
from imaging_service.database.tables import WorkerRow
from imaging_service.errors import ServiceError
from imaging_service.incoming.s3 import S3Path
from imaging_service.jobs.durable.opening import prepare_database
from imaging_service.jobs.durable.store import prove_store
from imaging_service.jobs.parallel.away import shortage
from imaging_service.settings import Settings

# A worker says every five seconds that it lives; clocks that differ by more mislead who reads it.
_SILENT_S, _CLOCK_S = 30.0, 10.0


@dataclass(frozen=True)
class Finding:
    """One part: whether it is well, and in words what was found."""

    part: str
    well: bool
    text: str


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at database, store, space, scan roots, workers and clock, weights, GPU and Dask."""
    parts: tuple[tuple[str, Callable[[Settings], str]], ...] = (
        ("database", _database),
        ("store", _store),
        ("space", _space),
        ("scan roots", _roots),
        ("workers", _workers),
        ("weights", _weights),
        ("GPU", _gpu),
        ("Dask", _dask),
    )
    for part, look in parts:
        try:
            yield Finding(part, True, look(settings))
        # TypeError is Dask's word for a tls:// address without certificates in its configuration.
        except (
            ServiceError,
            sa.exc.SQLAlchemyError,
            OSError,
            RuntimeError,
            ImportError,
            TypeError,
        ) as error:
            yield Finding(part, False, str(error))


def _database(settings: Settings) -> str:
    prepare_database(settings.url)
    return sa.engine.make_url(settings.url).render_as_string(hide_password=True)


def _store(settings: Settings) -> str:
    return f"{settings.data_dir.resolve()}, store {prove_store(settings)[:8]}"


def _space(settings: Settings) -> str:
    if reason := shortage(settings.data_dir.resolve()):
        raise OSError(reason)
    return "enough"


def _roots(settings: Settings) -> str:
    # What S3 refuses, `exists` says.
    closed = [
        str(r)
        for r in settings.roots
        if r.exists() and not isinstance(r, S3Path) and not os.access(r, os.R_OK | os.X_OK)
    ]
    absent = [str(r) for r in settings.roots[:-1] if not r.exists()]
    if closed or absent:
        raise OSError(
            f"not readable: {', '.join(closed) or 'none'}; not there: {', '.join(absent) or 'none'}"
        )
    return ", ".join(map(str, settings.roots))


def _workers(settings: Settings) -> str:
    with Session(database_engine(settings.url)) as session:
        rows = session.exec(select(WorkerRow)).all()
    silent = {row.name: time.time() - row.seen for row in rows}
    if any(seconds < -_CLOCK_S for seconds in silent.values()):
        raise RuntimeError("a worker's clock is ahead of this machine's; let both follow a server")
    alive = [row for row in rows if silent[row.name] < _SILENT_S]
    if not alive:
        raise RuntimeError(
            "no worker is alive; start `imaging-service serve` or `imaging-service worker`"
        )
    return ", ".join(f"{row.name}: {row.state}" for row in alive)


def _weights(_: Settings) -> str:
    from segmentation.engines.weights import motornet_checkpoint

    checkpoint = motornet_checkpoint()
    return f"{checkpoint.name} {checkpoint.sha256[:12]}"


def _gpu(_: Settings) -> str:
    import torch

    if not torch.cuda.is_available():
        return "none: wells are analysed on the processor"
    return str(torch.cuda.get_device_name())


def _dask(settings: Settings) -> str:
    if not settings.dask_scheduler:
        return "a cluster of this machine, started by the worker"
    from distributed import Client

    with Client(settings.dask_scheduler, set_as_default=False, timeout=10) as client:
        return f"{settings.dask_scheduler}, {len(client.scheduler_info()['workers'])} processes"
