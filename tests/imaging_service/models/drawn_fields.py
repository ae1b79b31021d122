"""Traced fields that are drawn: an export of them, and what an engine might say of them."""

from __future__ import annotations

from datetime import UTC, datetime

import cv2
import numpy as np

from imaging_service.jobs.review.reviewed import FieldRecord, ReviewedField
from imaging_service.models.fields import TracedField, traced_fields

SHAPE, PX = (96, 96), 0.65
WHEN = datetime(2026, 5, 4, 12, tzinfo=UTC)


def record(plate="P1", well="B02", field=1, *, line="L1", consent="", traced=None, **more):
    """A record of a field whose neurites and nuclei were corrected."""
    labels = traced or {"nuclei": "corrected", "somas": "accepted", "neurites": "corrected"}
    values = {
        "run_id": f"run of {plate}",
        "plate_name": plate,
        "plate_digest": f"digest of {plate}",
        "well": well,
        "field": field,
        "frame": 1,
        "line": line,
        "channels": ["1", "2"],
        "roles": ["dna", "neurite"],
        "pixel_size_um": PX,
        "height": SHAPE[0],
        "width": SHAPE[1],
        "labels": labels,
        "label_version": 2,
        "revision": 3,
        "authors": ["ann"],
        "versions": [],
        "engine": "motornet",
        "model_digest": "ab" * 32,
        "software_version": "0.3.0",
        "protocol_digest": "cd" * 32,
        "consent": consent,
        "duo": [],
    }
    return FieldRecord.model_validate(values | more)


def drawn_labels(seed=0):
    """Two cells with a neurite each."""
    rng = np.random.default_rng(seed)
    labels = {n: np.zeros(SHAPE, np.int32) for n in ("nuclei", "somas", "neurites")}
    for i, y in enumerate((24, 72), start=1):
        middle = (20 + int(rng.integers(0, 8)), y)
        cv2.circle(labels["somas"], middle, 13, i, -1)
        cv2.circle(labels["nuclei"], middle, 8, i, -1)
        cv2.line(labels["neurites"], middle, (90, y + int(rng.integers(-6, 6))), 1, 2)
    labels["neurites"][labels["somas"] > 0] = 0
    return labels


def reviewed(seed=0, **named):
    """A reviewed field as an export gives it."""
    labels = drawn_labels(seed)
    rng = np.random.default_rng(seed)
    planes = np.stack(
        [
            100 + 400 * (labels["nuclei"] > 0),
            100 + 250 * ((labels["somas"] > 0) | (labels["neurites"] > 0)),
        ]
    )
    noisy = np.round(planes + rng.normal(0, 6, planes.shape))
    return ReviewedField(record(**named), noisy.astype(np.uint16), labels)


def traced(seed=0, **named) -> TracedField:
    """The same as a traced field."""
    ((field,), _) = traced_fields([reviewed(seed, **named)])
    return field


def four_plates():
    """Two fields on each of four plates, of two lines."""
    return [
        traced(10 * p + f, plate=f"P{p}", well=f"B0{f}", line=f"L{p % 2}")
        for p in range(1, 5)
        for f in (2, 3)
    ]
