from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from imaging_service.errors import ReleaseRefused
from imaging_service.release.contents.manifest import write_manifest
from imaging_service.release.requests import records
from imaging_service.release.requests.audit import entries
from imaging_service.release.requests.records import (
    decide,
    hand_over,
    make_request,
    opens,
    read_request,
    requests_of,
    revoke,
)
from imaging_service.screens.folder import set_registry
from plate_maps.consent import DUO
from plate_maps.registry import Line, write
from tests.imaging_service.release.drawn_release import PATIENTS, registry, write_registry
from tests.messages import says

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ANSWERS = {
    "who": "Ada Lee",
    "institution": "A university",
    "email": "ada@example.org",
    "purpose": "HMB",
    "use": "compare neurites",
    "ethics": "METC 2026-1",
    "days": 30,
}


def bundle_of(folder, consent="HMB IRB COL"):
    """As much of a bundle as a request is compared with."""
    folder.mkdir()
    codes = " ".join(DUO[name] for name in consent.split())
    (folder / "lines.tsv").write_text(write([Line("L-1", "D-1", consent=codes)], Line))
    write_manifest(folder)
    return folder


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A release folder without a form, so that its donors are not asked for."""
    monkeypatch.setattr(records, "withdrawn_since", lambda folder, digest: 0)
    (tmp_path / "r").mkdir()
    return tmp_path / "r", bundle_of(tmp_path / "bundle")


def approved(folder, bundle, **more):
    made = make_request(folder, bundle, NOW, **ANSWERS | more)
    return decide(folder, bundle, made.id, NOW, by="Jan Smit", approve=True, reason="fits")


def test_an_approved_request_has_a_key_for_its_release_and_its_days(place, tmp_path):
    request, key = approved(*place)
    assert request.decision.expires_at == NOW + timedelta(days=30)
    assert [c.split(":")[0] for c in request.decision.conditions] == ["COL"]
    assert key not in "".join(p.read_text() for p in (place[0] / "requests").iterdir())
    assert opens(place[0], key, NOW).id == request.id
    assert opens(place[0], key, NOW + timedelta(days=30)) is None
    assert opens(place[0], key + "x", NOW) is None
    assert opens(tmp_path / "other", key, NOW) is None


def test_the_holder_of_a_key_gets_that_bundle_and_no_other(place, tmp_path):
    folder, bundle = place
    _, key = approved(folder, bundle)
    hand_over(folder, bundle, key, tmp_path / "copy", NOW)
    assert (tmp_path / "copy" / "lines.tsv").read_bytes() == (bundle / "lines.tsv").read_bytes()
    other = bundle_of(tmp_path / "other", "GRU")
    with pytest.raises(ReleaseRefused, match=says("release.another_bundle")):
        hand_over(folder, other, key, tmp_path / "copy2", NOW)
    with pytest.raises(ReleaseRefused, match=says("release.key_opens_nothing")):
        hand_over(folder, bundle, "mnr_x", tmp_path / "copy2", NOW)
    assert not (tmp_path / "copy2").exists()


def without_consent(line, how):
    if line.donor != "don-188":
        return line
    if how == "taken out":
        return None
    changes = {
        "withdrawn": {"withdrawn": "yes" if line.line == PATIENTS[0] else ""},
        "withdrawn under another code": {"withdrawn": "yes", "donor": "new-1"},
        "narrower": {"consent_scope": "none"},
    }
    return replace(line, **changes[how])


@pytest.mark.parametrize(
    "how", ["withdrawn", "withdrawn under another code", "narrower", "taken out"]
)
def test_a_donor_who_withdrew_since_is_not_handed_over(how, released, tmp_path):
    lab = shutil.copytree(released.lab, tmp_path / "lab")
    folder = shutil.copytree(released.folder, tmp_path / "first")
    form = (
        (folder / "release.toml").read_text().replace(str(released.lab / "als"), str(lab / "als"))
    )
    (folder / "release.toml").write_text(form)
    asked = make_request(folder, released.bundle, NOW, **ANSWERS)
    _, key = decide(folder, released.bundle, asked.id, NOW, by="Jan", approve=True, reason="fits")
    hand_over(folder, released.bundle, key, tmp_path / "copy", NOW)
    gone = [x for x in (without_consent(line, how) for line in registry()) if x is not None]
    set_registry(lab / "als", *write_registry(lab, gone))
    count = 2 if how == "taken out" else 1
    with pytest.raises(ReleaseRefused, match=says("release.withdrawn_since", count=count)):
        hand_over(folder, released.bundle, key, tmp_path / "copy2", NOW)
    assert not (tmp_path / "copy2").exists()
    assert entries(folder)[-1].action == "hand-over refused"


def test_a_revoked_key_opens_nothing(place, tmp_path):
    request, key = approved(*place)
    revoke(place[0], request.id, NOW, by="Jan Smit", reason="left the institution")
    assert opens(place[0], key, NOW) is None
    with pytest.raises(ReleaseRefused, match=says("release.no_key_to_revoke")):
        revoke(place[0], request.id, NOW, by="Jan Smit", reason="again")


def test_a_key_is_looked_up_by_its_request_and_another_one_s_damage_shuts_no_one_out(
    place, monkeypatch
):
    """Anyone may send a wrong key: it must not cost the reading of every request."""
    request, key = approved(*place)
    (place[0] / "requests" / "A-0000000000.json").write_text("{")
    assert opens(place[0], key, NOW).id == request.id
    reads = []
    read = records.Request.model_validate_json
    monkeypatch.setattr(
        records.Request, "model_validate_json", lambda text: reads.append(text) or read(text)
    )
    wrong = ("mnr_", "mnr_0000000001_x", "mnr_../../x_y", f"{key[:15]}x", key[:14], "")
    assert [opens(place[0], sent, NOW) for sent in wrong] == [None] * len(wrong)
    assert len(reads) == 1


def test_no_approval_overrides_a_consent(place):
    folder, bundle = place
    made = make_request(folder, bundle, NOW, **ANSWERS | {"purpose": "GRU"})
    with pytest.raises(ReleaseRefused, match=says("release.consents_forbid")):
        decide(folder, bundle, made.id, NOW, by="Jan Smit", approve=True, reason="fits")
    assert read_request(folder, made.id).decision is None
    decided, key = decide(folder, bundle, made.id, NOW, by="Jan Smit", approve=False, reason="no")
    assert (decided.decision.approved, key) == (False, "")


def test_a_named_person_decides_once_and_not_on_the_own_request(place):
    folder, bundle = place
    made = make_request(folder, bundle, NOW, **ANSWERS)
    for by, sentence in (
        ("ada lee", says("release.own_request")),
        (" ", says("release.needs_a_name")),
    ):
        with pytest.raises(ReleaseRefused, match=sentence):
            decide(folder, bundle, made.id, NOW, by=by, approve=True, reason="fits")
    assert [e.action for e in entries(folder)] == ["requested", "decision refused"]
    decide(folder, bundle, made.id, NOW, by="Jan Smit", approve=False, reason="no")
    with pytest.raises(ReleaseRefused, match=says("release.decided_already")):
        decide(folder, bundle, made.id, NOW, by="Jan Smit", approve=True, reason="fits")


@pytest.mark.parametrize(
    "wrong", [{"purpose": "fun"}, {"days": 5000}, {"email": "x"}, {"who": ""}, {"disease": "ALS"}]
)
def test_an_incomplete_request_is_refused(place, wrong):
    with pytest.raises(
        ReleaseRefused, match=says("release.request_incomplete", key=next(iter(wrong)))
    ):
        make_request(*place, NOW, **ANSWERS | wrong)
    assert requests_of(place[0]) == []


def test_all_that_happened_stands_in_the_log(place, tmp_path):
    folder, bundle = place
    request, key = approved(folder, bundle)
    hand_over(folder, bundle, key, tmp_path / "copy", NOW)
    revoke(folder, request.id, NOW, by="Jan Smit", reason="ended")
    with pytest.raises(ReleaseRefused):
        hand_over(folder, bundle, key, tmp_path / "copy2", NOW)
    assert [(e.actor, e.action) for e in entries(folder)] == [
        ("Ada Lee", "requested"),
        ("Jan Smit", "approved"),
        ("Ada Lee", "handed over"),
        ("Jan Smit", "revoked"),
        ("unknown", "key refused"),
    ]
    with pytest.raises(ReleaseRefused, match=says("release.no_such_request")):
        read_request(folder, "../A-1")
