from __future__ import annotations

from dataclasses import replace

import numpy as np

from imaging_service.models.evaluation import by_plate, scores_of, segmented
from segmentation import Field, Segmentation
from tests.imaging_service.models.drawn_fields import four_plates, traced


class Tracer:
    """An engine that says what was traced, and remembers what it was calibrated on."""

    name = "tracer"

    def __init__(self, fields, calibrated=()):
        self.fields, self.calibrated = fields, calibrated
        self.log = []

    def calibrate(self, fields):
        self.log.append(len(fields))
        return self

    def segment(self, field, *, seed=0):
        known = next(f for f in self.fields if f.field is field)
        return Segmentation(dict(known.labels), self.name)


def lit(field):
    """With soft and unequal cells, as a camera sees them."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:96, :96]
    cells = sum(
        np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 60.0) for cy, cx in ((24, 24), (70, 30), (40, 75))
    )
    planes = np.stack([100 + 600 * cells, 100 + 500 * cells]) + rng.normal(0, 4, (2, 96, 96))
    pixels = np.round(planes).astype(np.uint16)
    return replace(field, field=Field(pixels, ("dna", "neurite"), 0.65))


def test_every_plate_is_calibrated_by_its_own_fields_that_show_cells():
    fields = [lit(f) for f in four_plates()]
    fields[0] = replace(
        fields[0], field=Field(np.full((2, 96, 96), 100, np.uint16), ("dna", "neurite"), 0.65)
    )
    engine = Tracer(fields)
    answers = segmented(engine, fields)
    assert [f.name for f, _ in answers] == [f.name for f in fields]
    assert engine.log == [1, 2, 2, 2]
    assert [len(p) for p in by_plate(fields)] == [2, 2, 2, 2]


def test_a_plate_without_cells_is_not_calibrated():
    blank = replace(
        traced(), field=Field(np.full((2, 96, 96), 100, np.uint16), ("dna", "neurite"), 0.65)
    )
    engine = Tracer([blank])
    (one,) = scores_of(engine, [blank])
    assert engine.log == []
    assert one.lines.f1 == 1
