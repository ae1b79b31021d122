"""Real names and metadata of vendors' exports, with drawn pixels; tests/images reads the
photographs.
"""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from imaging_service.errors import ImageError
from imaging_service.ingest import plan_scan, reader_named
from imaging_service.ingest.plan import Limits
from imaging_service.protocol import Acquisition
from plate_maps import PlateFormat, Well
from tests.messages import says, states
from tests.vendor_scans import PIXELS, foreign_plate, operetta, tiff_folder


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
    assert states("harmony.not_in_the_folder", plan.notes[0], first="Images/r03c03f02p01")


def test_imagexpress_exports_have_time_points(tmp_path):
    plan = plan_scan(tiff_folder("imagexpress_exported", tmp_path), Acquisition())
    assert plan.pixel_size_um == pytest.approx(1.3672)
    assert plan.wells == (Well(2, 2), Well(2, 3))
    assert {i.time for i in plan.images} == {1, 2}


def test_imagexpress_stacks_come_without_thumbnails_and_projections(tmp_path):
    plan = plan_scan(tiff_folder("imagexpress", tmp_path), Acquisition())
    assert plan.wells == (Well(5, 8),)
    assert {i.z for i in plan.images} == set(range(1, 11))
    assert sum(states("tiff_folder.projections", note, count=6) for note in plan.notes) == 1
    taken = reader_named("tiff").exposed_s(plan, plan.images[0])
    assert datetime.fromtimestamp(taken, UTC).date().isoformat() == "2023-02-21"


def test_cellvoyager(tmp_path):
    plan = plan_scan(tiff_folder("cellvoyager", tmp_path), Acquisition())
    assert len(plan.images) == 32
    assert {i.z for i in plan.images} == {1, 2, 3, 4}


def test_foreign_ome_zarr_04_is_read_with_remarks(tmp_path):
    plan = plan_scan(foreign_plate("plate_ones_mip.zarr", tmp_path, value=1), Acquisition())
    assert plan.pixel_size_um == pytest.approx(0.1625)
    assert states("ome_zarr.no_well_metadata", plan.notes[0])
    assert np.unique(reader_named("ome-zarr").read(plan, plan.images[0], Limits())).tolist() == [1]


def test_missing_chunks_are_not_zeros(tmp_path):
    plan = plan_scan(foreign_plate("hcs_example.ome.zarr", tmp_path), Acquisition())
    with pytest.raises(ImageError, match=says("stores.chunks_of_all")):
        reader_named("ome-zarr").read(plan, plan.images[0], Limits())
