"""One well at a time, in this process: what is stored, measured, and how errors become outcomes."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import tifffile

from imaging_service.errors import ImageError
from imaging_service.ingest.plan import ImageRef
from imaging_service.jobs import well as module
from imaging_service.jobs.calibrate import calibrate
from imaging_service.jobs.plan import identify
from imaging_service.jobs.records import Calibration, RunFolder, WellOutcome, WellTask, load
from imaging_service.jobs.well import begin, convert_well, draw_well, process_well
from imaging_service.store import plates
from plate_maps import Well
from segmentation.filters.background import no_illumination
from tests.imaging_service.drawn_tasks import SURVIVAL, as_if_submitted, plane, stack_task
from tests.messages import says, states


def test_each_time_point_and_field_is_stored_apart(tmp_path):
    planes = {
        (f, t, c, 1): plane(100 * f + 10 * t + int(c)) for f in (1, 3) for t in (1, 2) for c in "12"
    }
    task = stack_task(tmp_path, planes, more=SURVIVAL, times=(1, 2))
    assert convert_well(task) == 2
    stored, roles, size = plates.read_field(task.plate, Well(2, 2), 2, 1)
    assert (stored.ravel().tolist(), roles, size) == ([311, 312], ("dna", "neurite"), 0.5)
    assert plates.read_field(task.plate, Well(2, 2), 1, 2)[0].ravel().tolist() == [121, 122]
    # it is there: nothing is read
    assert convert_well(replace(task, plan=replace(task.plan, root=tmp_path / "away"))) == 2


def test_the_planes_in_best_focus_are_noted_with_the_stored_well(tmp_path):
    planes = {
        (f, 1, c, z): plane(*range(z, z + 40)) for f in (1, 3) for c in "12" for z in (1, 2, 3)
    }
    task = stack_task(tmp_path, planes, more={"acquisition": {"z_projection": "best_focus"}})
    assert convert_well(task) == 2
    # Lines of pixels have no spectrum: the middle plane of each channel.
    assert plates.read_planes(task.plate, Well(2, 2)) == {(1, 1): (2, 2), (2, 1): (2, 2)}
    fields = pl.DataFrame({"field": [1, 2, 3], "frame": [1, 1, 1]})
    table = module._with_planes(task, fields)
    assert table.select("plane_dna", "plane_neurite").rows() == [(2, 2), (2, 2), (None, None)]
    by_maximum = stack_task(tmp_path, planes)
    by_maximum = replace(by_maximum, plate=tmp_path / "maximum.zarr")
    convert_well(by_maximum)
    assert plates.read_planes(by_maximum.plate, Well(2, 2)) == {}


def test_a_lost_field_is_not_stored_and_one_that_cannot_be_read_fails_the_well(tmp_path):
    planes = {(f, 1, c, 1): plane(10 * f + int(c)) for f in (1, 3) for c in "12"}
    lost = ImageRef(Well(2, 2), 2, 1, "", 1, "p.mlf", reason="AF Error")
    task = stack_task(tmp_path, planes, missing=(lost,))
    assert convert_well(task) == 2
    stored = [plates.read_field(task.plate, Well(2, 2), n)[0].ravel().tolist() for n in (1, 2)]
    assert stored == [[11, 12], [31, 32]]
    for broken in (replace(lost, reason="cut short"), replace(lost, channel="2", field=3)):
        plan = replace(task.plan, missing=(), broken=(broken,))
        with pytest.raises(ImageError, match=says("scan.broken", field=broken.field)):
            convert_well(replace(task, plan=plan, plate=tmp_path / "again.zarr"))
    nothing = replace(task.plan, images=(), missing=(lost,))
    with pytest.raises(ImageError, match=says("well.no_field", reason="AF Error")):
        convert_well(replace(task, plan=nothing, plate=tmp_path / "none.zarr"))


def broken_at(field, time=1, channel="1"):
    return ImageRef(Well(2, 2), field, time, channel, 1, "B02.tif", reason="cut short")


@pytest.mark.parametrize(
    ("change", "readable"),
    [
        ({}, True),
        ({"missing": (replace(broken_at(2), channel=""),)}, True),
        ({"missing": (replace(broken_at(3), channel=""),)}, False),
        ({"missing": (broken_at(3, channel="2"),)}, False),
        # Channels and time points that the protocol leaves out.
        ({"missing": (broken_at(3, channel="9"),)}, True),
        ({"broken": (broken_at(1, time=3),)}, True),
        ({"broken": (broken_at(1, time=2),)}, False),
        ({"without": (1, 2, "2", 2)}, False),
        ({"without": (3, 2, "1", 1)}, False),
        ({"images": (), "missing": (broken_at(1, channel=""),)}, False),
    ],
    ids=[
        "whole",
        "a lost field",
        "an image of no channel",
        "an image of a channel",
        "another channel",
        "another time point",
        "a damaged image",
        "a plane",
        "a time point",
        "nothing",
    ],
)
def test_a_well_whose_scan_was_whole_at_the_submission_is_readable_and_no_other(
    tmp_path, change, readable
):
    planes = {
        (f, t, c, z): plane(100 * f + 10 * t + int(c))
        for f in (1, 3)
        for t in (1, 2)
        for c in "12"
        for z in (1, 2)
        if c == "2" or z == 1
    }
    task = stack_task(tmp_path, planes, more=SURVIVAL, times=(1, 2))
    plan = task.plan
    if "without" in change:
        kept = (i for i in plan.images if (i.field, i.time, i.channel, i.z) != change["without"])
        change = {"images": tuple(kept)}
    task = replace(task, plan=replace(plan, **change))
    assert task.is_readable is readable
    if readable:
        assert convert_well(task) == 2
    else:
        with pytest.raises(ImageError):
            convert_well(task)


def test_a_well_ends_with_labels_tables_and_outcome(small_run):
    folder = RunFolder(small_run)
    outcome = load(WellOutcome, folder.outcome("B04"))
    cells, fields = (
        pl.read_parquet(p.with_suffix(".parquet"))
        for p in (folder.cells("B04"), folder.fields("B04"))
    )
    assert (outcome.status, outcome.n_fields, outcome.n_nuclei) == ("done", 2, len(cells))
    assert fields.select("well", "field", "frame").rows() == [("B04", 1, 1), ("B04", 2, 1)]
    # the classical engine has no second opinion on itself
    assert fields["engine_agreement"].to_list() == [None, None]
    assert set(cells["label_version"]) == {1}


@pytest.mark.parametrize(
    ("raised", "reason"),
    [
        (ImageError("B02.tif: cut"), "B02.tif: cut"),
        (ZeroDivisionError("by zero"), "well B02: ZeroDivisionError: by zero"),
    ],
)
def test_bad_data_are_an_outcome(uncalibrated, monkeypatch, raised, reason):
    folder, _ = uncalibrated
    module.save(Calibration({}, no_illumination(3, ""), ()), folder.calibration)

    def fails(*_):
        raise raised

    monkeypatch.setattr(module, "_process", fails)
    outcome = process_well(folder.root, "B02")
    assert (outcome.status, outcome.reason, outcome.n_nuclei) == ("failed", reason, 0)
    assert load(WellOutcome, folder.outcome("B02")) == outcome


@pytest.mark.parametrize("raised", [OSError(28, "No space left on device"), MemoryError()])
def test_what_the_machine_does_is_no_outcome(uncalibrated, monkeypatch, raised):
    folder, _ = uncalibrated
    module.save(Calibration({}, no_illumination(3, ""), ()), folder.calibration)

    def fails(*_):
        raise raised

    monkeypatch.setattr(module, "_process", fails)
    with pytest.raises(type(raised)):
        process_well(folder.root, "B02")
    assert not folder.outcome("B02").exists()


def test_a_well_whose_images_became_those_of_another_well_fails(uncalibrated):
    folder, record = uncalibrated
    begin(record.plate)
    calibrate(folder)
    task = load(WellTask, folder.task("B05"))
    scan = shutil.copytree(task.plan.root, folder.root / "scan")
    for image in task.plan.images:
        stamp = (scan / image.path).stat()
        shutil.copyfile(scan / image.path.replace("B05", "B04"), scan / image.path)
        os.utime(scan / image.path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    module.save(replace(task, plan=replace(task.plan, root=scan)), folder.task("B05"))
    outcome = process_well(folder.root, "B05")
    assert (outcome.status, outcome.n_nuclei) == ("failed", 0)
    assert states("scan.changed", outcome.reason, file="p_B05_s1_w1.tif")
    assert not folder.cells("B05").with_suffix(".parquet").exists()
    assert not plates.field_count(record.plate, Well(2, 5))


def test_a_stored_field_that_took_another_ones_place_fails_its_well(uncalibrated):
    folder, record = uncalibrated
    begin(record.plate)
    calibrate(folder)
    assert process_well(folder.root, "B04").status == "done"
    shutil.copytree(record.plate / "B/4", record.plate / "B/5")
    outcome = process_well(folder.root, "B05")
    assert (outcome.status, outcome.n_nuclei) == ("failed", 0)
    assert states("store.not_as_converted", outcome.reason, well="B05", field=1)


def test_nothing_is_asked_of_the_scan_once_the_pixels_are_stored(tmp_path):
    planes = {(f, 1, c, 1): plane(10 * f + int(c)) for f in (2, 5) for c in "12"}
    task = stack_task(tmp_path, planes)
    stamps = {"acquisition-time-local": "20240503 10:00:00.000"}
    for image in task.plan.images:
        tifffile.imwrite(tmp_path / image.path, plane(1), description=metamorph(stamps))
    undated = tuple(replace(image, exposed_s=None) for image in task.plan.images)
    task = as_if_submitted(replace(task, plan=replace(task.plan, images=undated)))
    convert_well(task)
    for image in task.plan.images:
        (tmp_path / image.path).unlink()
    hours = 476314.0  # 3 May 2024, 10:00
    assert plates.read_exposures(task.plate, Well(2, 2)) == {(1, 1): hours, (2, 1): hours}


def metamorph(properties):
    listed = "".join(f'<prop id="{k}" value="{v}"/>' for k, v in properties.items())
    return f"<MetaData>{listed}</MetaData>"


def test_a_plane_of_one_value_fails_its_well(uncalibrated):
    folder, record = uncalibrated
    begin(record.plate)
    calibrate(folder)
    task = load(WellTask, folder.task("B02"))
    scan = shutil.copytree(task.plan.root, folder.root / "scan")
    tifffile.imwrite(scan / "p_B02_s2_w3.tif", np.full((160, 160), 7, np.uint16))
    moved = replace(task, plan=replace(task.plan, root=scan))
    module.save(as_if_submitted(moved), folder.task("B02"))
    outcome = process_well(folder.root, "B02")
    assert outcome.status == "failed"
    assert states(
        "well.single_value", outcome.reason, field=2, channel=3, role="aggregate", value=7
    )
    assert not (folder.labels / "B" / "2").exists()


def test_the_same_inputs_are_the_same_run(small_inputs, laid_out):
    assert identify(small_inputs)[0].run_id == laid_out[1].run_id


def test_a_cancelled_run_s_well_ends_before_its_next_field(uncalibrated, monkeypatch):
    from imaging_service.errors import Cancelled
    from imaging_service.jobs import well
    from imaging_service.jobs.calibrate import calibrate

    folder, record = uncalibrated
    well.begin(record.plate)
    calibrate(folder)
    read = []

    def cancel_after_one(task, number, time):
        read.append(number)
        folder.cancelled.touch()
        return read_stack(task, number, time)

    read_stack = well.read_stack
    monkeypatch.setattr(well, "read_stack", cancel_after_one)
    with pytest.raises(Cancelled):
        well.process_well(folder.root, "B02")
    assert read == [1]
    assert not folder.outcome("B02").exists()
    assert not list(folder.root.rglob(".staged-*"))
    folder.cancelled.unlink()
    monkeypatch.setattr(well, "read_stack", read_stack)
    assert well.process_well(folder.root, "B02").status == "done"


def test_a_file_that_is_away_fails_no_well(uncalibrated, tmp_path):
    from imaging_service.errors import Unavailable
    from imaging_service.jobs import well
    from imaging_service.jobs.calibrate import calibrate
    from imaging_service.jobs.records import WellTask, load, save

    folder, record = uncalibrated
    well.begin(record.plate)
    calibrate(folder)
    task = load(WellTask, folder.task("B02"))
    save(replace(task, plan=replace(task.plan, root=tmp_path / "away")), folder.task("B02"))
    with pytest.raises(Unavailable):
        well.process_well(folder.root, "B02")
    assert not folder.outcome("B02").exists()


def test_a_vehicle_well_that_is_away_is_not_calibrated_without(uncalibrated, tmp_path):
    from imaging_service.errors import Unavailable
    from imaging_service.jobs.calibrate import calibrate
    from imaging_service.jobs.records import WellTask, load, save

    folder, _ = uncalibrated
    task = load(WellTask, folder.task("B03"))
    save(replace(task, plan=replace(task.plan, root=tmp_path / "away")), folder.task("B03"))
    with pytest.raises(Unavailable):
        calibrate(folder)
    assert not folder.calibration.exists()


def files_of(folder, name):
    """The bytes of a well's labels, tables and outcome."""
    labels = folder.labels / plates.well_path(Well.parse(name))
    paths = [p for p in sorted(labels.rglob("*")) if p.is_file()]
    paths += [of(name).with_suffix(".parquet") for of in (folder.cells, folder.fields)]
    return {str(p.relative_to(folder.root)): p.read_bytes() for p in [*paths, folder.outcome(name)]}


def test_labels_that_were_drawn_before_are_measured_to_the_same_bytes_without_an_engine(
    uncalibrated, monkeypatch
):
    folder, record = uncalibrated
    begin(record.plate)
    calibrate(folder)
    assert process_well(folder.root, "B04").status == "done"
    at_once = files_of(folder, "B04")
    assert len(at_once) > 5
    shutil.rmtree(folder.labels)
    for path in (folder.cells("B04"), folder.fields("B04")):
        path.with_suffix(".parquet").unlink()
    folder.outcome("B04").unlink()
    assert draw_well(folder.root, "B04") is None
    assert len(list(folder.drawn("B04").iterdir())) == 2

    def no_engine(*_):
        raise AssertionError("an engine was loaded")

    monkeypatch.setattr(module, "load_engine", no_engine)
    # Sent twice, because the first answer was lost.
    assert draw_well(folder.root, "B04") is None
    assert process_well(folder.root, "B04").status == "done"
    assert files_of(folder, "B04") == at_once
    assert not folder.drawn("B04").exists()


def test_labels_that_were_damaged_fail_their_well_and_are_drawn_anew(uncalibrated):
    folder, record = uncalibrated
    begin(record.plate)
    calibrate(folder)
    assert draw_well(folder.root, "B04") is None
    next(folder.drawn("B04").iterdir()).write_bytes(b"PK")
    assert process_well(folder.root, "B04").status == "failed"
    assert not folder.drawn("B04").exists()
    assert draw_well(folder.root, "B04") is None
    assert process_well(folder.root, "B04").status == "done"


def test_bad_data_end_a_well_while_its_labels_are_drawn(uncalibrated, monkeypatch):
    folder, _ = uncalibrated
    module.save(Calibration({}, no_illumination(3, ""), ()), folder.calibration)

    def fails(*_):
        raise ImageError("B02.tif: cut")

    monkeypatch.setattr(module, "convert_well", fails)
    outcome = draw_well(folder.root, "B02")
    assert (outcome.status, outcome.reason) == ("failed", "B02.tif: cut")
    assert load(WellOutcome, folder.outcome("B02")) == outcome
    assert not folder.drawn("B02").exists()
