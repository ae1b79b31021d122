from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from imaging_service.database.session import (
    database_engine,
    table_content,
    upgrade,
    well_counts,
    well_rows,
)
from imaging_service.database.tables import (
    TABLE_LEVELS,
    ClaimRow,
    PlateRow,
    RunRow,
    TableRow,
    WellRow,
)
from phenotypes.columns.dictionary import columns

RUN = "r" * 12


@pytest.fixture
def session(tmp_path):
    url = f"sqlite:///{tmp_path / 'service.db'}"
    upgrade(url)
    with Session(database_engine(url)) as opened:
        opened.add(PlateRow(id="p", name="p", rows=8, columns=12, channels="[]", pixel_size_um=0.5))
        opened.flush()
        opened.add(
            RunRow(
                id=RUN, plate_id="p", protocol_name="x", engine="classical", n_wells=3, n_skipped=0
            )
        )
        opened.commit()
        yield opened
    database_engine(url).dispose()


def test_a_run_begins_queued_at_the_engine_s_revision(session):
    row = session.get(RunRow, RUN)
    assert (row.state, row.attempt, row.revision, row.notes, row.review_reason) == (
        "queued",
        1,
        1,
        "[]",
        "",
    )
    assert row.submitted_at is not None


@pytest.mark.parametrize(
    "rows",
    [
        [{"position": 0}, {"position": 0}],
        [{"position": 0, "line": "L1"}, {"position": 0, "line": "L2"}],
    ],
)
def test_a_position_of_a_table_is_taken_once(session, rows):
    session.add_all(TableRow(run_id=RUN, kind="wells", content="{}", **row) for row in rows)
    with pytest.raises(sa.exc.IntegrityError):
        session.commit()


def test_the_engine_s_rows_and_a_revision_s_stand_beside_each_other(session):
    for revision in (1, 4):
        for position in (2, 0, 1):
            content = f'"{revision}-{position}"'
            session.add(
                TableRow(
                    run_id=RUN,
                    revision=revision,
                    kind="wells",
                    position=position,
                    line=f"L{position % 2}",
                    content=content,
                )
            )
    session.commit()
    row = session.get(RunRow, RUN)
    assert table_content(session, row, "wells", {}) == ['"1-0"', '"1-1"', '"1-2"']
    assert table_content(session, row, "wells", {"line": "L0"}, 4) == ['"4-0"', '"4-2"']
    assert table_content(session, row, "wells", {"line": "L"}) == []
    assert table_content(session, row, "responses", {}) == []


def test_a_field_is_claimed_once_a_reading(session):
    claim = {"run_id": RUN, "well": "B03", "field": 1, "until": 1.0}
    session.add_all(
        [ClaimRow(reviewer="ann", **claim), ClaimRow(reviewer="bob", reading="bob", **claim)]
    )
    session.commit()
    session.add(ClaimRow(reviewer="eve", **claim))
    with pytest.raises(sa.exc.IntegrityError):
        session.commit()


def test_wells_are_counted_by_status_and_listed_by_name(session):
    for well, status in (("C01", "done"), ("B02", "failed"), ("B01", "done")):
        session.add(WellRow(run_id=RUN, well=well, status=status))
    session.commit()
    assert well_counts(session, RUN) == {"done": 2, "failed": 1}
    assert [w.well for w in well_rows(session, RUN)] == ["B01", "B02", "C01"]


def test_every_kept_table_has_a_level_of_the_dictionary():
    assert TABLE_LEVELS == {
        "wells": "well",
        "responses": "response",
        "hazards": "hazard",
        "checks": "check",
    }
    assert all(columns(level) for level in TABLE_LEVELS.values())
