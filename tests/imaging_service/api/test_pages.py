from __future__ import annotations

import re

import pytest
import sqlalchemy as sa

from imaging_service.database.session import database_engine


def test_the_api_is_described_without_the_internet(served):
    page = served.get("/docs").text
    assert all(text in page for text in ("/runs/{run}/retry", "if-match", "428"))
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert addresses
    assert all(a.startswith(("/", "#")) and not a.startswith("//") for a in addresses)
    assert "<script" not in page


def test_the_list_of_runs_links_to_each(served):
    page = served.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert served.run[:12] in page.text
    assert "Small-1" in page.text


def test_a_run_s_page_shows_its_responses_and_failed_wells(served):
    with database_engine(served.settings.url).begin() as connection:
        connection.execute(
            sa.text(
                "UPDATE well_result SET status='failed', reason='<b>blank</b>' WHERE well='B02'"
            )
        )
    page = served.get("/view/RUN").text
    assert "live_density" in page
    assert "&lt;b&gt;blank&lt;/b&gt;" in page
    assert "<b>blank</b>" not in page


@pytest.mark.parametrize("run", ["zzzzzz", "abc"])
def test_a_page_of_no_run_is_not_found(served, run):
    assert served.get(f"/view/{run}").status_code == 404
