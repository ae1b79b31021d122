from __future__ import annotations

import io

import polars as pl


def test_a_plate_is_listed_and_had_by_its_id(served):
    (plate,) = served.get("/plates").json()
    assert {k: plate[k] for k in ("name", "rows", "columns", "channels", "pixel_size_um")} == {
        "name": "Small-1",
        "rows": 4,
        "columns": 6,
        "channels": ["1", "2", "3"],
        "pixel_size_um": 0.65,
    }
    assert served.get(f"/plates/{plate['id']}").json() == plate
    assert served.get("/runs/RUN").json()["plate_id"] == plate["id"]


def test_the_newest_plate_comes_first(served):
    from datetime import UTC, datetime

    from sqlmodel import Session

    from imaging_service.database.session import database_engine
    from imaging_service.database.tables import PlateRow

    with Session(database_engine(served.settings.url)) as session:
        session.add(
            PlateRow(
                id="old",
                name="old",
                rows=8,
                columns=12,
                channels="[]",
                pixel_size_um=1,
                created_at=datetime(2001, 1, 1, tzinfo=UTC),
            )
        )
        session.commit()
    assert [p["name"] for p in served.get("/plates").json()] == ["Small-1", "old"]


def test_lists_in_csv_and_parquet_have_lists_as_json(served):
    csv = pl.read_csv(io.BytesIO(served.get("/plates?format=csv").content))
    parquet = pl.read_parquet(io.BytesIO(served.get("/plates?format=parquet").content))
    assert csv["channels"].to_list() == parquet["channels"].to_list() == ['["1", "2", "3"]']
