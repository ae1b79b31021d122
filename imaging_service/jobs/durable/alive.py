"""Who is working: a worker says every few seconds that it lives, and takes over from the dead.

A worker that is dead is known by its row, which no longer changes; clocks of several machines are
not compared. Its workflows go back to their queues, and whatever it may still finish late is the
same work, of which each well has one row.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import sqlalchemy as sa
from sqlmodel import Session, select

from imaging_service import __version__
from imaging_service.database.session import database_engine
from imaging_service.database.tables import WorkerRow
from imaging_service.files import remove
from imaging_service.jobs.parallel.away import shortage
from imaging_service.settings import Settings

BEAT_S = 5.0
# Long enough for a pause of the database, short enough for its wells to be taken over within two
# minutes.
DEAD_S = 60.0
# Work on one scratch folder takes minutes.
ORPHANED_S = 3600.0


def name_of(settings: Settings) -> str:
    """This worker's name, the same after each start."""
    return settings.worker_name or socket.gethostname() or "worker"


class Beat:
    """The worker's own row, and what it has seen of the others'."""

    def __init__(
        self,
        settings: Settings,
        take_over: Callable[[str], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._take_over, self._clock = settings, take_over, clock
        self._seen: dict[str, tuple[float, float]] = {}

    def once(self) -> None:
        """Say that this worker lives and what it waits for; take over from those that do not."""
        name = name_of(self._settings)
        row = WorkerRow(
            name=name,
            host=socket.gethostname(),
            process=os.getpid(),
            version=__version__,
            seen=time.time(),
            state=shortage(self._settings.data_dir.resolve()) or "working",
        )
        with Session(database_engine(self._settings.url)) as session:
            others = session.exec(select(WorkerRow).where(WorkerRow.name != name)).all()
            beats = {other.name: other.seen for other in others}
            session.merge(row)
            session.commit()
        for other, seen in beats.items():
            before, since = self._seen.get(other, (None, 0.0))
            if before != seen:
                self._seen[other] = (seen, self._clock())
            elif self._clock() - since > DEAD_S:
                self._take_over(other)

    def forever(self, stop: threading.Event) -> None:
        """Beat until told to stop; a database that is away is tried again."""
        while not stop.is_set():
            with suppress(sa.exc.DBAPIError, sa.exc.TimeoutError):
                self.once()
            stop.wait(BEAT_S)


def sweep_orphans(data: Path, now: float) -> int:
    """Remove scratch that killed attempts left in the data folder; returns how many there were."""
    patterns = [f"plates/{level * '*/'}.staged-*" for level in (1, 2)]
    patterns += [f"runs/{level * '*/'}.staged-*" for level in (1, 2, 3)]
    orphans = []
    for pattern in patterns:
        for path in data.glob(pattern):
            with suppress(OSError):
                if now - path.stat().st_mtime > ORPHANED_S:
                    orphans.append(path)
    for path in orphans:
        remove(path)
    return len(orphans)
