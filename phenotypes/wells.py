"""Cells ► wells: counts, densities, means; and what can be said only with the whole plate in view."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from phenotypes.columns import INTENSITY_ROLES, conform

PYKNOTIC_AREA = 0.5
PYKNOTIC_DNA = 1.5
# A mean over fewer cells says more about those cells than about the well, and its scatter would pass for an effect at the
# doses that kill. Counts and densities are never withheld: few cells are their message.
MIN_CELLS = 20


def mark_pyknotic(cells: pl.DataFrame, conditions: pl.DataFrame) -> pl.DataFrame:
    """Fill `is_pyknotic`, against vehicle nuclei of the same line on this plate.

    A nucleus is pyknotic if its area is under 0.5 × and its mean DNA intensity over 1.5 × the medians of the line's
    vehicle nuclei; null where the line has none. `conditions` has well, line, control.
    """
    placed = cells.join(conditions.select("well", "line", "control"), on="well", how="left", maintain_order="left")
    reference = (
        placed.filter((pl.col("control") == "vehicle") & ~pl.col("touches_border"))
        .group_by("line")
        .agg(pl.col("nucleus_area_um2").median().alias("area_ref"), pl.col("nucleus_mean_dna").median().alias("dna_ref"))
    )
    return (
        placed.join(reference, on="line", how="left", maintain_order="left")
        .with_columns(
            (
                (pl.col("nucleus_area_um2") < PYKNOTIC_AREA * pl.col("area_ref"))
                & (pl.col("nucleus_mean_dna") > PYKNOTIC_DNA * pl.col("dna_ref"))
            ).alias("is_pyknotic")
        )
        .select(cells.columns)
    )


def well_table(
    cells: pl.DataFrame, fields: pl.DataFrame, conditions: pl.DataFrame, outcomes: Mapping[str, tuple[str, str]]
) -> pl.DataFrame:
    """One row a well of the plate map, in the map's order; wells without numbers carry status and reason.

    Parameters
    ----------
    cells, fields
        All cells (with `is_pyknotic`) and fields of the plate.
    conditions
        well, line, genotype, compound, dose_molar, control, batch; one row a well.
    outcomes
        Well ► (status, reason).
    """
    neurons_known = cells["is_neuron"].null_count() < len(cells)
    # Null where the line has no vehicle to tell pyknotic nuclei by: then nobody knows how many live.
    intact = ~pl.col("is_pyknotic")
    live = intact & pl.col("is_neuron").fill_null(value=not neurons_known)
    whole = live & ~pl.col("touches_border")
    means = {
        "nucleus_area_mean": pl.col("nucleus_area_um2").filter(whole),
        "soma_area_mean": pl.col("soma_area_um2").filter(whole),
        "puncta_per_neuron": pl.col("puncta_count").filter(live),
        "puncta_positive_fraction": pl.col("puncta_count").filter(live) > 0,
    }
    for role in INTENSITY_ROLES:
        means |= {f"{name}_{role}": pl.col(f"{name}_{role}").filter(live) for name in ("nucleus_mean", "nc_log2")}
    aggregates = [
        pl.len().alias("nuclei_count"),
        pl.when(pl.col("is_pyknotic").is_not_null().all()).then(live.sum()).alias("live_count"),
        pl.when(pl.col("is_pyknotic").is_not_null().any()).then(pl.col("is_pyknotic").mean()).alias("pyknotic_fraction"),
        *(pl.when(values.count() >= MIN_CELLS).then(values.mean()).alias(name) for name, values in means.items()),
    ]
    # Well by well: a threaded group_by sums in an order of its own, and the last digit would change from run to run.
    by_cell = pl.concat(
        [cells.clear().select(pl.col("well"), *aggregates).clear()]
        + [part.select(pl.col("well").first(), *aggregates) for part in cells.partition_by("well", maintain_order=True)]
    )
    by_field = fields.group_by("well").agg(
        pl.len().alias("n_fields"),
        pl.col("area_mm2").sum(),
        pl.when(pl.col("neurite_length_um").is_not_null().all()).then(pl.col("neurite_length_um").sum()).alias("neurite_length_total"),
    )
    status = pl.DataFrame(
        {
            "well": list(outcomes),
            "status": [s for s, _ in outcomes.values()],
            "reason": [r for _, r in outcomes.values()],
        },
        schema={"well": pl.String, "status": pl.String, "reason": pl.String},
    )
    done = pl.col("status") == "done"
    table = (
        conditions.join(status, on="well", how="left", maintain_order="left")
        .join(by_field, on="well", how="left", maintain_order="left")
        .join(by_cell, on="well", how="left", maintain_order="left")
        # A measured well without a single nucleus has a count: none.
        .with_columns(
            pl.when(done & pl.col("nuclei_count").is_null()).then(0).otherwise(pl.col(c)).alias(c) for c in ("live_count", "nuclei_count")
        )
        .with_columns((pl.col("live_count") if neurons_known else pl.lit(None, pl.Int64)).alias("neuron_count"))
        .with_columns(
            (pl.col("nuclei_count") / pl.col("area_mm2")).alias("nuclei_density"),
            (pl.col("live_count") / pl.col("area_mm2")).alias("live_density"),
            (pl.col("neurite_length_total") / 1000 / pl.col("area_mm2")).alias("neurite_length_density"),
            pl.when(pl.col("neuron_count") >= MIN_CELLS)
            .then(pl.col("neurite_length_total") / pl.col("neuron_count"))
            .alias("neurite_length_per_neuron"),
        )
    )
    vehicle = vehicle_means(table, "live_density")
    table = table.with_columns(
        pl.when(vehicle > 0).then(pl.col("live_density") / vehicle).alias("survival_fixed"),
    )
    return conform(table, "well")


def vehicle_means(wells: pl.DataFrame, name: str) -> pl.Series:
    """For every well the mean of a column over the vehicle wells of its line that are done; null where there are none."""
    vehicles = wells.filter((pl.col("status") == "done") & (pl.col("control") == "vehicle"))
    means = {line: vehicles.filter(pl.col("line") == line)[name].mean() for line in wells["line"].unique()}
    return pl.Series(name, [means[line] for line in wells["line"]], dtype=pl.Float64)
