from __future__ import annotations

from dataclasses import replace

import numpy as np
import tifffile

from imaging_service.ingest import plan_scan
from imaging_service.ingest.plan import plan_digest
from imaging_service.protocol import Acquisition

PLANE = np.arange(48, dtype=np.uint16).reshape(6, 8)


def tiffs(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(folder / name, PLANE)
    return folder


def test_a_plan_of_other_meaning_has_another_digest(tmp_path):
    plan = plan_scan(tiffs(tmp_path, "p_B02_s1_w1.tif"), Acquisition())
    assert plan_digest(plan) == plan_digest(plan_scan(tmp_path, Acquisition()))
    assert plan_digest(plan) != plan_digest(replace(plan, pixel_size_um=0.5))
    assert plan_digest(plan) != plan_digest(
        replace(plan, images=(replace(plan.images[0], channel="2"),))
    )
