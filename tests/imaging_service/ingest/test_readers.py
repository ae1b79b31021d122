from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
import tifffile
import zarr

from imaging_service.errors import ImageError, ScanError
from imaging_service.ingest import plan_scan, reader_named
from imaging_service.ingest.contract import PlateReaderContract
from imaging_service.ingest.harmony import HarmonyReader
from imaging_service.ingest.ome_zarr import OmeZarrReader
from imaging_service.ingest.plan import Limits, plan_digest
from imaging_service.ingest.tiff_folder import TiffFolderReader
from imaging_service.protocol import Acquisition
from imaging_service.store import plates
from plate_maps import PlateFormat, Well, plate_format

PLANE = np.arange(48, dtype=np.uint16).reshape(6, 8)


def tiffs(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(folder / name, PLANE)
    return folder


class TestTiffKeepsTheContract(PlateReaderContract):
    reader = TiffFolderReader()

    @pytest.fixture
    def scan(self, tmp_path_factory):
        return tiffs(tmp_path_factory.mktemp("s"), "p_B02_s1_w1.tif", "p_B02_s1_w2.tif")


class TestHarmonyKeepsTheContract(PlateReaderContract):
    reader = HarmonyReader()

    @pytest.fixture
    def scan(self, shared_data):
        return shared_data / "vendor" / "operetta_v5" / "operetta_plate"


class TestOmeZarrKeepsTheContract(PlateReaderContract):
    reader = OmeZarrReader()

    @pytest.fixture
    def scan(self, tmp_path_factory):
        root = tmp_path_factory.mktemp("z") / "plate.zarr"
        plates.begin_plate(root)
        plates.write_well(root / "B" / "3", [np.stack([PLANE, PLANE + 1])], ["a", "b"], ["dna", None], 0.5)
        plates.finish_plate(root, "p", plate_format(96))
        return root


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("9987_B02_s2_w1.TIF", ("B02", 2, "1", 1)),
        ("Projection-Mix_E08_s1_w117654C10-92F1-4DFD-98AA-6A01BBD77557.tif", ("E08", 1, "1", 1)),
        ("r03c04f05p02-ch3sk1fk1fl1.tiff", ("C04", 5, "3", 2)),
        ("plate one #2_D08_T0001F004L01A02Z04C02.tif", ("D08", 4, "2", 4)),
        ("B - 03(fld 2 wv DAPI - DAPI).tif", ("B03", 2, "DAPI - DAPI", 1)),
        ("MFGTMP_120412110001_C05f03d1.TIF", ("C05", 3, "1", 1)),
        ("Channel2-13-B-01.tif", ("B01", 1, "2", 1)),
    ],
)
def test_names_of_the_common_exports(tmp_path, name, expected):
    image = plan_scan(tiffs(tmp_path, name), Acquisition()).images[0]
    assert (image.well.name, image.field, image.channel, image.z) == expected


def test_own_pattern(tmp_path):
    own = Acquisition(file_pattern=r"(?P<row>[A-H])_(?P<column>\d+)_(?P<channel>gfp|dapi)\.tif")
    plan = plan_scan(tiffs(tmp_path, "A_1_gfp.tif", "A_1_dapi.tif", "notes_x.tif"), own)
    assert plan.channels == ("dapi", "gfp")
    assert "1 TIFF(s) do not fit the file pattern" in plan.notes[0]


def test_two_files_for_one_plane_are_refused(tmp_path):
    with pytest.raises(ScanError, match="are the same plane by name"):
        plan_scan(tiffs(tmp_path, "a/p_B02_s1_w1.tif", "b/p_B02_s1_w1.tif"), Acquisition())


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


def test_pixel_sizes_in_tiff_headers(tmp_path):
    tifffile.imwrite(tmp_path / "p_B02_s1_w1.tif", PLANE, ome=True, metadata={"axes": "YX", "PhysicalSizeX": 0.325, "PhysicalSizeY": 0.325})
    assert plan_scan(tmp_path, Acquisition()).pixel_size_um == 0.325
    tifffile.imwrite(tmp_path / "p_B02_s1_w1.tif", PLANE, resolution=(20000, 20000), resolutionunit="CENTIMETER", metadata=None)
    assert plan_scan(tmp_path, Acquisition()).pixel_size_um == pytest.approx(0.5)
    tifffile.imwrite(tmp_path / "p_B02_s1_w1.tif", PLANE, resolution=(72, 72), resolutionunit="INCH", metadata=None)
    assert plan_scan(tmp_path, Acquisition()).pixel_size_um is None  # a printer's setting


def test_when_a_tiff_was_taken(tmp_path):
    """The instrument's own words count; TIFF's DateTime, which every editor rewrites, does not."""

    def taken(**written):
        tifffile.imwrite(tmp_path / "p_B02_s1_w1.tif", PLANE, **written)
        plan = plan_scan(tmp_path, Acquisition())
        return reader_named("tiff").exposed_s(plan, plan.images[0])

    date = "2023-02-21T10:42:20"
    assert taken(ome=True, metadata={"axes": "YX", "AcquisitionDate": date}) == datetime(2023, 2, 21, 10, 42, 20, tzinfo=UTC).timestamp()
    assert taken(datetime="2008:02:05 17:25:01", metadata=None) is None
    assert taken(ome=True, metadata={"axes": "YX", "AcquisitionDate": "yesterday"}) is None
    (tmp_path / "p_B02_s1_w1.tif").write_bytes(b"no TIFF")
    plan = plan_scan(tmp_path, Acquisition())
    assert reader_named("tiff").exposed_s(plan, plan.images[0]) is None


def damaged(path, how):
    content = path.read_bytes()
    if how == "truncated":
        path.write_bytes(content[: len(content) - 40])
    elif how == "header only":
        path.write_bytes(content[:6])
    elif how == "text":
        path.write_bytes(b"not a TIFF at all")
    elif how == "pages":
        tifffile.imwrite(path, np.stack([PLANE, PLANE]), photometric="minisblack")
    elif how == "colour":
        tifffile.imwrite(path, np.zeros((6, 8, 3), np.uint8), photometric="rgb")
    elif how == "gone":
        path.unlink()


@pytest.mark.parametrize("how", ["truncated", "header only", "text", "pages", "colour", "gone"])
def test_damaged_tiffs_are_image_errors_that_name_the_file(tmp_path, how):
    plan = plan_scan(tiffs(tmp_path, "p_B02_s1_w1.tif"), Acquisition())
    damaged(tmp_path / "p_B02_s1_w1.tif", how)
    with pytest.raises(ImageError, match=r"p_B02_s1_w1\.tif"):
        reader_named("tiff").read(plan, plan.images[0], Limits())


def test_declared_size_is_checked_before_memory_is_taken(tmp_path):
    plan = plan_scan(tiffs(tmp_path, "p_B02_s1_w1.tif"), Acquisition())
    with pytest.raises(ImageError, match="not a camera image"):
        reader_named("tiff").read(plan, plan.images[0], Limits(image_pixels=10))


def test_a_plan_of_other_meaning_has_another_digest(tmp_path):
    plan = plan_scan(tiffs(tmp_path, "p_B02_s1_w1.tif"), Acquisition())
    assert plan_digest(plan) == plan_digest(plan_scan(tmp_path, Acquisition()))
    assert plan_digest(plan) != plan_digest(replace(plan, pixel_size_um=0.5))
    assert plan_digest(plan) != plan_digest(replace(plan, images=(replace(plan.images[0], channel="2"),)))


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


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"<a>", "not readable XML"),
        (b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "not readable XML"),
        (b"<a/>", "names no plate"),
        (b"<E><Plates><Plate><Name>p</Name><PlateRows>8</PlateRows><PlateColumns>12</PlateColumns></Plate></Plates><Images><Image><URL>x.tiff</URL></Image></Images></E>", "has no Row, Col"),
    ],
)  # fmt: skip
def test_hostile_and_foreign_indices(tmp_path, content, says):
    (tmp_path / "Index.idx.xml").write_bytes(content)
    with pytest.raises(ScanError, match=says):
        plan_scan(tmp_path, Acquisition())


def test_our_own_plates_are_scans_again(tmp_path):
    root = tmp_path / "plate.zarr"
    plates.begin_plate(root)
    plates.write_well(root / "B" / "3", [np.stack([PLANE, PLANE + 1])], ["w1", "w2"], ["dna", None], 0.5)
    plates.finish_plate(root, "p", plate_format(96))
    plan = plan_scan(root, Acquisition())
    assert plan.format == plate_format(96)
    assert plan.channels == ("dna (w1)", "w2")
    assert plan.pixel_size_um == 0.5
    assert (reader_named("ome-zarr").read(plan, plan.images[1], Limits()) == PLANE + 1).all()
    assert zarr.open_group(root, mode="r").attrs["ome"]["version"] == "0.5"
