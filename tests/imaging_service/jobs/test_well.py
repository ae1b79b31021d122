"""One well at a time, in this process: what is read, projected, refused, and how errors become
outcomes.
"""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import tifffile

from imaging_service.errors import ImageError
from imaging_service.ingest.plan import ImageRef, PlatePlan
from imaging_service.jobs import scan
from imaging_service.jobs import well as module
from imaging_service.jobs.calibrate import calibrate
from imaging_service.jobs.plan import identify, lay_out
from imaging_service.jobs.records import Calibration, RunFolder, WellOutcome, WellTask, load
from imaging_service.jobs.scan import exposed_h, read_planes
from imaging_service.jobs.well import begin, convert_well, process_well
from imaging_service.protocol import parse_protocol
from imaging_service.store import plates
from plate_maps import Well
from segmentation.filters.background import no_illumination

SURVIVAL = {"survival": {"definition": "rounding"}, "acquisition": {"frame_interval_h": 6}}


def stack_task(folder, planes, *, more=None, times=(1,), missing=()):
    """A task of well B02 whose images are `planes`: (field, time, channel, z) ► pixels."""
    images = []
    for (field, time, channel, z), pixels in planes.items():
        name = f"B02_{field}_{time}_{channel}_{z}.tif"
        tifffile.imwrite(folder / name, pixels)
        images.append(
            ImageRef(
                Well(2, 2), field, time, channel, z, name, exposed_s=3600.0 * (10 * field + time)
            )
        )
    plan = PlatePlan("tiff", "p", folder, ("1", "2"), 0.5, None, tuple(sorted(images)), (), missing)
    counts = {
        c: max(
            sum(1 for f, t, name, _ in planes if (f, t, name) == (field, time, c))
            for field, time, _, _ in planes
        )
        for c in ("1", "2")
    }
    protocol = parse_protocol(
        {
            "name": "p",
            "channels": {"dna": "1", "neurite": "2"},
            "segmentation": {"engine": "classical"},
        }
        | (more or {}),
        "p",
    )
    return WellTask(
        "B02",
        plan,
        0.5,
        ("dna", "neurite"),
        times,
        counts,
        protocol,
        "classical",
        "cpu",
        folder / "plate.zarr",
    )


def plane(*values):
    return np.array([values], np.uint16)


def test_planes_are_projected_by_their_maximum_channel_by_channel(tmp_path):
    task = stack_task(
        tmp_path,
        {
            (1, 1, "1", 1): plane(1, 9),
            (1, 1, "1", 2): plane(5, 2),
            (1, 1, "2", 1): plane(7, 8),
            (1, 1, "2", 2): plane(3, 3),
        },
    )
    pixels = read_planes(task, 1, 1)
    assert pixels.tolist() == [[[5, 9]], [[7, 8]]]
    assert pixels.dtype == np.uint16


def test_each_time_point_and_field_is_its_own(tmp_path):
    planes = {
        (f, t, c, 1): plane(100 * f + 10 * t + int(c)) for f in (1, 3) for t in (1, 2) for c in "12"
    }
    task = stack_task(tmp_path, planes, more=SURVIVAL, times=(1, 2))
    assert read_planes(task, 3, 2).ravel().tolist() == [321, 322]
    assert read_planes(task, 1, 2).ravel().tolist() == [121, 122]
    assert convert_well(task) == 2
    stored, roles, size = plates.read_field(task.plate, Well(2, 2), 2, 1)
    assert (stored.ravel().tolist(), roles, size) == ([311, 312], ("dna", "neurite"), 0.5)
    assert plates.read_field(task.plate, Well(2, 2), 1, 2)[0].ravel().tolist() == [121, 122]
    # it is there: nothing is read
    assert convert_well(replace(task, plan=replace(task.plan, root=tmp_path / "away"))) == 2


def test_a_plane_that_other_fields_have_must_be_there(tmp_path):
    whole = {(f, 1, c, z): plane(1, 2) for f in (1, 2) for c in "12" for z in (1, 2)}
    lost = {k: v for k, v in whole.items() if k != (2, 1, "2", 2)}
    with pytest.raises(ImageError, match=r"well B02, field 2: channel '2' has 1 of the 2 planes"):
        read_planes(stack_task(tmp_path, lost), 2, 1)
    without = {k: v for k, v in whole.items() if k[:3] != (2, 1, "2")}
    with pytest.raises(ImageError, match=r"well B02, field 2: the image of channel '2' is missing"):
        read_planes(stack_task(tmp_path, without), 2, 1)


def test_an_image_that_the_index_names_and_the_folder_lacks_is_missing(tmp_path):
    absent = (ImageRef(Well(2, 2), 1, 1, "1", 2, "lost.tif"),)
    task = stack_task(
        tmp_path, {(1, 1, "1", 1): plane(1), (1, 1, "2", 1): plane(2)}, missing=absent
    )
    with pytest.raises(ImageError, match=r"channel '1' is missing \(lost\.tif\)"):
        read_planes(task, 1, 1)


@pytest.mark.parametrize(
    ("second", "says"),
    [
        (np.ones((2, 2), np.uint16), "channels differ in size"),
        (np.ones((1, 2), np.int32), "pixels of type int32"),
    ],
)
def test_channels_of_one_size_and_of_camera_types(tmp_path, second, says):
    with pytest.raises(ImageError, match=says):
        read_planes(
            stack_task(
                tmp_path, {(1, 1, "1", 1): plane(1, 2).astype(second.dtype), (1, 1, "2", 1): second}
            ),
            1,
            1,
        )


def test_float_pixels_are_read_as_float32(tmp_path):
    planes = {(1, 1, c, 1): np.array([[0.25, 2]], np.float64) for c in "12"}
    pixels = read_planes(stack_task(tmp_path, planes), 1, 1)
    assert (pixels.dtype, pixels[1].tolist()) == (np.float32, [[0.25, 2.0]])


def test_hours_of_exposure_are_of_stored_fields_and_frames(tmp_path, monkeypatch):
    planes = {(f, t, c, 1): plane(1) for f in (2, 5) for t in (1, 3) for c in "12"}
    task = stack_task(tmp_path, planes, more=SURVIVAL, times=(1, 3))

    class Known:
        @staticmethod
        def exposed_s(plan, image):
            return image.exposed_s

    monkeypatch.setattr(scan, "reader_named", lambda _: Known)
    assert exposed_h(task) == {(1, 1): 21, (1, 2): 23, (2, 1): 51, (2, 2): 53}


@pytest.fixture
def run(laid_out, tmp_path):
    """A run's folder before calibration, to be written to."""
    _source, record, plan = laid_out
    folder = RunFolder(tmp_path / "run")
    made = lay_out(replace(record, plate=tmp_path / "run" / "plate.zarr"), plan, folder)
    return folder, made


def test_thresholds_come_from_vehicle_wells_only(run):
    folder, _record = run
    calibration = calibrate(folder)
    assert calibration.fields == ("B02 field 1", "B03 field 1", "C02 field 1")
    assert calibration.notes == ()
    assert set(calibration.thresholds) == {
        "nuclei_floor",
        "soma",
        "neurite_low",
        "neurite_high",
        "puncta",
        "granules",
    }
    assert calibration.thresholds["granules"] is None
    assert calibrate(folder) == calibration == load(Calibration, folder.calibration)


def test_without_a_readable_vehicle_treated_wells_serve_and_it_is_noted(run, tmp_path):
    folder, _record = run
    for name in ("B02", "B03", "C02"):
        task = load(WellTask, folder.task(name))
        module.save(replace(task, plan=replace(task.plan, root=tmp_path)), folder.task(name))
    calibration = calibrate(folder)
    assert calibration.fields == ("B04 field 1", "B05 field 1", "C03 field 1")
    assert [n.partition(":")[0] for n in calibration.notes] == [
        "well B02 was not used for calibration",
        "well B03 was not used for calibration",
        "well C02 was not used for calibration",
        "no vehicle well could be read",
    ]


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
def test_bad_data_are_an_outcome(run, monkeypatch, raised, reason):
    folder, _ = run
    module.save(Calibration({}, no_illumination(3, ""), ()), folder.calibration)

    def fails(*_):
        raise raised

    monkeypatch.setattr(module, "_process", fails)
    outcome = process_well(folder.root, "B02")
    assert (outcome.status, outcome.reason, outcome.n_nuclei) == ("failed", reason, 0)
    assert load(WellOutcome, folder.outcome("B02")) == outcome


@pytest.mark.parametrize("raised", [OSError(28, "No space left on device"), MemoryError()])
def test_what_the_machine_does_is_no_outcome(run, monkeypatch, raised):
    folder, _ = run
    module.save(Calibration({}, no_illumination(3, ""), ()), folder.calibration)

    def fails(*_):
        raise raised

    monkeypatch.setattr(module, "_process", fails)
    with pytest.raises(type(raised)):
        process_well(folder.root, "B02")
    assert not folder.outcome("B02").exists()


def test_a_plane_of_one_value_fails_its_well(run):
    folder, record = run
    begin(record.plate)
    calibrate(folder)
    task = load(WellTask, folder.task("B02"))
    scan = shutil.copytree(task.plan.root, folder.root / "scan")
    tifffile.imwrite(scan / "p_B02_s2_w3.tif", np.full((160, 160), 7, np.uint16))
    module.save(replace(task, plan=replace(task.plan, root=scan)), folder.task("B02"))
    outcome = process_well(folder.root, "B02")
    assert outcome.status == "failed"
    assert "field 2: channel '3' (aggregate) has the single value 7" in outcome.reason
    assert not (folder.labels / "B" / "2").exists()


def test_the_same_inputs_are_the_same_run(small_inputs, laid_out):
    assert identify(small_inputs)[0].run_id == laid_out[1].run_id
