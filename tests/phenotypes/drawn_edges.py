"""Plates whose outer wells, or whose vehicle column, read less: wells of one line by a formula."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from phenotypes.columns.dictionary import conform
from phenotypes.statistics.curves.hill import occupancy
from plate_maps.wells import Well, row_letters

DOSES = np.geomspace(1e-8, 3e-5, 8)
SHAPES = {96: (8, 12), 384: (16, 24)}


def _mean(dose: float, span: float, ec50: float) -> float:
    """Mean live density of wells away from the edge."""
    return 200 * (1 + span * float(occupancy(np.array([dose]), np.log10(ec50), 1.2)[0]))


def _row(well: Well, control: str, compound: str, dose: float, density: float) -> dict[str, object]:
    return {
        "well": f"{row_letters(well.row)}{well.column:02d}",
        "line": "S1",
        "genotype": "SOD1",
        "compound": compound,
        "dose_molar": dose,
        "control": control,
        "batch": "b1",
        "status": "done",
        "reason": "",
        "nuclei_count": 100,
        "live_density": density,
    }


def edge_plate(
    rng: np.random.Generator,
    design: str,
    *,
    lost: float = 0.0,
    wells: int = 96,
    compounds: int = 6,
    replicates: int = 1,
    cv: float = 0.10,
    active: Mapping[str, tuple[float, float]] | None = None,
) -> pl.DataFrame:
    """A well table of `compounds` at eight doses.

    `design` says where the vehicle wells lie: in the last "column" or the first "row", "inside" in
    the second column, "mixed" (the last column and as many inside), at "random" inside. Wells in
    the same place read `lost` less. `active` maps compound ► (effect, EC50).
    """
    rows, columns = SHAPES[wells]
    inner = [Well(r, c) for r in range(2, rows) for c in range(2, columns)]
    inner = [inner[i] for i in rng.permutation(len(inner))]
    vehicle = {
        "column": [Well(r, columns) for r in range(1, rows + 1)],
        "row": [Well(1, c) for c in range(1, rows + 1)],
        "inside": [Well(r, 2) for r in range(2, rows)],
        "mixed": [Well(r, columns) for r in range(1, rows + 1)] + inner[:rows],
        "random": inner[:rows],
    }[design]
    free = [w for w in inner if w not in vehicle and (design != "inside" or w.column != 2)]
    conditions = [("vehicle", "DMSO", 0.0)] * len(vehicle) + [
        ("none", f"c{i}", float(dose))
        for i in range(compounds)
        for dose in DOSES
        for _ in range(replicates)
    ]
    table = []
    for well, (control, compound, dose) in zip([*vehicle, *free], conditions, strict=False):
        span, ec50 = (active or {}).get(compound, (0.0, 1e-6))
        reads_less = (
            well.column == 2
            if design == "inside"
            else well.row in (1, rows) or well.column in (1, columns)
        )
        mean = _mean(dose, span, ec50) * (1 - lost * reads_less)
        table.append(_row(well, control, compound, dose, mean * (1 + cv * rng.normal())))
    return conform(pl.DataFrame(table), "well")


def ladder_plate(
    rng: np.random.Generator,
    *,
    lost: float = 0.0,
    falling: bool = False,
    compounds: int = 4,
    edge_vehicles: bool = False,
    cv: float = 0.10,
    active: Mapping[str, tuple[float, float]] | None = None,
) -> pl.DataFrame:
    """384 wells: each compound at eight doses along the columns, three rows each.

    The highest dose (the lowest, if `falling`) lies in the last column; vehicle wells lie in the
    third column, and in the first with `edge_vehicles`. Wells at the edge read `lost` less.
    """
    rows, columns = SHAPES[384]
    inner = range(2, rows)
    doses = DOSES[::-1] if falling else DOSES
    conditions = [
        (Well(2 + 3 * i + k, columns - 7 + j), "none", f"c{i}", float(dose))
        for i in range(compounds)
        for k in range(3)
        for j, dose in enumerate(doses)
    ]
    for column in (3, 1) if edge_vehicles else (3,):
        conditions += [(Well(r, column), "vehicle", "DMSO", 0.0) for r in inner]
    table = []
    for well, control, compound, dose in conditions:
        span, ec50 = (active or {}).get(compound, (0.0, 1e-6))
        at_edge = well.row in (1, rows) or well.column in (1, columns)
        mean = _mean(dose, span, ec50) * (1 - lost * at_edge)
        table.append(_row(well, control, compound, dose, mean * (1 + cv * rng.normal())))
    return conform(pl.DataFrame(table), "well")
