"""Which fields a plate's thresholds come from, and when there are too few of them."""

from __future__ import annotations

import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
import tifffile

from imaging_service.errors import ScanError
from imaging_service.jobs.calibrate import calibrate
from imaging_service.jobs.records import Calibration, WellTask, load, save
from plate_maps import PlateMap
from tests.imaging_service.drawn_tasks import as_if_submitted
from tests.messages import says, states

SIZE = {"axes": "YX", "PhysicalSizeX": 0.65, "PhysicalSizeY": 0.65}


def blank(planes):
    return [np.full_like(p, 300) for p in planes]


def dark(planes):
    rng = np.random.default_rng(1)
    return [np.round(rng.normal(100, 4, p.shape)).astype(np.uint16) for p in planes]


def empty(planes):
    rng = np.random.default_rng(2)
    return [np.round(rng.normal(300, 15, p.shape)).astype(np.uint16) for p in planes]


def blurred(planes):
    rng = np.random.default_rng(3)
    return [
        np.round(cv2.GaussianBlur(p.astype(float), (0, 0), 8) + rng.normal(0, 4, p.shape)).astype(
            np.uint16
        )
        for p in planes
    ]


def spoil(folder, fields, how):
    """Put what `how` makes of them in place of the planes of ("B02", 1) and so on."""
    for well, number in fields:
        task = load(WellTask, folder.task(well))
        scan = folder.root / f"scan-{well}"
        if task.plan.root != scan:
            shutil.copytree(task.plan.root, scan)
            save(replace(task, plan=replace(task.plan, root=scan)), folder.task(well))
        paths = [scan / f"p_{well}_s{number}_w{c}.tif" for c in (1, 2, 3)]
        for path, plane in zip(paths, how([tifffile.imread(p) for p in paths]), strict=True):
            tifffile.imwrite(path, plane, ome=True, metadata=SIZE)
        save(as_if_submitted(load(WellTask, folder.task(well))), folder.task(well))


def test_thresholds_come_from_vehicle_wells_only(uncalibrated):
    folder, _record = uncalibrated
    calibration = calibrate(folder)
    assert calibration.fields == ("B02 field 1", "B03 field 1", "C02 field 1")
    assert calibration.notes == ()
    assert set(calibration.thresholds) == {
        "neurite_contrast",
        "neurite_extent",
        "neurite_own_light",
        "nuclei_floor",
        "soma",
        "neurite_low",
        "neurite_high",
        "aggregate_dark",
        "aggregate_shot",
        "aggregate_background",
        "granule_dark",
        "granule_shot",
        "granule_background",
    }
    assert calibration.thresholds["granule_dark"] is None
    assert set(calibration.light) == {"dna", "neurite", "aggregate"}
    assert calibrate(folder) == calibration == load(Calibration, folder.calibration)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        (blank, "channel dna has the single value 300"),
        (dark, "shows no cells"),
        (empty, "shows no cells"),
        (blurred, "out of focus"),
    ],
)
def test_a_field_that_shows_no_cells_is_named_and_another_takes_its_place(uncalibrated, how, says):
    folder, _record = uncalibrated
    spoil(folder, [("B02", 1)], how)
    calibration = calibrate(folder)
    assert calibration.fields == ("B03 field 1", "C02 field 1", "B02 field 2")
    (note,) = calibration.notes
    assert states("calibration.field_not_used", note, field="B02 field 1")
    assert says in note


def test_a_field_that_changed_after_the_submission_is_named_and_not_used(uncalibrated):
    folder, record = uncalibrated
    task = load(WellTask, folder.task("B02"))
    scan = shutil.copytree(task.plan.root, folder.root / "scan")
    for well in record.wells:
        here = load(WellTask, folder.task(well))
        save(replace(here, plan=replace(here.plan, root=scan)), folder.task(well))
    shutil.copy2(scan / "p_B04_s1_w2.tif", scan / "p_B02_s1_w2.tif")
    calibration = calibrate(folder)
    assert calibration.fields == ("B03 field 1", "C02 field 1", "B02 field 2")
    (note,) = calibration.notes
    assert states("calibration.field_not_used", note, field="B02 field 1")
    assert states("scan.changed", note, file="p_B02_s1_w2.tif")


@pytest.mark.parametrize("how", [blank, dark, empty])
def test_a_plate_with_too_few_vehicle_fields_is_refused_with_their_names(uncalibrated, how):
    folder, _record = uncalibrated
    every = [(w, f) for w in ("B02", "B03", "C02") for f in (1, 2)]
    spoil(folder, every[:-1], how)
    with pytest.raises(ScanError, match=says("calibration.one_field_left")) as refused:
        calibrate(folder)
    named = [f"{w} field {f} was not used" for w, f in every]
    assert [n in str(refused.value) for n in named] == [True] * 5 + [False]
    assert not folder.calibration.exists()


def test_unreadable_vehicle_wells_are_refused_too(uncalibrated, tmp_path):
    folder, _record = uncalibrated
    for name in ("B02", "B03", "C02"):
        task = load(WellTask, folder.task(name))
        for path in task.plan.files():
            (tmp_path / path).write_bytes(b"II no image")
        save(replace(task, plan=replace(task.plan, root=tmp_path)), folder.task(name))
    with pytest.raises(ScanError, match=says("calibration.none_readable")):
        calibrate(folder)


def test_a_plate_whose_vehicle_fields_are_out_of_focus_is_refused(uncalibrated):
    folder, _record = uncalibrated
    spoil(folder, [(w, f) for w in ("B02", "B03", "C02") for f in (1, 2)], blurred)
    with pytest.raises(ScanError, match=says("calibration.out_of_focus")):
        calibrate(folder)


def test_a_map_without_a_vehicle_is_calibrated_all_over_the_plate(uncalibrated, monkeypatch):
    folder, _record = uncalibrated
    monkeypatch.setattr(PlateMap, "vehicle_wells", lambda self: ())
    calibration = calibrate(folder)
    assert calibration.fields == tuple(
        f"{w} field 1" for w in ("B02", "B03", "B04", "B05", "C02", "C03")
    )
    (note,) = calibration.notes
    assert states("calibration.no_vehicle_scanned", note)
