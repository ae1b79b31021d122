from __future__ import annotations

import httpx
import polars as pl
import pytest

from imaging_service import frames
from imaging_service.client import Client, ServiceRefused
from imaging_service.frames import ScreenTable, Table, read_screen_table, read_table
from imaging_service.review.local import TABLES
from imaging_service.screens import folder as screens
from imaging_service.store.tables import arrow_bytes

TABLE = pl.DataFrame({"well": ["B02", "B03"], "n": [1, None]}, schema={"well": str, "n": pl.Int64})


@pytest.fixture
def client(monkeypatch):
    """A client that gives prepared answers, one after the other, and the pauses in between."""
    made = Client("http://service.invalid", key="")
    made.close()
    made.answers, made.asked, made.pauses = [], [], []

    def respond(request):
        made.asked.append(request)
        answer = made.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    made._http = httpx.Client(transport=httpx.MockTransport(respond), base_url="http://service")
    monkeypatch.setattr(frames.time, "sleep", made.pauses.append)
    with made:
        yield made


def good():
    return httpx.Response(200, content=arrow_bytes(TABLE))


def test_the_tables_are_those_of_a_run():
    assert Table.__args__ == TABLES
    assert ScreenTable.__args__ == screens.TABLES


def test_a_screen_s_table_comes_from_its_project(client):
    client.answers, client.project = [httpx.ConnectError("away"), good()], "als"
    got = read_screen_table(client, "5b0e", "responses", where=["hit==true"], columns=["line"])
    assert got.equals(TABLE)
    sent = client.asked[-1]
    assert sent.url.path == "/projects/als/screens/5b0e/tables/responses"
    assert sent.url.params.multi_items() == [
        ("format", "arrow"),
        ("where", "hit==true"),
        ("columns", "line"),
    ]


def test_a_table_comes_typed_and_the_service_selects(client):
    client.answers = [good()]
    got = read_table(
        client, "3f0c", "cells", where=["well==B03", "n>=1"], columns=["well", "n"], labels="engine"
    )
    assert got.equals(TABLE)
    assert got.schema == TABLE.schema
    (sent,) = client.asked
    assert sent.url.path == "/runs/3f0c/tables/cells"
    assert sent.url.params.multi_items() == [
        ("format", "arrow"),
        ("labels", "engine"),
        ("where", "well==B03"),
        ("where", "n>=1"),
        ("columns", "well,n"),
    ]


def test_what_may_pass_is_asked_again_and_what_is_refused_is_not(client):
    client.answers = [httpx.ConnectError("away"), httpx.Response(503), good()]
    assert read_table(client, "3f0c", "wells").equals(TABLE)
    assert client.pauses == [0.5, 2.0]
    client.answers = [httpx.Response(404, json={"detail": "there is no run 3f0c"})]
    with pytest.raises(ServiceRefused) as refused:
        read_table(client, "3f0c", "wells")
    assert refused.value.status == 404
    client.answers = [httpx.ConnectError("away") for _ in range(4)]
    with pytest.raises(ServiceRefused):
        read_table(client, "3f0c", "wells")
    assert client.answers == []
