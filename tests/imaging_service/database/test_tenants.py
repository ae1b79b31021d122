from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from imaging_service.database.session import database_engine, upgrade
from imaging_service.database.tenants import LOCAL_LAB, LabRow, MemberRow, ProjectRow
from imaging_service.settings import LOCAL_PROJECT


@pytest.fixture
def session(tmp_path):
    url = f"sqlite:///{tmp_path / 'service.db'}"
    upgrade(url)
    with Session(database_engine(url)) as opened:
        yield opened
    database_engine(url).dispose()


def test_a_new_database_has_the_local_laboratory_and_its_project(session):
    assert session.get(LabRow, LOCAL_LAB) is not None
    assert session.get_one(ProjectRow, LOCAL_PROJECT).lab_id == LOCAL_LAB


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=5))])
def test_a_moment_comes_back_in_utc(session, zone):
    moment = datetime(2026, 3, 29, 2, 30, tzinfo=zone)
    session.add(LabRow(id="x", name="x", created_at=moment))
    session.commit()
    session.expire_all()
    kept = session.get_one(LabRow, "x").created_at
    assert kept == moment
    assert kept.utcoffset() == timedelta(0)


def test_a_member_needs_a_laboratory_and_a_name_of_its_own(session):
    session.add(MemberRow(id="1", lab_id=LOCAL_LAB, name="ann", role="viewer"))
    session.commit()
    for row in (
        MemberRow(id="2", lab_id=LOCAL_LAB, name="ann", role="viewer"),
        MemberRow(id="3", lab_id="xyz", name="bob", role="viewer"),
    ):
        session.add(row)
        with pytest.raises(sa.exc.IntegrityError):
            session.commit()
        session.rollback()
