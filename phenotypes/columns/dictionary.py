"""Every output column once: name, unit, type, meaning, formula.

Tables are checked against it, and the documentation is made from it.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from functools import lru_cache

import polars as pl

from phenotypes.columns.arrival import CHANNEL, IMAGE
from phenotypes.columns.column import INTENSITY_ROLES, SHOLL_UM, Column, Level
from phenotypes.columns.images import CELL, FIELD, WELL
from phenotypes.columns.responses import CHECK, GROWTH, HAZARD, QUALITY, RESPONSE, TRACK
from phenotypes.columns.screens import COMPOUND, DOSE, POTENCY, SCREEN, VEHICLE, WINDOW
from phenotypes.columns.sites import BRIDGE, SITE

__all__ = [
    "COLUMNS",
    "INTENSITY_ROLES",
    "LEVELS",
    "SHOLL_UM",
    "Column",
    "Level",
    "columns",
    "conform",
    "empty_table",
    "markdown",
    "phenotype",
]

# In the order of the documentation: conclusions first, then what they rest on.
LEVELS: tuple[Level, ...] = (
    "response", "hazard", "growth", "screen", "dose", "compound", "window", "potency", "vehicle", "site", "bridge", "well", "quality", "check", "field", "cell", "track", "image", "channel"
)  # fmt: skip

COLUMNS: tuple[Column, ...] = (
    *CELL,
    *FIELD,
    *WELL,
    *QUALITY,
    *RESPONSE,
    *CHECK,
    *TRACK,
    *HAZARD,
    *GROWTH,
    *SCREEN,
    *DOSE,
    *COMPOUND,
    *WINDOW,
    *POTENCY,
    *VEHICLE,
    *SITE,
    *BRIDGE,
    *IMAGE,
    *CHANNEL,
)


def columns(level: Level) -> dict[str, Column]:
    """Columns of one table by name, in order."""
    return {c.name: c for c in COLUMNS if c.level == level}


@lru_cache
def phenotype(name: str) -> Column:
    """The well column that a protocol names as phenotype.

    Raises ValueError with the known phenotypes where there is none of that name.

    Examples
    --------
    >>> from phenotypes import phenotype
    >>> phenotype("nc_log2_aggregate").coarsest_pixel_um
    1.0
    """
    column = columns("well").get(name)
    if column is None or column.scale is None:
        known = [c.name for c in columns("well").values() if c.scale]
        near = get_close_matches(name, known, n=3)
        nearest = f"; the nearest: {', '.join(near)}" if near else ""
        raise ValueError(f"unknown phenotype {name!r}{nearest}; known: {', '.join(known)}")
    return column


def empty_table(level: Level) -> pl.DataFrame:
    """The table without rows."""
    return pl.DataFrame(schema={c.name: c.dtype for c in columns(level).values()})


def conform(table: pl.DataFrame, level: Level) -> pl.DataFrame:
    """The table with its columns in the dictionary's order and types; absent ones are null.

    Raises ValueError for a column that the dictionary does not know: every number must have a
    meaning.
    """
    known = columns(level)
    strange = [name for name in table.columns if name not in known]
    if strange:
        raise ValueError(
            f"the {level} table has columns without a definition: {', '.join(strange)}; add them to"
            " phenotypes/columns"
        )
    return table.select(
        (pl.col(c.name) if c.name in table.columns else pl.lit(None)).cast(c.dtype).alias(c.name)
        for c in known.values()
    )


def markdown(levels: Iterable[Level] = LEVELS) -> str:
    """The dictionary as Markdown, one table per level; `docs/columns.md` is this text."""
    parts = [
        "# Columns of the tables\n\nGenerated from `phenotypes/columns/dictionary.py`; do not"
        " edit.\n\nMeans over cells and lengths per neuron are null in wells with fewer than 20"
        " such cells; counts and densities never are.\n"
    ]
    for level in levels:
        parts.append(
            f"\n## {level.capitalize()} table\n\n| column | unit | type | meaning"
            " |\n|---|---|---|---|\n"
        )
        for c in columns(level).values():
            gate = f" Refused above {c.coarsest_pixel_um} µm/px." if c.coarsest_pixel_um else ""
            scale = {
                "percent": " Phenotype, in % of vehicle.",
                "difference": " Phenotype, as difference to vehicle.",
            }
            ratio = f" ({c.ratio.replace('_', ' ')})" if c.ratio else ""
            note = ratio + scale.get(c.scale or "", "")
            parts.append(f"| `{c.name}` | {c.unit} | {c.dtype} | {c.meaning}{gate}{note} |\n")
    return "".join(parts)
