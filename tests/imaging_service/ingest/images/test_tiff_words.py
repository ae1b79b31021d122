from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
import tifffile

from imaging_service.errors import ScanError
from imaging_service.ingest import plan_scan, reader_named
from imaging_service.protocol import Acquisition
from tests.messages import says, states

PLANE = np.arange(48, dtype=np.uint16).reshape(6, 8)


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
    # A printer's setting, however fine.
    for per_inch in (72, 20000):
        tifffile.imwrite(
            tmp_path / "p_B02_s1_w1.tif",
            PLANE,
            resolution=(per_inch, per_inch),
            resolutionunit="INCH",
            metadata=None,
        )
        assert plan_scan(tmp_path, Acquisition()).pixel_size_um is None


def imagej(unit, per_unit):
    return {"imagej": True, "resolution": per_unit, "metadata": {"unit": unit}}


METAMORPH = (
    '<MetaData><PlaneInfo><prop id="spatial-calibration-state" value="{state}"/>'
    '<prop id="spatial-calibration-x" value="{x}"/><prop id="spatial-calibration-y" value="{y}"/>'
    '<prop id="spatial-calibration-units" value="{units}"/></PlaneInfo></MetaData>'
)


def metamorph(x, y, units="um", state="on"):
    text = METAMORPH.format(x=x, y=y, units=units, state=state)
    return {"description": text, "metadata": None}


@pytest.mark.parametrize(
    ("written", "um"),
    [
        (imagej("um", (2.0, 2.0)), 0.5),
        (imagej("nm", (0.002, 0.002)), 0.5),
        (imagej("pixel", (2.0, 2.0)), None),
        (metamorph(0.65, 0.65), 0.65),
        (metamorph(0.65, 0.65, state="off"), None),
        (metamorph(1, 1, units="pixel"), None),
        # Sensor-sized, and believed: the instrument's own words.
        (metamorph(6.45, 6.45), 6.45),
        ({"resolution": (1550, 1550), "resolutionunit": "CENTIMETER", "metadata": None}, None),
    ],
)
def test_sizes_by_each_kind_of_words(tmp_path, written, um):
    tifffile.imwrite(tmp_path / "p_B02_s1_w1.tif", PLANE, **written)
    size = plan_scan(tmp_path, Acquisition()).pixel_size_um
    assert size == (None if um is None else pytest.approx(um))


@pytest.mark.parametrize("x", ["abc", "NaN", "inf", "0", "-0.65"])
def test_a_calibration_that_is_no_size_is_refused_by_well_and_file(tmp_path, x):
    tifffile.imwrite(tmp_path / "p_B02_s1_w1.tif", PLANE, **metamorph(x, 0.65))
    with pytest.raises(ScanError, match=says("pixel_size.of_well_and_file")):
        plan_scan(tmp_path, Acquisition())


@pytest.mark.parametrize(
    ("second", "sentence"),
    [
        (("p_B03_s1_w1.tif", 1.0, 1.0), says("pixel_size.differs", first="B02", second="B03")),
        (("p_B02_s2_w1.tif", 0.5, 1.0), says("pixel_size.not_square")),
    ],
)
@pytest.mark.parametrize("kind", ["OME", "tags"])
def test_every_file_s_size_counts(tmp_path, second, sentence, kind):
    for name, x, y in (("p_B02_s1_w1.tif", 0.5, 0.5), second):
        words = (
            {"ome": True, "metadata": {"axes": "YX", "PhysicalSizeX": x, "PhysicalSizeY": y}}
            if kind == "OME"
            else {"resolution": (1e4 / x, 1e4 / y), "resolutionunit": 3, "metadata": None}
        )
        tifffile.imwrite(tmp_path / name, PLANE, **words)
    with pytest.raises(ScanError, match=sentence) as refused:
        plan_scan(tmp_path, Acquisition())
    assert second[0] in str(refused.value)


def test_tags_of_harmony_s_files_are_never_believed(tmp_path):
    tags = {"resolution": (2e4, 2e4), "resolutionunit": 3, "metadata": None}
    tifffile.imwrite(tmp_path / "r02c03f01p01-ch1sk1fk1fl1.tiff", PLANE, **tags)
    assert plan_scan(tmp_path, Acquisition()).pixel_size_um is None
    sensor = {"resolution": ((4294967295, 2770410),) * 2, "resolutionunit": 3, "metadata": None}
    (tmp_path / "other").mkdir()
    tifffile.imwrite(tmp_path / "other" / "p_B02_s1_w1.tif", PLANE, **sensor)
    plan = plan_scan(tmp_path / "other", Acquisition())
    assert plan.pixel_size_um is None
    assert states("pixel_size.of_a_sensor", plan.notes[0], count=1)


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
