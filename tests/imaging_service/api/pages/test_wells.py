from __future__ import annotations

import re
from datetime import UTC, datetime

import cv2
import numpy as np
import pytest

from imaging_service.review.crops import Crop
from imaging_service.review.local import LocalRun
from imaging_service.schemas import Verdict

TILE = "/view/RUN/wells/B04/fields/1"


def picture(answer):
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    return cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_UNCHANGED)


def test_a_well_shows_values_beside_vehicle_pixels_curve_and_versions(site):
    page = site.get("/view/RUN/wells/B04").text
    assert 'data-width="160"' in page
    assert all(f'data-outline="{c}"' in page for c in ("nuclei", "somas", "neurites", "puncta"))
    assert page.count("data-channel=") == 3
    assert 'href="/view/' + site.run + '/wells/B05"' in page
    assert '"wells/B02' not in page
    spec = re.search(r'<script type="application/json">(.*?)</script>', page)[1]
    assert f"/view/{site.run}/wells/B02" in spec
    assert "plate.zarr/B/4/0" in page


def test_a_well_that_was_not_scanned_says_why(site):
    page = site.get("/view/RUN/wells/C04")
    assert page.status_code == 200
    assert "viewer" not in page.text
    assert site.get("/view/RUN/wells/H12").status_code == 404


def test_pixels_and_outlines_have_the_field_s_size(site):
    pixels = picture(site.get(f"{TILE}/pixels/0/0/0.png"))
    assert pixels.shape == (160, 160, 3)
    assert pixels.any()
    edges = picture(site.get(f"{TILE}/nuclei/0/0/0.png"))
    assert edges.shape == (160, 160, 4)
    run = LocalRun(site.folder)
    nuclei = run.engine_labels("B04", 1)["nuclei"]
    assert not edges[..., 3][nuclei == 0].any()
    assert edges[..., 3].any()


def test_one_channel_alone_is_grey(site):
    grey = picture(site.get(f"{TILE}/pixels/0/0/0.png?channels=1"))
    assert (grey[..., 0] == grey[..., 1]).all()


@pytest.mark.parametrize(
    "path",
    [
        "wells/B04/fields/3/pixels/0/0/0.png",
        "wells/B04/fields/1/pixels/5/0/0.png",
        "wells/B04/fields/1/pixels/0/1/0.png",
        "wells/B04/fields/1/nuclei/0/0/1.png",
        "wells/B04/fields/1/nothing/0/0/0.png",
        "wells/B04/fields/1/pixels/0/0/0.png?channels=3",
        "wells/C04/fields/1/pixels/0/0/0.png",
        "wells/..%2F..%2FB/fields/1/pixels/0/0/0.png",
        "wells/B04/fields/1/cell?y=160&x=0",
    ],
)
def test_what_is_not_there_is_not_found(site, path):
    assert site.get(f"/view/RUN/{path}").status_code == 404


def test_a_pixel_leads_to_its_cell_s_row(site):
    run = LocalRun(site.folder)
    cell = max(run.cells("B04", 1), key=lambda c: c["nucleus_area_um2"])
    inside = np.argwhere(run.engine_labels("B04", 1)["nuclei"] == cell["label"])
    y, x = inside[len(inside) // 2]
    part = site.get(f"{TILE}/cell?y={y}&x={x}").text
    assert f"<strong>Cell {cell['label']}</strong>" in part
    assert f"{cell['nucleus_area_um2']:.4g}" in part
    empty = np.argwhere(sum(run.engine_labels("B04", 1).values()) == 0)[0]
    part = site.get(f"{TILE}/cell?y={empty[0]}&x={empty[1]}").text
    assert "<table" not in part


def test_a_correction_shows_who_made_it_and_changes_the_outlines(served):
    run = LocalRun(served.folder)
    blank = np.zeros((160, 160), np.int32)
    crops = [Crop(name, 0, 0, blank, 1) for name in ("nuclei", "somas")]
    run.commit("B04", 1, 1, crops, "Ada", "all of it was debris")
    run.judge(
        Verdict(
            well="B04", field=1, accepted=False, author="Bo", reason="blur", time=datetime.now(UTC)
        )
    )
    page = served.get("/view/RUN/wells/B04").text
    assert "<strong>Ada</strong>" in page
    assert "<strong>Bo</strong>" in page
    assert 'data-version="2"' in page
    assert not picture(served.get(f"{TILE}/nuclei/0/0/0.png"))[..., 3].any()
    review = served.get("/view/RUN/review").text
    assert all(f"<td>{name}</td>" in review for name in ("Ada", "Bo"))
    assert f'hx-get="/view/{served.run}/agreement"' in review
    part = served.get("/view/RUN/agreement").text
    rows = re.findall(r'<tr><td>(\w+)</td><td class="n">(\d+)</td><td class="n">([^<]+)</td>', part)
    # All nuclei and somas were erased, and neurites and puncta left as they were.
    assert rows == [
        ("nuclei", "1", "0"),
        ("somas", "1", "0"),
        ("neurites", "1", "1"),
        ("puncta", "1", "1"),
    ]
    assert f'<a href="/view/{served.run}/wells/B04">B04, field 1</a> (0)' in part


def test_the_three_fields_that_are_least_alike_are_listed_and_none_that_is_alike(served):
    run = LocalRun(served.folder)
    blank = np.zeros((160, 160), np.int32)
    for well in ("B02", "B03", "B04", "B05"):
        for name in ("nuclei", "puncta"):
            run.commit(well, 1, run.label_version(well, 1), [Crop(name, 0, 0, blank, 1)], "Ada", "")
    part = served.get("/view/RUN/agreement").text
    listed = {
        row[: row.index("<")]: re.sub("<[^>]+>", "", row.split("<td>")[1].split("</td>")[0])
        for row in part.split("<tr><td>")[1:]
    }
    assert listed["neurites"] == "none differs"
    fields = [f"{well}, field 1 (0)" for well in ("B02", "B03", "B04")]
    assert listed["nuclei"] == ", ".join(fields)
