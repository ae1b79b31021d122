"""The page about a scan: everything in it is escaped, and a long list is cut with a count."""

from __future__ import annotations

from imaging_service.web.scan_report import ScanPage, render_scan
from phenotypes.plates.quality.arrival import channel_table, judge_images

HOSTILE = "<script>alert(1)</script>"
SURVEY = {
    "name": HOSTILE, "wells": 1, "fields": 1, "channels": [{}], "planes": 1, "times": [1],
    "reader": "tiff", "pixel_size_um": None, "pixel_size_source": "", "missing": 0,
    "findings": [{"message": HOSTILE}], "notes": [HOSTILE],
}  # fmt: skip


def page(count):
    rows = [
        {"well": f"B{n:03}", "field": 1, "channel": HOSTILE, "status": "blank", "reason": HOSTILE}
        for n in range(count)
    ]
    images = judge_images(rows)
    return render_scan(ScanPage(SURVEY, images, channel_table(images, {}, None), {HOSTILE: b"x"}))


def test_names_of_a_scan_are_escaped():
    text = page(1)
    assert HOSTILE not in text
    assert text.count("&lt;script&gt;") >= 6


def test_a_long_list_is_cut_and_says_by_how_much():
    assert page(200).count("<td>blank</td>") == 200
    text = page(203)
    assert (text.count("<td>blank</td>"), text.count("and 3 more")) == (200, 1)
