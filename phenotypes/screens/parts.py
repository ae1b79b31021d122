"""What plates contribute to a screen: averages of batches, and no well.

A screen is fitted from these parts alone, whether its plates lie here or at several sites. So what
sites send is what a pooled screen would have made of their plates, and the two give the same rows
to the last digit. A batch is of one site; the rows of all sites are put in one order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

import polars as pl

from phenotypes.screens.batches.vehicles import vehicle_levels
from phenotypes.screens.batches.windows import batch_gaps
from phenotypes.screens.lines import batch_effects

# The order of each part's rows.
_ORDER: Mapping[str, list[str]] = {
    "batches": ["phenotype", "line", "compound", "dose_molar", "control", "batch"],
    "gaps": ["line", "phenotype", "batch"],
    "levels": ["phenotype", "line", "batch"],
    "spreads": ["phenotype", "plate", "line", "batch"],
    "placed": ["plate", "batch", "line", "genotype", "control", "compound", "phenotype"],
}


@dataclass(frozen=True)
class ScreenParts:
    """Averages of plates.

    `batches` are those of `batch_effects`, `gaps` of `batch_gaps`, `levels` of `vehicle_levels`.
    `spreads` is the scatter of vehicle wells on each plate, `placed` says which line, compound and
    phenotype has values on which plate.

    Examples
    --------
    >>> import polars as pl
    >>> from phenotypes.screens.conditions import SCHEMA
    >>> len(parts_of(pl.DataFrame(schema=SCHEMA), {}).batches)
    0
    """

    batches: pl.DataFrame
    gaps: pl.DataFrame
    levels: pl.DataFrame
    spreads: pl.DataFrame
    placed: pl.DataFrame


def parts_of(plates: pl.DataFrame, isogenic: Mapping[str, str]) -> ScreenParts:
    """Average the table of `plate_effects`. `isogenic`: disease line ► its isogenic partner."""
    vehicle = plates.filter(pl.col("control") == "vehicle")
    return ScreenParts(
        batches=batch_effects(plates).sort(_ORDER["batches"]),
        gaps=batch_gaps(plates, isogenic),
        levels=vehicle_levels(plates),
        spreads=vehicle.select(*_ORDER["spreads"], "level_sd").sort(_ORDER["spreads"]),
        placed=plates.select(_ORDER["placed"]).unique().sort(_ORDER["placed"]),
    )


def pooled(parts: Iterable[ScreenParts]) -> ScreenParts:
    """The parts of several sites as one, in the order of `parts_of`."""
    several = list(parts)
    return ScreenParts(
        **{
            # Diagonally: a site's earlier version may lack a column.
            f.name: pl.concat([getattr(part, f.name) for part in several], how="diagonal").sort(
                _ORDER[f.name], maintain_order=True
            )
            for f in fields(ScreenParts)
        }
    )
