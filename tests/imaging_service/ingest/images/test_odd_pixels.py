from __future__ import annotations

import re

import numpy as np
import pytest
import tifffile

from imaging_service.ingest import plan_scan
from imaging_service.ingest.plan import FindingKind
from imaging_service.protocol import Acquisition
from tests.messages import says

PIXELS = np.arange(256, dtype=np.uint16).reshape(16, 16) * 16 + 4097


def scan(folder, **wells):
    for well, pixels in wells.items():
        for wave in (1, 2):
            tifffile.imwrite(folder / f"p_{well}_s1_w{wave}.tif", pixels if wave == 1 else PIXELS)
    return plan_scan(folder, Acquisition())


@pytest.mark.parametrize(
    ("odd", "sentence"),
    [
        (PIXELS.astype(np.uint8), says("odd_pixels.type", type="uint8", usual="uint16")),
        (PIXELS.astype(np.float32), says("odd_pixels.type", type="float32", usual="uint16")),
        (PIXELS - 1, says("odd_pixels.shifted")),
    ],
)
@pytest.mark.parametrize("others", [("B02",), ("B02", "C04", "C05")])
def test_one_odd_well_is_named_and_fails(tmp_path, odd, sentence, others):
    plan = scan(tmp_path, **dict.fromkeys(others, PIXELS), B03=odd)
    assert [(i.well.name, i.channel) for i in plan.broken] == [("B03", "1")]
    (finding,) = (f for f in plan.findings if f.kind == FindingKind.PIXELS)
    assert [w.name for w in finding.wells] == ["B03"]
    assert re.search(sentence, finding.message)


@pytest.mark.parametrize("pixels", [PIXELS.astype(np.uint8), PIXELS.astype(np.float32), PIXELS - 1])
def test_a_channel_that_is_so_in_all_wells_is_not_odd(tmp_path, pixels):
    assert scan(tmp_path, B02=pixels, B03=pixels).broken == ()
