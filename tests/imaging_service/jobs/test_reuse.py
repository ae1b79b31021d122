"""Runs of one plate: what a second run takes from the first, and what it must measure itself."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from imaging_service.jobs import well as module
from imaging_service.jobs.calibrate import calibrate
from imaging_service.jobs.plan import identify, lay_out
from imaging_service.jobs.records import Calibration, RunFolder, WellTask, load
from imaging_service.jobs.reuse import AFTER_WELLS, measured_folder, take, well_key
from imaging_service.jobs.well import begin, process_well
from imaging_service.protocol import AssayProtocol

WELL = "B04"


@pytest.fixture
def start(small_inputs, tmp_path):
    """Lays a run of the plate out beside its other runs, and calibrates it."""

    def begun(name, **changes):
        record, plan = identify(replace(small_inputs, **changes))
        folder = RunFolder(tmp_path / "runs" / name)
        record = lay_out(record, plan, folder, tmp_path / "plates")
        begin(record.plate)
        calibrate(folder)
        return folder, record

    return begun


@pytest.fixture
def other_compounds(small_inputs):
    """The plate map with each compound under another name."""
    return [
        r | {"compound": f"new {r['compound']}"} if r.get("compound") else r
        for r in small_inputs.plate_map_records
    ]


def never(*_):
    raise AssertionError("the well was segmented again")


def content(folder):
    """Name ► bytes of the well's tables and labels."""
    files = [
        folder.cells(WELL).with_suffix(".parquet"),
        folder.fields(WELL).with_suffix(".parquet"),
    ]
    files += [p for p in (folder.labels / "B" / "4").rglob("*") if p.is_file()]
    return {str(p.relative_to(folder.root)): p.read_bytes() for p in files}


def test_a_run_with_another_plate_map_takes_what_the_first_measured(
    start, other_compounds, small_inputs, monkeypatch
):
    first, record = start("first")
    measured = process_well(first.root, WELL)
    assert (measured.status, measured.measured_by) == ("done", "")
    second, changed = start("second", plate_map_records=other_compounds)
    assert changed.run_id != record.run_id
    monkeypatch.setattr(module, "segment_all", never)
    taken = process_well(second.root, WELL)
    assert taken == replace(measured, measured_by=record.run_id)
    assert content(second) == content(first)
    # a third run takes it although the first is gone, and names who measured it
    shutil.rmtree(first.root)
    quality = small_inputs.protocol.model_copy(update={"notes": "again"})
    third, _ = start("third", protocol=quality)
    assert process_well(third.root, WELL) == taken
    assert content(third) == content(second)


def test_a_run_with_other_rules_measures_for_itself(start, small_inputs, monkeypatch):
    first, _ = start("first")
    process_well(first.root, WELL)
    monkeypatch.setattr(module, "segment_all", never)
    changed = small_inputs.protocol.model_copy(
        update={"measurement": replace(small_inputs.protocol.measurement, min_soma_area_um2=1.0)}
    )
    second, _ = start("second", protocol=changed)
    outcome = process_well(second.root, WELL)
    assert (outcome.status, outcome.measured_by) == ("failed", "")


def test_what_was_deleted_or_failed_is_measured_again(start, other_compounds):
    first, _ = start("first")
    module.fail_well(first, WELL, "cut short")
    second, record = start("second", plate_map_records=other_compounds)
    task, calibration = (
        load(WellTask, second.task(WELL)),
        load(Calibration, second.calibration),
    )
    assert take(second, task, calibration) is None
    process_well(second.root, WELL)
    assert take(second, task, calibration) is None  # its own result is nothing to take
    third, _ = start("third")
    second.cells(WELL).with_suffix(".parquet").unlink()
    assert take(third, task, calibration) is None
    assert not (third.labels / "B" / "4").exists()
    assert measured_folder(record.plate).parent == record.plate.parent


def test_every_part_of_a_protocol_counts_unless_it_acts_on_finished_tables(start, small_inputs):
    assert AFTER_WELLS.issubset(AssayProtocol.model_fields)
    folder, _ = start("first")
    task, calibration = load(WellTask, folder.task(WELL)), load(Calibration, folder.calibration)
    key = well_key(task, calibration)
    light = replace(calibration, light={"dna": (1.0, 2.0)})
    keys = {
        key,
        well_key(task, light),
        well_key(task, replace(calibration, thresholds={"dna": 3.0})),
        well_key(replace(task, well="B05"), calibration),
        well_key(replace(task, plate=task.plate.with_name("other.zarr")), calibration),
        well_key(replace(task, described_engine={"name": "other"}), calibration),
        well_key(replace(task, hours=(0.0, 6.0)), calibration),
    }
    assert len(keys) == 7
    assert well_key(task, replace(calibration, fields=("B02 field 1",), notes=("x",))) == key
    noted = small_inputs.protocol.model_copy(update={"notes": "x"})
    assert well_key(replace(task, protocol=noted), calibration) == key


def test_a_run_in_a_folder_of_its_own_has_none_to_share_with(uncalibrated):
    folder, record = uncalibrated
    begin(record.plate)
    calibrate(folder)
    process_well(folder.root, WELL)
    assert not measured_folder(record.plate).exists()
