"""Numbers that rest on a channel whose camera was clipped: withheld, field by field.

A pixel at the camera's highest value says only that there was at least so much light. Where such
pixels lie in cells, levels and ratios read low, spots melt into plateaus or vanish, and pyknotic
nuclei, the brightest of all, look like intact ones: of drawn wells with 7 % pyknotic nuclei, 0.2 %
of clipped pixels leave none. Outlines, areas, counts and neurites stay as they are, and so does who
is a motor neuron, whose threshold lies far below the camera's.
"""

from __future__ import annotations

import polars as pl

from phenotypes.columns.channels import details_of, levels_of
from phenotypes.columns.column import INTENSITY_ROLES
from phenotypes.columns.statuses import CheckStatus

_FIELD = ["well", "field", "frame"]
# Cells whose DNA levels are lower bounds.
CLIPPED = pl.col("dna_clipped")


def with_clipped(cells: pl.DataFrame, fields: pl.DataFrame) -> pl.DataFrame:
    """Cells with a column `dna_clipped`: whether any DNA of their field's cells was clipped.

    No share is small enough here: a field's few pyknotic nuclei are less than 1 % of its DNA.
    """
    clipped = fields.select(*_FIELD, (pl.col("saturated_dna") > 0).alias("dna_clipped"))
    return cells.join(clipped, on=_FIELD, how="left", maintain_order="left").with_columns(
        CLIPPED.fill_null(value=False)
    )


def withhold_saturated(cells: pl.DataFrame, fields: pl.DataFrame, limit: float) -> pl.DataFrame:
    """Cells without the numbers of channels that are clipped in more than `limit` of their pixels.

    Parameters
    ----------
    fields
        Field table with `saturated_ROLE`, shares of the pixels inside nuclei or somas.
    limit
        Largest share at which a channel's numbers are given.
    """
    names = {role: f"saturated_{role}" for role in INTENSITY_ROLES}
    marked = fields.select(
        *_FIELD, *((pl.col(name) > limit).fill_null(value=False) for name in names.values())
    )
    placed = cells.select(_FIELD).join(marked, on=_FIELD, how="left", maintain_order="left")
    withheld: dict[str, pl.Series] = {}
    for role, name in names.items():
        clipped = placed[name].fill_null(value=False)
        if clipped.any():
            for column in (*levels_of(role), *details_of(role)):
                withheld[column] = withheld.get(column, clipped) | clipped
    return cells.with_columns(
        pl.when(~clipped).then(pl.col(column)).alias(column) for column, clipped in withheld.items()
    )


def saturation_notes(fields: pl.DataFrame, limit: float) -> list[dict[str, object]]:
    """A warning for each channel that is clipped in some field, for the table of checks."""
    notes: list[dict[str, object]] = []
    for role in INTENSITY_ROLES:
        share = pl.col(f"saturated_{role}")
        clipped = fields.filter(share > (0 if role == "dna" else limit))
        if clipped.is_empty():
            continue
        held = clipped.filter(share > limit)
        words = [
            f"its levels, ratios and spots are not given in {len(held)} of {len(fields)} fields"
        ] * (not held.is_empty())
        if role == "dna":
            words.append(
                f"small nuclei that are not bright may be pyknotic in {len(clipped)} fields, whose"
                " wells have no pyknotic_fraction where they have such nuclei"
            )
        wells = clipped["well"].unique().sort()
        notes.append(
            {
                "check": "saturation",
                "subject": role,
                "status": CheckStatus.WARNING,
                "reason": f"the camera is clipped: {'; '.join(words)}. Expose less next time",
                "value": clipped[f"saturated_{role}"].max(),
                "n_wells": len(wells),
            }
        )
    return notes
