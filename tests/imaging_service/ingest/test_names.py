from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imaging_service.errors import ScanError
from imaging_service.incoming.file_pattern import FilePattern
from imaging_service.ingest.names import (
    PATTERNS,
    image_named,
    is_known,
    parse_names,
    time_points,
)
from tests.messages import says


def image(name, pattern="auto"):
    named = parse_names("scan", [name], pattern)
    return image_named(named.groups[name], name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("B02_t01.tif", ("B02", 1, "1", 1, 1)),
        ("B02_t03.tif", ("B02", 1, "1", 1, 3)),
        ("B02_c01.tif", ("B02", 1, "1", 1, 1)),
        ("B02_c2.tif", ("B02", 1, "2", 1, 1)),
        ("B02_z05.tif", ("B02", 1, "1", 5, 1)),
        ("B02_s1_w10.tif", ("B02", 1, "10", 1, 1)),
        ("B2.tif", ("B02", 1, "1", 1, 1)),
        ("p_b2_s12_w3_t4_z5.tif", ("B02", 12, "3", 5, 4)),
        ("T01_B02_s1_w1.tif", ("B02", 1, "1", 1, 1)),
        ("P1_B02_w1.tif", ("B02", 1, "1", 1, 1)),
        ("p_T01_s2_w1.tif", ("T01", 2, "1", 1, 1)),
        ("p_AF48_s2_w1.tif", ("AF48", 2, "1", 1, 1)),
        (
            "x/TimePoint_2/ZStep_10/p_E08_s1_w117654C10-92F1-4DFD-98AA-6A01BBD77557.tif",
            ("E08", 1, "1", 10, 2),
        ),
        ("p_E08_s1_w1217654C10-92F1-4DFD-98AA-6A01BBD77557.tif", ("E08", 1, "12", 1, 1)),
        ("A - 1(fld 1 wv UV - DAPI time 2 - 600000 ms).tif", ("A01", 1, "UV - DAPI", 1, 2)),
        ("A - 1(fld 3 wv UV - DAPI z 4 time 2 - 600000 ms).tif", ("A01", 3, "UV - DAPI", 4, 2)),
        ("B - 03(fld 2 wv DAPI - DAPI).tif", ("B03", 2, "DAPI - DAPI", 1, 1)),
        ("MFGTMP_120412110001_C05f03d1.TIF", ("C05", 3, "1", 1, 1)),
        ("r03c04f05p02-ch3sk1fk1fl1.tiff", ("C04", 5, "3", 2, 1)),
        ("plate one #2_D08_T0001F004L01A02Z04C02.tif", ("D08", 4, "2", 4, 1)),
    ],
)
def test_places_in_names(name, expected):
    of = image(name)
    assert (of.well.name, of.field, of.channel, of.z, of.time) == expected


@pytest.mark.parametrize(
    "name",
    [
        "B02_s1_w1_x.tif",
        "B02_s1_w123.tif",
        "figure 1.tif",
        "B002.tif",
        # A wave behind an unknown word is not row W, nor a site row S.
        "B02_x_w1.tif",
        "p_B02_dapi_s1.tif",
        "p_B02_s\u0663_w1.tif",
    ],
)
def test_other_names_fit_no_pattern(name):
    assert not is_known([name])
    with pytest.raises(ScanError, match=says("names.none_fits")):
        parse_names("scan", [name], "auto")


def test_the_pattern_that_most_names_fit_is_taken():
    names = ["p_B02_s1_w1.tif", "p_B03_s1_w1.tif", "Channel1-01-A-01.tif"]
    named = parse_names("scan", names, "auto")
    assert (named.pattern, named.strays) == ("imagexpress", ("Channel1-01-A-01.tif",))


def test_stamps_are_in_the_order_of_time():
    stamps = time_points(["10d00h00m", "", "9d23h00m", "00d06h30m"])
    assert [(s, t.number) for s, t in sorted(stamps.items(), key=lambda p: p[1].number)] == [
        ("00d06h30m", 1),
        ("9d23h00m", 2),
        ("10d00h00m", 3),
    ]
    assert stamps["00d06h30m"].seconds == 6.5 * 3600
    with pytest.raises(ScanError, match=says("names.no_date")):
        time_points(["2026y13m01d_00h00m"])


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=40), min_size=1, max_size=5))
def test_any_name_is_read_or_left_out(names):
    for key, text in PATTERNS.items():
        pattern = FilePattern(text)
        for name in names:
            groups = pattern.match(name)
            if groups is not None:
                assert image_named(groups, name).path == name, key
