"""How an offer stands, whatever became of its requests and its folder."""

from __future__ import annotations

from datetime import timedelta

import pytest

from imaging_service.database.tables import ReleaseRow
from imaging_service.database.tenants import now
from imaging_service.errors import ReleaseRefused
from imaging_service.release.requests import records
from imaging_service.release.requests.offers import offered_file
from imaging_service.release.requests.records import decide, make_request, revoke
from imaging_service.release.requests.standing import Grant, standing
from tests.imaging_service.offered import approved, offered_release
from tests.imaging_service.release.requests.test_records import ANSWERS, bundle_of
from tests.messages import states


@pytest.fixture
def offered(two_labs, tmp_path, monkeypatch):
    return offered_release(two_labs, tmp_path, monkeypatch)


def stands(offered, when=None):
    with offered.labs.session() as session:
        row = session.get(ReleaseRow, offered.release)
        return standing(offered.labs.settings, row, when or now())


def test_each_request_has_what_became_of_it(offered, tmp_path):
    folder, bundle = offered.folder, offered.bundle
    make_request(folder, bundle, now(), **ANSWERS)
    refused = make_request(folder, bundle, now(), **ANSWERS).id
    decide(folder, bundle, refused, now(), by="Jan Smit", approve=False, reason="no")
    revoked, _ = approved(folder, bundle)
    revoke(folder, revoked, now(), by="Jan Smit", reason="left")
    # A request for another bundle of the same release is not this offer's.
    approved(folder, bundle_of(tmp_path / "other", "GRU"))
    grants = [Grant.OPENS, Grant.WAITS, Grant.REJECTED, Grant.REVOKED]
    seen = stands(offered)
    assert ([r.grant for r in seen.requesters], seen.faults) == (grants, [])
    assert [r.request.id for r in seen.open_to] == [offered.request]
    later = stands(offered, now() + timedelta(days=31))
    assert [r.grant for r in later.requesters] == [Grant.ENDED, *grants[1:]]


def test_downloads_are_those_of_the_log_whole_and_in_parts(offered):
    path = f"/releases/{offered.release}/bundle"
    for headers in ({}, {}, {"Range": "bytes=0-1"}):
        offered.get(path, headers=headers)
    (requester,) = stands(offered).requesters
    assert (requester.whole, requester.parts) == (2, 1)
    assert timedelta() <= now() - requester.last < timedelta(minutes=1)


def test_a_log_that_was_changed_counts_nothing_and_says_so(offered):
    log = offered.folder / "requests" / "audit.jsonl"
    log.write_text(log.read_text().replace("Ada Lee", "Eve"))
    seen = stands(offered)
    assert [(r.grant, r.whole, r.parts, r.last) for r in seen.requesters] == [
        (Grant.OPENS, None, None, None)
    ]
    assert [states("standing.log_changed", f) for f in seen.faults] == [True]


def test_what_hinders_the_hand_over_is_named(offered, monkeypatch):
    offered_file(offered.labs.settings, offered.release).unlink()
    monkeypatch.setattr(records, "withdrawn_since", lambda folder, digest: 1)
    zip_missing, withdrawn = stands(offered).faults
    assert states("standing.no_zip", zip_missing)
    assert states("standing.withdrawn", withdrawn)


def test_a_screen_that_cannot_be_asked_is_a_fault_and_no_error(offered, monkeypatch):
    def away(folder, digest):
        raise ReleaseRefused("x")

    monkeypatch.setattr(records, "withdrawn_since", away)
    (fault,) = stands(offered).faults
    assert states("standing.cannot_be_asked", fault)


def test_a_request_that_cannot_be_read_is_a_fault_and_no_error(offered):
    (offered.folder / "requests" / f"{offered.request}.json").write_text("{}")
    seen = stands(offered)
    assert seen.requesters == ()
    assert [states("standing.request_unreadable", f) for f in seen.faults] == [True]
