"""Thumbnails: which fields, with which contrast, and what cannot be shown."""

from __future__ import annotations

import cv2
import numpy as np
import tifffile

from imaging_service.ingest import plan_scan
from imaging_service.inspection.thumbnails import write_thumbnails
from imaging_service.protocol import Acquisition


def draw(folder, wells):
    for value, well in enumerate(wells, start=1):
        for channel in (1, 2):
            plane = np.full((40, 40), 100, np.uint16)
            plane[:20] = 100 + 100 * value * channel
            tifffile.imwrite(folder / f"p_{well}_s1_w{channel}.tif", plane)
    return plan_scan(folder, Acquisition(pixel_size_um=0.5))


def test_five_fields_spread_over_the_plate_have_one_contrast(tmp_path):
    wells = [f"{row}{column:02}" for row in "ABCDE" for column in (1, 2)]
    plan = draw(tmp_path, wells)
    files, faults = write_thumbnails(plan, tmp_path / "out")
    assert faults == []
    assert [f.name for f in files] == [f"{r}02_field1.png" for r in "ABCDE"]
    pictures = [cv2.imread(str(f), cv2.IMREAD_GRAYSCALE) for f in files]
    assert {p.shape for p in pictures} == {(338, 644)}
    # 40 px are not made larger; the bright half of a field lies above its dark half.
    assert [int(p[18 + 35, 5]) for p in pictures] == [0] * 5
    brightness = [int(p[18 + 5, 5]) for p in pictures]
    assert brightness == sorted(brightness)
    assert brightness[-1] == 255
    assert abs(brightness[0] - 255 * 200 / 1000) <= 2
    assert [int(p[18 + 5, 322 + 5]) for p in pictures] == brightness


def test_an_image_that_cannot_be_read_is_named_and_the_others_are_shown(tmp_path):
    plan = draw(tmp_path, ["B02", "B03"])
    (tmp_path / "p_B02_s1_w2.tif").write_bytes(b"no TIFF")
    (tmp_path / "p_B03_s1_w1.tif").unlink()
    files, faults = write_thumbnails(plan, tmp_path / "out")
    assert len(files) == 2
    assert [f.partition(":")[0] for f in faults] == [
        "B02 field 1, channel '2'",
        "B03 field 1, channel '1'",
    ]
