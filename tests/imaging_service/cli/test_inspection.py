"""The command `inspect`: its text, its JSON and its exit codes."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from imaging_service.cli.main import app
from imaging_service.errors import ScanError
from tests.imaging_service.inspection.test_starting_protocol import named_scan
from tests.imaging_service.inspection.test_survey import draw, names

STAINS = ["UV - DAPI", "Green - TUJ1"]


def inspect(*arguments):
    return CliRunner().invoke(app, ["inspect", *map(str, arguments)])


def test_a_scan_that_names_its_stains_can_be_analysed(tmp_path):
    named_scan(tmp_path / "Plate 1", STAINS)
    ended = inspect(tmp_path / "Plate 1", "--out", tmp_path / "out")
    assert ended.exit_code == 0
    assert ended.output.count("dna = ") == 1
    written = {p.name: p for p in (tmp_path / "out").iterdir()}
    assert sorted(written) == ["B02_field1.png", "starting_protocol.toml"]
    assert written["starting_protocol.toml"].read_text(encoding="utf-8") in ended.output


def test_json_holds_the_survey_the_protocol_and_the_thumbnails(tmp_path):
    named_scan(tmp_path / "Plate 1", STAINS)
    content = json.loads(inspect(tmp_path / "Plate 1", "--json", "--out", tmp_path).output)
    assert (content["wells"], content["images"], content["can_be_analysed"]) == (1, 2, True)
    assert content["thumbnails"] == [str(tmp_path / "B02_field1.png")]
    assert content["unreadable"] == []
    assert content["protocol"].startswith('name = "Plate-1"')


def test_what_the_protocol_must_state_is_exit_code_1(tmp_path):
    scan = draw(tmp_path / "p", names())
    ended = inspect(scan, "--json")
    assert (ended.exit_code, json.loads(ended.output)["can_be_analysed"]) == (1, False)
    protocol = tmp_path / "p.toml"
    protocol.write_text('name = "p"\n[channels]\ndna = 1\n')
    assert inspect(scan, "--protocol", protocol).exit_code == 0


def test_a_folder_that_is_not_a_scan_is_refused(tmp_path):
    ended = inspect(tmp_path)
    assert isinstance(ended.exception, ScanError)


@pytest.mark.parametrize("lost", [True, False])
def test_a_scan_without_any_image_is_exit_code_2(tmp_path, monkeypatch, lost):
    from dataclasses import replace

    from imaging_service.inspection import survey as module

    seen = named_scan(tmp_path / "p", STAINS)
    whole = seen.plan
    without = replace(whole, images=(), missing=whole.images) if lost else whole
    monkeypatch.setattr(module, "plan_scan", lambda *_: without)
    assert inspect(tmp_path / "p").exit_code == (2 if lost else 0)


def test_a_plate_on_s3_is_inspected_there(bucket, small_run, tmp_path):
    address = bucket.copy(small_run / "plate.zarr", "plate 1.zarr")
    here, there = inspect(small_run / "plate.zarr", "--json"), inspect(address, "--json")
    assert there.exit_code == here.exit_code
    content = json.loads(there.output)
    assert content["scan"] == address
    assert content | {"scan": str(small_run / "plate.zarr")} == json.loads(here.output)
    pictured = inspect(address, "--out", tmp_path / "out")
    assert pictured.exit_code == here.exit_code
    assert len(list((tmp_path / "out").glob("*.png"))) == 5
    assert isinstance(inspect(bucket.address("none")).exception, ScanError)
