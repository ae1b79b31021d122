from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from sqlmodel import Session, select

from imaging_service.access.audit import note
from imaging_service.access.keys import have_keys
from imaging_service.access.members import add_lab
from imaging_service.database.registry import load_registry, merge_lines
from imaging_service.database.session import (
    alembic_config,
    database_engine,
    find_run,
    table_content,
    upgrade,
    well_counts,
)
from imaging_service.database.tables import ClaimRow, LineRow, PlateRow, TableRow

DUMPS = Path(__file__).parents[2] / "reference" / "database"
RELEASES = ("0.1.0", "0.2.0")
RUN = "5d1f0c3a9e7b42680f11"


def restored(release: str, folder: Path) -> str:
    """The URL of a database as the service of that release left it, not upgraded yet."""
    path = folder / "service.db"
    connection = sqlite3.connect(path)
    connection.executescript((DUMPS / f"{release}.sql").read_text(encoding="utf-8"))
    connection.close()
    return f"sqlite:///{path}"


@pytest.fixture(params=RELEASES)
def upgraded(request, tmp_path):
    """(release, URL) of a database of every release, brought to the newest schema."""
    url = restored(request.param, tmp_path)
    upgrade(url)
    yield request.param, url
    database_engine(url).dispose()


def test_every_dump_is_upgraded():
    assert sorted(path.stem for path in DUMPS.glob("*.sql")) == list(RELEASES)


def test_the_upgraded_schema_is_that_of_the_models(upgraded):
    _, url = upgraded
    command.check(alembic_config(url))
    with database_engine(url).connect() as connection:
        assert connection.execute(sa.text("PRAGMA foreign_key_check")).all() == []
        assert connection.execute(sa.text("PRAGMA integrity_check")).all() == [("ok",)]


def test_runs_and_wells_are_kept(upgraded):
    release, url = upgraded
    with Session(database_engine(url)) as session:
        run = find_run(session, RUN)
        assert (run.protocol_name, run.engine, run.state) == (
            "phantom-fixed-endpoint",
            "classical",
            "done",
        )
        assert (run.attempt, run.n_wells, json.loads(run.notes)) == (1, 3, ["one note"])
        # A run from before the review stands at the engine's labels.
        assert run.revision == {"0.1.0": 1, "0.2.0": 3}[release]
        assert run.review_reason == ""
        assert well_counts(session, RUN) == {"done": 2, "failed": 1}


def test_table_rows_are_kept_and_told_apart_by_revision(upgraded):
    release, url = upgraded
    with Session(database_engine(url)) as session:
        run = find_run(session, RUN)

        def ec50(revision: int) -> list[float | None]:
            rows = table_content(session, run, "responses", {}, revision)
            return [json.loads(row)["ec50"] for row in rows]

        assert ec50(1) == [3.1e-06, None]
        assert ec50(3) == {"0.1.0": [], "0.2.0": [2.9e-06]}[release]
        wells = [json.loads(row)["well"] for row in table_content(session, run, "wells", {}, 1)]
        assert wells == ["C03", "C04"]


def test_the_line_registry_is_kept(upgraded):
    release, url = upgraded
    with Session(database_engine(url)) as session:
        registry = load_registry(session)
        parents = {line.line: line.isogenic_parent for line in registry.lines.values()}
        kept = {"HC-01": "", "SOD1-07": "", "SOD1-07-iso": "SOD1-07"}
        assert parents == {"0.1.0": {}, "0.2.0": kept}[release]
        assert sorted(registry.batches) == {"0.1.0": [], "0.2.0": ["diff-1"]}[release]


def test_constraints_hold_after_the_upgrade(upgraded):
    _, url = upgraded
    with Session(database_engine(url)) as session:
        row = {"run_id": RUN, "kind": "wells", "position": 7, "content": "{}"}
        session.add(TableRow(**row))
        session.commit()
        session.add(TableRow(**row))
        with pytest.raises(sa.exc.IntegrityError):
            session.commit()


def test_a_claim_is_kept(tmp_path):
    url = restored("0.2.0", tmp_path)
    upgrade(url)
    with Session(database_engine(url)) as session:
        claim = session.get(ClaimRow, 1)
        assert claim is not None
        assert (claim.well, claim.field, claim.reviewer) == ("C04", 1, "reviewer-1")
    database_engine(url).dispose()


def test_what_there_was_belongs_to_the_local_laboratory_s_project(upgraded):
    release, url = upgraded
    with Session(database_engine(url)) as session:
        run = find_run(session, RUN)
        plate = session.get(PlateRow, run.plate_id)
        assert plate is not None
        assert (run.project_id, plate.project_id) == ("default", "default")
        lines = session.exec(select(LineRow)).all()
        assert {line.lab_id for line in lines} == ({"local"} if release == "0.2.0" else set())
        # No member, so the service is still its one user's.
        assert not have_keys(session)


def test_the_audit_log_of_an_upgraded_database_is_append_only(upgraded):
    _, url = upgraded
    with Session(database_engine(url)) as session:
        note(session, "ann", "upgrade")
        session.commit()
        for statement in ("UPDATE audit SET actor = 'eve'", "DELETE FROM audit"):
            with pytest.raises(sa.exc.DatabaseError):
                session.execute(sa.text(statement))
            session.rollback()


def test_two_laboratories_may_have_lines_of_one_name(upgraded):
    release, url = upgraded
    lines = "line\tdonor\tisogenic_parent\nHC-01\tother\t\nSOD1-07-iso\tother\tHC-01\n"
    with Session(database_engine(url)) as session:
        add_lab(session, "beta")
        before = load_registry(session)
        merge_lines(session, lines, "lines.tsv", "beta")
        assert load_registry(session) == before
        of_beta = load_registry(session, "beta").lines
        assert {name: line.donor for name, line in of_beta.items()} == {
            "HC-01": "other",
            "SOD1-07-iso": "other",
        }
        assert ("HC-01" in before.lines) is (release == "0.2.0")
