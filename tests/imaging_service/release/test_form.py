from __future__ import annotations

import json
import shutil
import tomllib

import pytest

from imaging_service.errors import ReleaseRefused
from imaging_service.release.form import new_release, read_form, read_secret, secret_path
from imaging_service.release.gate.consent import Tier
from tests.imaging_service.release.drawn_release import PLATES, filled_form
from tests.messages import says


def test_an_unfilled_form_is_refused_by_its_empty_keys(lab, tmp_path):
    path = new_release(tmp_path / "r", lab / "als", [lab / PLATES[0]], Tier.OPEN)
    with pytest.raises(ReleaseRefused, match=says("release.key_empty", key="authors.0.email")):
        read_form(path.parent)
    with pytest.raises(ReleaseRefused, match=says("release.there_already")):
        new_release(tmp_path / "r", lab / "als", [lab / PLATES[0]], Tier.OPEN)


def test_a_filled_form_is_read_and_its_channels_are_the_scans(lab, tmp_path):
    form = read_form(filled_form(tmp_path / "r", lab))
    assert [c.channel for c in form.acquisition.channels] == ["DAPI", "A488"]
    assert list(form.acquired) == list(PLATES)
    assert form.ledger == lab / "ledger.jsonl"


def test_what_the_vendor_says_is_filled_in(lab, reference, tmp_path):
    run = shutil.copytree(lab / PLATES[0], tmp_path / "run")
    record = json.loads((run / "run.json").read_text())
    record["inputs"]["scan"] = str(reference / "vendor" / "harmony_v5_phenix")
    (run / "run.json").write_text(json.dumps(record))
    path = new_release(tmp_path / "r", lab / "als", [run], Tier.OPEN)
    form = tomllib.loads(path.read_text())
    card = form["acquisition"]
    assert (card["objective"], card["fbbi"]) == ("20×", "FBbi:00000253")
    assert card["plate_type"].startswith("384 PerkinElmer")
    assert [d.date().isoformat() for d in form["acquired"].values()] == ["2023-03-23"]


def test_a_licence_fits_the_tier(lab, tmp_path):
    folder = filled_form(tmp_path / "r", lab, Tier.CONTROLLED, licence="CC-BY-4.0")
    with pytest.raises(ReleaseRefused, match=says("release.licence_of_tier")):
        read_form(folder)


def test_the_secret_is_private_whole_and_of_this_release(lab, tmp_path):
    first, second = filled_form(tmp_path / "a", lab), filled_form(tmp_path / "b", lab)
    assert len(read_secret(first)) == 32
    assert read_secret(first) != read_secret(second)
    assert secret_path(first).stat().st_mode & 0o077 == 0
    secret_path(first).write_bytes(b"cut")
    with pytest.raises(ReleaseRefused, match=says("release.secret_damaged")):
        read_secret(first)


def test_folders_that_are_no_release_and_no_run_are_refused(lab, tmp_path):
    with pytest.raises(ReleaseRefused, match=says("release.no_form")):
        read_form(tmp_path)
    with pytest.raises(ReleaseRefused, match=says("release.no_run")):
        new_release(tmp_path / "r", lab / "als", [tmp_path], Tier.OPEN)
    (tmp_path / "release.toml").write_text("tier = ")
    with pytest.raises(ReleaseRefused, match=says("release.form_not_toml")):
        read_form(tmp_path)


def test_screens_that_lie_side_by_side_have_one_ledger(lab, tmp_path):
    def ledger(name, screen):
        path = new_release(tmp_path / name, screen, [lab / PLATES[0]], Tier.OPEN)
        return tomllib.loads(path.read_text())["ledger"]

    screens = [tmp_path / "screens" / name for name in ("first", "second")]
    beside = str(tmp_path / "screens" / "releases.jsonl")
    assert [ledger(screen.name, screen) for screen in screens] == [beside, beside]
    # One that a former version began stays.
    screens[1].mkdir(parents=True)
    (screens[1] / "releases.jsonl").touch()
    assert ledger("third", screens[1]) == str(screens[1] / "releases.jsonl")
