"""Opening the database: names that its jobs have, and its schema brought to this version.

Apart from the queue, so that a server starts without what plans and analyses plates.
"""

from __future__ import annotations

import sqlalchemy as sa

from imaging_service.database.session import upgrade
from imaging_service.errors import StoreError

PLATES, WELLS, REVIEWS = "plates", "wells", "reviews"
SCREENS, EXPORTS = "screens", "exports"
# A workflow belongs to the version of the workflows' code, not of the package: raised when their
# steps change.
APPLICATION_VERSION = "2"


def prepare_database(url: str) -> None:
    """Bring our tables and the job engine's to this version.

    A submission may come before the first worker starts. Raises StoreError, in one sentence, for a
    database that cannot be opened or written, or that a newer version wrote.
    """
    from alembic.util import CommandError
    from dbos import run_dbos_database_migrations

    named = sa.engine.make_url(url).render_as_string(hide_password=True)
    try:
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
