"""Wells relative to the vehicle wells of the same line on the same plate."""

from __future__ import annotations

import polars as pl

from phenotypes.columns.dictionary import phenotype
from phenotypes.columns.statuses import WellStatus
from phenotypes.plates.wells import vehicle_means


def unit_of(name: str) -> str:
    """Unit of a phenotype after normalisation: "% of vehicle", or "Δ unit" for differences."""
    column = phenotype(name)
    return "% of vehicle" if column.scale == "percent" else f"Δ {column.unit}".strip()


def normalised(wells: pl.DataFrame, name: str) -> pl.Series:
    """A phenotype of every well relative to its line's vehicle mean on this plate.

    Null where that mean is missing or 0.

    Percent for counts, lengths, areas and intensities (100 = vehicle), difference for logarithms
    and fractions (0 = vehicle). Only wells with status "done" take part.
    """
    column = phenotype(name)
    done = pl.col("status") == WellStatus.DONE
    reference = vehicle_means(wells, name)
    if column.scale == "percent":
        value = pl.when(done & (reference > 0)).then(100 * pl.col(name) / reference)
    else:
        value = pl.when(done).then(pl.col(name) - reference)
    return wells.select(value.cast(pl.Float64).alias(name))[name]


def normalised_to_isogenic(wells: pl.DataFrame, name: str, isogenic: dict[str, str]) -> pl.Series:
    """NPI of every well: its place between the vehicle means of its line and the isogenic line.

    0 at the vehicle mean of the well's own line, 100 at that of its isogenic (or healthy) line.

    `isogenic` maps disease line ► the line that it is compared with; wells of other lines, and of
    lines with a window of 0, are null.
    """
    means = {
        line: value
        for line, value in zip(wells["line"], vehicle_means(wells, name), strict=True)
        if value is not None
    }
    rows = zip(wells["line"], wells[name], wells["status"], strict=True)
    percentages = []
    for line, value, status in rows:
        own_mean, isogenic_mean = means.get(line), means.get(isogenic.get(line, ""))
        usable = (
            status == WellStatus.DONE
            and value is not None
            and own_mean is not None
            and isogenic_mean is not None
            and isogenic_mean != own_mean
        )
        percentages.append(
            100 * (value - own_mean) / (isogenic_mean - own_mean)
            if usable and own_mean is not None and isogenic_mean is not None
            else None
        )
    return pl.Series(name, percentages, dtype=pl.Float64)
