from __future__ import annotations

import asyncio
import json

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from imaging_service.access.callers import caller_with_key
from imaging_service.api.routes import events
from imaging_service.api.routes.events import look, stream
from imaging_service.database.session import database_engine, find_run
from imaging_service.database.tables import WellRow
from imaging_service.schemas import RunEvent
from tests.imaging_service.tenants import FOREIGN_RUN, RUN


def event(**changes):
    known = {"id": RUN, "state": "running", "done": 0, "failed": 0, "revision": 1}
    return RunEvent.model_validate(known | changes)


def collected(*reads):
    """What a stream says of these answers of the database, one after the other."""
    answers = iter([*reads, None])

    async def all_of_it():
        return [part async for part in stream(lambda: next(answers))]

    return asyncio.run(all_of_it())


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(events, "EVERY_S", 0.0)


def data(parts):
    return [
        json.loads(part.split("data: ")[1]) for part in parts if part.startswith("event: run\n")
    ]


def test_runs_are_told_as_they_are_and_then_only_where_they_change():
    parts = collected([event()], [event()], [event(done=1)], [event(done=1), event(id="b" * 20)])
    assert parts[0] == "retry: 3000\n\n"
    assert all(part.endswith("\n\n") for part in parts)
    assert [(d["id"][0], d["done"]) for d in data(parts)] == [("a", 0), ("a", 1), ("b", 0)]


def test_a_reason_with_line_breaks_stays_one_event():
    (part,) = collected([event(reason="a\n\nevent: run\ndata: {}\r")])[1:]
    assert part.count("\n") == 3
    assert json.loads(part.split("data: ", 1)[1])["reason"] == "a\n\nevent: run\ndata: {}\r"


def test_where_nothing_happens_there_is_a_sign_of_life(monkeypatch):
    monkeypatch.setattr(events, "_SIGN_OF_LIFE_S", -1.0)
    assert collected([], [])[1:] == [": still here\n\n"] * 2


def test_a_connection_is_given_up_after_a_while(monkeypatch):
    monkeypatch.setattr(events, "LONGEST_S", 0.0)
    assert collected([event()]) == ["retry: 3000\n\n"]


def test_a_caller_sees_the_runs_of_its_projects_only(two_labs):
    url = two_labs.settings.url
    with two_labs.session() as session:
        callers = {c: caller_with_key(session, two_labs.keys[c]) for c in ("viewer", "other lab")}
        session.add(WellRow(run_id=RUN, well="B02", status="done"))
        session.add(WellRow(run_id=RUN, well="B03", status="failed"))
        session.commit()
    assert look(url, callers["viewer"], "") == [event(state="queued", done=1, failed=1)]
    assert [e.id for e in look(url, callers["other lab"], "")] == [FOREIGN_RUN]
    assert look(url, callers["viewer"], FOREIGN_RUN) == []
    two_labs.ask("administrator", "DELETE", f"/keys/{two_labs.keys['viewer'].split('_')[1]}")
    assert look(url, callers["viewer"], "") is None


def test_the_stream_ends_when_the_key_does(two_labs, monkeypatch):
    seen = []

    def revoking(url, caller, run):
        seen.append(run)
        if len(seen) == 2:
            two_labs.ask("administrator", "DELETE", f"/keys/{caller.key}")
        return look(url, caller, run)

    monkeypatch.setattr(events, "look", revoking)
    answer = two_labs.ask("viewer", "GET", f"/events?run={RUN}")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-accel-buffering"] == "no"
    assert [d["id"] for d in data(answer.text.split("\n\n"))] == [RUN]
    assert len(seen) == 2
    with Session(database_engine(two_labs.settings.url)) as session:
        assert find_run(session, RUN).state == "queued"


def test_the_number_of_queries_does_not_follow_that_of_the_runs(two_labs):
    url, asked = two_labs.settings.url, []

    @sa.event.listens_for(database_engine(url), "before_cursor_execute")
    def count(_connection, _cursor, statement, *_):
        asked.append(statement)

    counts = []
    for name in ("viewer", "service"):
        with two_labs.session() as session:
            caller = caller_with_key(session, two_labs.keys[name])
        asked.clear()
        runs = look(url, caller, "")
        counts.append(
            (len(runs), len([q for q in asked if {"run", "well_result"} & set(q.split())]))
        )
    assert counts == [(1, 2), (2, 2)]
