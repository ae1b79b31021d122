"""Traced fields: reviewed fields as far as a reviewer stands for their labels and consent allows.

A line whose consent forbids to develop methods (DUO NMDS) gives no field, whatever it is for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from imaging_service.jobs.review.reviewed import FieldRecord, ReviewedField
from plate_maps.consent import forbids_methods
from plate_maps.registry import Line
from segmentation import Field
from segmentation.engines.motornet.traced import TRACED
from segmentation.field import Labels


@dataclass(frozen=True)
class TracedField:
    """A field with the labels that a reviewer corrected or accepted, and nothing else as truth."""

    record: FieldRecord
    field: Field
    labels: Mapping[str, Labels]

    @property
    def name(self) -> str:
        """Plate, well, field and time point, as messages and tables name it."""
        r = self.record
        time = f" time {r.frame}" if r.frame > 1 else ""
        return f"{r.plate_name} {r.well} field {r.field}{time}"


def traced_fields(
    reviewed: Iterable[ReviewedField], lines: Mapping[str, Line] | None = None
) -> tuple[list[TracedField], list[str]]:
    """Fields to learn from and measure on, and why each other one was left out.

    `lines` is the registry as it is today: a consent that was withdrawn since the export counts.
    A field that is given twice counts once, in the newest version of its labels.
    """
    newest: dict[tuple[str, str, int, int], TracedField] = {}
    left_out = []
    for one in reviewed:
        record = one.record
        place = f"{record.plate_name} {record.well} field {record.field}"
        today = (lines or {}).get(record.line)
        if record.forbids_methods or (today is not None and forbids_methods(today.consent)):
            left_out.append(
                f"{place}: the consent of line {record.line} forbids methods development (DUO NMDS)"
            )
            continue
        roles = tuple(record.roles)
        truth = {
            name: labels
            for name, labels in one.labels.items()
            if name in TRACED
            and TRACED[name] in roles
            and record.labels.get(name, "engine") != "engine"
        }
        if not truth:
            left_out.append(
                f"{place}: no reviewer corrected or accepted its nuclei, somas or neurites"
            )
            continue
        key = (record.plate_digest, record.well, record.field, record.frame)
        if key not in newest or newest[key].record.label_version < record.label_version:
            newest[key] = TracedField(record, Field(one.pixels, roles, record.pixel_size_um), truth)
    return list(newest.values()), left_out
