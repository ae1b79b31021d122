"""What a run has seen of its scan is written once, whole, and the same each time."""

from __future__ import annotations

import shutil
from dataclasses import replace

import polars as pl
import pytest

from imaging_service.inspection.quality import scan_quality
from imaging_service.inspection.survey import survey
from imaging_service.jobs.arrival import plate as module
from imaging_service.jobs.arrival.plate import (
    conclude,
    give_up,
    wells_to_look_at,
)
from imaging_service.jobs.arrival.wells import look_at
from imaging_service.jobs.plan import identify, lay_out
from imaging_service.jobs.records import RunFolder
from imaging_service.store.arrival import REASON, read_arrival

WELLS = ("B02", "B03", "B04", "B05", "C02", "C03")
FILES = [
    "channels.csv",
    "channels.parquet",
    "images.csv",
    "images.parquet",
    "plate_channel1.png",
    "plate_channel2.png",
    "plate_channel3.png",
    "scan.html",
]


@pytest.fixture
def start(small_inputs, tmp_path):
    """Lays a run of the plate out beside its other runs."""

    def begun(name, **changes):
        record, plan = identify(replace(small_inputs, **changes))
        folder = RunFolder(tmp_path / "runs" / name)
        lay_out(record, plan, folder, tmp_path / "plates" / "plate.zarr")
        return folder

    return begun


def looked(folder):
    for group in wells_to_look_at(folder):
        look_at(folder.root, group)
    conclude(folder.root)
    return content(folder)


def content(folder):
    return {p.name: p.read_bytes() for p in sorted(folder.arrival.iterdir())}


def test_a_run_sees_what_inspect_sees(small_run, small_inputs):
    arrival = read_arrival(small_run)
    inspected = scan_quality(survey(small_inputs.scan), workers=1)
    assert arrival.images.equals(inspected.images)
    assert arrival.channels.equals(inspected.channels)
    assert sorted(p.name for p in (small_run / "arrival").iterdir()) == FILES
    for number, png in enumerate(inspected.pictures.values(), start=1):
        assert (small_run / "arrival" / f"plate_channel{number}.png").read_bytes() == png
    assert not RunFolder(small_run).looks.exists()


def test_an_interrupted_look_goes_on_and_gives_the_same_bytes(uncalibrated, small_run):
    folder, _ = uncalibrated
    assert wells_to_look_at(folder) == [WELLS[:4], WELLS[4:]]
    look_at(folder.root, WELLS[:4])
    assert wells_to_look_at(folder) == [WELLS[4:]]
    look_at(folder.root, WELLS[4:])
    assert wells_to_look_at(folder) == [()]
    conclude(folder.root)
    assert wells_to_look_at(folder) == []
    assert content(folder) == content(RunFolder(small_run))


def test_a_second_process_that_concludes_changes_nothing(own_run):
    before = {p.name: p.stat().st_ino for p in (own_run / "arrival").iterdir()}
    conclude(own_run)
    assert {p.name: p.stat().st_ino for p in (own_run / "arrival").iterdir()} == before


def test_a_run_with_another_map_takes_over_what_was_seen(start, small_inputs, monkeypatch):
    first = start("first")
    seen = looked(first)
    other = [
        r | {"compound": "y"} if r.get("compound") == "x" else r
        for r in small_inputs.plate_map_records
    ]
    second = start("second", plate_map_records=other)
    assert wells_to_look_at(second) == []
    assert content(second) == seen
    # of fewer wells the plate looks otherwise
    fewer = [r for r in small_inputs.plate_map_records if r["well"] != "C03"]
    assert wells_to_look_at(start("fewer", plate_map_records=fewer)) == [WELLS[:4], WELLS[4:5]]
    # and what was deleted is looked at again
    shutil.rmtree(first.root)
    shutil.rmtree(second.arrival)
    assert wells_to_look_at(second) == [WELLS[:4], WELLS[4:]]


def test_a_fault_that_was_not_foreseen_is_a_reason_and_no_error(uncalibrated, monkeypatch):
    folder, record = uncalibrated
    look_at(folder.root, record.wells)

    def fault(*_):
        raise ZeroDivisionError("no such light")

    monkeypatch.setattr(module, "judged", fault)
    conclude(folder.root)
    assert content(folder) == {REASON: b"ZeroDivisionError: no such light"}
    assert read_arrival(folder.root) == "ZeroDivisionError: no such light"
    assert wells_to_look_at(folder) == []


def test_what_is_written_once_is_not_given_up_later(own_run):
    folder = RunFolder(own_run)
    give_up(folder, "a process was killed")
    assert sorted(content(folder)) == FILES


def test_an_image_that_cannot_be_read_is_a_row_of_the_plate(uncalibrated, monkeypatch):
    folder, record = uncalibrated
    look_at(folder.root, record.wells)
    original = module.seen

    def blurred(folder, name):
        looked = original(folder, name)
        if name == "B03":
            looked.rows[1] |= {"status": "unreadable", "reason": "cut short"}
        return looked

    monkeypatch.setattr(module, "seen", blurred)
    conclude(folder.root)
    arrival = read_arrival(folder.root)
    bad = arrival.images.filter(pl.col("status") != "ok")
    assert bad.select("well", "channel", "reason").rows() == [("B03", "2", "cut short")]
    assert arrival.channels["not_ok"].to_list() == [0, 1, 0]
