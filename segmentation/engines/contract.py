"""Tests that every Segmenter passes.

The author of a plug-in subclasses `SegmenterContract` in a test module.
"""

from __future__ import annotations

import json

import numpy as np

from segmentation.engines.registry import Segmenter
from segmentation.field import COMPARTMENTS, Field


class SegmenterContract:
    """Give fixtures `engine` and `field` (roles dna and neurite at least)."""

    def test_labels_have_known_names_shapes_and_types(
        self, engine: Segmenter, field: Field
    ) -> None:
        """int32 (Y, X) of known compartments; nuclei counted 1…n without gaps."""
        labels = engine.segment(field).labels
        assert set(labels) <= set(COMPARTMENTS)
        for image in labels.values():
            assert image.shape == field.shape
            assert image.dtype == np.int32
        nuclei = labels["nuclei"]
        assert np.array_equal(np.unique(nuclei[nuclei > 0]), np.arange(1, nuclei.max() + 1))

    def test_a_soma_carries_the_label_of_its_nucleus(self, engine: Segmenter, field: Field) -> None:
        """Each soma overlaps the nucleus of its label."""
        labels = engine.segment(field).labels
        for soma in np.unique(labels["somas"])[1:]:
            assert ((labels["somas"] == soma) & (labels["nuclei"] == soma)).any()

    def test_neurites_lie_outside_somas(self, engine: Segmenter, field: Field) -> None:
        """A soma's outline is never counted as neurite."""
        labels = engine.segment(field).labels
        assert not ((labels["neurites"] > 0) & (labels["somas"] > 0)).any()

    def test_the_same_field_gives_the_same_labels(self, engine: Segmenter, field: Field) -> None:
        """Deterministic."""
        first, second = engine.segment(field, seed=1), engine.segment(field, seed=1)
        assert all(np.array_equal(first.labels[name], second.labels[name]) for name in first.labels)

    def test_pixels_are_left_as_they_are(self, engine: Segmenter, field: Field) -> None:
        """The field's pixels are measured next, so an engine must not work in place."""
        copy = Field(
            np.ascontiguousarray(field.pixels, np.float32), field.roles, field.pixel_size_um
        )
        before = copy.pixels.copy()
        engine.segment(copy)
        engine.calibrate([copy])
        assert np.array_equal(copy.pixels, before)

    def test_description_is_json_and_restores_thresholds(
        self, engine: Segmenter, field: Field
    ) -> None:
        """A run can be repeated from its record."""
        calibrated = engine.calibrate([field])
        described = json.loads(json.dumps(calibrated.describe()))
        restored = engine.with_thresholds(described["thresholds"])
        before, after = calibrated.segment(field).labels, restored.segment(field).labels
        assert all(np.array_equal(before[name], after[name]) for name in before)
