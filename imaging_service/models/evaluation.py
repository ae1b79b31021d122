"""Measure an engine on traced fields, each plate with thresholds of its own."""

from __future__ import annotations

from collections.abc import Sequence

from imaging_service.models.fields import TracedField
from imaging_service.models.scores import FieldScore, score
from segmentation import Segmentation, Segmenter, segment_all
from segmentation.filters.exposure import without_cells


def by_plate(fields: Sequence[TracedField]) -> list[list[TracedField]]:
    """Fields of each plate, in order of the first of each."""
    plates: dict[str, list[TracedField]] = {}
    for one in fields:
        plates.setdefault(one.record.plate_digest, []).append(one)
    return list(plates.values())


def segmented(
    engine: Segmenter, fields: Sequence[TracedField]
) -> list[tuple[TracedField, Segmentation]]:
    """Labels of traced fields, plate by plate.

    The thresholds of a plate are fixed from its traced fields that show cells: an export holds no
    others. Where none does, each field has thresholds of its own.
    """
    answers = []
    for plate in by_plate(fields):
        usable = [f.field for f in plate if not without_cells(f.field)]
        calibrated = engine.calibrate(usable) if usable else engine
        labels = segment_all(calibrated, [f.field for f in plate])
        answers += list(zip(plate, labels, strict=True))
    return answers


def scores_of(engine: Segmenter, fields: Sequence[TracedField]) -> list[FieldScore]:
    """Agreement of an engine with each field, plate by plate."""
    return [score(field, answer.labels) for field, answer in segmented(engine, fields)]
