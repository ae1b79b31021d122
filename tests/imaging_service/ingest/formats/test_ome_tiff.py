"""OME-TIFF plates: a companion file, or the words of one file that speaks for all."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from imaging_service.errors import ScanError
from imaging_service.ingest import plan_scan, reader_named
from imaging_service.ingest.contract import PlateReaderContract
from imaging_service.ingest.formats.ome_tiff import OmeTiffReader
from imaging_service.ingest.plan import Limits
from imaging_service.protocol import Acquisition
from plate_maps import PlateFormat
from tests.messages import says, states

NAMESPACE = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
CHANNELS = ("DAPI", "TUBB3")


def pixels(number, files, *, size="0.5", planes=2):
    """A Pixels element of two channels; `files` are one, or one for each channel."""
    parts = "".join(
        f'<TiffData FirstC="{c}" FirstZ="{z}" IFD="{(0 if len(files) > 1 else c * planes) + z}"'
        f' PlaneCount="1"><UUID FileName="{files[c % len(files)]}">urn:uuid:1</UUID></TiffData>'
        for c in range(2)
        for z in range(planes)
    )
    names = "".join(f'<Channel ID="Channel:{c}" Name="{n}"/>' for c, n in enumerate(CHANNELS))
    taken = "".join(
        f'<Plane TheC="{c}" TheZ="{z}" TheT="0" DeltaT="{number}.5" PositionX="{100 * number}"'
        ' PositionY="7" PositionXUnit="µm" PositionYUnit="µm"/>'
        for c in range(2)
        for z in range(planes)
    )
    return (
        f'<Pixels ID="P:{number}" DimensionOrder="XYCZT" SizeX="8" SizeY="8" SizeC="2"'
        f' SizeZ="{planes}" SizeT="1" Type="uint16" PhysicalSizeX="{size}" PhysicalSizeY="{size}">'
        f"{names}{parts}{taken}</Pixels>"
    )


def image(number, files, **more):
    return (
        f'<Image ID="Image:{number}"><AcquisitionDate>2026-01-01T00:00:10Z</AcquisitionDate>'
        f"{pixels(number, files, **more)}</Image>"
    )


def plate(wells, name="Plate-7"):
    """A Plate element of wells: (row, column) from 0 ► numbers of its images."""
    samples = "".join(
        f'<Well ID="W:{r}:{c}" Row="{r}" Column="{c}">'
        + "".join(
            f'<WellSample ID="S:{n}" Index="{k}">'
            + ("" if n is None else f'<ImageRef ID="Image:{n}"/>')
            + "</WellSample>"
            for k, n in enumerate(numbers)
        )
        + "</Well>"
        for (r, c), numbers in wells.items()
    )
    return f'<Plate ID="{name}" Name="{name}" Rows="8" Columns="12">{samples}</Plate>'


def words(*parts):
    return f'<?xml version="1.0" encoding="UTF-8"?><OME xmlns="{NAMESPACE}">{"".join(parts)}</OME>'


WELLS = {(1, 2): (1, 0), (2, 4): (2,)}  # B03 with two fields, the second described first; C05
FILES = {0: ("a.ome.tif",), 1: ("b/dapi.ome.tif", "b/tubb.ome.tif"), 2: ("c.ome.tif",)}
DESCRIBED = (plate(WELLS), *(image(n, f) for n, f in FILES.items()))


def export(folder, *parts, companion="plate.companion.ome", absent=()):
    (folder / "b").mkdir(parents=True, exist_ok=True)
    if companion:
        (folder / companion).write_text(words(*(parts or DESCRIBED)), "utf-8")
    for number, files in FILES.items():
        for c, file in enumerate(files):
            pages = np.zeros((2 if len(files) > 1 else 4, 8, 8), np.uint16)
            for page in range(len(pages)):
                pages[page] = 1000 * number + 10 * (page + (2 * c if len(files) > 1 else 0)) + 1
            if file not in absent:
                tifffile.imwrite(folder / file, pages, metadata=None, photometric="minisblack")
    return folder


class TestOmeTiffKeepsTheContract(PlateReaderContract):
    reader = OmeTiffReader()

    @pytest.fixture
    def scan(self, tmp_path_factory):
        return export(tmp_path_factory.mktemp("ome"))


def test_the_companion_says_where_each_page_belongs(tmp_path):
    plan = plan_scan(export(tmp_path), Acquisition())
    assert (plan.reader, plan.name, plan.format) == ("ome-tiff", "Plate-7", PlateFormat(8, 12))
    assert (plan.channels, plan.pixel_size_um) == (CHANNELS, 0.5)
    assert states("pixel_size.of_companion", plan.pixel_size_source)
    number_of = {("B03", 1): 1, ("B03", 2): 0, ("C05", 1): 2}
    assert {(i.well.name, i.field) for i in plan.images} == set(number_of)
    assert len(plan.images) == 12
    for i in plan.images:
        number = number_of[i.well.name, i.field]
        page = 2 * CHANNELS.index(i.channel) + i.z - 1
        plane = reader_named("ome-tiff").read(plan, i, Limits())
        assert (plane == 1000 * number + 10 * page + 1).all(), i
        assert i.position_um == (100.0 * number, 7.0)
        assert i.exposed_s == 1767225610 + number + 0.5


def test_a_file_or_a_field_that_is_not_there_is_missing(tmp_path):
    gone = (plate({(1, 2): (1, 0), (2, 4): (2, None)}), *DESCRIBED[1:])
    plan = plan_scan(export(tmp_path, *gone, absent=("a.ome.tif",)), Acquisition())
    assert {i.path for i in plan.missing} >= {"a.ome.tif", "plate.companion.ome"}
    lost = {(w.name, f): why for (w, f), why in plan.lost_fields().items()}
    assert set(lost) == {("B03", 2), ("C05", 2)}
    assert states("ome_tiff.no_image", lost["C05", 2])


def test_one_file_may_speak_for_all(tmp_path):
    export(tmp_path, companion="")
    # Names that fit a pattern come first: these fit none.
    pages = np.full((4, 8, 8), 1, np.uint16)
    tifffile.imwrite(
        tmp_path / "a.ome.tif",
        pages,
        description=words(*DESCRIBED).encode(),
        metadata=None,
        photometric="minisblack",
    )
    assert OmeTiffReader().sniff(tmp_path) == 0.4
    plan = plan_scan(tmp_path, Acquisition())
    assert (plan.reader, len(plan.images), plan.announced.source) == ("ome-tiff", 12, "a.ome.tif")


def test_a_companion_without_a_plate_is_not_a_plate(tmp_path):
    export(tmp_path, *DESCRIBED[1:])
    assert OmeTiffReader().sniff(tmp_path) == 0
    with pytest.raises(ScanError, match=says("ome_tiff.none_describes_a_plate")):
        plan_scan(tmp_path, Acquisition(reader="ome-tiff"))


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ((plate(WELLS), plate({}, "Other"), *DESCRIBED[1:]), says("ome_tiff.two_plates")),
        ((plate({(1, 2): (9,)}), *DESCRIBED[1:]), says("ome_tiff.not_described")),
        ((plate({("x", 2): (0,)}), *DESCRIBED[1:]), says("ome_tiff.number")),
        ((plate({(8, 2): (0,)}), *DESCRIBED[1:]), says("harmony.outside_the_plate", well="I03")),
        (
            (plate(WELLS), *(image(n, f, size="0") for n, f in FILES.items())),
            says("pixel_size.not_a_number"),
        ),
        (
            (plate(WELLS), DESCRIBED[1].replace("TUBB3", "MAP2"), *DESCRIBED[2:]),
            says("ome_tiff.channels"),
        ),
        (
            (plate({(1, 2): (0,)}), DESCRIBED[1].replace('SizeC="2"', 'SizeC="²"')),
            says("ome_tiff.number"),
        ),
        ((plate({}), *DESCRIBED[1:]), says("ome_tiff.channels")),
    ],
)
def test_what_is_wrong_in_the_description_is_named(tmp_path, parts, sentence):
    with pytest.raises(ScanError, match=sentence):
        plan_scan(export(tmp_path, *parts), Acquisition())


def test_a_file_outside_of_the_scan_is_not_read(tmp_path):
    outside = tmp_path / "secret.ome.tif"
    tifffile.imwrite(outside, np.ones((4, 8, 8), np.uint16), photometric="minisblack")
    parts = (plate({(1, 2): (0,)}), image(0, ("../secret.ome.tif",)))
    plan = plan_scan(export(tmp_path / "scan", *parts), Acquisition())
    assert plan.images == ()
    assert {i.path for i in plan.missing if i.path} == {"../secret.ome.tif"}


def test_a_plane_that_two_pages_or_no_page_are_is_not_guessed_at(tmp_path):
    once = 'FirstC="1" FirstZ="0" IFD="2"'
    assert once in DESCRIBED[1]
    twice = DESCRIBED[1].replace(once, 'FirstC="0" FirstZ="0" IFD="2"')
    with pytest.raises(ScanError, match=says("ome_tiff.plane_twice")):
        plan_scan(export(tmp_path, DESCRIBED[0], twice, *DESCRIBED[2:]), Acquisition())
    start = DESCRIBED[1].index("<TiffData " + once)
    end = DESCRIBED[1].index("</TiffData>", start) + len("</TiffData>")
    fewer = DESCRIBED[1][:start] + DESCRIBED[1][end:]
    plan = plan_scan(export(tmp_path, DESCRIBED[0], fewer, *DESCRIBED[2:]), Acquisition())
    (lost,) = (i for i in plan.missing if i.path)
    assert (lost.well.name, lost.field, lost.channel, lost.z) == ("B03", 2, "TUBB3", 1)
