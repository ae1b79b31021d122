from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
import tifffile

from imaging_service.errors import ImageError, ScanError
from imaging_service.ingest import plan_scan, reader_named
from imaging_service.ingest.contract import PlateReaderContract
from imaging_service.ingest.plan import Limits
from imaging_service.ingest.tiff_folder import TiffFolderReader
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
        plan_scan(tiffs(tmp_path, "a/p_B02_s1_w1.tif", "b/p_B02_s1_w1.tif"), Acquisition())


def test_pixel_sizes_in_tiff_headers(tmp_path):
    tifffile.imwrite(
        tmp_path / "p_B02_s1_w1.tif",
        PLANE,
        ome=True,
        metadata={"axes": "YX", "PhysicalSizeX": 0.325, "PhysicalSizeY": 0.325},
    )
    assert plan_scan(tmp_path, Acquisition()).pixel_size_um == 0.325
    tifffile.imwrite(
        tmp_path / "p_B02_s1_w1.tif",
        PLANE,
        resolution=(20000, 20000),
        resolutionunit="CENTIMETER",
        metadata=None,
    )
    assert plan_scan(tmp_path, Acquisition()).pixel_size_um == pytest.approx(0.5)
    tifffile.imwrite(
        tmp_path / "p_B02_s1_w1.tif",
        PLANE,
        resolution=(72, 72),
        resolutionunit="INCH",
        metadata=None,
    )
    assert plan_scan(tmp_path, Acquisition()).pixel_size_um is None  # a printer's setting


def test_when_a_tiff_was_taken(tmp_path):
    """The instrument's own words count; TIFF's DateTime, which every editor rewrites, does not."""

    def taken(**written):
        tifffile.imwrite(tmp_path / "p_B02_s1_w1.tif", PLANE, **written)
        plan = plan_scan(tmp_path, Acquisition())
        return reader_named("tiff").exposed_s(plan, plan.images[0])

    date = "2023-02-21T10:42:20"
    assert (
        taken(ome=True, metadata={"axes": "YX", "AcquisitionDate": date})
        == datetime(2023, 2, 21, 10, 42, 20, tzinfo=UTC).timestamp()
    )
    zoned = "2024-03-31T12:00:00+02:00"
    assert (
        taken(ome=True, metadata={"axes": "YX", "AcquisitionDate": zoned})
        == datetime(2024, 3, 31, 10, tzinfo=UTC).timestamp()
    )
    assert taken(datetime="2008:02:05 17:25:01", metadata=None) is None
    assert taken(ome=True, metadata={"axes": "YX", "AcquisitionDate": "yesterday"}) is None
    (tmp_path / "p_B02_s1_w1.tif").write_bytes(b"no TIFF")
    plan = plan_scan(tmp_path, Acquisition())
    assert reader_named("tiff").exposed_s(plan, plan.images[0]) is None


OME = (
    '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">{images}</OME>'.format,
    '<Image ID="Image:{n}">{date}<Pixels ID="Pixels:{n}">{parts}</Pixels></Image>'.format,
)
DATE = "<AcquisitionDate>2024-03-30T08:00:00{zone}</AcquisitionDate>".format
BEGAN = datetime(2024, 3, 30, 8, tzinfo=UTC).timestamp()


def described(folder, images):
    """(seconds, whether local) of a TIFF with an OME description of these images."""
    path = folder / "p_B02_s1_w1.tif"
    tifffile.imwrite(path, PLANE, description=OME[0](images=images).encode(), metadata=None)
    plan = plan_scan(folder, Acquisition())
    reader = reader_named("tiff")
    return reader.exposed_s(plan, plan.images[0]), reader.local_clock(plan, plan.images[0])


def plane(t, delta, unit=""):
    place = " ".join(f'The{axis}="{n}"' for axis, n in (("Z", 0), ("C", 0), ("T", t)))
    return f'<Plane {place} DeltaT="{delta}"{unit}/>'


@pytest.mark.parametrize(
    ("date", "planes", "taken"),
    [
        (DATE(zone=""), "", (BEGAN, True)),
        (DATE(zone="Z"), plane(0, 43200), (BEGAN + 43200, False)),
        (DATE(zone="+02:00"), plane(0, 12, ' DeltaTUnit="h"'), (BEGAN + 36000, False)),
        ("", plane(0, 36000.5), (36000.5, False)),
        ("", plane(0, 0), (None, False)),
        ("", plane(0, 1, ' DeltaTUnit="fortnight"'), (None, False)),
        # Several planes, and no word of which is this file's: only the date counts.
        (DATE(zone="Z"), plane(0, 0) + plane(1, 43200), (BEGAN, False)),
    ],
)
def test_ome_s_date_and_the_plane_s_time_after_it(tmp_path, date, planes, taken):
    assert described(tmp_path, OME[1](n=0, date=date, parts=planes)) == taken


def test_a_description_of_a_whole_series_says_which_plane_the_file_is(tmp_path):
    def part(t, name):
        return (
            f'<TiffData FirstT="{t}" IFD="0"><UUID FileName="{name}">urn:uuid:{t}</UUID></TiffData>'
        )

    series = part(0, "p_B01_s1_w1.tif") + part(2, "p_B02_s1_w1.tif")
    other = OME[1](n=0, date=DATE(zone="Z"), parts=part(0, "x.tif") + plane(0, 5))
    mine = OME[1](n=1, date=DATE(zone="Z"), parts=series + plane(0, 0) + plane(2, 86400))
    assert described(tmp_path, other + mine) == (BEGAN + 86400, False)


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
    with pytest.raises(ImageError, match=says("tiff_folder.file_named")):
        reader_named("tiff").read(plan, plan.images[0], Limits())


def test_declared_size_is_checked_before_memory_is_taken(tmp_path):
    plan = plan_scan(tiffs(tmp_path, "p_B02_s1_w1.tif"), Acquisition())
    with pytest.raises(ImageError, match=says("tiff_folder.not_a_camera_image")):
        reader_named("tiff").read(plan, plan.images[0], Limits(image_pixels=10))
