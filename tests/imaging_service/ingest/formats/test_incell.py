from __future__ import annotations

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imaging_service.errors import ScanError
from imaging_service.ingest import plan_scan
from imaging_service.ingest.formats.incell import read_xdce
from imaging_service.ingest.images.scan_files import scan_files
from imaging_service.ingest.plan import Limits
from imaging_service.protocol import Acquisition
from plate_maps import PlateFormat
from tests.messages import says, states

# Written from the format's description: no export of an InCell is at hand that may be copied.
XDCE = """<?xml version="1.0" encoding="UTF-8"?>
<ImageStack xmlns="http://www.gehealthcare.com/BioInformatics"><AutoLeadAcquisitionProtocol>
<ObjectiveCalibration magnification="20" pixel_width="{x}" pixel_height="{y}" unit="um"/>
<Plate name="96 well" rows="{rows}" columns="12"/></AutoLeadAcquisitionProtocol>
<Images number="4">{images}</Images></ImageStack>"""
IMAGE = (
    '<Image filename="{name}"><Well label="B - 2"><Row number="2"/><Column number="2"/></Well>'
    '<Identifier field_index="0" time_index="0" wave_index="{wave}" z_index="0"/></Image>'
)
NAMES = {
    "B - 2(fld 1 wv UV - DAPI).tif": 0,
    "B - 2(fld 1 wv Blue - FITC).tif": 1,
    "B - 3(fld 1 wv UV - DAPI).tif": 0,
    "B - 3(fld 1 wv Blue - FITC).tif": 1,
}


def scan(folder, *, x="0.325", y="0.325", rows="8", names=NAMES, there=tuple(NAMES)):
    folder.mkdir(exist_ok=True)
    images = "".join(IMAGE.format(name=name, wave=wave) for name, wave in names.items())
    (folder / "p.xdce").write_text(XDCE.format(x=x, y=y, rows=rows, images=images))
    for n, name in enumerate(there):
        tifffile.imwrite(folder / name, np.full((16, 16), n + 1, np.uint16))
    return folder


def test_sizes_channels_and_lost_files(tmp_path):
    plan = plan_scan(scan(tmp_path, there=list(NAMES)[:3]), Acquisition())
    assert (plan.pixel_size_um, plan.format) == (0.325, PlateFormat(8, 12))
    assert states("pixel_size.of_incell", plan.pixel_size_source)
    # In the order of the waves, not of the alphabet.
    assert plan.channels == ("UV - DAPI", "Blue - FITC")
    assert [i.path for i in plan.missing] == ["B - 3(fld 1 wv Blue - FITC).tif"]
    assert any(states("losses.files", n, well="B03", count=1) for n in plan.notes)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"x": "0", "y": "0"}, says("pixel_size.not_a_number")),
        ({"x": "wide"}, says("pixel_size.not_a_number")),
        ({"y": "0.65"}, says("pixel_size.not_square")),
        ({"rows": "eight"}, says("plate_size.not_a_number")),
        ({"names": {}}, says("incell.no_image")),
        ({"names": {"x.tif": 0}}, says("incell.not_named")),
    ],
)
def test_a_wrong_index_is_refused_by_name(tmp_path, change, sentence):
    with pytest.raises(ScanError, match=sentence) as refused:
        plan_scan(scan(tmp_path, **change), Acquisition())
    assert "p.xdce" in str(refused.value)


def test_two_acquisitions_are_listed(tmp_path):
    scan(tmp_path)
    (tmp_path / "q.xdce").write_text((tmp_path / "p.xdce").read_text())
    with pytest.raises(ScanError, match=says("incell.several", count=2)):
        plan_scan(tmp_path, Acquisition())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(st.binary(max_size=200), st.tuples(*(st.text(max_size=12),) * 3).map(tuple)),
)
def test_any_bytes_are_read_or_refused_by_name(tmp_path, content):
    if isinstance(content, tuple):
        x, rows, name = (c.encode("ascii", "xmlcharrefreplace").decode() for c in content)
        content = XDCE.format(x=x, y=x, rows=rows, images=IMAGE.format(name=name, wave=x)).encode()
    (tmp_path / "p.xdce").write_bytes(content)
    try:
        read_xdce(scan_files(tmp_path, Limits()), Limits())
    except ScanError as error:
        assert "p.xdce" in str(error)
