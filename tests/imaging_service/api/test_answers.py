"""Tables that do not change are made once, and not sent to who has them."""

from __future__ import annotations

import gzip

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient

from imaging_service.api import answers
from imaging_service.api.answers import Answers, AskedDep
from imaging_service.database.session import database_engine

BODY = b'[{"well": "B02"}]' + 2000 * b" "


@pytest.fixture
def asking():
    """A client of one route, and the bodies that were made."""
    app, made = FastAPI(), []
    answers.install(app)

    @app.get("/table")
    def table(asked: AskedDep, version: int = 1, media: str = "application/json"):
        def make():
            made.append(version)
            return BODY

        return asked.answer(("table", version), make, media, {"X-Kind": "table"})

    return TestClient(app, headers={"Accept-Encoding": "identity"}), made


def test_the_same_table_is_made_once_and_sent_once(asking):
    client, made = asking
    first = client.get("/table")
    tag = first.headers["etag"]
    assert (first.content, first.headers["x-kind"], made) == (BODY, "table", [1])
    for have in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        again = client.get("/table", headers={"If-None-Match": have})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert client.get("/table", headers={"If-None-Match": '"other"'}).content == BODY
    assert made == [1]
    changed = client.get("/table?version=2", headers={"If-None-Match": tag})
    assert (changed.status_code, made) == (200, [1, 2])
    assert changed.headers["etag"] != tag
    assert changed.headers["cache-control"] == "private, no-cache"


def test_what_is_packed_is_another_answer(asking):
    client, made = asking
    plain = client.get("/table").headers["etag"]
    with client.stream("GET", "/table", headers={"Accept-Encoding": "br, gzip;q=0.8"}) as packed:
        raw = b"".join(packed.iter_raw())
    assert (gzip.decompress(raw), packed.headers["content-encoding"]) == (BODY, "gzip")
    assert packed.headers["etag"] != plain
    assert len(raw) < len(BODY) / 10
    assert made == [1, 1]
    for refuses, media in (("gzip;q=0", "application/json"), ("gzip", "application/vnd.x")):
        answer = client.get(f"/table?media={media}", headers={"Accept-Encoding": refuses})
        assert "content-encoding" not in answer.headers


def test_no_more_bytes_are_kept_than_there_is_room_for(monkeypatch):
    monkeypatch.setattr(answers, "_LARGEST", 10)
    kept, made = Answers(), []

    def make(size):
        made.append(size)
        return size * b"x"

    for size in (10, 11, 10, 11):
        assert len(kept.get(str(size), lambda size=size: make(size))) == size
    assert made == [10, 11, 11]


@pytest.mark.parametrize("kind", ["wells", "responses", "hazards", "checks"])
def test_a_run_s_table_is_named_by_run_attempt_revision_filter_and_format(served, kind):
    asked = [f"/runs/RUN/{kind}{query}" for query in ("", "?format=csv", "?status=done")]
    tags = [served.get(url).headers["etag"] for url in asked]
    assert len(set(tags)) == 3
    for url, tag in zip(asked, tags, strict=True):
        again = served.get(url, headers={"If-None-Match": tag})
        assert (again.status_code, again.content) == (304, b"")
    for change in ("attempt=attempt+1", "revision=revision+1"):
        with database_engine(served.settings.url).begin() as connection:
            connection.execute(sa.text(f"UPDATE run SET {change}"))
        changed = served.get(asked[0]).headers["etag"]
        assert changed not in tags
        tags.append(changed)
