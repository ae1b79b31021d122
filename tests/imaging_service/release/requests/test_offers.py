"""Releases that a service hands over."""

from __future__ import annotations

import hashlib
import io
import zipfile
from datetime import timedelta

import pytest

from imaging_service.database.tenants import now
from imaging_service.errors import Forbidden, NotFound, ReleaseRefused
from imaging_service.release.contents.manifest import check_manifest
from imaging_service.release.requests import offers
from imaging_service.release.requests.audit import entries
from imaging_service.release.requests.offers import (
    caller_with_release_key,
    end_offer,
    hand_over_file,
    offer,
    offered_file,
)
from imaging_service.release.requests.records import revoke
from tests.imaging_service.offered import approved, offered_release
from tests.imaging_service.release.requests.test_records import bundle_of
from tests.messages import says


@pytest.fixture
def offered(two_labs, tmp_path, monkeypatch):
    return offered_release(two_labs, tmp_path, monkeypatch)


def caller_of(offered, key):
    with offered.labs.session() as session:
        return caller_with_release_key(session, key)


def test_what_is_offered_is_the_bundle_and_the_same_bundle_is_one_offer(offered, tmp_path):
    settings = offered.labs.settings
    path = offered_file(settings, offered.release)
    content = path.read_bytes()
    zipfile.ZipFile(io.BytesIO(content)).extractall(tmp_path / "copy")
    assert check_manifest(tmp_path / "copy") == 1
    with offered.labs.session() as session:
        row = offer(settings, session, offered.folder, offered.bundle, "alpha", "bob")
        assert (row.id, row.offered_by) == (offered.release, "ann")
        assert (row.size, row.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert path.read_bytes() == content
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_bundle_that_was_changed_or_whose_donors_withdrew_is_not_offered(offered, monkeypatch):
    settings = offered.labs.settings
    monkeypatch.setattr(offers, "withdrawn_since", lambda folder, digest: 2)
    with offered.labs.session() as session:
        with pytest.raises(ReleaseRefused, match=says("offer.withdrawn")):
            offer(settings, session, offered.folder, offered.bundle, "alpha", "ann")
        (offered.bundle / "more.txt").write_text("x")
        with pytest.raises(ReleaseRefused, match=says("release.file_not_listed", file="more.txt")):
            offer(settings, session, offered.folder, offered.bundle, "alpha", "ann")


def test_a_bundle_that_one_laboratory_offers_is_not_offered_by_another(offered):
    settings = offered.labs.settings
    content = offered_file(settings, offered.release).read_bytes()
    with offered.labs.session() as session:
        with pytest.raises(ReleaseRefused, match=says("offer.of_another_laboratory")):
            offer(settings, session, offered.folder, offered.bundle, "beta", "bob")
        end_offer(settings, session, offered.release)
        row = offer(settings, session, offered.folder, offered.bundle, "beta", "bob")
        assert (row.lab_id, row.offered_by, row.ended_at) == ("beta", "bob", None)
    assert offered_file(settings, offered.release).read_bytes() == content


def test_a_key_is_of_its_requester_and_its_release_until_it_ends(offered):
    caller = caller_of(offered, offered.key)
    assert (caller.name, caller.lab, caller.key, caller.release) == (
        "Ada Lee",
        "alpha",
        offered.request,
        offered.release,
    )
    assert (dict(caller.roles), caller.lab_role, caller.everywhere) == ({}, None, False)
    assert caller_of(offered, offered.key + "x") is None
    _, old = approved(offered.folder, offered.bundle, now() - timedelta(days=31))
    assert caller_of(offered, old) is None
    revoke(offered.folder, offered.request, now(), by="Jan Smit", reason="left")
    assert caller_of(offered, offered.key) is None


def test_a_key_of_another_bundle_of_the_release_and_a_damaged_record_let_no_one_in(
    offered, tmp_path
):
    _, of_another = approved(offered.folder, bundle_of(tmp_path / "second", "HMB IRB"))
    assert caller_of(offered, of_another) is None
    assert caller_of(offered, offered.key).release == offered.release
    damaged = offered.folder / "requests" / f"{offered.request}.json"
    damaged.write_text("{")
    assert caller_of(offered, offered.key) is None


def test_each_hand_over_is_noted_and_none_is_made_once_a_donor_withdrew(offered, monkeypatch):
    settings, caller = offered.labs.settings, caller_of(offered, offered.key)
    with offered.labs.session() as session:
        _, path = hand_over_file(settings, session, caller, now(), "")
        hand_over_file(settings, session, caller, now(), "bytes=5-")
        monkeypatch.setattr(offers, "withdrawn_since", lambda folder, digest: 1)
        with pytest.raises(Forbidden, match=says("offer.withdrawn_since_written")):
            hand_over_file(settings, session, caller, now(), "")
    assert path == offered_file(settings, offered.release)
    noted = [(e.actor, e.action, e.request, e.detail) for e in entries(offered.folder)[2:]]
    assert noted == [
        ("Ada Lee", "handed over", offered.request, "over HTTP"),
        ("Ada Lee", "handed over", offered.request, "over HTTP, bytes=5-"),
        ("Ada Lee", "hand-over refused", offered.request, "withdrawn donors"),
    ]


def test_an_offer_that_ended_is_not_there_and_its_file_is_gone(offered):
    settings, caller = offered.labs.settings, caller_of(offered, offered.key)
    with offered.labs.session() as session:
        end_offer(settings, session, offered.release)
        session.commit()
        for refused in (
            lambda: end_offer(settings, session, offered.release),
            lambda: hand_over_file(settings, session, caller, now(), ""),
        ):
            with pytest.raises(NotFound):
                refused()
    assert caller_of(offered, offered.key) is None
    assert not offered_file(settings, offered.release).exists()
