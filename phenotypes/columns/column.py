"""What an output column is: name, unit, type, meaning, scale and coarsest pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import polars as pl

Level = Literal[
    "cell", "field", "well", "quality", "response", "check", "track", "hazard", "growth", "screen", "dose", "compound", "window", "potency", "vehicle", "site", "bridge", "image", "channel"
]  # fmt: skip
Scale = Literal["percent", "difference"]
# The direction of a healthier motor neuron; None where biology does not tell.
Better = Literal["higher", "lower"]
# How a ratio is aggregated over cells or fields; in one real vendor export the two differ by 2 %.
Ratio = Literal["ratio_of_sums", "mean_of_ratios"]

# Roles that may carry an intensity; columns named …_{role} stand for one column each.
INTENSITY_ROLES = ("dna", "neurite", "identity", "aggregate", "granule", "envelope", "death")


@dataclass(frozen=True)
class Column:
    """One column of a table.

    `scale` is set on well columns that can be a phenotype of the response table: "percent" of the
    vehicle mean for counts, lengths and areas, "difference" to it for logarithms and fractions,
    which may be zero or negative. `coarsest_pixel_um` is the largest pixel at which the number
    means anything. `ratio` tells how a ratio aggregates, `better` which direction is the healthy
    one.

    Examples
    --------
    >>> from phenotypes import phenotype
    >>> phenotype("live_density").scale
    'percent'
    """

    name: str
    level: Level
    unit: str
    dtype: pl.DataType
    meaning: str
    scale: Scale | None = None
    coarsest_pixel_um: float | None = None
    ratio: Ratio | None = None
    better: Better | None = None


TEXT, INT, REAL, BOOL = pl.String(), pl.Int64(), pl.Float64(), pl.Boolean()


def per_role(
    level: Level,
    name: str,
    unit: str,
    meaning: str,
    scale: Scale | None = None,
    coarsest_pixel_um: float | None = None,
) -> list[Column]:
    """One column per role."""
    return [
        Column(
            f"{name}_{role}", level, unit, REAL, meaning.format(role=role), scale, coarsest_pixel_um
        )
        for role in INTENSITY_ROLES
    ]


def condition(level: Level, dose: bool = True, control: bool = True) -> list[Column]:
    """Columns of the condition that a row describes, from the plate map."""
    described = [
        Column("line", level, "", TEXT, "Cell line, from the plate map."),
        Column("genotype", level, "", TEXT, "Genotype of the line, from the plate map."),
        Column("compound", level, "", TEXT, "Compound, from the plate map."),
    ]
    if dose:
        described.append(Column("dose_molar", level, "mol/L", REAL, "Dose; 0 in vehicle wells."))
    if control:
        described.append(Column("control", level, "", TEXT, "none, vehicle, positive or negative."))
        described.append(
            Column("batch", level, "", TEXT, "Differentiation batch, from the plate map.")
        )
    return described


# The coarsest pixel, in µm, at which a number means anything. Lengths: a neurite still shows.
# Branching and attribution: neighbouring neurites are still two. Ratio: the ring is two pixels
# wide. Width, puncta, beads, rim: what they measure is over a pixel across.
LENGTH_UM, BRANCHING_UM, NC_UM, WIDTH_UM, PUNCTA_UM, BEADS_UM, RIM_UM = (
    1.5,
    1.0,
    1.0,
    0.7,
    0.7,
    0.35,
    0.2,
)
SHOLL_UM = (10, 20, 30, 40, 50, 75, 100, 150)
