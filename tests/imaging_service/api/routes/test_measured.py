"""Every table of a run by page, condition and format."""

from __future__ import annotations

import io
import re

import polars as pl
import pytest

from imaging_service.review.local import TABLES

ORDERED = "&sort=-nucleus_area_um2&columns=well,field,label"


def pages(served, url):
    """The answers from a page to the last, by their Link headers."""
    given = [served.get(url)]
    while "link" in given[-1].headers:
        assert given[-1].links["next"]["url"].startswith("/runs/")
        given.append(served.get(given[-1].links["next"]["url"]))
    return given


@pytest.mark.parametrize("name", TABLES)
def test_every_table_in_every_format_is_the_file(served, name):
    file = pl.read_parquet(served.folder / f"{name}.parquet")
    rows = served.get(f"/runs/RUN/tables/{name}?limit=10000")
    assert (rows.status_code, rows.json()) == (200, file.to_dicts())
    arrow = served.get(f"/runs/RUN/tables/{name}?format=arrow").content
    assert pl.read_ipc_stream(io.BytesIO(arrow)).equals(file)
    parquet = served.get(f"/runs/RUN/tables/{name}?format=parquet").content
    assert pl.read_parquet(io.BytesIO(parquet)).equals(file)


def test_pages_are_the_table_in_order_and_each_row_comes_once(served):
    file = pl.read_parquet(served.folder / "cells.parquet")
    given = pages(served, "/runs/RUN/tables/cells?limit=7" + ORDERED)
    rows = [row for page in given for row in page.json()]
    wanted = file.sort("nucleus_area_um2", descending=True, nulls_last=True, maintain_order=True)
    assert rows == wanted.select("well", "field", "label").to_dicts()
    assert len(given) == -(-len(file) // 7)
    assert all(len(page.json()) == 7 for page in given[:-1])


def test_rows_are_chosen_by_condition(served):
    file = pl.read_parquet(served.folder / "cells.parquet")
    rows = served.get("/runs/RUN/tables/cells?where=well==B04&where=nucleus_area_um2>60").json()
    wanted = file.filter(pl.col("well") == "B04", pl.col("nucleus_area_um2") > 60)
    assert 0 < len(rows) < len(file)
    assert [(r["field"], r["label"]) for r in rows] == wanted.select("field", "label").rows()


def test_a_page_of_a_table_that_changed_since_is_refused(served):
    link = served.get("/runs/RUN/tables/cells?limit=5").links["next"]["url"]
    tag = served.get("/runs/RUN/tables/cells").headers["etag"]
    path = served.folder / "cells.parquet"
    pl.read_parquet(path).head(20).write_parquet(path)
    answer = served.get(link)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:imaging-service:outdated")
    assert served.get("/runs/RUN/tables/cells").headers["etag"] != tag


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("nothing", 404, "not_found"),
        ("..%2Frun", 404, "not_found"),
        ("cells?where=size>1", 422, "selection_invalid"),
        ("cells?cursor=x", 422, "selection_invalid"),
        ("cells?cursor=Wy01LCAiYSJd", 409, "outdated"),
        ("cells?limit=0", 422, "request_invalid"),
        ("cells?limit=10001", 422, "request_invalid"),
        ("cells?format=xlsx", 422, "request_invalid"),
    ],
)
def test_what_is_not_there_or_cannot_be_asked_is_a_problem(served, query, status, code):
    answer = served.get(f"/runs/RUN/tables/{query}")
    assert answer.status_code == status
    assert re.search(f"{code}$", answer.json()["type"])
