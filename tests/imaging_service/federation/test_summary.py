from __future__ import annotations

import json
import shutil
from dataclasses import replace

import polars as pl
import pytest

from imaging_service.errors import SummaryRefused
from imaging_service.federation.signing import is_signed
from imaging_service.federation.summary import write_summary
from imaging_service.screens.folder import add_run
from plate_maps.registry import read_lines
from tests.imaging_service.federation.drawn_sites import SHARED, registry_of, send, site_screen
from tests.messages import says, states


def test_a_summary_holds_averages_signed_and_no_well(sites):
    folder = sites.sent["north"]
    manifest = (folder / "manifest.json").read_bytes()
    assert is_signed(sites.keys["north"], manifest, (folder / "signature").read_bytes())
    content = json.loads(manifest)
    assert (content["site"], content["protocols"], content["left_out"]) == ("north", ["q"], {})
    assert set(content["files"]) == {p.name for p in folder.iterdir()} - {
        "manifest.json",
        "signature",
    }
    for path in folder.glob("*.parquet"):
        assert "well" not in pl.read_parquet(path).columns
    text = "".join(p.read_text() for p in folder.iterdir() if p.suffix in (".json", ".tsv"))
    assert "Plate-" not in text
    lines = read_lines((folder / "lines.tsv").read_text())
    assert {line.donor[:2] for line in lines.values()} == {"D-"}
    assert {line.hpscreg for line in lines.values()} == {""}


def test_lines_without_consent_stay_at_the_site(sites, tmp_path):
    lines = [
        replace(x, consent_scope="none") if x.line.startswith("N2") else x
        for x in registry_of("north")
    ]
    lines = [replace(x, withdrawn="yes") if x.line == "N3" else x for x in lines]
    folder, _ = send(tmp_path, "north", site_screen(tmp_path, "north", sites.runs["north"], lines))
    left = json.loads((folder / "manifest.json").read_text())["left_out"]
    assert left == {"scope": 2, "withdrawn": 2}
    for path in folder.glob("*.parquet"):
        table = pl.read_parquet(path)
        if "line" in table.columns:
            assert set(table["line"]) <= {SHARED, f"{SHARED}-iso"}
    written = write_summary(
        tmp_path / "screen-north",
        tmp_path / "again",
        site="north",
        key=tmp_path / "north.key",
        consortium_key=tmp_path / "consortium.key",
    )
    noted = [n for n in written.notes if states("federation.calibrated_with", n, count=3)]
    assert len(noted) == 1


def test_batches_need_a_laboratory_and_a_summary_a_place_of_its_own(sites, tmp_path):
    screen = shutil.copytree(sites.root / "screen-north", tmp_path / "s")
    keys = {
        "site": "north",
        "key": sites.root / "north.key",
        "consortium_key": sites.root / "consortium.key",
    }
    with pytest.raises(SummaryRefused, match=says("federation.out_exists")):
        write_summary(screen, sites.sent["north"], **keys)
    other = tmp_path / "other"
    add_run(other, sites.runs["north"][0])
    shutil.copytree(screen, tmp_path / "t")
    for path in (tmp_path / "t" / "plates").glob("*/plate.json"):
        path.write_text(path.read_text().replace('"lab": "north"', '"lab": ""'))
    with pytest.raises(SummaryRefused, match=says("federation.no_lab")):
        write_summary(tmp_path / "t", tmp_path / "out", **keys)
    assert not (tmp_path / "out").exists()
