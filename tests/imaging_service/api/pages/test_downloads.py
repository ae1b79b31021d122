"""What a page offers to download has the rows that the page shows, in its order."""

from __future__ import annotations

import csv
import io
import re
from html import unescape

import polars as pl
import pytest

from imaging_service.web.pages.responses import ORDERS

KEYS = ("line", "compound", "phenotype")


def shown_rows(page: str, region: str = "Responses") -> list[tuple[str, ...]]:
    """Line, compound and phenotype of the rows of a table of responses."""
    table = page.split(f'aria-label="{region}"')[1].split("</table>")[0]
    curves = re.findall(r'href="[^"]*/curve\?([^"]*)"', table)
    return [tuple(re.findall(r"=([^&;]*)", unescape(c).replace("+", " "))) for c in curves]


def downloads(site, page: str, start: str) -> tuple[list[dict[str, str]], pl.DataFrame]:
    """The CSV's and the Parquet file's rows of the links that begin with an address."""
    links = [unescape(a) for a in re.findall(r'<a download href="([^"]*)"', page)]
    of = {f: next(a for a in links if a.startswith(start) and f"format={f}" in a) for f in FORMATS}
    text = site.get(of["csv"]).content.decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text))), pl.read_parquet(site.get(of["parquet"]).content)


FORMATS = ("csv", "parquet")


@pytest.mark.parametrize("order", ORDERS)
def test_responses_are_downloaded_as_they_are_shown(site, order):
    page = site.get(f"/view/RUN/responses?order={order}").text
    seen = shown_rows(page)
    assert len(seen) > 3
    text, table = downloads(site, page, f"/runs/{site.run}/responses")
    assert [tuple(r[k] for k in KEYS) for r in text] == seen
    assert table.select(KEYS).rows() == seen


def test_orders_of_responses_differ(site):
    """Else the test before would see no order at all."""
    seen = {tuple(shown_rows(site.get(f"/view/RUN/responses?order={o}").text)) for o in ORDERS}
    assert len(seen) > 2


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("of", ["line?name=L1", "compound?name=x"])
def test_rows_over_runs_are_downloaded_as_they_are_shown(site, of, order):
    page = site.get(f"/{of}&order={order}").text
    text, table = downloads(site, page, "/responses")
    assert [tuple(r[k] for k in KEYS) for r in text] == shown_rows(page)
    assert table.select(KEYS).rows() == shown_rows(page)


def test_a_line_s_responses_are_downloaded_as_they_are_shown(site):
    page = site.get("/view/RUN/line?name=L1").text
    text, _ = downloads(site, page, f"/runs/{site.run}/responses")
    assert [tuple(r[k] for k in KEYS) for r in text] == shown_rows(page)


@pytest.mark.parametrize("order", ["well", "low", "high"])
def test_wells_are_downloaded_as_they_are_shown(site, order):
    page = site.get(f"/view/RUN/plate?phenotype=live_density&order={order}").text
    table = page.split('aria-label="Wells"')[1].split("</table>")[0]
    seen = re.findall(r'<tr><td><a href="[^"]*">([A-Z]+\d+)</a>', table)
    text, parquet = downloads(site, page, f"/runs/{site.run}/tables/wells")
    assert [r["well"] for r in text] == seen == parquet["well"].to_list()
    assert len(seen) > 3


def test_checks_are_downloaded_as_they_are_shown(site):
    page = site.get("/view/RUN/quality").text
    table = page.split('aria-label="Checks"')[1].split("</table>")[0]
    seen = [
        (a.replace(" ", "_"), b)
        for a, b in re.findall(r"<tr[^>]*><td>(.*?)</td><td>(.*?)</td>", table)
    ]
    link = unescape(re.search(r'href="(/runs/[^"]*/checks[^"]*csv)"', page)[1])
    text = site.get(link).content.decode("utf-8-sig")
    assert [(r["check"], r["subject"]) for r in csv.DictReader(io.StringIO(text))] == seen
    assert seen


def test_an_order_that_is_none_is_refused(site):
    assert site.get("/runs/RUN/responses?order=luck").status_code == 422
    assert site.get("/responses?line=L1&order=luck").status_code == 422


def test_the_table_s_own_order_stays_without_one(site):
    rows = site.get("/runs/RUN/responses").json()
    assert rows == site.get("/runs/RUN/responses?order=").json()
    by = site.get("/runs/RUN/responses?order=lowest effect").json()
    effects = [r["effect"] for r in by if r["effect"] is not None]
    assert effects == sorted(effects)
    assert sorted(map(str, rows)) == sorted(map(str, by))
