"""Page, tables and pictures of a run's scan, before and after its wells are done."""

from __future__ import annotations

import io
import shutil

import polars as pl
import pytest
import sqlalchemy as sa

from imaging_service.database.session import database_engine
from imaging_service.jobs.arrival.plate import give_up
from imaging_service.jobs.records import RunFolder
from tests.messages import states


def state(served, name):
    with database_engine(served.settings.url).begin() as connection:
        connection.execute(sa.text(f"UPDATE run SET state='{name}'"))


@pytest.mark.parametrize("name", ["images", "channels"])
def test_a_table_in_every_format_is_the_file(site, name):
    file = pl.read_parquet(site.folder / "arrival" / f"{name}.parquet")
    answer = site.get(f"/runs/RUN/arrival/{name}")
    assert (answer.status_code, answer.json()) == (200, file.to_dicts())
    parquet = site.get(f"/runs/RUN/arrival/{name}?format=parquet").content
    assert pl.read_parquet(io.BytesIO(parquet)).equals(file)
    first = site.get(f"/runs/RUN/arrival/{name}?where=channel==2&limit=1&columns=channel")
    assert first.json() == [{"channel": "2"}]


def test_the_page_and_the_pictures_are_the_files(site):
    page = site.get("/runs/RUN/arrival")
    assert page.content == (site.folder / "arrival" / "scan.html").read_bytes()
    assert page.headers["content-security-policy"].startswith("sandbox ")
    for number in (1, 2, 3):
        png = site.get(f"/runs/RUN/arrival/plates/{number}.png")
        assert png.headers["content-type"] == "image/png"
        file = site.folder / "arrival" / f"plate_channel{number}.png"
        assert png.content == file.read_bytes()


@pytest.mark.parametrize(
    ("path", "status"),
    [("plates/4.png", 404), ("plates/0.png", 422), ("plates/x.png", 422), ("cells", 422)],
)
def test_what_a_scan_does_not_have_is_refused(site, path, status):
    assert site.get(f"/runs/RUN/arrival/{path}").status_code == status


def test_the_scan_is_there_while_the_run_goes_on(served):
    state(served, "running")
    assert served.get("/runs/RUN/arrival").status_code == 200
    assert served.get("/runs/RUN/arrival/images").status_code == 200


def without_a_look(served, run):
    """(status, detail) of each answer about the scan of a run in this state that has no look."""
    shutil.rmtree(served.folder / "arrival")
    state(served, run)
    answers = [served.get(f"/runs/RUN/arrival{p}") for p in ("", "/images", "/plates/1.png")]
    return [(a.status_code, a.json()["detail"]) for a in answers]


def test_a_run_that_goes_on_says_that_a_look_will_come(served):
    for status, detail in without_a_look(served, "running"):
        assert status == 409
        assert states("arrival.not_yet", detail)


def test_a_run_of_an_older_version_says_that_none_will_come(served):
    for status, detail in without_a_look(served, "done"):
        assert status == 404
        assert states("arrival.older_run", detail)


def test_a_scan_that_could_not_be_looked_at_says_why(served):
    shutil.rmtree(served.folder / "arrival")
    give_up(RunFolder(served.folder), "ZeroDivisionError: no such light")
    answer = served.get("/runs/RUN/arrival/channels")
    assert answer.status_code == 404
    assert states("arrival.failed", answer.json()["detail"])
