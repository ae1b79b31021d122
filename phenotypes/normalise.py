"""Wells relative to the vehicle wells of the same line on the same plate."""

from __future__ import annotations

import polars as pl

from phenotypes.columns import phenotype
from phenotypes.wells import vehicle_means


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
