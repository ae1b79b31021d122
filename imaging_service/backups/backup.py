"""Make a backup while runs are in flight.

The database comes first, as it is at one moment: a row is the commit point of its files, so every
file that its rows speak of is there already, and what is written later belongs to rows that the
snapshot does not have. What would take files away under it (deleting a run, trying one again) is
refused meanwhile. Reviews are copied last: a review that is newer than the corrected tables beside
it is what a restored service takes in by itself, as after a kill.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

from sqlmodel import Session, select

from imaging_service import __version__
from imaging_service.backups.copying import copy_file, files_below
from imaging_service.backups.databases import snapshot
from imaging_service.backups.manifest import NAME, BackedFile, Manifest, read_manifest
from imaging_service.backups.manifest import write_manifest as declare_whole
from imaging_service.database.session import database_engine
from imaging_service.database.tables import PlateRow, RunRow
from imaging_service.database.tenants import ProjectRow, now
from imaging_service.errors import BackupError
from imaging_service.files import remove
from imaging_service.jobs.durable.holding import held_for_backup
from imaging_service.jobs.durable.queue import stored_plate
from imaging_service.jobs.reuse import measured_folder
from imaging_service.settings import Settings

_REVIEWS = ("review", "readings")


def back_up(
    settings: Settings, folder: Path, progress: Callable[[int], None] = lambda _: None
) -> Manifest:
    """Write database and data folder to `folder`; files that it has already are not copied again.

    The service's own secrets are left out: a restored service makes new ones. `progress` is called
    with the number of files that are done. Raises BackupError for a folder inside the data folder,
    or where the database cannot be copied.
    """
    root, folder = settings.data_dir.resolve(), folder.resolve()
    if folder.is_relative_to(root):
        raise BackupError(f"{folder} lies in the data folder; give a folder on another disk")
    before = _known(folder)
    with held_for_backup(settings):
        # A backup that is being renewed is not complete.
        (folder / NAME).unlink(missing_ok=True)
        database = snapshot(settings.url, folder)
        with Session(database_engine(settings.url)) as session:
            kept = list(_folders(settings, session))
        files: dict[str, BackedFile] = {}
        for path in files_below(root, kept):
            copied = copy_file(root / path, folder / "data" / path, before.get(path.as_posix()))
            if copied is not None:
                files[path.as_posix()] = copied
                progress(len(files))
    for stale in list(files_below(folder / "data", [folder / "data"])):
        if stale.as_posix() not in files:
            remove(folder / "data" / stale)
    manifest = Manifest(
        __version__,
        now(),
        str(root),
        database.name,
        hashlib.sha256(database.read_bytes()).hexdigest(),
        files,
    )
    declare_whole(folder, manifest)
    return manifest


def _folders(settings: Settings, session: Session) -> Iterator[Path]:
    """What the rows speak of, reviews last."""
    root = settings.data_dir.resolve()
    yield root / "store.id"
    yield root / "releases"
    for project in session.exec(select(ProjectRow.id)).all():
        yield settings.project_root(project) / "uploads"
        yield settings.project_root(project) / "scans"
        yield settings.project_root(project) / "screens"
        yield settings.project_root(project) / "exports"
        yield settings.project_root(project) / "summaries"
    for plate in session.exec(select(PlateRow)).all():
        stored = stored_plate(settings, plate.project_id, plate.id)
        yield from (stored, measured_folder(stored))
    runs = [settings.run_root(run) for run in session.exec(select(RunRow.id)).all()]
    for run in runs:
        if run.is_dir():
            yield from sorted(p for p in run.iterdir() if p.name not in _REVIEWS)
    for run in runs:
        yield from (run / name for name in _REVIEWS)


def _known(folder: Path) -> dict[str, BackedFile]:
    """Files of an earlier backup in the folder. Raises BackupError for any other folder."""
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / NAME).is_file():
        return read_manifest(folder).files
    if any(folder.iterdir()) and not (folder / "data").is_dir():
        raise BackupError(f"{folder} holds other files; give a new folder, or one of a backup")
    return {}
