from __future__ import annotations

import io

import polars as pl
import pytest
import sqlalchemy as sa

from imaging_service.database.session import database_engine

KINDS = ("wells", "responses", "hazards", "checks")


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_holds_the_file_s_table(served, kind):
    file = pl.read_parquet(served.folder / f"{kind}.parquet")
    assert served.get(f"/runs/RUN/{kind}").json() == file.to_dicts()
    parquet = served.get(f"/runs/RUN/{kind}?format=parquet")
    assert pl.read_parquet(io.BytesIO(parquet.content)).equals(file)
    csv = served.get(f"/runs/RUN/{kind}?format=csv")
    assert csv.content == (served.folder / f"{kind}.csv").read_bytes()
    assert (
        csv.headers["content-disposition"] == f'attachment; filename="{served.run[:12]}-{kind}.csv"'
    )


def test_a_filtered_file_is_called_after_its_filters(served):
    names = {
        line: served.get(f"/runs/RUN/wells?format=csv&line={line}").headers["content-disposition"]
        for line in ("L1", "L2")
    }
    assert names == {
        line: f'attachment; filename="{served.run[:12]}-wells-{line}.csv"' for line in names
    }


@pytest.mark.parametrize(
    ("query", "wells"),
    [
        ("line=L2", ["C02", "C03", "C04"]),
        ("line=L2&status=done", ["C02", "C03"]),
        ("compound=x&line=L1", ["B04", "B05"]),
        ("line=L", []),
        ("line=L1' OR 1=1 --", []),
        ("compound=X", []),
    ],
)
def test_filters_compare_whole_values(served, query, wells):
    assert [r["well"] for r in served.get(f"/runs/RUN/wells?{query}").json()] == wells


def test_responses_are_filtered_by_phenotype(served):
    rows = served.get("/runs/RUN/responses?phenotype=live_density&compound=x").json()
    assert [(r["line"], r["phenotype"]) for r in rows] == [
        ("L1", "live_density"),
        ("L2", "live_density"),
    ]


@pytest.mark.parametrize("state", ["queued", "running", "failed"])
@pytest.mark.parametrize("kind", [*KINDS, "report"])
def test_there_is_no_table_before_the_run_is_done(served, state, kind):
    with database_engine(served.settings.url).begin() as connection:
        connection.execute(sa.text(f"UPDATE run SET state='{state}'"))
    answer = served.get(f"/runs/RUN/{kind}")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:imaging-service:not_ready")


def test_the_newest_revision_s_rows_are_given_and_the_engine_s_on_request(served):
    with database_engine(served.settings.url).begin() as connection:
        connection.execute(sa.text("UPDATE run SET revision=3"))
        connection.execute(
            sa.text(
                "INSERT INTO table_row (run_id, revision, kind, position, line, compound,"
                " phenotype, status, content) SELECT run_id, 3, kind, position, line, compound,"
                " phenotype, status, '{\"well\": \"new\"}' FROM table_row WHERE kind='wells' AND"
                " position=0"
            )
        )
    assert served.get("/runs/RUN/wells").json() == [{"well": "new"}]
    assert [r["well"] for r in served.get("/runs/RUN/wells?labels=engine").json()][:2] == [
        "B02",
        "B03",
    ]
    assert served.get("/runs/RUN/responses").json() == []


def test_a_run_that_was_removed_and_submitted_again_has_other_etags(served):
    """Its id, attempt and revision are those of before, and its review need not be."""
    before = served.get("/runs/RUN/wells").headers["etag"]
    assert served.get("/runs/RUN/wells", headers={"If-None-Match": before}).status_code == 304
    with database_engine(served.settings.url).begin() as connection:
        connection.execute(sa.text("UPDATE run SET submitted_at='2001-01-01 00:00:00.000000'"))
    assert served.get("/runs/RUN/wells", headers={"If-None-Match": before}).status_code == 200
