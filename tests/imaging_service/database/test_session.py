from __future__ import annotations

import pytest
import sqlalchemy as sa
from alembic import command
from sqlmodel import Session

from imaging_service.database.session import alembic_config, database_engine, find_run, upgrade
from imaging_service.database.tables import PlateRow, RunRow, WellRow
from imaging_service.errors import NotFound


@pytest.fixture
def url(tmp_path):
    address = f"sqlite:///{tmp_path / 'x' / 'service.db'}"
    upgrade(address)
    yield address
    database_engine(address).dispose()


def add_run(session, run_id):
    if session.get(PlateRow, "p") is None:
        session.add(
            PlateRow(id="p", name="p", rows=8, columns=12, channels="[]", pixel_size_um=0.5)
        )
        session.flush()
    session.add(
        RunRow(
            id=run_id, plate_id="p", protocol_name="x", engine="classical", n_wells=1, n_skipped=0
        )
    )
    session.flush()


def test_migrations_lead_to_the_models(url):
    upgrade(url)  # twice is once
    command.check(alembic_config(url))


def test_a_well_has_one_row(url):
    with Session(database_engine(url)) as session:
        add_run(session, "r" * 20)
        session.add(WellRow(run_id="r" * 20, well="B03", status="done"))
        session.commit()
        session.add(WellRow(run_id="r" * 20, well="B03", status="failed"))
        with pytest.raises(sa.exc.IntegrityError):
            session.commit()


def test_a_row_needs_its_run(url):
    with Session(database_engine(url)) as session:
        session.add(WellRow(run_id="none", well="B03", status="done"))
        with pytest.raises(sa.exc.IntegrityError):
            session.commit()


def test_runs_are_found_by_an_unambiguous_beginning(url):
    with Session(database_engine(url)) as session:
        add_run(session, "abcdef11")
        add_run(session, "abcdef22")
        assert find_run(session, "abcdef11").id == "abcdef11"
        assert find_run(session, "abcdef1").id == "abcdef11"
        for ambiguous in ("abcdef", "abc", "%%%%%%%", "zzzzzzz"):
            with pytest.raises(NotFound):
                find_run(session, ambiguous)
