"""What a well's page shows: values beside vehicle, fields, corrections, and the cell at a pixel."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from imaging_service.web.pages.drawn_plate import why_without
from phenotypes.columns.column import Level
from phenotypes.columns.dictionary import columns
from phenotypes.columns.statuses import WellStatus

# In a live assay without DNA stain every time point would carry this warning.
NO_DNA = r"nuclei: no dna channel(; )?"

_NO_AREA = "no part of the field counts"

Row = Mapping[str, Any]


@dataclass(frozen=True)
class BesideVehicle:
    """A phenotype of a well, and the vehicle wells of its line.

    `robust_z` is the well's distance from their median in robust standard deviations, by which the
    review queue ranks vehicle wells. `why` says why the well has no value, `no_z` why it has no
    distance; both are "" where it has.
    """

    phenotype: str
    unit: str
    value: float | None
    vehicle: float | None
    low: float | None
    high: float | None
    n: int
    robust_z: float | None
    meaning: str
    why: str = ""
    no_z: str = ""


@dataclass(frozen=True)
class Value:
    """One column of a row: name, value, unit and meaning."""

    name: str
    value: object
    unit: str
    meaning: str


def beside_vehicle(
    well: Row,
    wells: Sequence[Row],
    names: Sequence[str],
    measurement: Mapping[str, Any] | None = None,
) -> list[BesideVehicle]:
    """Each phenotype of a well beside the vehicle wells of its line, of which it may be one.

    `low` and `high` are the lowest and highest vehicle well.
    """
    # numpy and polars take long to load, and most pages need neither.
    import numpy as np

    from phenotypes.statistics.robust import LEAST_WELLS, vehicle_scale

    known = columns("well")
    vehicles = [
        w
        for w in wells
        if w["line"] == well["line"]
        and w["control"] == "vehicle"
        and w["status"] == WellStatus.DONE
    ]
    rows = []
    for name in names:
        values = [w[name] for w in vehicles if w.get(name) is not None]
        middle = median(values) if values else None
        value, scale = well.get(name), vehicle_scale(np.array(values, float))
        column = known[name]
        why = why_without(well, name, measurement) if value is None else ""
        few = f"{len(values)} vehicle wells have a value, and it needs {LEAST_WELLS}"
        rows.append(
            BesideVehicle(
                name,
                column.unit,
                value,
                middle,
                min(values, default=None),
                max(values, default=None),
                len(values),
                None if value is None or scale is None else (value - scale[0]) / scale[1],
                column.meaning,
                why,
                why or ("" if scale else few),
            )
        )
    return rows


def measured_values(row: Row, level: Level, without: Sequence[str] = ()) -> list[Value]:
    """Every column of a row that has a value, with unit and meaning, in the dictionary's order."""
    return [
        Value(c.name, row[c.name], c.unit, c.meaning)
        for c in columns(level).values()
        if row.get(c.name) not in (None, "") and c.name not in without
    ]


def field_rows(fields: Sequence[Row]) -> list[Row]:
    """Fields with nuclei per mm² and neurites in mm/mm² of their valid area, None without one.

    `no_nuclei` and `no_neurites` say why there is none.
    """
    rows: list[Row] = []
    for field in fields:
        area, count, length = (
            field.get(n) for n in ("valid_area_mm2", "nuclei_count", "neurite_length_um")
        )
        rows.append(
            {
                **field,
                "nuclei_density": count / area if area and count is not None else None,
                "neurite_density": length / 1000 / area if area and length is not None else None,
                "no_nuclei": "nuclei were not counted" if area else _NO_AREA,
                "no_neurites": "neurites were not traced" if area else _NO_AREA,
            }
        )
    return rows


def grouped_warnings(fields: Sequence[Row]) -> list[tuple[int, list[int], str]]:
    """(field, its time points, warnings): time points with the same warnings are one.

    A live assay has no DNA stain: that is not a warning.

    >>> grouped_warnings([{"field": 1, "frame": 1, "warnings": "nuclei: no dna channel; dim"},
    ...     {"field": 1, "frame": 2, "warnings": ""}, {"field": 1, "frame": 3, "warnings": "dim"}])
    [(1, [1, 3], 'dim')]
    """
    known: dict[tuple[int, str], list[int]] = {}
    for field in fields:
        warnings = re.sub(NO_DNA, "", field["warnings"]).strip("; ")
        if warnings:
            known.setdefault((field["field"], warnings), []).append(field["frame"])
    return [(number, frames, text) for (number, text), frames in known.items()]


def neighbours(wells: Sequence[Row], name: str) -> tuple[str, str]:
    """The analysed wells before and after one in plate order; "" at the ends."""
    names = [w["well"] for w in wells if w["n_fields"]]
    if name not in names:
        return "", ""
    place = names.index(name)
    return (
        names[place - 1] if place else "",
        names[place + 1] if place + 1 < len(names) else "",
    )
