from __future__ import annotations

import pytest
from sqlmodel import Session

from imaging_service.api.pages import reading as module
from imaging_service.api.pages.reading import Reading
from imaging_service.database.session import database_engine
from imaging_service.database.tenants import now
from imaging_service.errors import NotFound, NotReady


@pytest.fixture
def reading(site):
    with Session(database_engine(site.settings.url)) as session:
        yield Reading(site.run[:12], session, site.settings)


def test_a_run_is_read_once_for_all_of_its_page(reading, site):
    assert reading.row.id == site.run
    assert (reading.plate_format.rows, reading.plate_format.columns) == (4, 6)
    assert reading.phenotypes == ["live_density", "nc_log2_aggregate"]
    assert "source_files" not in reading.record
    assert len(reading.table("wells")) == 7
    assert len(reading.table("responses")) == 4
    assert reading.local is reading.local
    assert {q["phenotype"] for q in reading.quality} == set(reading.phenotypes)
    assert reading.curves[0]["ec50_molar"] == 3e-6


def test_a_table_is_read_once_until_a_review_or_retry_makes_another(reading, monkeypatch):
    reads = []
    read = module.table_content
    monkeypatch.setattr(module, "table_content", lambda *a: reads.append(a) or read(*a))
    reading.session.expunge(reading.row)
    first = reading.table("checks")
    before = len(reads)
    assert reading.table("checks") is first
    assert len(reads) == before
    # The last: a run that was removed and submitted again.
    for name, value in (("attempt", 99), ("revision", 99), ("submitted_at", now())):
        setattr(reading.row, name, value)
        assert reading.table("checks") is not first
        before += 1
        assert len(reads) == before


def test_addresses_are_quoted(reading, site):
    assert reading.well_page("B02") == f"/view/{site.run}/wells/B02"
    assert reading.well_page("B02", 2).endswith("/wells/B02?field=2")
    assert reading.address("a/b").endswith("/a%2Fb")


def test_a_run_that_goes_on_has_no_tables_yet(reading):
    reading.session.expunge(reading.row)
    reading.row.state = "running"
    with pytest.raises(NotReady):
        reading.table("wells")
    with pytest.raises(NotReady):
        _ = reading.local


def test_an_unknown_run_is_not_found(reading, site):
    with pytest.raises(NotFound):
        Reading("zzzzzz", reading.session, site.settings)
