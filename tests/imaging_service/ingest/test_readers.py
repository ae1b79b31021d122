from __future__ import annotations

import shutil
from datetime import UTC, datetime

import numpy as np
import pytest
import tifffile

from imaging_service.errors import ImageError, ScanError
from imaging_service.ingest import plan_scan, reader_named
from imaging_service.ingest.plan import Limits
from imaging_service.protocol import Acquisition
from plate_maps import PlateFormat, Well

PLANE = np.arange(48, dtype=np.uint16).reshape(6, 8)


def tiffs(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(folder / name, PLANE)
    return folder


def test_unknown_folders_readers_and_patterns(tmp_path):
    with pytest.raises(ScanError, match="is not a folder"):
        plan_scan(tmp_path / "none", Acquisition())
    with pytest.raises(ScanError, match=r"no reader knows the folder .*readers: harmony, ome-zarr, tiff"):
        plan_scan(tmp_path, Acquisition())
    tiffs(tmp_path, "whatever.tif")
    with pytest.raises(ScanError, match="unknown reader 'czi'; known: harmony"):
        plan_scan(tmp_path, Acquisition(reader="czi"))
    with pytest.raises(ScanError, match="fits imagexpress; the first is called whatever.tif"):
        plan_scan(tmp_path, Acquisition(file_pattern="imagexpress", reader="tiff"))
    with pytest.raises(ScanError, match="unknown file_pattern 'opera'; shipped: imagexpress"):
        plan_scan(tmp_path, Acquisition(file_pattern="opera", reader="tiff"))


class TestRealScans:
    def test_operetta(self, shared_data):
        plan = plan_scan(shared_data / "vendor" / "operetta_v5" / "operetta_plate", Acquisition())
        assert plan.reader == "harmony"
        assert plan.name == "Test_Sample_BALL"
        assert plan.format == PlateFormat(16, 24)
        assert plan.wells == (Well(3, 3),)
        assert [i.field for i in plan.images] == [1, 2]
        assert plan.channels == ("Fluorescein (FITC)",)
        assert plan.pixel_size_um == pytest.approx(1.1959521619)
        assert reader_named("harmony").read(plan, plan.images[0], Limits()).max() == 47088
        first, second = (reader_named("harmony").exposed_s(plan, i) for i in plan.images)
        assert second - first == pytest.approx(0.577, abs=1e-3)

    def test_operetta_with_an_image_lost(self, shared_data, tmp_path):
        scan = tmp_path / "scan"
        shutil.copytree(shared_data / "vendor" / "operetta_v5" / "operetta_plate", scan, copy_function=shutil.copyfile)
        scan.chmod(0o755)
        (scan / "Images").chmod(0o755)
        (scan / "Images" / "r03c03f02p01-ch1sk1fk1fl1.tiff").unlink()
        plan = plan_scan(scan, Acquisition())
        assert [i.field for i in plan.missing] == [2]
        assert "not in the folder, the first: Images/r03c03f02p01" in plan.notes[0]

    def test_imagexpress(self, shared_data):
        root = shared_data / "vendor" / "imagexpress"
        exported = plan_scan(root / "ImageXpress_exported" / "9987_Plate_3435", Acquisition())
        assert exported.pixel_size_um == pytest.approx(1.3672)
        assert {i.time for i in exported.images} == {1, 2}
        stacked = plan_scan(root / "ImageXpress", Acquisition())
        assert stacked.wells == (Well(5, 8),)
        assert any("projection(s) beside the planes" in note for note in stacked.notes)
        taken = reader_named("tiff").exposed_s(stacked, stacked.images[0])
        assert datetime.fromtimestamp(taken, UTC).date().isoformat() == "2023-02-21"

    def test_cellvoyager(self, shared_data):
        plan = plan_scan(shared_data / "vendor" / "cellvoyager", Acquisition())
        assert len(plan.images) == 32
        assert {i.z for i in plan.images} == {1, 2, 3, 4}

    def test_foreign_ome_zarr_04_is_read_with_remarks(self, shared_data):
        plan = plan_scan(shared_data / "omezarr" / "plate_ones_mip.zarr", Acquisition())
        assert plan.pixel_size_um == pytest.approx(0.1625)
        assert "no well metadata" in plan.notes[0]
        assert (reader_named("ome-zarr").read(plan, plan.images[0], Limits()) == 1).all()

    def test_missing_chunks_are_not_zeros(self, shared_data):
        plan = plan_scan(shared_data / "omezarr" / "hcs_example.ome.zarr", Acquisition())
        with pytest.raises(ImageError, match="0 of .* chunks are there"):
            reader_named("ome-zarr").read(plan, plan.images[0], Limits())
