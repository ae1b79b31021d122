"""Put a backup back, and let what was in flight go on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from sqlmodel import Session, select

from imaging_service.backups.copying import copy_checked
from imaging_service.backups.databases import check_empty, restore_database
from imaging_service.backups.manifest import Manifest, read_manifest
from imaging_service.database.session import database_engine
from imaging_service.database.tables import RunRow
from imaging_service.errors import BackupError
from imaging_service.files import write_bytes
from imaging_service.jobs.durable.opening import prepare_database
from imaging_service.jobs.durable.queue import request_review
from imaging_service.jobs.durable.verbs import GOING_ON
from imaging_service.jobs.durable.workflows import run_folder
from imaging_service.review.log import ReviewLog
from imaging_service.settings import Settings


def restore(
    settings: Settings, folder: Path, progress: Callable[[int], None] = lambda _: None
) -> Manifest:
    """Fill an empty data folder and database from a backup; every file is checked.

    Files come first and the database last, so that an interrupted restoration does not start as a
    service. The schema is brought to this version; runs that were in flight go on when a worker
    starts.

    Raises BackupError for a backup that is not whole or was damaged, a data folder that is not
    empty, or one at another path than the backed-up one.
    """
    manifest = read_manifest(folder)
    root = settings.data_dir.resolve()
    if str(root) != manifest.data_dir:
        raise BackupError(
            f"the backup is of the data folder {manifest.data_dir}, and its runs name their plates"
            f" by that path; set IMAGING_SERVICE_DATA_DIR to it, or mount {root} there"
        )
    if root.is_dir() and any(root.iterdir()):
        raise BackupError(f"{root} is not empty; move it away, so that nothing is lost")
    database = folder / manifest.database
    if (
        not database.is_file()
        or hashlib.sha256(database.read_bytes()).hexdigest() != manifest.database_sha256
    ):
        raise BackupError(f"{database} is missing, or was changed since the backup was made")
    # Before the first file: a data folder that is full beside a database that is not its own would
    # be served, with its runs unknown.
    check_empty(settings.url, database)
    root.mkdir(parents=True, exist_ok=True)
    for number, (path, file) in enumerate(manifest.files.items(), 1):
        copy_checked(folder / "data" / path, root / path, file.sha256)
        progress(number)
    restore_database(settings.url, database)
    prepare_database(settings.url)
    _settle(settings)
    return manifest


def _settle(settings: Settings) -> None:
    """Let files that are newer than the database's rows agree with them."""
    with Session(database_engine(settings.url)) as session:
        rows = session.exec(select(RunRow)).all()
        states = {row.id: (row.state, row.revision) for row in rows}
    for run, (state, revision) in states.items():
        stop = run_folder(settings, run).cancelled
        if state in GOING_ON:
            stop.unlink(missing_ok=True)
        elif state == "cancelled":
            write_bytes(stop, b"")
        elif state == "done" and ReviewLog(settings.run_root(run)).revision() > revision:
            request_review(settings, run)
