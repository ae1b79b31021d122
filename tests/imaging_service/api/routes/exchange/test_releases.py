"""A release over HTTP: to the key of a decided request, and to no other."""

from __future__ import annotations

import io
import zipfile

import pytest
from sqlmodel import select

from imaging_service.database.tables import ReleaseRow
from imaging_service.database.tenants import AuditRow, now
from imaging_service.release.requests import offers
from imaging_service.release.requests.audit import entries
from imaging_service.release.requests.records import revoke
from tests.imaging_service.offered import offered_release
from tests.messages import states


@pytest.fixture
def offered(two_labs, tmp_path, monkeypatch):
    return offered_release(two_labs, tmp_path, monkeypatch)


def test_the_key_of_a_request_gets_its_release_and_the_audit_log_says_so(offered):
    (known,) = offered.get("/releases").json()
    assert (known["id"], known["name"]) == (offered.release, "als-2026")
    assert set(known) == {"id", "name", "manifest_sha256", "size", "sha256", "offered_at"}
    answer = offered.get(f"/releases/{offered.release}/bundle")
    assert answer.status_code == 200
    assert answer.headers["etag"] == f'"{known["sha256"]}"'
    assert "als-2026.zip" in answer.headers["content-disposition"]
    names = zipfile.ZipFile(io.BytesIO(answer.content)).namelist()
    assert sorted(names) == ["lines.tsv", "manifest-sha256.txt"]
    part = offered.get(f"/releases/{offered.release}/bundle", headers={"Range": "bytes=0-1"})
    assert (part.status_code, part.content) == (206, b"PK")
    with offered.labs.session() as session:
        noted = session.exec(select(AuditRow).where(AuditRow.action == "release handed over")).all()
    assert [(r.actor, r.key_id, r.lab_id, r.object) for r in noted] == [
        ("Ada Lee", offered.request, "alpha", offered.release)
    ] * 2


def test_the_key_of_a_request_opens_nothing_else(offered):
    for path in ("/runs", "/keys", "/session", "/lines", "/projects/als/screens", "/runs/abcdef"):
        refused = offered.get(path)
        assert refused.status_code == 403, path
        assert states("offer.nothing_else", refused.json()["detail"])
    made = offered.labs.ask("requester", "POST", "/keys", json={"name": "x"})
    assert made.status_code == 403
    missing = offered.get(f"/releases/{'0' * 16}/bundle")
    assert missing.status_code == 404


@pytest.mark.parametrize("caller", ["administrator", "bound", "service", "other lab"])
def test_no_member_gets_the_bundle_and_a_foreign_laboratory_knows_of_none(offered, caller):
    refused = offered.labs.ask(caller, "GET", f"/releases/{offered.release}/bundle")
    missing = offered.labs.ask(caller, "GET", f"/releases/{'0' * 16}/bundle")
    assert (refused.status_code, missing.status_code) == (404, 404)
    listed = offered.labs.ask(caller, "GET", "/releases").json()
    assert [r["id"] for r in listed] == ([offered.release] if caller == "administrator" else [])


def test_a_key_that_was_revoked_or_ended_is_answered_as_any_wrong_key(offered):
    path = f"/releases/{offered.release}/bundle"
    revoke(offered.folder, offered.request, now(), by="Jan Smit", reason="left")
    ended = offered.get(path)
    assert ended.status_code == 401
    offered.labs.keys["requester"] = "mnr_0123456789_" + "x" * 43
    wrong = offered.labs.ask("requester", "GET", path)
    assert (wrong.status_code, wrong.json()["detail"]) == (401, ended.json()["detail"])


def test_a_withdrawn_donor_ends_the_hand_over_with_the_reason(offered, monkeypatch):
    monkeypatch.setattr(offers, "withdrawn_since", lambda folder, digest: 1)
    refused = offered.get(f"/releases/{offered.release}/bundle")
    assert refused.status_code == 403
    assert states("offer.withdrawn_since_written", refused.json()["detail"])


def test_an_offer_that_ended_is_not_listed(offered):
    with offered.labs.session() as session:
        session.get(ReleaseRow, offered.release).ended_at = now()
        session.commit()
    assert offered.labs.ask("administrator", "GET", "/releases").json() == []
    assert offered.get("/releases").status_code == 401


def test_a_bundle_that_was_lost_is_not_noted_as_handed_over(offered):
    offers.offered_file(offered.labs.settings, offered.release).unlink()
    lost = offered.get(f"/releases/{offered.release}/bundle")
    assert lost.status_code == 404
    assert states("offer.file_lost", lost.json()["detail"])
    assert [e.action for e in entries(offered.folder)] == ["requested", "approved"]
