"""Quality control of a scan, from files to tables, pictures and page."""

from __future__ import annotations

import cv2
import numpy as np
import polars as pl
import pytest
import tifffile

from imaging_service.inspection.quality import scan_quality, write_quality
from imaging_service.inspection.survey import survey
from phenotypes.columns.status_words import status_words
from segmentation.phantoms.render import Culture, Optics, render

SIZE = {"axes": "YX", "PhysicalSizeX": 0.65, "PhysicalSizeY": 0.65}
WELLS = ("B02", "B03", "B04", "C02", "C03", "C04")


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """Six wells of two fields and two channels; C02 lost focus, C03 is blank, C04 cannot be read."""
    folder = tmp_path_factory.mktemp("qc") / "Plate-9"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i, well in enumerate(WELLS):
        for field in (1, 2):
            pixels = render(
                Culture(neurons_per_mm2=700), Optics(shape=(160, 160)), 10 * i + field
            ).field.pixels
            for channel in (1, 2):
                plane = np.asarray(pixels[channel - 1], np.float32)
                if (well, field, channel) == ("C02", 1, 1):
                    plane = cv2.GaussianBlur(plane, (0, 0), 6) + rng.normal(0, 5, plane.shape)
                if (well, field, channel) == ("C03", 1, 2):
                    plane[:] = 300
                path = folder / f"p_{well}_s{field}_w{channel}.tif"
                tifffile.imwrite(path, np.round(plane).astype(np.uint16), ome=True, metadata=SIZE)
    (folder / "p_C04_s1_w1.tif").write_bytes(b"not a TIFF")
    return folder


def test_each_fault_is_named_in_its_place(scan):
    seen = survey(scan)
    shown = []
    quality = scan_quality(
        seen, workers=1, progress=lambda done, total: shown.append((done, total))
    )
    assert shown == [(n, 6) for n in range(1, 7)]
    assert quality.images.select("well", "field", "channel").rows() == [
        (well, 1, channel) for well in WELLS for channel in ("1", "2")
    ]
    bad = quality.images.filter(pl.col("status") != "ok")
    assert bad.select("well", "channel", "status").rows() == [
        ("C02", "1", "out_of_focus"),
        ("C03", "2", "blank"),
        ("C04", "1", "unreadable"),
    ]
    assert "p_C04_s1_w1.tif" in bad["reason"][2]
    rows = {r["channel"]: r for r in quality.channels.to_dicts()}
    assert [rows[c]["images"] for c in "12"] == [6, 6]
    assert [rows[c]["not_ok"] for c in "12"] == [2, 1]
    assert list(quality.pictures) == ["1", "2"]


def test_all_fields_are_looked_at_where_it_is_asked_for(scan):
    quality = scan_quality(survey(scan), fields=0, workers=1)
    assert len(quality.images) == 6 * 2 * 2
    assert quality.images["field"].unique().sort().to_list() == [1, 2]
    again = scan_quality(survey(scan), fields=0, workers=2)
    assert again.images.equals(quality.images)
    assert again.pictures == quality.pictures


def test_the_tables_the_pictures_and_the_page_are_written(scan, tmp_path):
    seen = survey(scan)
    page = write_quality(seen.plain(), scan_quality(seen, workers=1), tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "channels.csv",
        "channels.parquet",
        "images.csv",
        "images.parquet",
        "plate_channel1.png",
        "plate_channel2.png",
        "scan.html",
    ]
    text = page.read_text(encoding="utf-8")
    assert text.count("data:image/png;base64,") == 2
    for status in ("out_of_focus", "blank", "unreadable"):
        assert f"<td>{status_words(status)}</td>" in text
