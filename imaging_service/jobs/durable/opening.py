"""The job engine's database: names of its queues, its schema, what is asked of its table of jobs.

Apart from the queue, so that a server starts without what plans and analyses plates.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from filelock import FileLock
from sqlmodel import Session

from imaging_service.database.session import check_encoding, database_engine, upgrade
from imaging_service.errors import StoreError

PLATES, WELLS, REVIEWS = "plates", "wells", "reviews"
SCREENS, EXPORTS = "screens", "exports"
# A workflow belongs to the version of the workflows' code, not of the package: raised when their
# steps change.
APPLICATION_VERSION = "3"
# A number that only this service's upgrades lock in a Postgres.
_UPGRADES = 5_120_811_640
_JOBS = "SELECT count(*) FROM {table} WHERE workflow_uuid = :id AND application_version = :version"
_PLACE = (
    "SELECT min(priority) FROM {table} WHERE queue_name = :queue AND status = 'ENQUEUED'"
    " AND application_version = :version"
)


def prepare_database(url: str) -> None:
    """Bring our tables and the job engine's to this version.

    A submission may come before the first worker starts, and processes that start together do it
    one after another. Raises StoreError, in one sentence, for a database that cannot be opened or
    written, that a newer version wrote, or that does not keep text as UTF-8.
    """
    from alembic.util import CommandError
    from dbos import run_dbos_database_migrations

    named = sa.engine.make_url(url).render_as_string(hide_password=True)
    try:
        check_encoding(url)
        with _one_at_a_time(url):
            upgrade(url)
            run_dbos_database_migrations(url)
    except CommandError as error:
        raise StoreError(
            f"the database {named} was written by a newer version of the service ({error}); start"
            " that version, or restore the backup from before the upgrade"
        ) from error
    except (sa.exc.DatabaseError, OSError) as error:
        cause = error.orig if isinstance(error, sa.exc.DatabaseError) else error
        raise StoreError(
            f"the database {named} cannot be used ({cause}); start it or make it writable if it is"
            " only away, and restore its backup if it is damaged"
        ) from error


@contextmanager
def _one_at_a_time(url: str) -> Iterator[None]:
    """Hold the database's schema; a kill lets go of it."""
    # Makes the folder of an SQLite file.
    database = database_engine(url).url
    if database.get_backend_name() == "sqlite":
        with FileLock(f"{database.database}.lock"):
            yield
        return
    # Not of the pool, in which a held connection would be one less; and asked again and again
    # outside of a transaction, since an index that is built meanwhile waits for all transactions.
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        ask = sa.text("SELECT pg_try_advisory_lock(:key)")
        while not connection.execute(ask, {"key": _UPGRADES}).scalar():
            time.sleep(0.2)
        yield


def has_job(session: Session, identity: str) -> bool:
    """Whether there is a job of that id, of this version of the workflows."""
    return bool(_asked(session, _JOBS, id=identity))


def next_place(session: Session) -> int:
    """The place of the well whose turn is next; 0 where none waits in the queue."""
    return int(_asked(session, _PLACE, queue=WELLS) or 0)


def _asked(session: Session, query: str, **values: str) -> int | None:
    postgres = session.get_bind().dialect.name == "postgresql"
    table = "dbos.workflow_status" if postgres else "workflow_status"
    asked = sa.text(query.format(table=table))
    values["version"] = APPLICATION_VERSION
    answer: int | None = session.connection().execute(asked, values).scalar()
    return answer
