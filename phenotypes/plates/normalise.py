"""Wells relative to the vehicle wells of the same line on the same plate."""

from __future__ import annotations

import polars as pl

from phenotypes.columns.dictionary import phenotype
from phenotypes.plates.wells import vehicle_means


def unit_of(name: str) -> str:
    """Unit of a phenotype after normalisation: "% of vehicle", or "Δ unit" for differences."""
    column = phenotype(name)
    return "% of vehicle" if column.scale == "percent" else f"Δ {column.unit}".strip()


def normalised(wells: pl.DataFrame, name: str) -> pl.Series:
    """A phenotype of every well relative to its line's vehicle mean on this plate; null where that
    mean is missing or 0.

    Percent for counts, lengths, areas and intensities (100 = vehicle), difference for logarithms
    and fractions (0 = vehicle). Only wells with status "done" take part.
    """
    column = phenotype(name)
    done = pl.col("status") == "done"
    reference = vehicle_means(wells, name)
    if column.scale == "percent":
        value = pl.when(done & (reference > 0)).then(100 * pl.col(name) / reference)
    else:
        value = pl.when(done).then(pl.col(name) - reference)
    return wells.select(value.cast(pl.Float64).alias(name))[name]


def normalised_to_isogenic(wells: pl.DataFrame, name: str, isogenic: dict[str, str]) -> pl.Series:
    """NPI: 0 at the vehicle mean of the well's own line, 100 at that of its isogenic (or healthy)
    line, on the same plate.

    `isogenic` maps disease line ► the line it is compared with; wells of other lines, and of lines
    whose window is 0, are null.
    """
    means = {
        line: value
        for line, value in zip(wells["line"], vehicle_means(wells, name), strict=True)
        if value is not None
    }
    rows = zip(wells["line"], wells[name], wells["status"], strict=True)
    found = []
    for line, value, status in rows:
        own, other = means.get(line), means.get(isogenic.get(line, ""))
        usable = (
            status == "done"
            and value is not None
            and own is not None
            and other is not None
            and other != own
        )
        found.append(
            100 * (value - own) / (other - own)
            if usable and own is not None and other is not None
            else None
        )
    return pl.Series(name, found, dtype=pl.Float64)
