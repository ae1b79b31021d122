from __future__ import annotations

import json
from dataclasses import replace

import polars as pl
import pytest

from imaging_service.release.contents.plates import exported, exported_curves, write_plate
from imaging_service.release.material import examine
from phenotypes.columns.dictionary import columns, conform
from plate_maps.compounds import read_compounds
from tests.imaging_service.release.drawn_release import (
    AT_HOME,
    NAMES,
    OPERATOR,
    PATIENTS,
    PLATES,
    WITHDRAWN,
)


def first_run(material):
    return next(run for run in material.runs if run.plate == PLATES[0])


@pytest.fixture(scope="module")
def plate(released, tmp_path_factory):
    material = examine(released.folder)
    out = tmp_path_factory.mktemp("plate")
    return material, write_plate(material, first_run(material), out), out


def test_wells_keep_their_numbers_and_lose_their_names(plate):
    material, written, _ = plate
    source = first_run(material).wells.filter(~pl.col("line").is_in([WITHDRAWN, AT_HOME]))
    assert written.wells.select("well", "dose_molar", "control", *NAMES).equals(
        source.select("well", "dose_molar", "control", *NAMES)
    )
    assert written.n_left_out == 40
    assert set(written.wells["line"]) == {material.ids.of("line", n) for n in material.lines}
    assert set(written.wells["genotype"]) == {"SOD1 missense", "corrected"}
    assert written.wells["batch"].unique().to_list() == [material.ids.of("batch", "okafor-lab/b0")]


def test_excluded_wells_are_there_with_a_reason_that_names_nothing(plate):
    _, written, _ = plate
    (row,) = written.wells.filter(pl.col("status") == "failed").to_dicts()
    assert row["well"] == "A05"
    assert not any(s in row["reason"] for s in (OPERATOR, PLATES[0], "/"))
    assert "[file]" in row["reason"]


def test_the_record_is_a_white_list(plate):
    material, written, out = plate
    (path,) = out.glob("plates/*/run.json")
    record = json.loads(path.read_text())
    assert record == json.loads(json.dumps(written.record))
    assert record["engine"]["engine"] == "motornet"
    assert record["run_id"] != first_run(material).record["run_id"]
    assert set(record["inputs"]) == {"protocol"}
    assert "notes" not in record["inputs"]["protocol"]
    assert set(record["inputs"]["protocol"]["reference"]["healthy_lines"]) < set(
        written.wells["line"]
    )


def test_one_compound_has_one_name(plate):
    material, written, _ = plate
    known = read_compounds("id\tname\tsynonyms\nC1\triluzole\tx\n")
    named = exported(
        first_run(material).wells, "well", replace(material, compounds=known), first_run(material)
    )
    assert set(named["compound"]) == {"riluzole", "DMSO"}
    assert set(written.wells["compound"]) == {"x", "DMSO"}


def test_tracks_keep_their_hours_and_lose_their_names(plate):
    material, *_ = plate
    rows = [
        {
            "well": "A01",
            "line": name,
            "batch": "b0",
            "entry_h": 6.0,
            "exit_h": 90.0,
            "reason": f"by {OPERATOR}",
        }
        for name in (PATIENTS[0], WITHDRAWN)
    ]
    kept = [c for c in rows[0] if c in columns("track")]
    table = conform(pl.DataFrame(rows).select(kept), "track")
    (row,) = exported(table, "track", material, first_run(material)).to_dicts()
    assert row["line"] == material.ids.of("line", PATIENTS[0])
    assert row["genotype"] is None or row["genotype"] == "SOD1 missense"
    assert OPERATOR not in str(row)
    assert [row[c] for c in kept if c.endswith("_h")] == [
        rows[0][c] for c in kept if c.endswith("_h")
    ]


def test_rows_of_lines_are_not_in_the_order_of_their_names(plate):
    material, *_ = plate
    table = conform(pl.DataFrame({"line": [*PATIENTS, WITHDRAWN]}), "quality")
    lines = exported(table, "quality", material, first_run(material))["line"].to_list()
    assert lines == sorted(material.ids.of("line", n) for n in PATIENTS)


def test_cells_of_lines_that_stay_at_home_stay_there(plate):
    _, written, out = plate
    (path,) = out.glob("plates/*/cells.parquet")
    assert set(pl.read_parquet(path)["well"]) == set(written.wells["well"])


def test_no_digest_of_the_laboratory_is_in_a_bundle(released):
    """What a digest is of (a protocol names its healthy lines) could be guessed and confirmed."""
    text = "".join(p.read_text() for p in released.bundle.rglob("*.json"))
    for run in examine(released.folder).runs:
        for name in ("run_id", "plate_digest", "plate_map_digest", "protocol_digest"):
            assert run.record[name] not in text, name


def test_curves_of_released_lines_go_along_under_their_ids(released, tmp_path):
    material = examine(released.folder)
    curve = {
        "line": PATIENTS[0],
        "compound": "x",
        "phenotype": "live_density",
        "unit": "1/mm²",
        "status": "ok",
        "reason": f"by {OPERATOR}",
        "ec50_molar": 1e-6,
        "wells": ["A01"],
        "dose_molar": [1e-6],
        "response": [2.0],
        "fit_dose_molar": [],
        "fit_response": [],
        "fit_low": [],
        "fit_high": [],
        "made_by": OPERATOR,
    }
    path = tmp_path / "curves.json"
    path.write_text(json.dumps([curve, curve | {"line": WITHDRAWN}]))
    (shown,) = exported_curves(path, material)
    path.write_text(json.dumps([curve | {"line": n} for n in PATIENTS]))
    ids = [row["line"] for row in exported_curves(path, material)]
    assert ids == sorted(material.ids.of("line", n) for n in PATIENTS)
    assert shown["line"] == material.ids.of("line", PATIENTS[0])
    assert OPERATOR not in json.dumps(shown)
    assert shown["response"] == [2.0]
    assert exported_curves(tmp_path / "away.json", material) == []
