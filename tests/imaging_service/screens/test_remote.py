"""A service's run, taken into a screen on this machine."""

from __future__ import annotations

import httpx
import polars as pl
import pytest

from imaging_service.client import Client, ServiceRefused
from imaging_service.errors import ScreenError
from imaging_service.review.log import ReviewLog
from imaging_service.screens.folder import add_run
from imaging_service.screens.remote import fetch_run
from tests.messages import says


@pytest.fixture
def client(served):
    """A client of the service in this process."""

    def through(request):
        got = served.get(request.url.raw_path.decode())
        return httpx.Response(got.status_code, content=got.content)

    made = Client("http://s", key="")
    made.close()
    made._http = httpx.Client(transport=httpx.MockTransport(through), base_url="http://s")
    with made:
        yield made


def test_a_run_of_the_service_gives_what_its_folder_gives(served, client, tmp_path):
    fetched = fetch_run(client, served.run[:8], tmp_path / "run")
    plates = [
        add_run(tmp_path / name, run) for name, run in (("here", served.folder), ("there", fetched))
    ]
    assert plates[0] == plates[1]
    parts = tmp_path / "here" / "plates" / plates[0].run_id
    assert len(list(parts.glob("*.parquet"))) >= 4
    for part in parts.glob("*.parquet"):
        twin = tmp_path / "there" / "plates" / plates[0].run_id / part.name
        assert pl.read_parquet(twin).equals(pl.read_parquet(part)), part.name


def test_a_run_that_is_not_there_or_not_up_to_date_is_refused(
    served, client, tmp_path, monkeypatch
):
    with pytest.raises(ServiceRefused):
        fetch_run(client, "f" * 12, tmp_path / "a")
    monkeypatch.setattr(ReviewLog, "revision", lambda _: 4)
    with pytest.raises(ScreenError, match=says("order.review_not_followed")):
        fetch_run(client, served.run, tmp_path / "b")
