"""What was answered before is answered at the door: as cheaply as written here, and never too long.

A larger count is not an error of the answer: it is 50 clients who wait, and must be meant.
"""

from __future__ import annotations

import os
from collections import Counter
from contextlib import contextmanager

import anyio.to_thread
import pytest
import sqlalchemy as sa
from sqlmodel import Session

from imaging_service.access.keys import make_key
from imaging_service.access.members import add_lab, add_member, add_project, find_project, share
from imaging_service.access.roles import Role
from imaging_service.api import answers
from imaging_service.api.answers import Answers, Head, Known, OfRun
from imaging_service.database.session import database_engine
from imaging_service.database.tables import RunRow
from imaging_service.database.tenants import LOCAL_LAB, LOCAL_PROJECT

TABLE, PAGE = "/runs/RUN/wells", "/view/RUN"
# The key with its owner, the owner's projects, the run; all in one turn of a thread.
STATEMENTS = {"SELECT": 3}
TURNS = 1


class Callers:
    """A service with one finished run, and members who ask for it with keys of their own."""

    def __init__(self, served):
        self.served, self.keys = served, {}
        with Session(database_engine(served.settings.url)) as session:
            add_lab(session, "guests", "Guests")
            share(session, find_project(session, LOCAL_PROJECT), "guests", Role.VIEWER)
            for name, lab, role in (
                ("administrator", LOCAL_LAB, Role.ADMINISTRATOR),
                ("operator", LOCAL_LAB, Role.OPERATOR),
                ("viewer", LOCAL_LAB, Role.VIEWER),
                ("guest", "guests", Role.OPERATOR),
            ):
                member = add_member(session, lab, name, role)
                self.keys[name] = make_key(session, member, "laptop").secret
            session.commit()

    def get(self, path, caller="operator", **headers):
        shown = {"Authorization": f"Bearer {self.keys[caller]}", "Accept-Encoding": "gzip"}
        return self.served.get(path, headers=shown | headers)

    def change(self, statement):
        with database_engine(self.served.settings.url).begin() as connection:
            assert connection.execute(sa.text(statement)).rowcount

    @contextmanager
    def counted(self):
        """(statements by kind, turns of threads) of the requests in this block."""
        statements, turns = Counter(), []
        run_sync = anyio.to_thread.run_sync

        def statement(_connection, _cursor, text, *_):
            statements[text.split()[0]] += 1

        async def turn(function, *arguments, **more):
            turns.append(function)
            return await run_sync(function, *arguments, **more)

        engine = database_engine(self.served.settings.url)
        sa.event.listen(engine, "before_cursor_execute", statement)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(anyio.to_thread, "run_sync", turn)
            yield statements, turns
        sa.event.remove(engine, "before_cursor_execute", statement)


@pytest.fixture
def callers(served):
    return Callers(served)


def whole(answer):
    headers = [pair for pair in answer.headers.raw if pair[0] != b"x-request-id"]
    return answer.status_code, sorted(headers), answer.content


@pytest.mark.parametrize("path", [TABLE, PAGE])
def test_what_is_served_again_costs_as_many_statements_and_turns_as_are_written_here(callers, path):
    tag = callers.get(path).headers["etag"]
    for have, status in (("", 200), (tag, 304)):
        with callers.counted() as (statements, turns):
            answer = callers.get(path, **{"If-None-Match": have})
        assert (answer.status_code, answer.headers["etag"]) == (status, tag)
        assert (statements, len(turns)) == (STATEMENTS, TURNS)


@pytest.mark.parametrize(
    "path",
    [
        TABLE,
        f"{TABLE}?format=csv&line=L1",
        f"{TABLE}?format=parquet",
        f"{TABLE}?labels=engine",
        "/runs/RUN/hazards",
        "/runs/RUN/responses",
        PAGE,
        f"{PAGE}/plate?order=low",
        f"{PAGE}/compound?name=x",
    ],
)
@pytest.mark.parametrize("coding", ["gzip", "gzip;q=0", "br"])
def test_the_door_s_answer_is_the_application_s_to_the_byte(site, path, coding):
    headers = {"Accept-Encoding": coding}
    site.application.state.answers = Answers()
    first = site.get(path, headers=headers)
    assert first.status_code == 200
    tag = first.headers["etag"]
    have = {**headers, "If-None-Match": f'"other", W/{tag}'}
    site.application.state.answers = Answers()
    held = site.get(path, headers=have)
    assert held.status_code == 304
    site.get(path, headers=headers)
    with pytest.MonkeyPatch.context() as patch:
        # The application would have to make the answer.
        patch.setattr(answers.Asked, "answer", None)
        assert whole(site.get(path, headers=headers)) == whole(first)
        assert whole(site.get(path, headers=have)) == whole(held)


def test_who_reads_no_gzip_is_not_given_it_by_the_door(callers):
    for coding, packed in (("gzip", True), ("identity", False), ("gzip", True)):
        got = callers.get(PAGE, **{"Accept-Encoding": coding})
        assert ("content-encoding" in got.headers) is packed
        assert got.text.startswith("<!")


# What is changed ► what the next request of a guest, who may see the run in a shared project, gets.
WITHDRAWN = {
    "UPDATE api_key SET revoked_at='2026-01-01 00:00:00.000000'": 401,
    "UPDATE api_key SET expires_at='2026-01-01 00:00:00.000000'": 401,
    "UPDATE api_key SET digest='x'": 401,
    "DELETE FROM api_key": 401,
    "UPDATE member SET ended_at='2026-01-01 00:00:00.000000'": 401,
    "UPDATE member SET lab_id='other' WHERE name='guest'": 404,
    "DELETE FROM share": 404,
    "UPDATE run SET project_id='elsewhere'": 404,
    "UPDATE run SET state='queued'": 409,
}


@pytest.mark.parametrize("path", [TABLE, PAGE])
@pytest.mark.parametrize(("change", "status"), WITHDRAWN.items())
def test_what_was_withdrawn_is_withdrawn_from_the_next_request_on(callers, path, change, status):
    with Session(database_engine(callers.served.settings.url)) as session:
        add_lab(session, "other", "Other")
        add_project(session, "other", "elsewhere")
        session.commit()
    tag = callers.get(path, "guest").headers["etag"]
    assert callers.get(path, "guest", **{"If-None-Match": tag}).status_code == 304
    callers.change(change)
    if (path, status) == (PAGE, 409):
        status = 200  # of how far the run is
    for have in ("", tag, "*"):
        got = callers.get(path, "guest", **{"If-None-Match": have})
        assert got.status_code == status
        assert got.headers.get("etag") != tag


@pytest.mark.parametrize("path", [TABLE, PAGE])
def test_a_removed_run_is_gone_from_the_next_request_on(callers, path):
    tag = callers.get(path).headers["etag"]
    callers.get(path)
    shown = {"Authorization": f"Bearer {callers.keys['operator']}"}
    assert callers.served.ask("DELETE", "/runs/RUN", headers=shown).status_code == 204
    for have in ("", tag, "*"):
        assert callers.get(path, **{"If-None-Match": have}).status_code == 404


# Whether tables and pages are others once a column of the run's row has another value.
CHANGES = {
    "attempt=attempt+1": (True, True),
    "revision=revision+1": (True, True),
    "submitted_at='2001-01-01 00:00:00.000000'": (True, True),
    "map_version=map_version+1": (False, True),
    "protocol_digest='x'": (False, True),
    "review_reason='the disk is full'": (False, True),
    "notes='[\"a file is empty\"]'": (False, True),
}


@pytest.mark.parametrize(("change", "differs"), CHANGES.items())
def test_a_review_a_retry_and_a_map_are_seen_by_the_next_request(callers, change, differs):
    paths = (TABLE, PAGE)
    tags = [callers.get(path).headers["etag"] for path in paths]
    callers.change(f"UPDATE run SET {change}")
    asked = zip(paths, tags, strict=True)
    got = [callers.get(path, **{"If-None-Match": tag}) for path, tag in asked]
    assert tuple(answer.status_code == 200 for answer in got) == differs
    assert tuple(a.headers["etag"] != t for a, t in zip(got, tags, strict=True)) == differs


def test_a_page_is_made_anew_once_the_run_s_folder_is_another(callers):
    tag = callers.get(PAGE).headers["etag"]
    file = callers.served.folder / "run.json"
    os.utime(file, ns=(1, 1))
    assert callers.get(PAGE).headers["etag"] != tag
    file.unlink()
    # Tables are of the database; nothing of the folder decides them.
    assert (callers.get(TABLE).status_code, callers.get(PAGE).status_code) == (200, 503)


def test_each_role_has_its_own_page_and_a_role_that_is_withdrawn_the_lesser_one(callers):
    pages = {name: callers.get(PAGE, name).headers["etag"] for name in callers.keys}
    assert pages["administrator"] == pages["operator"] != pages["viewer"] == pages["guest"]
    callers.change("UPDATE member SET role='viewer' WHERE name='operator'")
    assert callers.get(PAGE).headers["etag"] == pages["viewer"]


def test_a_page_with_what_the_registry_says_is_not_answered_at_the_door(callers):
    path = f"{PAGE}/line?name=L1"
    tag = callers.get(path).headers["etag"]
    assert callers.get(path).headers["etag"] == tag
    shown = {
        "Authorization": f"Bearer {callers.keys['operator']}",
        "Content-Type": "text/tab-separated-values",
    }
    sheet = b"line\tdonor\nL1\tD1\n"
    put = callers.served.ask("PUT", "/lines", headers=shown, content=sheet)
    assert put.status_code == 200, put.text
    assert callers.get(path).headers["etag"] != tag


def test_the_beginning_of_an_id_is_answered_again_as_well(callers):
    path = TABLE.replace("RUN", callers.served.run[:12])
    tag = callers.get(path).headers["etag"]
    with callers.counted() as (_, turns):
        assert callers.get(path).headers["etag"] == tag
    assert len(turns) == TURNS
    callers.change("UPDATE run SET revision=revision+1")
    assert callers.get(path).headers["etag"] != tag


def test_bytes_that_were_given_up_are_made_anew(callers, monkeypatch):
    first = callers.get(TABLE)
    monkeypatch.setattr(callers.served.application.state.answers, "_kept", {})
    assert whole(callers.get(TABLE)) == whole(first)


def test_the_row_is_the_same_by_both_ways_of_reading_it(served):
    with Session(database_engine(served.settings.url)) as session:
        row = session.connection().execute(sa.select(RunRow)).one()
        assert session.get_one(RunRow, row.id).entries == tuple(row)


def test_no_more_addresses_are_known_than_there_is_room_for(monkeypatch):
    monkeypatch.setattr(answers, "KNOWN_BYTES", 20_000)
    kept = Answers()

    def known(address):
        return Known((address,), OfRun(("run",)), Head('"tag"', "text/csv", {}, packs=False))

    for i in range(1000):
        kept.remember(known(f"/runs/a/wells?line={i:04d}"))
    room = [i for i in range(1000) if kept.known((f"/runs/a/wells?line={i:04d}",))]
    assert room == list(range(1000 - len(room), 1000))
    assert 20 < len(room) < 200
    kept.remember(known(20_000 * "x"))
    assert kept.known((20_000 * "x",)) is None
    assert kept.known(("/runs/a/wells?line=0999",)) is not None
