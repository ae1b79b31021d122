from __future__ import annotations

import shutil
from datetime import UTC, datetime

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imaging_service.errors import ScanError
from imaging_service.ingest import plan_scan, reader_named
from imaging_service.ingest.contract import PlateReaderContract
from imaging_service.ingest.formats.harmony import HarmonyReader
from imaging_service.ingest.plan import Limits
from imaging_service.protocol import Acquisition
from plate_maps import PlateFormat
from tests.messages import says, states
from tests.vendor_scans import operetta


class TestHarmonyKeepsTheContract(PlateReaderContract):
    reader = HarmonyReader()

    @pytest.fixture
    def scan(self, tmp_path_factory):
        return operetta(tmp_path_factory.mktemp("harmony"))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"<a>", says("harmony.not_xml")),
        (b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", says("harmony.not_xml")),
        (b"<a/>", says("harmony.no_plate")),
        (
            b"<E><Plates><Plate><Name>p</Name><PlateRows>8</PlateRows><PlateColumns>12</PlateColumns></Plate></Plates><Images><Image><URL>x.tiff</URL></Image></Images></E>",
            says("harmony.element_without_place"),
        ),
    ],
)
def test_hostile_and_foreign_indices(tmp_path, content, sentence):
    (tmp_path / "Index.idx.xml").write_bytes(content)
    with pytest.raises(ScanError, match=sentence):
        plan_scan(tmp_path, Acquisition())


def image(
    url,
    *,
    row=2,
    column=3,
    field=4,
    plane=1,
    time=0,
    channel=1,
    name="DAPI",
    size="3.25E-07",
    height="3.25E-07",
    when="",
):
    values = {
        "URL": url,
        "Row": row,
        "Col": column,
        "FieldID": field,
        "PlaneID": plane,
        "TimepointID": time,
        "ChannelID": channel,
        "ChannelName": name,
        "ImageResolutionX": size,
        "ImageResolutionY": height,
        "AbsTime": when,
    }
    return "<Image>" + "".join(f"<{k}>{v}</{k}>" for k, v in values.items()) + "</Image>"


def export(folder, *images, files=("a.tiff",)):
    """A scan as Harmony exports it: Images/Index.idx.xml and TIFFs."""
    (folder / "Images").mkdir(parents=True, exist_ok=True)
    for i, name in enumerate(files):
        tifffile.imwrite(folder / "Images" / name, np.full((4, 5), i + 1, np.uint16))
    plate = "<Plates><Plate><Name>P-1</Name><PlateRows>8</PlateRows><PlateColumns>12</PlateColumns></Plate></Plates>"
    xml = f'<E xmlns="http://www.perkinelmer.com/PEHH/HarmonyV5">{plate}<Images>{"".join(images)}</Images></E>'
    (folder / "Images" / "Index.idx.xml").write_text(xml)
    return folder


def test_a_plane_is_where_the_index_says(tmp_path):
    scan = export(tmp_path, image("a.tiff", plane=7, time=2, when="2026-01-01T00:00:10+00:00"))
    plan = plan_scan(scan, Acquisition())
    (plane,) = plan.images
    assert (plane.well.name, plane.field, plane.z, plane.time, plane.channel, plane.path) == (
        "B03",
        4,
        7,
        3,
        "DAPI",
        "Images/a.tiff",
    )
    assert (plan.name, plan.format, plan.pixel_size_um) == (
        "P-1",
        PlateFormat(8, 12),
        pytest.approx(0.325),
    )
    assert plane.exposed_s == 1767225610
    assert (reader_named("harmony").read(plan, plane, Limits()) == 1).all()


def test_channels_of_one_name_are_told_apart_by_their_id(tmp_path):
    scan = export(
        tmp_path,
        image("a.tiff"),
        image("b.tiff", channel=2),
        image("c.tiff", channel=3, name="FITC"),
        files=("a.tiff", "b.tiff", "c.tiff"),
    )
    assert plan_scan(scan, Acquisition()).channels == ("DAPI (1)", "DAPI (2)", "FITC")


@pytest.mark.parametrize("url", ["../secret.tiff", "sub/a.tiff", "lost.tiff"])
def test_a_file_that_is_not_beside_the_index_is_missing(tmp_path, url):
    (tmp_path / "scan" / "Images" / "sub").mkdir(parents=True)
    for path in (
        tmp_path / "scan" / "secret.tiff",
        tmp_path / "scan" / "Images" / "sub" / "a.tiff",
    ):
        tifffile.imwrite(path, np.ones((4, 5), np.uint16))
    plan = plan_scan(export(tmp_path / "scan", image("a.tiff"), image(url, field=5)), Acquisition())
    assert [i.field for i in plan.images] == [4]
    assert [i.field for i in plan.missing] == [5]


@pytest.mark.parametrize(
    ("second", "sentence"),
    [
        (image("b.tiff"), says("harmony.image_twice")),
        (
            image("b.tiff", field=5, size="6.5E-07", height="6.5E-07"),
            says("harmony.pixel_sizes_differ"),
        ),
        (image("b.tiff", field="x"), says("harmony.image_named")),
    ],
)
def test_an_index_that_contradicts_itself_is_refused(tmp_path, second, sentence):
    with pytest.raises(ScanError, match=sentence):
        plan_scan(
            export(tmp_path, image("a.tiff"), second, files=("a.tiff", "b.tiff")), Acquisition()
        )


def test_pixels_that_are_not_square_are_refused(tmp_path):
    with pytest.raises(ScanError, match=says("harmony.pixels_not_square")):
        plan_scan(export(tmp_path, image("a.tiff", height="3.3E-07")), Acquisition())


@pytest.mark.parametrize(
    ("when", "local"), [("2024-03-30T08:00:00.5+01:00", False), ("2024-03-30T08:00:00.5", True)]
)
def test_a_time_without_zone_is_local_and_not_the_machine_s(tmp_path, when, local):
    plan = plan_scan(export(tmp_path, image("a.tiff", when=when)), Acquisition())
    reader, plane = reader_named("harmony"), plan.images[0]
    taken = datetime(2024, 3, 30, 8, 0, 0, 500_000, tzinfo=UTC).timestamp()
    assert reader.local_clock(plan, plane) is local
    assert reader.exposed_s(plan, plane) == (taken if local else taken - 3600)


def test_two_measurements_are_listed_and_one_is_asked_for(tmp_path):
    for n, name in enumerate(("P__1-Measurement 1", "P__2-Measurement 2")):
        export(tmp_path / name, image("a.tiff", field=n + 1))
    names = "'P__1-Measurement 1', 'P__2-Measurement 2'"
    with pytest.raises(ScanError, match=says("several.measurements", count=2, names=names)):
        plan_scan(tmp_path, Acquisition())
    plan = plan_scan(tmp_path, Acquisition(measurement="P__2-Measurement 2"))
    assert [i.field for i in plan.images] == [2]
    assert [i.field for i in plan_scan(tmp_path / "P__1-Measurement 1", Acquisition()).images] == [
        1
    ]


def channel_map(*entries):
    return (
        "<Maps><Map>"
        + "".join(
            f'<Entry ChannelID="{i}"><ChannelName>{name}</ChannelName>'
            f"<ImageResolutionX>{size}</ImageResolutionX><ImageResolutionY>{size}</ImageResolutionY></Entry>"
            for i, name, size in entries
        )
        + "</Map></Maps>"
    )


def test_what_a_channel_s_map_says_is_said_of_its_images(tmp_path):
    bare = image("a.tiff", name="", size="", height="", channel=3, time=2)
    export(tmp_path, channel_map((1, "DAPI", "2E-07"), (3, "FITC", "2E-07")), bare)
    index = tmp_path / "Images" / "Index.idx.xml"
    index.write_text(index.read_text().replace("HarmonyV5", "43B2A954/HarmonyV7"))
    index.rename(index.with_name("Index.xml"))
    plan = plan_scan(tmp_path, Acquisition())
    # The first channel is announced, so that FITC stays channel 2; time points count from 1.
    assert plan.channels == ("DAPI", "FITC")
    assert [(i.channel, i.time) for i in plan.images] == [("FITC", 2)]
    assert plan.pixel_size_um == pytest.approx(0.2)


@pytest.mark.parametrize("size", ["abc", "NaN", "0", "-6E-07", "inf"])
def test_a_resolution_that_is_no_size_is_refused_by_file(tmp_path, size):
    with pytest.raises(ScanError, match=says("pixel_size.not_a_number")) as refused:
        plan_scan(export(tmp_path, image("a.tiff", size=size, height=size)), Acquisition())
    assert "Index.idx.xml" in str(refused.value)


def test_without_any_resolution_no_size_is_known(tmp_path):
    plan = plan_scan(export(tmp_path, image("a.tiff", size="", height="")), Acquisition())
    assert plan.pixel_size_um is None


def test_a_well_outside_the_plate_is_refused(tmp_path):
    with pytest.raises(ScanError, match=says("harmony.outside_the_plate", well="Z99")):
        plan_scan(export(tmp_path, image("a.tiff", row=26, column=99)), Acquisition())


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ("eight", says("plate_size.not_a_number")),
        ("-8", says("plate_size.not_a_number")),
        ("1000000000", says("plate_size.too_large")),
    ],
)
def test_rows_that_are_no_plate_s_are_refused(tmp_path, rows, sentence):
    export(tmp_path, image("a.tiff"))
    index = tmp_path / "Images" / "Index.idx.xml"
    index.write_text(index.read_text().replace("<PlateRows>8<", f"<PlateRows>{rows}<"))
    with pytest.raises(ScanError, match=sentence):
        plan_scan(tmp_path, Acquisition())


def test_a_state_other_than_ok_is_the_reason_of_a_lost_image(tmp_path):
    lost = image("b.tiff", field=5).replace("</Image>", "<State>Timeout</State></Image>")
    plan = plan_scan(export(tmp_path, image("a.tiff"), lost), Acquisition())
    assert [
        (i.field, states("harmony.state", i.reason, state="Timeout")) for i in plan.missing
    ] == [(5, True)]


TEXT = st.text(st.characters(codec="ascii", exclude_characters="<>&"), max_size=12)
KEYS = ("row", "column", "field", "plane", "time", "channel", "name", "size", "height", "when")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.binary(max_size=200),
        st.dictionaries(st.sampled_from(KEYS), TEXT, min_size=1),
    )
)
def test_any_index_is_read_or_refused_by_name(tmp_path, content):
    export(tmp_path, image("a.tiff", **(content if isinstance(content, dict) else {})))
    if isinstance(content, bytes):
        (tmp_path / "Images" / "Index.idx.xml").write_bytes(content)
    try:
        HarmonyReader().plan(tmp_path, Limits(), Acquisition())
    except ScanError as error:
        assert "Index.idx.xml" in str(error)
    finally:
        shutil.rmtree(tmp_path)
