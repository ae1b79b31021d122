"""Labels that were drawn before they are measured."""

from __future__ import annotations

import numpy as np
import pytest

from imaging_service.errors import StoreError
from imaging_service.jobs.drawn import Drawn, keep
from segmentation import Segmentation
from tests.messages import says


def segmentation(number):
    nuclei = np.zeros((6, 8), np.int32)
    nuclei[1:3, 2:4] = number
    return Segmentation(
        {"nuclei": nuclei, "neurites": (nuclei > 0).astype(np.int32)},
        "motornet",
        {"soma": 0.1 + 0.2, "sizes": {"min": 20.0}, "channels": ["dna"]},
        ("no aggregate channel",),
        {"nuclei": np.array([1 / 3])},
        {"length_ratio_floor_0": 1.0000000000000002},
    )


def test_what_was_kept_comes_back_field_by_field_as_it_was(tmp_path):
    made = {
        (number, frame): segmentation(10 * number + frame) for number in (1, 2) for frame in (1, 2)
    }
    for place in reversed(made):
        keep(tmp_path, *place, made[place])
    read = list(Drawn(tmp_path).segment_all(range(4)))
    assert len(read) == 4
    for one, was in zip(read, made.values(), strict=True):
        assert list(one.labels) == list(was.labels)
        for name, labels in was.labels.items():
            assert one.labels[name].dtype == labels.dtype
            assert np.array_equal(one.labels[name], labels)
        assert (one.engine, one.parameters, one.warnings, one.figures) == (
            was.engine,
            was.parameters,
            was.warnings,
            was.figures,
        )
        assert np.array_equal(one.confidence["nuclei"], was.confidence["nuclei"])


def test_a_field_without_drawn_labels_and_a_damaged_file_are_refused(tmp_path):
    keep(tmp_path, 1, 1, segmentation(1))
    with pytest.raises(StoreError, match=says("drawn.too_few")):
        list(Drawn(tmp_path).segment_all(range(2)))
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(StoreError, match=says("drawn.damaged")):
        list(Drawn(tmp_path).segment_all(range(1)))
