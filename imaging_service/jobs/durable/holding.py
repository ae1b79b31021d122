"""Hold what takes files away while a backup copies them.

One lock file in the data folder: the backup holds it as long as it copies, deleting and trying
again for as long as they take. A kill releases it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from imaging_service.errors import Busy
from imaging_service.settings import Settings

# Two deletions wait for each other; a backup takes longer.
_PATIENCE_S = 10.0


@contextmanager
def held_for_backup(settings: Settings) -> Iterator[None]:
    """For a backup. Raises Busy where another one goes on."""
    with _held(settings, "another backup goes on; try again once it has ended"):
        yield


@contextmanager
def no_backup(settings: Settings) -> Iterator[None]:
    """For what removes files. Raises Busy while a backup copies them."""
    with _held(
        settings, "a backup is being made, and needs what this would remove; try again soon"
    ):
        yield


@contextmanager
def _held(settings: Settings, refusal: str) -> Iterator[None]:
    held = FileLock(settings.data_dir.resolve() / "backup.lock", timeout=_PATIENCE_S)
    try:
        held.acquire()
    except Timeout as error:
        raise Busy(refusal) from error
    try:
        yield
    finally:
        held.release()
