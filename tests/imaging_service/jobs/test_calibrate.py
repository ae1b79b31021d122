"""Which wells a plate's thresholds come from."""

from __future__ import annotations

from dataclasses import replace

from imaging_service.jobs.calibrate import calibrate
from imaging_service.jobs.records import Calibration, WellTask, load, save


def test_thresholds_come_from_vehicle_wells_only(uncalibrated):
    folder, _record = uncalibrated
    calibration = calibrate(folder)
    assert calibration.fields == ("B02 field 1", "B03 field 1", "C02 field 1")
    assert calibration.notes == ()
    assert set(calibration.thresholds) == {
        "nuclei_floor",
        "soma",
        "neurite_low",
        "neurite_high",
        "aggregate_dark",
        "aggregate_shot",
        "granule_dark",
        "granule_shot",
    }
    assert calibration.thresholds["granule_dark"] is None
    assert calibrate(folder) == calibration == load(Calibration, folder.calibration)


def test_without_a_readable_vehicle_treated_wells_serve_and_it_is_noted(uncalibrated, tmp_path):
    folder, _record = uncalibrated
    for name in ("B02", "B03", "C02"):
        task = load(WellTask, folder.task(name))
        save(replace(task, plan=replace(task.plan, root=tmp_path)), folder.task(name))
    calibration = calibrate(folder)
    assert calibration.fields == ("B04 field 1", "B05 field 1", "C03 field 1")
    assert [n.partition(":")[0] for n in calibration.notes] == [
        "well B02 was not used for calibration",
        "well B03 was not used for calibration",
        "well C02 was not used for calibration",
        "no vehicle well could be read",
    ]
