"""Photographs of nuclei that others annotated: the held-out part of Data Science Bowl 2018 (never
trained or tuned on).
"""

from __future__ import annotations

import pytest

from segmentation import Field, load, segment_all
from segmentation.engines.motornet.nuclei import BLIND_PIXEL_UM, nuclei_pixel_size, read_nuclei
from segmentation.scoring.accuracy import Counts, object_counts

pytestmark = [pytest.mark.images, pytest.mark.slow]


def pooled(engine, annotated, blind):
    fields = [
        Field(image[None], ("dna",), BLIND_PIXEL_UM if blind else nuclei_pixel_size(labels))
        for _, image, labels in annotated
    ]
    total = {0.5: Counts(0, 0, 0), 0.75: Counts(0, 0, 0)}
    for (_, _, truth), found in zip(annotated, segment_all(engine, fields), strict=True):
        counts = object_counts(truth, found.labels["nuclei"])
        total = {t: total[t] + counts[t] for t in total}
    return {t: c.average_precision for t, c in total.items()}


@pytest.fixture(scope="module")
def annotated(shared_data):
    return list(read_nuclei(shared_data / "nuclei_dsb2018", "test"))


def test_motornet_beats_the_baseline_by_far(annotated):
    ours = pooled(load("motornet", device="cpu"), annotated, blind=False)
    baseline = pooled(load("classical"), annotated, blind=False)
    # Measured 0.867 and 0.662; the aim of 0.88 and 0.72 is not reached (benchmarks/README.md).
    assert ours[0.5] >= 0.86
    assert ours[0.75] >= 0.65
    assert ours[0.5] > baseline[0.5] + 0.1


def test_without_a_pixel_size_it_is_worse_and_still_better_than_thresholds(annotated):
    blind = pooled(load("motornet", device="cpu"), annotated, blind=True)
    assert blind[0.5] > pooled(load("classical"), annotated, blind=True)[0.5]
