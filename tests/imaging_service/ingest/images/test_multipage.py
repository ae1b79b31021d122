from __future__ import annotations

import numpy as np
import pytest
import tifffile
from defusedxml.ElementTree import fromstring
from hypothesis import given
from hypothesis import strategies as st

from imaging_service.ingest import plan_scan, reader_named
from imaging_service.ingest.images.multipage import pages_of
from imaging_service.ingest.plan import Limits
from imaging_service.protocol import Acquisition
from tests.messages import states

OME = '<OME xmlns="u"><Image><Pixels DimensionOrder="{order}" SizeC="2" SizeZ="3" SizeT="1"{more}>{parts}</Pixels></Image></OME>'


def pages(order="XYCZT", parts="", more=""):
    return pages_of(fromstring(OME.format(order=order, parts=parts, more=more)), "a.tif")


def test_pages_are_in_the_order_of_the_axes():
    assert pages("XYCZT")[:3] == (("1", 1, 1), ("2", 1, 1), ("1", 2, 1))
    assert pages("XYZCT")[:4] == (("1", 1, 1), ("1", 2, 1), ("1", 3, 1), ("2", 1, 1))
    named = '<Channel Name="DAPI"/><Channel Name="FITC"/>'
    assert pages(parts=named)[:2] == (("DAPI", 1, 1), ("FITC", 1, 1))


def test_each_page_s_own_element_counts():
    parts = "".join(
        f'<TiffData IFD="{n}" FirstC="{1 - n % 2}" FirstZ="{n // 2}"/>' for n in range(6)
    )
    assert pages(parts=parts)[:2] == (("2", 1, 1), ("1", 1, 1))
    other = '<TiffData IFD="0"><UUID FileName="b.tif">urn:uuid:1</UUID></TiffData>'
    assert pages(parts=other) == ()
    assert pages(parts='<TiffData IFD="3"/>') == ()
    twice = '<TiffData IFD="0" FirstC="0"/><TiffData IFD="1" FirstC="0"/>'
    assert pages(parts=twice) == ()


@pytest.mark.parametrize("order", ["XYC", "XYCZZ", ""])
def test_what_accounts_for_no_page_is_not_guessed_at(order):
    assert pages(order) == ()
    assert pages_of(fromstring("<OME/>"), "a.tif") == ()


@pytest.mark.parametrize("axes", ["CZYX", "ZCYX"])
def test_a_stack_of_channels_in_one_file_is_read_page_by_page(tmp_path, axes):
    shape = {"C": 2, "Z": 3, "Y": 16, "X": 16}
    for well in (2, 3):
        stack = np.zeros([shape[a] for a in axes], np.uint16)
        for c in range(2):
            for z in range(3):
                stack[(c, z) if axes[0] == "C" else (z, c)] = 1000 * well + 100 * c + z + 1
        words = {"axes": axes, "Channel": {"Name": ["TUBB3", "DAPI"]}, "PhysicalSizeX": 0.5}
        tifffile.imwrite(tmp_path / f"p_B{well:02d}_s1.ome.tif", stack, metadata=words)
    plan = plan_scan(tmp_path, Acquisition())
    assert (plan.channels, plan.pixel_size_um, plan.broken) == (("TUBB3", "DAPI"), 0.5, ())
    assert len(plan.images) == 12
    for i in plan.images:
        plane = reader_named("tiff").read(plan, i, Limits())
        expected = 1000 * i.well.column + 100 * (i.channel == "DAPI") + i.z
        assert (plane == expected).all()


def test_pages_that_no_words_account_for_fail_their_well(tmp_path):
    stack = np.ones((2, 16, 16), np.uint16)
    tifffile.imwrite(tmp_path / "p_B02_s1_w1.tif", stack, metadata=None, photometric="minisblack")
    plan = plan_scan(tmp_path, Acquisition())
    assert [states("multipage.several", i.reason) for i in plan.broken] == [True]


@given(
    st.dictionaries(
        st.sampled_from(["SizeC", "SizeZ", "SizeT"]),
        st.text(st.characters(codec="ascii", exclude_characters='<>&"'), max_size=8),
    )
)
def test_any_sizes_are_read_or_not_guessed_at(sizes):
    text = " ".join(f'{k}="{"".join(c for c in v if c.isprintable())}"' for k, v in sizes.items())
    xml = f'<OME><Image><Pixels DimensionOrder="XYCZT" {text}/></Image></OME>'
    assert isinstance(pages_of(fromstring(xml), "a.tif"), tuple)
