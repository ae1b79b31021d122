from __future__ import annotations

import io
import re

import polars as pl

from imaging_service.database.tenants import LOCAL_LAB, LOCAL_PROJECT
from tests.imaging_service.tenants import RUN


def test_rows_name_their_run_plate_project_and_laboratory(site):
    rows = site.get("/responses?line=L1&phenotype=live_density").json()
    assert [(r["run"], r["plate"], r["compound"], r["status"]) for r in rows] == [
        (site.run, "Small-1", "x", "ok")
    ]
    whole = site.get("/runs/RUN/responses?line=L1&phenotype=live_density").json()
    of = {"run": site.run, "plate": "Small-1", "project": LOCAL_PROJECT, "lab": LOCAL_LAB}
    assert rows[0] == of | whole[0]
    assert site.get("/responses?line=L1&lab=other").json() == []


def test_rows_come_as_tables_too(site):
    text = site.get("/responses?compound=x&format=csv").text.lstrip("\ufeff")
    assert text.splitlines()[0].startswith("run,plate,project,lab,line,")
    table = pl.read_parquet(io.BytesIO(site.get("/responses?compound=x&format=parquet").content))
    assert (len(table), table.schema["ec50_molar"]) == (4, pl.Float64)
    nothing = site.get("/responses?compound=none&format=parquet")
    assert len(pl.read_parquet(io.BytesIO(nothing.content))) == 0


def test_pages_are_linked(site):
    seen, address = [], "/responses?compound=x&limit=3"
    while address:
        answer = site.get(address)
        seen.append(len(answer.json()))
        link = re.match('<([^>]+)>; rel="next"', answer.headers.get("link", ""))
        address = link[1] if link else ""
    assert seen == [3, 1]


def test_a_line_or_compound_must_be_named(site):
    answer = site.get("/responses?phenotype=live_density")
    assert (answer.status_code, answer.json()["type"]) == (
        422,
        "urn:imaging-service:selection_invalid",
    )


def test_rows_of_another_laboratory_are_not_there(two_labs):
    import sqlalchemy as sa

    from imaging_service.database.tables import RunRow, TableRow

    with two_labs.session() as session:
        session.exec(sa.update(RunRow).values(state="done"))
        session.add(
            TableRow(run_id=RUN, kind="responses", position=0, line="L1", content='{"line":"L1"}')
        )
        session.commit()
    rows = {
        caller: len(two_labs.ask(caller, "GET", "/responses?line=L1").json())
        for caller in ("viewer", "other viewer", "service")
    }
    assert rows == {"viewer": 1, "other viewer": 0, "service": 1}
