from __future__ import annotations

import numpy as np
import pytest
import tifffile

from imaging_service.errors import ScanError
from imaging_service.ingest import plan_scan, reader_named
from imaging_service.ingest.contract import PlateReaderContract
from imaging_service.ingest.formats.tiff_folder import TiffFolderReader
from imaging_service.protocol import Acquisition
from tests.messages import says, states

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
    assert states("tiff_folder.left_out", plan.notes[0], count=1)


def test_two_files_for_one_plane_are_refused(tmp_path):
    with pytest.raises(ScanError, match=says("tiff_folder.one_plane_twice")):
        plan_scan(tiffs(tmp_path, "p_B02_s1_w1.tif", "p_B02_s1_w1.tiff"), Acquisition())


@pytest.mark.parametrize(
    ("names", "listed"),
    [
        (("Plate_A/A_B02_s1_w1.tif", "Plate_B/B_B03_s1_w1.tif"), "'A', 'B'"),
        (("A_B02_s1_w1.tif", "B_B03_s1_w1.tif"), "'A', 'B'"),
        (("Plate_A/x_B02_s1_w1.tif", "Plate_B/x_B03_s1_w1.tif"), "'Plate_A', 'Plate_B'"),
        (("a/p_B02_s1_w1.tif", "b/p_B02_s1_w1.tif"), "'a', 'b'"),
    ],
)
def test_several_plates_are_listed_and_one_is_asked_for(tmp_path, names, listed):
    tiffs(tmp_path, *names)
    with pytest.raises(ScanError, match=says("several.plates", count=2, names=listed)):
        plan_scan(tmp_path, Acquisition())
    for name, file in zip(listed.replace("'", "").split(", "), names, strict=True):
        plan = plan_scan(tmp_path, Acquisition(measurement=name))
        assert [i.path for i in plan.images] == [file]
        assert plan.name == name
    with pytest.raises(
        ScanError, match=says("several.none_of_that_name", what="plate", wanted="C")
    ):
        plan_scan(tmp_path, Acquisition(measurement="C"))


@pytest.mark.parametrize(
    "names",
    [
        ("B02/p_B02_s1_w1.tif", "B03/p_B03_s1_w1.tif"),
        ("B - 2/p_B02_s1_w1.tif", "B - 3/p_B03_s1_w1.tif"),
        ("B/p_B02_s1_w1.tif", "C/p_C03_s1_w1.tif"),
        ("w1/p_B02_s1_w1.tif", "w2/p_B02_s1_w2.tif"),
        ("TimePoint_1/p_B02_s1_w1.tif", "TimePoint_2/p_B02_s1_w1.tif"),
        ("1/TimePoint_1/p_B02_s1_w1.tif", "1/TimePoint_2/p_B03_s1_w1.tif"),
    ],
)
def test_folders_per_well_row_channel_or_time_are_one_plate(tmp_path, names):
    assert len(plan_scan(tiffs(tmp_path, *names), Acquisition()).images) == 2


@pytest.mark.parametrize(
    ("index", "place", "reader"),
    [
        ("Index.xml", "", "harmony"),
        ("Index.idx.xml", "", "harmony"),
        ("index.idx.xml", "above", "harmony"),
        ("MeasurementData.mlf", "", "cellvoyager"),
    ],
)
def test_names_are_not_read_beside_an_index(tmp_path, index, place, reader):
    scan = tiffs(tmp_path / "above" / "images", "r02c03f01p01-ch1sk1fk1fl1.tiff")
    (tmp_path / place / index if place else scan / index).write_text("<EvaluationInputData/>")
    with pytest.raises(
        ScanError, match=says("tiff_folder.beside_an_index", index=index)
    ) as refused:
        plan_scan(scan, Acquisition(reader="tiff"))
    assert reader in str(refused.value)


def test_an_index_of_another_program_is_none(tmp_path):
    scan = tiffs(tmp_path / "scan", "p_B02_s1_w1.tif")
    (scan / "Index.xml").write_text("<html/>")
    assert len(plan_scan(scan, Acquisition()).images) == 1


def test_channels_keep_their_numbers(tmp_path):
    plan = plan_scan(tiffs(tmp_path, "p_B02_s1_w2.tif", "p_B02_s1_w4.tif"), Acquisition())
    assert plan.channels == ("1", "2", "3", "4")
    own = Acquisition(file_pattern=r"(?P<well>[A-H]\d+)_(?P<channel>\d+)nm\.tif")
    named = plan_scan(tiffs(tmp_path / "nm", "B2_405nm.tif", "B2_488nm.tif"), own)
    assert named.channels == ("405", "488")


def test_foreign_tiffs_hide_no_plate(tmp_path):
    tiffs(tmp_path, *(f"aa_figure {n:03d}.tif" for n in range(60)), "p_B02_s1_w1.tif")
    plan = plan_scan(tmp_path, Acquisition())
    assert [i.well.name for i in plan.images] == ["B02"]
    assert any(states("tiff_folder.left_out", n, count=60) for n in plan.notes)


def test_incucyte_s_stamps_are_time_points(tmp_path):
    names = [
        f"VID7_B2_1_{stamp}.tif"
        for stamp in ("2026y01m31d_23h30m", "2026y02m01d_05h30m", "2026y02m01d_11h30m")
    ]
    plan = plan_scan(tiffs(tmp_path, *names), Acquisition())
    assert [(i.well.name, i.time) for i in plan.images] == [("B02", 1), ("B02", 2), ("B02", 3)]
    reader = reader_named("tiff")
    first, second, third = (reader.exposed_s(plan, i) for i in plan.images)
    assert (second - first, third - second) == (6 * 3600, 6 * 3600)
    assert reader.local_clock(plan, plan.images[0])
