"""Pages of a stored table, whatever it is a table of."""

from __future__ import annotations

import polars as pl
import pytest
from fastapi import FastAPI

from imaging_service.api import answers, problems
from imaging_service.api.paging import LARGEST_PAGE, PAGE, RowsDep
from tests.imaging_service.tenants import ask


@pytest.fixture(scope="module")
def numbered(tmp_path_factory):
    """An application with one table of 2,500 numbered rows."""
    path = tmp_path_factory.mktemp("t") / "numbers.parquet"
    pl.DataFrame({"n": range(2500), "even": [i % 2 == 0 for i in range(2500)]}).write_parquet(path)
    app = FastAPI()
    answers.install(app)
    problems.install(app)

    @app.get("/numbers")
    def numbers(rows: RowsDep):
        return rows.answer(path, ("numbers",), "numbers")

    return app


def got(app, query, **headers):
    return ask(app, "GET", f"/numbers?{query}", headers)


def test_a_page_has_so_many_rows_and_the_last_names_no_next(numbered):
    given = [got(numbered, "columns=n")]
    while "link" in given[-1].headers:
        given.append(ask(numbered, "GET", given[-1].links["next"]["url"], {}))
    assert [len(page.json()) for page in given] == [PAGE, PAGE, 500]
    assert [row["n"] for page in given for row in page.json()] == list(range(2500))


def test_parquet_is_whole_and_a_page_has_a_largest_size(numbered):
    assert "link" not in got(numbered, "format=parquet").headers
    assert got(numbered, f"limit={LARGEST_PAGE + 1}").status_code == 422


def test_the_tag_is_that_of_the_rows_asked_for(numbered):
    tag = got(numbered, "where=even==true").headers["etag"]
    assert got(numbered, "where=even==true", **{"If-None-Match": tag}).status_code == 304
    assert got(numbered, "where=even==false", **{"If-None-Match": tag}).status_code == 200


@pytest.mark.parametrize("query", ["cursor=x", "cursor=W10", "where=odd==1", "sort=m"])
def test_what_cannot_be_asked_is_a_problem(numbered, query):
    answer = got(numbered, query)
    assert answer.json()["type"] == "urn:imaging-service:selection_invalid"
