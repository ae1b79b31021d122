"""Wells relative to the vehicle wells of the same line on the same plate."""

from __future__ import annotations

import numpy as np
import polars as pl

from phenotypes.columns.dictionary import phenotype
from phenotypes.plates.wells import vehicle_means


def unit_of(name: str) -> str:
    """Unit of a phenotype after normalisation: "% of vehicle", or "Δ unit" for differences."""
    column = phenotype(name)
    return "% of vehicle" if column.scale == "percent" else f"Δ {column.unit}".strip()


def normalised(wells: pl.DataFrame, name: str) -> pl.Series:
    """A phenotype of every well relative to its line's vehicle mean on this plate; null where that mean is missing or 0.

    Percent for counts, lengths, areas and intensities (100 = vehicle), difference for logarithms and fractions
    (0 = vehicle). Only wells with status "done" take part.
    """
    column = phenotype(name)
    done = pl.col("status") == "done"
    reference = vehicle_means(wells, name)
    if column.scale == "percent":
        value = pl.when(done & (reference > 0)).then(100 * pl.col(name) / reference)
    else:
        value = pl.when(done).then(pl.col(name) - reference)
    return wells.select(value.cast(pl.Float64).alias(name))[name]


def robust_scale(reference: np.ndarray, least_sd: float) -> tuple[float, float]:
    """(median, 1.4826 MAD but no less than `least_sd`) of reference values: with all of them equal MAD is 0."""
    middle = float(np.median(reference))
    return middle, max(1.4826 * float(np.median(np.abs(reference - middle))), least_sd)


# Robust z divides by no less than this share of the median: where all vehicles agree (no puncta in any), MAD is 0.
LEAST_CV = 0.02


def robust_z(wells: pl.DataFrame, name: str) -> pl.Series:
    """(x − median) / (1.4826 MAD) of the vehicle wells of the same line; null under three of them.

    The MAD is floored at LEAST_CV of the median, and at the phenotype's own rounding where that is 0 as well.
    """
    vehicles = wells.filter((pl.col("status") == "done") & (pl.col("control") == "vehicle")).drop_nulls(name)
    found: dict[str, tuple[float, float]] = {}
    for line, part in vehicles.group_by("line"):
        values = part[name].to_numpy().astype(float)
        if len(values) >= 3:
            middle = float(np.median(values))
            found[str(line[0])] = robust_scale(values, LEAST_CV * abs(middle) if middle else LEAST_CV)
    rows = zip(wells["line"], wells[name], wells["status"], strict=True)
    values_z = [None if v is None or s != "done" or line not in found else (v - found[line][0]) / found[line][1] for line, v, s in rows]
    return pl.Series(name, values_z, dtype=pl.Float64)


def normalised_to_isogenic(wells: pl.DataFrame, name: str, isogenic: dict[str, str]) -> pl.Series:
    """NPI: 0 at the vehicle mean of the well's own line, 100 at that of its isogenic (or healthy) line, on the same plate.

    `isogenic` maps disease line ► the line it is compared with; wells of other lines, and of lines whose window is 0, are null.
    """
    means = {line: value for line, value in zip(wells["line"], vehicle_means(wells, name), strict=True) if value is not None}
    rows = zip(wells["line"], wells[name], wells["status"], strict=True)
    found = []
    for line, value, status in rows:
        own, other = means.get(line), means.get(isogenic.get(line, ""))
        usable = status == "done" and value is not None and own is not None and other is not None and other != own
        found.append(100 * (value - own) / (other - own) if usable and own is not None and other is not None else None)
    return pl.Series(name, found, dtype=pl.Float64)
