"""A consistent copy of the database while others write to it, and back."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
from pathlib import Path

import sqlalchemy as sa

from imaging_service.database.session import check_encoding
from imaging_service.errors import BackupError
from imaging_service.files import remove

SQLITE, POSTGRES = "database.sqlite", "database.dump"


def snapshot(url: str, folder: Path) -> Path:
    """Write the database as it is at one moment; returns the file.

    SQLite by its own backup, Postgres by `pg_dump`. Raises BackupError where that fails.
    """
    known = sa.engine.make_url(url)
    if known.get_backend_name() == "sqlite":
        target = folder / SQLITE
        remove(target)
        with (
            contextlib.closing(sqlite3.connect(str(known.database))) as source,
            contextlib.closing(sqlite3.connect(target)) as copy,
        ):
            source.backup(copy)
        return target
    target = folder / POSTGRES
    _run(known, "pg_dump", "--format=custom", "--no-owner", f"--file={target}")
    return target


def check_empty(url: str, file: Path) -> None:
    """Raise BackupError where the snapshot cannot be put into the database of a URL.

    That is one that is not empty, or of another kind. Raises StoreError for one that does not keep
    text as UTF-8.
    """
    known = sa.engine.make_url(url)
    if (known.get_backend_name() == "sqlite") != (file.name == SQLITE):
        raise BackupError(
            f"{file.name} is not of the kind of database that IMAGING_SERVICE_DATABASE_URL names;"
            " set it to the kind that was backed up"
        )
    if known.get_backend_name() == "sqlite":
        target = Path(str(known.database))
        if target.exists():
            raise BackupError(f"{target} is there already; move it away, so that nothing is lost")
        return
    check_encoding(url)
    engine = sa.create_engine(url)
    try:
        if tables := sa.inspect(engine).get_table_names():
            raise BackupError(
                f"the database {known.database} has {len(tables)} tables; make an empty one"
                " (createdb --encoding UTF8 --template template0 NAME), and name it in"
                " IMAGING_SERVICE_DATABASE_URL"
            )
    finally:
        engine.dispose()


def restore_database(url: str, file: Path) -> None:
    """Put a snapshot into the database of a URL. Raises as `check_empty`."""
    check_empty(url, file)
    known = sa.engine.make_url(url)
    if known.get_backend_name() == "sqlite":
        target = Path(str(known.database))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
        return
    _run(known, "pg_restore", "--no-owner", "--exit-on-error", f"--dbname={known.database}", file)


def _run(url: sa.URL, program: str, *arguments: str | Path) -> None:
    # The password goes by the environment: other users can read a command's arguments.
    environment = {
        **os.environ,
        **{
            name: str(value)
            for name, value in (
                ("PGHOST", url.host),
                ("PGPORT", url.port),
                ("PGUSER", url.username),
                ("PGPASSWORD", url.password),
                ("PGDATABASE", url.database),
            )
            if value
        },
    }
    try:
        done = subprocess.run(
            [program, *map(str, arguments)], env=environment, capture_output=True, text=True
        )
    except FileNotFoundError as error:
        raise BackupError(
            f"{program} is not installed; it comes with Postgres (postgresql-client)"
        ) from error
    if done.returncode:
        raise BackupError(f"{program} failed: {done.stderr.strip()[-500:]}")
