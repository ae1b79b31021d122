from __future__ import annotations

import pytest
from sqlmodel import Session

from imaging_service.database.maps import map_version, maps_of
from imaging_service.database.session import database_engine, upgrade
from imaging_service.database.tables import PlateRow


@pytest.fixture
def session(tmp_path):
    url = f"sqlite:///{tmp_path / 'service.db'}"
    upgrade(url)
    with Session(database_engine(url)) as opened:
        for plate in "pq":
            opened.add(
                PlateRow(id=plate, name=plate, rows=8, columns=12, channels="[]", pixel_size_um=0.5)
            )
        opened.flush()
        yield opened
    database_engine(url).dispose()


def test_each_content_is_a_version_of_its_plate_once(session):
    def given(plate, digest, **more):
        known = {"source": f"{digest}.csv", "author": "ann"}
        return map_version(session, plate, digest, [{"well": "B02"}], **(known | more))

    assert [given("p", d) for d in "xyxz"] == [1, 2, 1, 3]
    assert given("q", "y") == 1
    assert given("p", "y", source="other.csv", author="bob") == 2
    kept = [(row.version, row.source, row.author) for row in maps_of(session, "p")]
    assert kept == [(1, "x.csv", "ann"), (2, "y.csv", "ann"), (3, "z.csv", "ann")]
    assert maps_of(session, "r") == []
