"""An ImageXpress with a `.jdce`: drawn after the format that two public readers describe."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile

from imaging_service.errors import ScanError
from imaging_service.ingest import plan_scan, reader_named
from imaging_service.ingest.contract import PlateReaderContract
from imaging_service.ingest.formats.jdce import JdceReader
from imaging_service.ingest.plan import FindingKind, Limits
from imaging_service.protocol import Acquisition
from plate_maps import PlateFormat
from tests.messages import says, states

COLUMNS = (
    "Row,Column,Well,Field,Wavelength,Timepoint,ZIndex,ImageSubFolderPath,ImageFileName,"
    "TimeStampSec,PositionXUm,PositionYUm,PositionZUm"
)


def described(**changes):
    protocol = {
        "ObjectiveCalibration": {"PixelWidth": 0.325, "PixelHeight": 0.325, "Unit": "um"},
        "Camera": {"Binning": "1 X 1"},
        "Plate": {"Name": "Plate-9", "Rows": 8, "Columns": 12},
        "PlateMap": {
            "TimeSchedule": {"NumberOfTimepoints": 1},
            "ZDimensionParameters": {"NumberOfSlices": 2},
        },
        "Wavelengths": [
            {"Index": 1, "EmissionFilter": {"Name": "TRITC"}},
            {"Index": 0, "EmissionFilter": {"Name": "DAPI"}},
        ],
    }
    stack = {
        "ImageFormat": "TIFF",
        "ImageMetadataFiles": ["image_metadata_0.csv"],
        "AutoLeadAcquisitionProtocol": protocol | changes,
    }
    return {"ImageStack": stack}


def row(well=(2, 3), field=0, wave=0, z=0, name=None, **changes):
    name = name or f"f{well[0]}{well[1]}{field}{wave}{z}.tif"
    values = [
        *well,
        f"B - {well[1]}",
        field,
        wave,
        0,
        z,
        "timepoint0\\",
        name,
        "1767225610.5",
        100 * field,
        7,
        z,
    ]
    return dict(zip(COLUMNS.split(","), map(str, values), strict=True)) | changes


ROWS = [row(field=f, wave=w, z=z) for f in (0, 1) for w in (0, 1) for z in (0, 1)]


def export(folder, rows=ROWS, text=None, absent=(), columns=COLUMNS):
    (folder / "timepoint0").mkdir(parents=True, exist_ok=True)
    (folder / "p.jdce").write_text(json.dumps(described()) if text is None else text, "utf-8-sig")
    names = columns.split(",")
    lines = [columns, *(",".join(r[n] for n in names if n in r) for r in rows)]
    (folder / "image_metadata_0.csv").write_text("\r\n".join(lines))
    for value, one in enumerate(rows):
        name = one["ImageFileName"]
        if name not in absent and "/" not in name:
            tifffile.imwrite(
                folder / "timepoint0" / name, np.full((8, 8), value + 1, np.uint16), metadata=None
            )
    return folder


class TestJdceKeepsTheContract(PlateReaderContract):
    reader = JdceReader()

    @pytest.fixture
    def scan(self, tmp_path_factory):
        return export(tmp_path_factory.mktemp("jdce"))


def test_an_image_is_where_the_tables_say(tmp_path):
    plan = plan_scan(export(tmp_path / "scan" / "deep"), Acquisition())
    assert (plan.reader, plan.name, plan.format) == ("jdce", "Plate-9", PlateFormat(8, 12))
    assert (plan.channels, plan.pixel_size_um) == (("DAPI", "TRITC"), 0.325)
    assert states("pixel_size.of_jdce", plan.pixel_size_source)
    assert [(i.well.name, i.field, i.time, i.channel, i.z) for i in plan.images] == [
        ("B03", f, 1, c, z) for f in (1, 2) for c in ("DAPI", "TRITC") for z in (1, 2)
    ]
    last = plan.images[-1]
    assert (last.exposed_s, last.position_um, last.z_um) == (1767225610.5, (100.0, 7.0), 1.0)
    values = [reader_named("jdce").read(plan, i, Limits())[0, 0] for i in plan.images]
    assert values == list(range(1, 9))


def test_what_the_tables_name_and_is_not_there_is_missing(tmp_path):
    outside = row(field=1, name="../../../etc/x.tif")
    gone = ROWS[0]["ImageFileName"]
    plan = plan_scan(export(tmp_path, [*ROWS[:4], outside], absent=(gone,)), Acquisition())
    assert {i.path.rpartition("/")[2] for i in plan.missing} == {gone, "x.tif"}
    # A field of which the only image is not there is lost, and one that lacks one is named.
    assert [field for _, field in plan.lost_fields()] == [2]
    assert plan.announced.planes == 2


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"text": "{"}, says("jdce.not_json")),
        ({"text": "[" * 100_000}, says("jdce.not_json")),
        ({"text": "{}"}, says("jdce.no_acquisition")),
        ({"text": json.dumps(described(Wavelengths=[]))}, says("jdce.no_wavelength")),
        (
            {"text": json.dumps(described(Wavelengths=[{"Index": "x"}]))},
            says("jdce.wavelength_index"),
        ),
        (
            {"text": json.dumps(described(Wavelengths=[{"Index": 0}, {"Index": 0}]))},
            says("jdce.wavelength_twice"),
        ),
        (
            {"text": json.dumps(described(Plate={"Rows": "eight", "Columns": 12}))},
            says("plate_size.not_a_number"),
        ),
        (
            {"text": json.dumps(described(PlateMap={"TimeSchedule": {"NumberOfTimepoints": "x"}}))},
            says("jdce.not_whole", key="NumberOfTimepoints"),
        ),
        (
            {
                "text": json.dumps(
                    described(ObjectiveCalibration={"PixelWidth": 0, "PixelHeight": 0.3})
                )
            },
            says("pixel_size.not_a_number"),
        ),
        (
            {"text": json.dumps(described()).replace("image_metadata_0.csv", "other.csv")},
            says("jdce.no_table"),
        ),
        ({"rows": [ROWS[0], ROWS[0]]}, says("harmony.image_twice")),
        ({"rows": [row(well=(9, 1))]}, says("harmony.outside_the_plate", well="I01")),
        ({"rows": [row(well=(0, 1))]}, says("jdce.row")),
        ({"rows": [row(Field="-1")]}, says("jdce.not_whole", key="Field")),
        ({"rows": [row(wave=2)]}, says("jdce.wavelength_undescribed")),
        ({"rows": []}, says("jdce.no_image")),
        ({"columns": "Row,Column,Field,Wavelength"}, says("jdce.no_column")),
    ],
)
def test_what_is_wrong_is_named_with_its_file(tmp_path, change, sentence):
    with pytest.raises(ScanError, match=sentence) as refused:
        plan_scan(export(tmp_path, **change), Acquisition())
    assert str(tmp_path) in str(refused.value) or "p.jdce" in str(refused.value)


def test_the_pixel_of_a_binned_camera_is_asked_for(tmp_path):
    text = json.dumps(described(Camera={"Binning": "2 X 2"}))
    plan = plan_scan(export(tmp_path, text=text), Acquisition())
    assert plan.pixel_size_um is None
    (finding,) = (f for f in plan.findings if f.kind == FindingKind.PIXEL_SIZE)
    assert states("jdce.binned", finding.message)


def test_two_acquisitions_are_listed_and_names_are_not_read_beside_one(tmp_path):
    for name in ("first", "second"):
        export(tmp_path / name)
    with pytest.raises(
        ScanError, match=says("several.acquisitions", count=2, names="'first', 'second'")
    ):
        plan_scan(tmp_path, Acquisition())
    chosen = plan_scan(tmp_path, Acquisition(measurement="second"))
    assert {i.path.split("/")[0] for i in chosen.images} == {"second"}
    for place in (tmp_path / "first", tmp_path / "first" / "timepoint0"):
        with pytest.raises(ScanError, match=says("tiff_folder.beside_an_index", index="p.jdce")):
            plan_scan(place, Acquisition(reader="tiff"))
