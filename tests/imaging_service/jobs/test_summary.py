from __future__ import annotations

import json
from dataclasses import replace

import polars as pl
import pytest
import zarr
from ome_zarr_models.v05.hcs import HCSAttrs

from imaging_service.jobs import summary
from imaging_service.jobs.records import Calibration, RunFolder, RunRecord, WellOutcome, load
from imaging_service.jobs.summary import TABLES, conditions_table, judge_plate, write_queue
from imaging_service.protocol import parse_protocol
from imaging_service.store import plates
from phenotypes.columns.dictionary import columns
from segmentation.filters.background import Illumination
from tests.imaging_service.conftest import PROTOCOL
from tests.messages import states


def table(run, name):
    return pl.read_parquet(run / f"{name}.parquet")


def test_the_conditions_are_the_map_s_in_plate_order(small_inputs):
    rows = conditions_table(small_inputs.plate_map())
    assert rows["well"].to_list() == ["B02", "B03", "B04", "B05", "C02", "C03", "C04"]
    assert rows["dose_molar"].to_list() == pytest.approx([0, 0, 1e-6, 1e-5, 0, 1e-6, 1e-5])
    assert rows["control"].to_list() == [
        "vehicle",
        "vehicle",
        "none",
        "none",
        "vehicle",
        "none",
        "none",
    ]
    assert set(rows["line"]) == {"L1", "L2"}


@pytest.mark.parametrize("part", ["render_report", "floor_examples", "_thumbnails"])
def test_a_report_that_cannot_be_drawn_costs_no_table(own_run, monkeypatch, part):
    folder = RunFolder(own_run)
    before = {name: (own_run / f"{name}.parquet").read_bytes() for name in TABLES}
    for name in TABLES:
        (own_run / f"{name}.parquet").unlink()

    def fail(*_):
        raise TypeError("None has no digits")

    monkeypatch.setattr(summary, part, fail)
    wells = load(RunRecord, folder.record).wells
    summary.summarise(own_run, {w: load(WellOutcome, folder.outcome(w)) for w in wells})
    assert {name: (own_run / f"{name}.parquet").read_bytes() for name in TABLES} == before
    page = (own_run / "report.html").read_text(encoding="utf-8")
    assert states("undrawn.why", page, why="TypeError: None has no digits")


def test_every_table_has_its_columns_and_stands_in_plate_order(small_run):
    levels = ("cell", "field", "well", "quality", "response", "check", "track", "hazard")
    for name, level in zip(TABLES, levels, strict=True):
        assert table(small_run, name).columns == list(columns(level)), name
    wells = table(small_run, "wells")
    assert wells.select("well", "status").rows() == [
        ("B02", "done"),
        ("B03", "done"),
        ("B04", "done"),
        ("B05", "done"),
        ("C02", "done"),
        ("C03", "done"),
        ("C04", "skipped"),
    ]
    cells = table(small_run, "cells")
    assert cells["well"].unique(maintain_order=True).to_list() == [
        "B02",
        "B03",
        "B04",
        "B05",
        "C02",
        "C03",
    ]
    counts = dict(cells.group_by("well").len().rows())
    assert {
        r["well"]: r["nuclei_count"] for r in wells.to_dicts() if r["status"] == "done"
    } == counts


def test_csv_and_parquet_say_the_same(small_run):
    for name in ("wells", "responses", "checks", "quality", "hazards"):
        csv = pl.read_csv(small_run / f"{name}.csv", schema=table(small_run, name).schema)
        assert csv.height == table(small_run, name).height, name
    assert not (small_run / "cells.csv").exists()


def test_the_record_says_how_every_well_ended(small_run):
    record = json.loads((small_run / "run.json").read_text())
    assert {w: e["status"] for w, e in record["wells"].items()} == {
        **dict.fromkeys(("B02", "B03", "B04", "B05", "C02", "C03"), "done"),
        "C04": "skipped",
    }
    assert (record["label_version"], record["pixel_size_um"], record["roles"]) == (
        1,
        0.65,
        ["dna", "neurite", "aggregate"],
    )
    assert record["calibration"]["fields"] == ["B02 field 1", "B03 field 1", "C02 field 1"]


def test_responses_carry_the_run_that_they_are_of(small_run):
    record = load(RunRecord, RunFolder(small_run).record)
    responses = table(small_run, "responses")
    assert responses.select("line", "compound", "phenotype").rows() == [
        (line, "x", name) for name in ("live_density", "nc_log2_aggregate") for line in ("L1", "L2")
    ]
    assert set(responses["run_id"]) == {record.run_id}
    assert set(responses["protocol_digest"]) == {record.protocol_digest}


def judged(small_run, part, **values):
    """The plate judged again under another protocol."""
    record = load(RunRecord, RunFolder(small_run).record)
    plain = record.inputs.protocol.model_dump()
    protocol = parse_protocol(plain | {part: plain[part] | values}, "p")
    ended = dict.fromkeys(record.wells, ("done", "")) | {"C04": ("skipped", "not scanned")}
    cells, fields = (
        pl.concat([pl.read_parquet(p(w).with_suffix(".parquet")) for w in record.wells])
        for p in (RunFolder(small_run).cells, RunFolder(small_run).fields)
    )
    return judge_plate(
        cells, fields, conditions_table(record.inputs.plate_map()), ended, protocol, (8, 12)
    )


@pytest.mark.parametrize(
    ("part", "value", "column"),
    [
        ("measurement", {"min_soma_area_um2": 150.0}, "live_density"),
        ("measurement", {"many_puncta": 1}, "puncta_many_fraction"),
    ],
)
def test_a_setting_of_the_protocol_reaches_the_well_table(small_run, part, value, column):
    plain, changed = judged(small_run, part).wells, judged(small_run, part, **value).wells
    assert plain[column].to_list() == table(small_run, "wells")[column].to_list()
    assert plain[column].to_list() != changed[column].to_list()


def test_the_queue_has_every_field_and_the_most_urgent_first(small_run, own_run):
    queue = pl.read_csv(small_run / "review" / "queue.csv")
    assert queue.height == 12
    assert queue["score"].to_list() == sorted(queue["score"], reverse=True)

    class Without:
        curves = ()

    again = write_queue(
        own_run,
        table(own_run, "fields"),
        table(own_run, "wells"),
        Without(),
        ["live_density"],
        parse_protocol(PROTOCOL, "p").measurement,
    )
    assert (
        pl.read_csv(own_run / "review" / "queue.csv")["well"].to_list() == again["well"].to_list()
    )


def test_the_light_that_corrects_a_plate_is_kept_with_it(own_run):
    folder = RunFolder(own_run)
    record = replace(load(RunRecord, folder.record), plate=own_run / "plate.zarr")
    calibration = load(Calibration, folder.calibration)
    summary._keep_light(record, calibration)  # six fields gave no profile
    assert not (record.plate / "illumination").exists()
    bowl = (0.0, 0.0, 0.0, -0.4, 0.0, -0.4)
    flat = (0.0,) * 6
    light = Illumination(
        (bowl, flat, flat), (True, False, False), ("", "even", "even"), dark=(90.0, None, None)
    )
    found = replace(calibration, illumination=light, light_sources=("estimated", "none", "none"))
    summary._keep_light(record, found)
    channels, sources, profiles, dark = plates.read_light(record.plate, record.run_id)
    assert (channels, sources) == (record.channels, ("estimated", "none", "none"))
    assert dark == (90.0, None, None)
    assert profiles.shape == (3, 64, 64)
    whole = light.profile(0, (160, 160))
    assert profiles[0, 32, 32] == pytest.approx(whole[80, 80], rel=0.01)
    assert profiles[0, 0, 0] == pytest.approx(whole[1, 1], rel=0.02)
    assert (profiles[1:] == 1).all()
    HCSAttrs.model_validate(zarr.open_group(record.plate, mode="r").attrs["ome"])
