from __future__ import annotations

import json

import pytest

from imaging_service.database.protocols import find_protocol, keep_protocol, protocols_of
from imaging_service.database.tables import RunRow
from imaging_service.errors import NotFound
from tests.imaging_service.tenants import RUN

A, B, C = "a" * 64, "b" * 64, "abc" + "0" * 61


@pytest.fixture
def session(two_labs):
    with two_labs.session() as opened:
        yield opened


def test_versions_count_by_project_and_name_and_the_same_content_is_the_same_version(session):
    assert keep_protocol(session, "als", A, {"name": "fixed"}, "Ada") == 1
    assert keep_protocol(session, "als", B, {"name": "fixed", "x": 1}, "Bob") == 2
    assert keep_protocol(session, "als", A, {"name": "fixed"}, "Bob") == 1
    assert keep_protocol(session, "als", C, {"name": "live"}, "Bob") == 1
    assert keep_protocol(session, "ftd", A, {"name": "fixed"}, "Eve") == 1
    session.get_one(RunRow, RUN).protocol_digest = B
    session.flush()
    listed = {
        row.digest: (row.version, row.author, runs) for row, runs in protocols_of(session, "als")
    }
    assert listed == {A: (1, "Ada", 0), B: (2, "Bob", 1), C: (1, "Bob", 0)}


def test_a_protocol_is_found_by_a_beginning_that_only_it_has(session):
    keep_protocol(session, "als", A, {"name": "fixed", "x": 1}, "Ada")
    assert json.loads(find_protocol(session, "als", A[:6]).content)["x"] == 1
    keep_protocol(session, "als", A[:10] + B[10:], {"name": "fixed"}, "Ada")
    for digest in (A[:6], A[:5], "%" * 6, "c" * 8):
        with pytest.raises(NotFound):
            find_protocol(session, "als", digest)
    with pytest.raises(NotFound):
        find_protocol(session, "ftd", A)
