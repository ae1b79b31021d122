"""The database: one engine per process, migrations, and the queries that callers share."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import LoaderCriteriaOption, ORMExecuteState, with_loader_criteria
from sqlmodel import Session, SQLModel, col, select

from imaging_service.database.tables import (
    ExportRow,
    PlateRow,
    RunRow,
    ScreenRow,
    TableRow,
    WellRow,
)
from imaging_service.errors import NotFound, StoreError

MIGRATIONS = Path(__file__).parent.parent / "migrations"
# Of one process. A request holds one at most, and only until its answer is made, so that what waits
# for one is served. Postgres has 100 for all.
CONNECTIONS = 20
# A machine that is cut off says nothing. Without a limit its sessions would keep what they were
# writing from all others for a quarter of an hour, and back again it would wait two hours for its
# answers. Shorter than the time after which another worker takes over.
SILENT_MS = 45_000
_KEEPALIVES = {"keepalives_idle": 15, "keepalives_interval": 10}
# The database is away, full, or has no connection left: faults of the machine, which may pass.
DATABASE_FAULTS = (sa.exc.OperationalError, sa.exc.TimeoutError)


@lru_cache
def database_engine(url: str) -> sa.Engine:
    """The engine for a database URL, one per process."""
    created = sa.create_engine(url, pool_size=5, max_overflow=CONNECTIONS - 5)
    if url.startswith("sqlite"):
        Path(str(created.url.database)).parent.mkdir(parents=True, exist_ok=True)

        @sa.event.listens_for(created, "connect")
        def _pragmas(connection: Any, _record: Any) -> None:
            cursor = connection.cursor()
            # Readers work during a write, and writers wait for each other instead of failing.
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA busy_timeout=30000")
            cursor.execute("PRAGMA foreign_keys=ON")
            cursor.close()

    return created


@sa.event.listens_for(sa.Engine, "do_connect")
def _until_silent(
    dialect: sa.Dialect, _record: Any, arguments: Sequence[Any], options: dict[str, Any]
) -> Any:
    """Let both ends of a connection to Postgres end it once the other is silent.

    Of every engine in the process, the job engine's too.
    """
    if dialect.name != "postgresql":
        return None
    ours = {**_KEEPALIVES, "tcp_user_timeout": SILENT_MS}
    connection = dialect.connect(*arguments, **(ours | options))
    with closing(connection.cursor()) as cursor:
        limits = {f"tcp_{name}": seconds for name, seconds in _KEEPALIVES.items()}
        limits["tcp_user_timeout"] = SILENT_MS
        cursor.execute("; ".join(f"SET {name} = {value}" for name, value in limits.items()))
    # Or the pool's first rollback would undo it.
    connection.commit()
    return connection


class ProjectSession(Session):
    """A session for which plates, runs, screens and exports of other projects do not exist.

    Queries written without a thought of laboratories are safe in it: the condition is added to
    every statement on these tables, counts and changes included.

    Parameters
    ----------
    bind
        An engine, or the connection of another session, which is left as it is.
    projects
        Ids of the projects whose plates, runs, screens and exports are seen.
    """

    def __init__(self, bind: sa.Engine | sa.Connection, projects: Iterable[str]) -> None:
        super().__init__(bind)
        self.projects = sorted(projects)


@sa.event.listens_for(ProjectSession, "do_orm_execute")
def _only_of_projects(state: ORMExecuteState) -> None:
    session = state.session
    if isinstance(session, ProjectSession):
        state.statement = state.statement.options(*_in_projects(tuple(session.projects)))


@lru_cache(maxsize=256)
def _in_projects(projects: tuple[str, ...]) -> tuple[LoaderCriteriaOption, ...]:
    """Conditions on every statement; putting them together takes longer than most statements."""
    return tuple(
        with_loader_criteria(table, col(table.project_id).in_(projects))
        for table in (PlateRow, RunRow, ScreenRow, ExportRow)
    )


def check_encoding(url: str) -> None:
    """Raise StoreError for a Postgres database that cannot hold every name: β, µ, an umlaut.

    A server that was set up without a locale makes them so, and from one without any encoding the
    driver gives bytes.
    """
    known = sa.engine.make_url(url)
    if known.get_backend_name() == "sqlite":
        return
    engine = sa.create_engine(
        known, poolclass=sa.pool.NullPool, connect_args={"client_encoding": "utf8"}
    )
    with engine.connect() as connection:
        encoding = connection.execute(sa.text("SHOW server_encoding")).scalar()
    if encoding != "UTF8":
        raise StoreError(
            f"the database {known.render_as_string(hide_password=True)} keeps text as {encoding},"
            " which cannot hold every name of a plate map; make it anew: createdb --encoding UTF8"
            f" --template template0 --owner {known.username} {known.database}"
        )


def upgrade(url: str) -> None:
    """Bring the database to this version's schema."""
    from alembic import command

    database_engine(url)
    command.upgrade(alembic_config(url), "head")


def alembic_config(url: str) -> Any:
    """Alembic's configuration without a file, so that an installed package can migrate."""
    from alembic.config import Config

    # Its default is what standard output was when alembic was imported.
    config = Config(stdout=sys.stdout)
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["engine"] = database_engine(url)
    config.attributes["metadata"] = SQLModel.metadata
    return config


def find_run(session: Session, run_id: str) -> RunRow:
    """A run by its id or an unambiguous beginning of at least 6 characters. Raises NotFound."""
    row = session.get(RunRow, run_id)
    if row is None and len(run_id) >= 6 and run_id.isalnum():
        rows = session.exec(select(RunRow).where(col(RunRow.id).startswith(run_id)).limit(2)).all()
        row = rows[0] if len(rows) == 1 else None
    if row is None:
        raise NotFound(f"there is no run {run_id}")
    return row


def find_plate(session: Session, plate_id: str) -> PlateRow:
    """A plate by its id. Raises NotFound."""
    row = session.get(PlateRow, plate_id)
    if row is None:
        raise NotFound(f"there is no plate {plate_id}")
    return row


def find_screen(session: Session, project: str, screen: str) -> ScreenRow:
    """A screen of a project by its id. Raises NotFound."""
    row = session.get(ScreenRow, screen)
    if row is None or row.project_id != project:
        raise NotFound(f"there is no screen {screen}")
    return row


def find_export(session: Session, project: str, export: str) -> ExportRow:
    """An export of a project by its id. Raises NotFound."""
    row = session.get(ExportRow, export)
    if row is None or row.project_id != project:
        raise NotFound(f"there is no export {export}")
    return row


def well_counts(session: Session, run_id: str) -> dict[str, int]:
    """Status ► number of wells of a run that have ended."""
    query = (
        select(WellRow.status, sa.func.count())
        .where(WellRow.run_id == run_id)
        .group_by(WellRow.status)
    )
    return {status: int(count) for status, count in session.exec(query).all()}


def well_rows(session: Session, run_id: str) -> list[WellRow]:
    """Wells of a run that have ended, by name."""
    return list(
        session.exec(
            select(WellRow).where(WellRow.run_id == run_id).order_by(col(WellRow.well))
        ).all()
    )


def table_content(
    session: Session, run: RunRow, kind: str, filters: dict[str, str], revision: int | None = None
) -> list[str]:
    """JSON objects of a run's table, in order.

    Without `revision`, at the newest revision of the review that the tables include.
    Filters compare whole values of line, compound, phenotype and status.
    """
    wanted = run.revision if revision is None else revision
    query = select(TableRow.content).where(
        TableRow.run_id == run.id, TableRow.revision == wanted, TableRow.kind == kind
    )
    for name, value in filters.items():
        query = query.where(col(getattr(TableRow, name)) == value)
    return list(session.exec(query.order_by(col(TableRow.position))).all())
