from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from imaging_service.jobs.records import (
    RunFolder,
    RunInputs,
    RunRecord,
    WellOutcome,
    WellTask,
    dump,
    load,
    parse,
    save,
)


def test_what_the_stages_hand_on_comes_back_equal(laid_out, tmp_path):
    folder, record, _ = laid_out
    task = load(WellTask, folder.task("B04"))
    outcome = WellOutcome("B04", "done", "", 2, 31, ("w",))
    for value in (record, record.inputs, task, outcome):
        save(value, tmp_path / "x.json")
        assert load(type(value), tmp_path / "x.json") == value
    assert dump(outcome) == {
        "well": "B04",
        "status": "done",
        "reason": "",
        "n_fields": 2,
        "n_nuclei": 31,
        "warnings": ["w"],
        "measured_by": "",
    }


def test_the_plate_map_comes_back_from_its_records(small_inputs):
    mapped = small_inputs.plate_map()
    assert [w.name for w in mapped.vehicle_wells()] == ["B02", "B03", "C02"]
    assert {w.name: c.dose_molar for w, c in mapped.conditions.items()}["B04"] == pytest.approx(
        1e-6
    )
    assert isinstance(small_inputs, RunInputs)


def test_what_a_record_does_not_know_is_refused(tmp_path):
    assert parse(WellOutcome, {"well": "B02", "status": "failed", "reason": "x"}).reason == "x"
    with pytest.raises(ValidationError):
        parse(WellOutcome, {"well": "B02", "status": "lost"})
    (tmp_path / "r.json").write_text("{}")
    with pytest.raises(ValidationError):
        load(RunRecord, tmp_path / "r.json")


def test_where_everything_lies():
    root = Path("run")
    folder = RunFolder(root)
    assert [
        p.relative_to(root).as_posix()
        for p in (
            folder.record,
            folder.calibration,
            folder.task("B02"),
            folder.outcome("B02"),
            folder.cells("B02"),
            folder.fields("B02"),
            folder.labels,
        )
    ] == [
        "work/record.json",
        "work/calibration.json",
        "work/tasks/B02.json",
        "work/outcomes/B02.json",
        "work/cells/B02",
        "work/fields/B02",
        "labels.zarr",
    ]
