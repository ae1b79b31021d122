"""Real names and metadata of vendors' exports, with drawn pixels; tests/images reads the
photographs.
"""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from imaging_service.errors import ImageError
from imaging_service.ingest import plan_scan, reader_named
from imaging_service.ingest.losses import loss_of
from imaging_service.ingest.plan import FindingKind, Limits
from imaging_service.protocol import Acquisition
from plate_maps import PlateFormat, Well
from tests.messages import says, states
from tests.vendor_scans import (
    PIXELS,
    cellvoyager,
    foreign_plate,
    harmony,
    operetta,
    tiff_folder,
)


def test_operetta(tmp_path):
    plan = plan_scan(operetta(tmp_path), Acquisition())
    assert plan.reader == "harmony"
    assert plan.name == "Test_Sample_BALL"
    assert plan.format == PlateFormat(16, 24)
    assert plan.wells == (Well(3, 3),)
    assert [i.field for i in plan.images] == [1, 2]
    assert plan.channels == ("Fluorescein (FITC)",)
    assert plan.pixel_size_um == pytest.approx(1.1959521619)
    planes = [reader_named("harmony").read(plan, i, Limits()) for i in plan.images]
    assert [(plane - PIXELS).max() for plane in planes] == [1, 2]
    first, second = (reader_named("harmony").exposed_s(plan, i) for i in plan.images)
    assert second - first == pytest.approx(0.577, abs=1e-3)


def test_operetta_with_an_image_lost(tmp_path):
    scan = operetta(tmp_path)
    (scan / "Images" / "r03c03f02p01-ch1sk1fk1fl1.tiff").unlink()
    plan = plan_scan(scan, Acquisition())
    assert [i.field for i in plan.missing] == [2]
    lost = [n for n in plan.notes if states("losses.files", n, well="C03", count=1)]
    assert "Images/r03c03f02p01-ch1sk1fk1fl1.tiff" in lost[0]
    assert any(states("losses.field_lost", n, field=2, well="C03") for n in plan.notes)


def test_imagexpress_exports_have_time_points(tmp_path):
    plan = plan_scan(tiff_folder("imagexpress_exported", tmp_path), Acquisition())
    assert plan.pixel_size_um == pytest.approx(1.3672)
    assert states("pixel_size.of_metamorph", plan.pixel_size_source)
    assert (plan.wells, plan.format) == ((Well(2, 2), Well(2, 3)), PlateFormat(8, 12))
    assert {i.time for i in plan.images} == {1, 2}
    # The HTD announces 6 time points and 4 waves; FITC was taken once, and exported twice.
    assert plan.channels == ("DAPI", "FITC", "Texas Red", "Cy5")
    assert any(
        states("losses.announced", n, what="time points", wanted=6, there=2) for n in plan.notes
    )
    assert any(
        states("losses.announced_channels", n, count=4, absent="'Texas Red', 'Cy5'")
        for n in plan.notes
    )
    (copies,) = (f for f in plan.findings if f.kind == FindingKind.COPIES)
    assert states("stacks.copies_in_time", copies.message, channel="FITC", count=4, time=2)


@pytest.mark.parametrize(
    ("version", "size", "channels", "rows"), [(5, 0.5979760809, 6, 16), (7, 0.2966881324, 7, 8)]
)
@pytest.mark.parametrize(
    "place", ["Images", "images", "P__2021-01-01T00_00_00-Measurement 1/Images"]
)
def test_indices_of_the_phenix_are_found_from_every_folder_above(
    tmp_path, version, size, channels, rows, place
):
    plan = plan_scan(harmony(version, tmp_path, place), Acquisition())
    assert (plan.reader, len(plan.channels), plan.format.rows) == ("harmony", channels, rows)
    assert plan.pixel_size_um == pytest.approx(size)
    assert states("pixel_size.of_harmony", plan.pixel_size_source)
    assert plan.wells == (Well(1, 1),)
    assert {i.time for i in plan.images} == {1}
    assert len(plan.images) == channels
    read = {i.channel: reader_named("harmony").read(plan, i, Limits()) for i in plan.images}
    assert [(read[c] - PIXELS).max() for c in plan.channels] == list(range(channels))
    if version == 5:
        assert plan.channels[:2] == ("Digital Phase Contrast", "Brightfield high")
        assert plan.images[0].position_um == pytest.approx((-322.907, -322.907))
    else:
        assert plan.channels[5:] == ("HOECHST 33342", "Brightfield")


def test_imagexpress_stacks_come_without_thumbnails_and_projections(tmp_path):
    plan = plan_scan(tiff_folder("imagexpress", tmp_path), Acquisition())
    assert plan.wells == (Well(5, 8),)
    assert {i.z for i in plan.images} == set(range(1, 11))
    assert sum(states("tiff_folder.projections", note, count=4) for note in plan.notes) == 1
    assert [i.channel for i in plan.projections] == ["1", "2"] * 2
    # Wave 3 was taken as a projection only, wave 4 as one plane.
    assert any(states("stacks.no_planes", note, channel=3) for note in plan.notes)
    planes = {c: {i.z for i in plan.images if i.channel == c} for c in plan.channels}
    assert planes == {"1": {*range(1, 11)}, "2": {*range(1, 11)}, "3": {1}, "4": {1}}
    taken = reader_named("tiff").exposed_s(plan, plan.images[0])
    assert datetime.fromtimestamp(taken, UTC).date().isoformat() == "2023-02-21"


def test_cellvoyager(tmp_path):
    plan = plan_scan(cellvoyager("cellvoyager_cv8000", tmp_path, ["D08"]), Acquisition())
    assert (plan.reader, plan.name) == ("cellvoyager", "CV8000-Minimal-DataSet-2C-3W-4S-FP2-stack")
    assert (plan.pixel_size_um, plan.format) == (0.325, PlateFormat(8, 12))
    assert states("pixel_size.of_cellvoyager", plan.pixel_size_source)
    assert plan.channels == ("405 BP445/45", "488 BP525/50", "561 BP600/37", "640 BP676/29")
    assert {(i.z, i.z_um) for i in plan.images} == {(1, 0.0), (2, 3.0), (3, 6.0), (4, 9.0)}
    assert {i.position_um for i in plan.images} == {
        (x, y) for x in (-567.1, 82.8) for y in (402.9, -247.0)
    }
    assert (len(plan.images), len(plan.missing)) == (32, 64)
    assert plan.wells == (Well(4, 8), Well(5, 3), Well(6, 8))
    for well in ("E03", "F08"):
        assert any(states("losses.files", n, well=well, count=32) for n in plan.notes)
    assert {i.well for i in plan.images} == {Well(4, 8)}
    assert {i.exposed_s is not None and not i.local_time for i in plan.images} == {True}


def test_fields_that_the_cellvoyager_could_not_take_are_lost_with_its_reason(tmp_path):
    plan = plan_scan(cellvoyager("cellvoyager_errors", tmp_path), Acquisition())
    assert (plan.pixel_size_um, len(plan.images)) == (0.1625, 24)
    lost = {field: why for (well, field), why in plan.lost_fields().items()}
    assert list(lost) == [5, 11, 14, 15]
    for field, why in lost.items():
        assert states("cellvoyager.error", why, field=field)
    # Channel 4 is the only one that was used, and keeps its number.
    assert {i.channel for i in plan.images} == {plan.channels[3]}
    assert states("losses.of_fields", loss_of(plan, Well(6, 6)), there=12, of=16)
    assert [f.wells for f in plan.findings if f.kind == FindingKind.INSTRUMENT] == [
        (Well(6, 6),)
    ] * 4
    (plane,) = (i for i in plan.images if i.path.endswith("F006L04A01Z02C04.tif"))
    records = (tmp_path / "cellvoyager_errors" / "MeasurementData.mlf").read_text()
    before = records[: records.index(plane.path)].count(".tif<")
    assert (reader_named("cellvoyager").read(plan, plane, Limits()) == 1000 + before).all()


def test_foreign_ome_zarr_04_is_read_with_remarks(tmp_path):
    plan = plan_scan(foreign_plate("plate_ones_mip.zarr", tmp_path, value=1), Acquisition())
    assert plan.pixel_size_um == pytest.approx(0.1625)
    assert states("ome_zarr.no_well_metadata", plan.notes[0])
    assert np.unique(reader_named("ome-zarr").read(plan, plan.images[0], Limits())).tolist() == [1]


def test_missing_chunks_are_not_zeros(tmp_path):
    plan = plan_scan(foreign_plate("hcs_example.ome.zarr", tmp_path), Acquisition())
    with pytest.raises(ImageError, match=says("stores.chunks_of_all")):
        reader_named("ome-zarr").read(plan, plan.images[0], Limits())
