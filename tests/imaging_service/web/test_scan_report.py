"""The page about a scan: everything in it is escaped, and a long list is cut with a count."""

from __future__ import annotations

from imaging_service.store.arrival import Arrival
from imaging_service.web.scan_report import ScanPage, render_scan, scan_findings
from phenotypes.plates.quality.arrival import channel_table, judge_images
from tests.messages import states

HOSTILE = "<script>alert(1)</script>"
SURVEY = {
    "name": HOSTILE,
    "wells": 1,
    "fields": 1,
    "channels": [{}],
    "planes": 1,
    "times": [1],
    "reader": "tiff",
    "pixel_size_um": None,
    "pixel_size_source": "",
    "missing": 0,
    "findings": [{"message": HOSTILE}],
    "notes": [HOSTILE],
}


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


def test_a_scan_in_short_counts_its_images_and_names_wells_of_each_fault():
    rows = [
        {"well": f"B{n:02}", "field": 1, "channel": "DAPI", "status": "blank", "reason": f"all {n}"}
        for n in range(1, 15)
    ]
    good = {"well": "C01", "field": 1, "channel": "DAPI", "background": 1.0, "saturated": 0.0}
    images = judge_images([*rows, good, good | {"well": "C02", "saturated": 0.5}])
    short = scan_findings(Arrival(images, channel_table(images, {}, None)), ["DAPI"])
    assert states("arrival.some_are_fine", short.headline)
    blank, clipped = short.sentences
    wells = ", ".join(f"B{n:02}" for n in range(1, 13))
    assert states("arrival.many_blank", blank, wells=wells)
    assert states("arrival.one_clipped", clipped)
    assert [(c["channel"], c["not_ok"]) for c in short.channels] == [("DAPI", 15)]
    assert (short.names, short.reason) == (("DAPI",), "")


def test_a_run_without_a_look_says_why():
    assert states("arrival.no_look", scan_findings("no light", []).reason)
    assert states("arrival.older_page", scan_findings("", []).reason)
