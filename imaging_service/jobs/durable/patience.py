"""Waiting for what is away, and trying again what was lost.

A run whose scan, disk or database is away waits as long as its patience allows and then goes on by
itself. A process that was lost is tried a few times only: a well that ends its process each time
would take the worker down for ever.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from imaging_service.database.session import DATABASE_FAULTS
from imaging_service.errors import Cancelled, MachineError, Unavailable
from imaging_service.jobs.parallel.away import cause, shortage

T = TypeVar("T")
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
ATTEMPTS = 4


class Patience:
    """The pauses of one run: each twice the last, until together they are all that it has."""

    def __init__(self, seconds: float) -> None:
        self._left, self._pause = seconds, FIRST_PAUSE_S

    def pause(self) -> float | None:
        """Seconds to wait before the next attempt; None once the patience is used up."""
        if self._left <= 0:
            return None
        pause = min(self._pause, self._left)
        self._left -= pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE_S)
        return pause


def attempted(work: Callable[[], T], data: Path) -> tuple[T | None, dict[str, Any]]:
    """The work's result, or how it ended without one.

    That is {"status": "waiting"}, with the reason, where something is away or full;
    {"status": "cancelled"}; or {"status": "failed"}, where the process was lost each time.
    """
    if reason := shortage(data):
        return None, {"status": "waiting", "reason": reason}
    lost = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(2.0 ** (attempt - 1))
        try:
            return work(), {}
        except Cancelled:
            return None, {"status": "cancelled", "reason": ""}
        except Unavailable as error:
            return None, {"status": "waiting", "reason": str(error)}
        except OSError as error:
            return None, {"status": "waiting", "reason": cause(error)}
        except DATABASE_FAULTS as error:
            told = error.orig if isinstance(error, sa.exc.DBAPIError) else error
            return None, {"status": "waiting", "reason": f"database not reachable: {told}"}
        except MachineError as error:
            lost = str(error)
    return None, {"status": "failed", "reason": f"{lost} ({ATTEMPTS} attempts)"}


def until_written(work: Callable[[], T], seconds: float) -> T:
    """A transaction's result; it is tried again while the database is away or full.

    Raises the database's last error once `seconds` are over.
    """
    patience = Patience(seconds)
    while True:
        try:
            return work()
        except DATABASE_FAULTS:
            pause = patience.pause()
            if pause is None:
                raise
            time.sleep(min(pause, 10.0))
