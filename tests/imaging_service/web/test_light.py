from __future__ import annotations

import subprocess
import sys

import numpy as np

from imaging_service.web.light import outlines

FITTING = "scipy.stats", "phenotypes.plates.responses", "torch", "altair"


def test_outlines_are_the_inner_boundary():
    labels = np.zeros((9, 9), np.int32)
    labels[2:7, 2:7] = 1
    edge = outlines(labels)
    assert edge.sum() == 16
    assert not edge[3:6, 3:6].any()
    labels[2:7, 4:7] = 2
    assert outlines(labels)[4, 3]


def test_a_page_with_pixels_loads_nothing_that_fits_curves():
    """The first visitor after a start waits for every import."""
    loads = "import sys, imaging_service.api.pages.wells, imaging_service.web.pages.pixels"
    code = f"{loads}; print([m for m in {FITTING!r} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
