"""Metadata with faults: each parser reads them or refuses them by name, whatever is wrong.

Real documents are changed at places that hypothesis draws: a value becomes another one, text is cut
out, repeated or overwritten. The readers are called themselves: `plan_scan` would turn any
exception into a sentence, and hide what a reader did not foresee.
"""

from __future__ import annotations

import math
import os
import re

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imaging_service.errors import ScanError
from imaging_service.ingest import reader_named
from imaging_service.ingest.formats.incell import read_xdce
from imaging_service.ingest.formats.metaxpress import read_htd
from imaging_service.ingest.images.scan_files import scan_files
from imaging_service.ingest.plan import Limits
from imaging_service.protocol import Acquisition
from imaging_service.store import plates
from plate_maps import plate_format
from tests.imaging_service.ingest.formats import (
    test_cellvoyager,
    test_harmony,
    test_incell,
    test_jdce,
    test_ome_tiff,
)
from tests.vendor_scans import REFERENCE

LIMITS = Limits(image_pixels=2**16, images=5000)
TOKENS = (
    b"",
    b"0",
    b"-1",
    b"1e400",
    b"NaN",
    b"-inf",
    b"999999999999",
    b"1.5",
    b"\xc2\xb2",
    b"x",
    b"null",
    b"[]",
    b"{}",
    b"true",
    b"\x00",
    b"\xff\xfe",
    b"../../etc/passwd",
    b"/",
    b"A" * 300,
    b"Z99",
    b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
    b"&b;",
    b"]]>",
    b"</",
    b'"',
    b"[[[[",
    b"1\n2",
    b"%",
    b"\xd9\xa3",
)
# What is changed as a whole: a quoted or bare value, the text of an element.
_VALUES = re.compile(rb'(?<=")[^"<>]*(?=")|(?<=>)[^<>]+(?=<)|(?<=[:,\[ ])-?[0-9.]+(?=[,}\] \r\n])')

# `make test-fuzz` asks for 10,000.
MANY = int(os.environ.get("FUZZ_EXAMPLES", "200"))


def harmony(folder):
    images = [
        test_harmony.image(f"{n}.tiff", field=n, when="2026-01-01T00:00:10+00:00") for n in (1, 2)
    ]
    test_harmony.export(folder, *images, files=("1.tiff", "2.tiff"))
    return ["Images/Index.idx.xml"]


def harmony_phenix(folder):
    (folder / "Images").mkdir(parents=True)
    source = REFERENCE / "vendor" / "harmony_v7_phenix" / "Index.xml"
    (folder / "Images" / "Index.xml").write_bytes(source.read_bytes())
    return ["Images/Index.xml"]


def cellvoyager(folder):
    white = 'bts:CameraNumber="4" bts:ShadingCorrectionSource="SC_1.tif"'
    test_cellvoyager.export(folder, test_cellvoyager.record(), shading=white)
    tifffile.imwrite(folder / "SC_1.tif", np.full((16, 16), 900, np.uint16))
    for name in ("Field_Illumination_QC_40x.mes", "20250403-Illumination-QC-40x.wpi"):
        source = REFERENCE / "vendor" / "cellvoyager_errors" / name
        (folder / name).write_bytes(source.read_bytes())
    return ["MeasurementData.mlf", "MeasurementDetail.mrf"]


def incell(folder):
    test_incell.scan(folder)
    return ["p.xdce"]


def metaxpress(folder):
    source = REFERENCE / "vendor" / "imagexpress_exported" / "9987.HTD"
    (folder / "9987.HTD").write_bytes(source.read_bytes())
    tifffile.imwrite(folder / "9987_B02_s1_w1.TIF", np.ones((8, 8), np.uint16), metadata=None)
    return ["9987.HTD"]


def jdce(folder):
    test_jdce.export(folder)
    return ["p.jdce", "image_metadata_0.csv"]


def companion(folder):
    test_ome_tiff.export(folder)
    return ["plate.companion.ome"]


def zarr_plate(folder):
    plates.begin_plate(folder)
    pixels = [np.ones((2, 8, 8), np.uint16)] * 2
    for row in "BC":
        plates.write_well(folder / row / "3", pixels, ["a", "b"], ["dna", None], 0.5)
    plates.finish_plate(folder, "p", plate_format(96))
    return ["zarr.json", "B/3/zarr.json", "B/3/0/zarr.json", "B/3/0/0/zarr.json"]


# Name ► what draws the scan, and what reads it: a reader by name, or the parser of a file that the
# reader "tiff" finds beside the images.
PARSERS = {
    "harmony": (harmony, "harmony"),
    "harmony_phenix": (harmony_phenix, "harmony"),
    "cellvoyager": (cellvoyager, "cellvoyager"),
    "incell": (incell, lambda root: read_xdce(scan_files(root, LIMITS), LIMITS)),
    "metaxpress": (metaxpress, lambda root: read_htd(scan_files(root, LIMITS))),
    "jdce": (jdce, "jdce"),
    "companion": (companion, "ome-tiff"),
    "zarr": (zarr_plate, "ome-zarr"),
}

CHANGES = st.lists(
    st.tuples(
        st.sampled_from(("value", "value", "value", "cut", "repeat", "overwrite")),
        st.floats(0, 1, exclude_max=True),
        st.integers(1, 60),
        st.sampled_from(TOKENS),
    ),
    min_size=1,
    max_size=4,
)


def changed(text, changes):
    """The document with its changes, one after the other."""
    for kind, place, length, token in changes:
        start = int(place * len(text))
        if kind == "value":
            values = list(_VALUES.finditer(text))
            if values:
                start, end = values[int(place * len(values))].span()
                text = text[:start] + token + text[end:]
        elif kind == "cut":
            text = text[:start] + text[start + length :]
        elif kind == "repeat":
            text = text[: start + length] + text[start:]
        else:
            text = text[:start] + token + text[start + len(token) :]
    return text


def read(root, reader):
    """The scan by its reader; there is nothing in its plan that a number could go wrong by."""
    if not isinstance(reader, str):
        reader(root)
        return
    plan = reader_named(reader).plan(root, LIMITS, Acquisition())
    assert plan.pixel_size_um is None or (
        math.isfinite(plan.pixel_size_um) and plan.pixel_size_um > 0
    )
    assert {i.channel for i in plan.images} <= set(plan.channels)
    assert len({(i.well, i.field, i.time, i.channel, i.z) for i in plan.images}) == len(plan.images)
    for path in plan.files():
        assert ".." not in path.split("/")
        assert not path.startswith("/")


@pytest.mark.parametrize("examples", [40, pytest.param(MANY, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", PARSERS)
def test_metadata_with_faults_are_read_or_refused_by_name(name, examples, tmp_path):
    draw, reader = PARSERS[name]
    files = draw(tmp_path)
    whole = {file: (tmp_path / file).read_bytes() for file in files}
    read(tmp_path, reader)

    @settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(st.sampled_from(files), CHANGES)
    def one(file, changes):
        (tmp_path / file).write_bytes(changed(whole[file], changes))
        try:
            read(tmp_path, reader)
        except ScanError as error:
            assert str(error)
        finally:
            (tmp_path / file).write_bytes(whole[file])

    one()
