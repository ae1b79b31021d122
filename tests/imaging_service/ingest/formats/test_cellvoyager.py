"""What an index may say wrongly; real ones are in test_vendor_scans.py."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imaging_service.errors import ScanError
from imaging_service.ingest import plan_scan
from imaging_service.ingest.contract import PlateReaderContract
from imaging_service.ingest.formats.cellvoyager import CellVoyagerReader
from imaging_service.ingest.plan import Limits
from imaging_service.protocol import Acquisition
from tests.messages import says, states
from tests.vendor_scans import cellvoyager

BTS = 'xmlns:bts="http://www.yokogawa.co.jp/BTS/BTSSchema/1.0"'
RECORD = {
    "Type": "IMG",
    "Time": "2026-01-31T12:00:00.000+01:00",
    "Column": "2",
    "Row": "3",
    "TimePoint": "1",
    "FieldIndex": "1",
    "ZIndex": "1",
    "X": "-5",
    "Y": "7",
    "Z": "0",
    "Ch": "1",
}


class TestCellVoyagerKeepsTheContract(PlateReaderContract):
    reader = CellVoyagerReader()

    @pytest.fixture
    def scan(self, tmp_path_factory):
        return cellvoyager("cellvoyager_errors", tmp_path_factory.mktemp("cv"))


def record(text="a.tif", **changes):
    values = " ".join(f'bts:{k}="{v}"' for k, v in (RECORD | changes).items() if v is not None)
    return f"<bts:MeasurementRecord {values}>{text}</bts:MeasurementRecord>"


def export(folder, *records, size="0.5", rows="8", counts="", shading=""):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "MeasurementData.mlf").write_text(
        f"<bts:MeasurementData {BTS}>{''.join(records)}</bts:MeasurementData>"
    )
    (folder / "MeasurementDetail.mrf").write_text(
        f'<bts:MeasurementDetail {BTS} bts:RowCount="{rows}" bts:ColumnCount="12" {counts}>'
        f'<bts:MeasurementChannel bts:Ch="1" bts:HorizontalPixelDimension="{size}"'
        f' bts:VerticalPixelDimension="{size}" {shading}/></bts:MeasurementDetail>'
    )
    tifffile.imwrite(folder / "a.tif", np.full((16, 16), 7, np.uint16))
    return folder


def test_a_record_is_where_it_says(tmp_path):
    plan = plan_scan(export(tmp_path, record()), Acquisition())
    (image,) = plan.images
    assert (image.well.name, image.position_um, image.z_um) == ("C02", (-5.0, 7.0), 0.0)
    assert (plan.channels, plan.pixel_size_um) == (("1",), 0.5)
    assert image.exposed_s == 1769857200


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"size": "abc"}, says("pixel_size.not_a_number")),
        ({"size": "NaN"}, says("pixel_size.not_a_number")),
        ({"size": "0"}, says("pixel_size.not_a_number")),
        ({"size": "-0.5"}, says("pixel_size.not_a_number")),
        ({"rows": "eight"}, says("plate_size.not_a_number")),
        ({"rows": "-8"}, says("plate_size.not_a_number")),
        ({"rows": "1000000000"}, says("plate_size.too_large")),
        ({"counts": 'bts:FieldCount="many"'}, says("cellvoyager.not_whole", key="FieldCount")),
    ],
)
def test_a_wrong_detail_is_refused_by_file(tmp_path, change, sentence):
    with pytest.raises(ScanError, match=sentence) as refused:
        plan_scan(export(tmp_path, record(), **change), Acquisition())
    assert "MeasurementDetail.mrf" in str(refused.value)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"Row": "26", "Column": "99"}, says("harmony.outside_the_plate", well="Z99")),
        ({"Column": "0"}, says("cellvoyager.from_1")),
        ({"Row": "²"}, says("cellvoyager.not_whole", key="Row")),
        ({"FieldIndex": "x"}, says("cellvoyager.not_whole", key="FieldIndex")),
        ({"Ch": None}, says("cellvoyager.not_whole", key="Ch")),
        ({"Type": "VID"}, says("cellvoyager.type")),
    ],
)
def test_a_wrong_record_is_refused_by_name(tmp_path, change, sentence):
    with pytest.raises(ScanError, match=sentence) as refused:
        plan_scan(export(tmp_path, record(**change)), Acquisition())
    assert "a.tif" in str(refused.value)


def test_a_record_twice_is_refused(tmp_path):
    with pytest.raises(ScanError, match=says("harmony.image_twice")):
        plan_scan(export(tmp_path, record(), record("b.tif")), Acquisition())


def test_a_file_outside_the_folder_is_missing(tmp_path):
    tifffile.imwrite(tmp_path / "b.tif", np.ones((4, 4), np.uint16))
    plan = plan_scan(
        export(tmp_path / "m", record(), record("../b.tif", FieldIndex=2)), Acquisition()
    )
    assert [i.field for i in plan.missing] == [2]


def test_an_error_beside_images_of_its_field_is_a_finding(tmp_path):
    error = record("AF Error", Type="ERR", ZIndex=None, Ch=None)
    plan = plan_scan(export(tmp_path, record(), error), Acquisition())
    assert any(states("losses.instrument", n, text="AF Error") for n in plan.notes)


def test_two_measurements_are_listed_and_one_is_asked_for(tmp_path):
    for name in ("m1", "m2"):
        export(tmp_path / name, record())
    with pytest.raises(ScanError, match=says("several.measurements", count=2, names="'m1', 'm2'")):
        plan_scan(tmp_path, Acquisition())
    assert plan_scan(tmp_path, Acquisition(measurement="m2")).images[0].path == "m2/a.tif"


def test_without_its_other_files_no_size_is_known(tmp_path):
    (export(tmp_path, record()) / "MeasurementDetail.mrf").unlink()
    plan = plan_scan(tmp_path, Acquisition())
    assert (plan.pixel_size_um, plan.format, plan.channels) == (None, None, ("1",))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.binary(max_size=200),
        st.dictionaries(st.sampled_from(sorted(RECORD)), st.text(max_size=12), min_size=1),
    ),
    st.text(max_size=8),
)
def test_any_index_is_read_or_refused_by_name(tmp_path, content, size):
    def written(text):
        clean = "".join(c for c in text if c.isprintable() and c not in '<>&"')
        return clean.encode("ascii", "xmlcharrefreplace").decode()

    if isinstance(content, bytes):
        export(tmp_path, record(), size=written(size))
        (tmp_path / "MeasurementData.mlf").write_bytes(content)
    else:
        export(tmp_path, record(**{k: written(v) for k, v in content.items()}), size=written(size))
    try:
        CellVoyagerReader().plan(tmp_path, Limits(), Acquisition())
    except ScanError as error:
        assert "Measurement" in str(error)
    finally:
        shutil.rmtree(tmp_path)
