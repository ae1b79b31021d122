"""Calls on cells that need the whole plate: pyknotic, motor neuron, mislocalised.

Each call compares a cell with reference cells of the plate. `reference` says which cells may be
among them: those of a rejected field or an excluded well may not, and are called all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import polars as pl
from pydantic import Field
from pydantic.dataclasses import dataclass

from phenotypes.plates.identity import IdentityThreshold, identity_threshold
from plate_maps.genotypes import Health
from plate_maps.health import LineHealth, asked, genotypes_of, healths
from plate_maps.names import shape
from segmentation.settings import STRICT, Positive, meaning

MIN_HEALTHY = 100


@dataclass(frozen=True, kw_only=True, config=STRICT)
class CallSettings:
    """How far from the plate's own vehicle cells a cell is called pyknotic or mislocalised."""

    pyknotic_area: Annotated[
        Positive,
        meaning(
            "A nucleus is pyknotic if its area is under this multiple of the median of the line's"
            " vehicle nuclei, …"
        ),
    ] = 0.5
    pyknotic_dna: Annotated[
        Positive, meaning("… and its mean DNA intensity over this multiple of theirs.")
    ] = 1.5
    mislocalised_percentile: Annotated[
        float,
        Field(gt=0, lt=100),
        meaning(
            "Percentile of healthy vehicle neurons' nuclear : cytoplasmic ratio below which a"
            " neuron is mislocalised."
        ),
    ] = 5.0


EVERY_CELL = pl.lit(value=True)
NO_CELL = pl.lit(value=False)


def _placed(cells: pl.DataFrame, conditions: pl.DataFrame) -> pl.DataFrame:
    return cells.join(
        conditions.select("well", "line", "control"), on="well", how="left", maintain_order="left"
    )


def mark_pyknotic(
    cells: pl.DataFrame,
    conditions: pl.DataFrame,
    settings: CallSettings | None = None,
    reference: pl.Expr = EVERY_CELL,
    clipped: pl.Expr = NO_CELL,
) -> pl.DataFrame:
    """Fill `is_pyknotic`, against vehicle nuclei of the same line on this plate.

    A nucleus is pyknotic if its area is under `pyknotic_area` × and its mean DNA intensity over
    `pyknotic_dna` × the medians of the line's vehicle nuclei; null where the line has none.
    `conditions` has well, line, control. `reference` are the cells that may be judged by, those of
    valid fields; all where it is not given. `clipped` are cells whose DNA intensity is a lower
    bound, none where it is not given: a small one that is not bright may be, and is null.
    """
    settings = settings or CallSettings()
    placed = _placed(cells, conditions)
    medians = (
        placed.filter(reference & (pl.col("control") == "vehicle") & ~pl.col("touches_border"))
        .group_by("line")
        .agg(
            pl.col("nucleus_area_um2").median().alias("area_ref"),
            pl.col("nucleus_mean_dna").median().alias("dna_ref"),
        )
    )
    small = pl.col("nucleus_area_um2") < settings.pyknotic_area * pl.col("area_ref")
    bright = pl.col("nucleus_mean_dna") > settings.pyknotic_dna * pl.col("dna_ref")
    bright = pl.when(~clipped | bright).then(bright)
    marked = placed.join(medians, on="line", how="left", maintain_order="left").with_columns(
        (small & bright).alias("is_pyknotic")
    )
    return marked.select(cells.columns)


def mark_motor_neurons(
    cells: pl.DataFrame, conditions: pl.DataFrame, reference: pl.Expr = EVERY_CELL
) -> tuple[pl.DataFrame, IdentityThreshold | None]:
    """Fill `is_motor_neuron` with the plate's threshold, or leave it null.

    The threshold comes from the `reference` cells (all where it is not given) and is None without
    an identity channel.
    """
    identity = pl.col("nucleus_mean_identity")
    if cells["nucleus_mean_identity"].null_count() == len(cells):
        return cells, None
    placed = _placed(cells, conditions).filter(reference)
    negative = placed.filter(pl.col("control") == "negative")["nucleus_mean_identity"]
    neurons = placed.filter(pl.col("is_neuron") & (pl.col("control") != "negative"))[
        "nucleus_mean_identity"
    ]
    decision = identity_threshold(neurons.drop_nulls().to_numpy(), negative.drop_nulls().to_numpy())
    if decision.threshold is None:
        return cells, decision
    return (
        cells.with_columns(
            (pl.col("is_neuron") & (identity > decision.threshold)).alias("is_motor_neuron")
        ),
        decision,
    )


def healthy_lines(conditions: pl.DataFrame, named: Sequence[str] = ()) -> list[str]:
    """Lines that mislocalisation is judged by.

    Those named, or else those with a healthy genotype in the plate map
    (`plate_maps.health`).
    """
    if named:
        lines = {shape(line): line for line in conditions["line"].drop_nulls().unique()}
        return sorted({lines.get(shape(name), name) for name in named})
    return [n for n, line in _healths(conditions).items() if line.health is Health.HEALTHY]


def _healths(conditions: pl.DataFrame) -> dict[str, LineHealth]:
    # Stained or empty wells without a line are not asked about.
    placed = conditions.filter(pl.col("line").fill_null("") != "")
    return healths(genotypes_of(placed.select("line", "genotype").unique().rows()))


def mark_mislocalised(
    cells: pl.DataFrame,
    conditions: pl.DataFrame,
    healthy: Sequence[str],
    settings: CallSettings | None = None,
    reference: pl.Expr = EVERY_CELL,
) -> tuple[pl.DataFrame, str]:
    """Fill `is_mislocalised` against intact neurons in vehicle wells of healthy lines.

    Returns the reason in words as well. The limit is a percentile of these neurons'
    nc_log2_aggregate: by construction that share of healthy neurons lies below. They are taken from
    the `reference` cells, all where it is not given.
    """
    settings = settings or CallSettings()
    ratio = pl.col("nc_log2_aggregate")
    if cells["nc_log2_aggregate"].null_count() == len(cells):
        return cells, "no aggregate channel with a nuclear : cytoplasmic ratio"
    if not healthy:
        return (
            cells,
            (
                "no healthy or isogenic line is named in the protocol (reference.healthy_lines) or"
                " by a genotype of the plate map"
                + (f": {question}" if (question := asked(_healths(conditions).values())) else "")
            ),
        )
    placed = _placed(cells, conditions).filter(reference)
    # Neurons where they are known, all nuclei elsewhere; never pyknotic ones.
    intact = pl.col("is_neuron").fill_null(value=True) & ~pl.col("is_pyknotic").fill_null(
        value=False
    )
    ratios = placed.filter(
        intact & (pl.col("control") == "vehicle") & pl.col("line").is_in(list(healthy))
    )["nc_log2_aggregate"].drop_nulls()
    if len(ratios) < MIN_HEALTHY:
        return (
            cells,
            (
                f"vehicle wells of {', '.join(healthy)} have {len(ratios)} neurons with a ratio,"
                f" {MIN_HEALTHY} are needed"
            ),
        )
    limit = float(np.percentile(ratios.to_numpy(), settings.mislocalised_percentile))
    marked = cells.with_columns((ratio < limit).alias("is_mislocalised"))
    which = f"the {settings.mislocalised_percentile:g}th percentile of {len(ratios)} neurons"
    return marked, f"log2 ratio below {limit:.3f}, {which} in vehicle wells of {', '.join(healthy)}"
