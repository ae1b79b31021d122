"""Cells ► wells: counts, densities, means over cells, and ratios of sums over valid fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import polars as pl
from pydantic.dataclasses import dataclass

from phenotypes.cells.neurites import AttributionSettings
from phenotypes.columns.dictionary import INTENSITY_ROLES, SHOLL_UM, conform
from phenotypes.columns.statuses import WellStatus
from segmentation.filters.contrast import OTHER_FLOORS
from segmentation.settings import STRICT, Count, Positive, meaning

# Well columns of single neurons, which crossings of neurites can spoil.
PER_NEURON = (
    "primary_neurites_mean",
    "max_process_mean",
    "mean_process_mean",
    *(f"sholl_{r}um_mean" for r in SHOLL_UM),
)
# Phenotypes of a whole well, which are given however few cells it has.
COUNTED = ("live_density", "nuclei_density", "neurite_length_density", "pyknotic_fraction")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class WellSettings(AttributionSettings):
    """Which cells a well's numbers describe, and how many a mean needs.

    A mean over fewer than `min_cells` describes those cells rather than the well, and its scatter
    would look like an effect at the doses that kill. Counts and densities are never withheld: few
    cells are their finding.
    """

    min_soma_area_um2: Annotated[Positive, meaning("Smaller somas are not living neurons.")] = 40.0
    many_puncta: Annotated[
        Count, meaning("Number of puncta from which a cell counts in puncta_many_fraction.")
    ] = 3
    min_cells: Annotated[Count, meaning("Means of a well over fewer cells are withheld.")] = 20
    min_vehicle_wells: Annotated[
        Count, meaning("Responses relative to fewer vehicle wells of the line are withheld.")
    ] = 4


def well_table(
    cells: pl.DataFrame,
    fields: pl.DataFrame,
    conditions: pl.DataFrame,
    outcomes: Mapping[str, tuple[str, str]],
    settings: WellSettings | None = None,
) -> pl.DataFrame:
    """One row per well of the plate map, in the map's order.

    Wells without numbers have a status and a reason.

    Parameters
    ----------
    cells, fields
        All cells (with their calls, see `phenotypes.plates.calls`) and fields of the plate, of one
        time point. Fields that are not `valid` are left out, with their cells; null counts as
        valid.
    conditions
        well, line, genotype, compound, dose_molar, control, batch; one row per well.
    outcomes
        Well ► (status, reason).
    """
    settings = settings or WellSettings()
    used = fields.filter(pl.col("valid").fill_null(value=True))
    cells = cells.join(
        used.select("well", "field"), on=["well", "field"], how="semi", maintain_order="left"
    )
    population = _population(cells)
    by_cell = _by_well(cells, _over_cells(cells, population, settings))
    by_field = _by_well(used, _over_fields(), fields.select("well").unique(maintain_order=True))
    counts = fields.group_by("well").agg(pl.len().alias("n_fields"))
    status = pl.DataFrame(
        {
            "well": list(outcomes),
            "status": [s for s, _ in outcomes.values()],
            "reason": [r for _, r in outcomes.values()],
        },
        schema={"well": pl.String, "status": pl.String, "reason": pl.String},
    )
    done = pl.col("status") == WellStatus.DONE
    neurons = cells["is_neuron"].null_count() < len(cells)
    table = conditions
    for part in (status, counts, by_field, by_cell):
        table = table.join(part, on="well", how="left", maintain_order="left")
    # A measured well without a nucleus has a count: 0.
    counted = [
        "nuclei_count",
        "live_count",
        *(["neuron_count"] if neurons else []),
        *(["motor_neuron_count"] if population == "motor neurons" else []),
    ]
    none_found = done & pl.col("nuclei_count").is_null() & (pl.col("n_valid_fields") > 0)
    table = table.with_columns(
        pl.when(none_found).then(0).otherwise(pl.col(c)).alias(c) for c in counted
    )
    neuron_count = pl.col("neuron_count")
    # Not count / area: where all wells have one area Polars multiplies by its reciprocal, where one
    # differs it divides, and a rejected field in one well would move the last digit of all others.
    per_mm2 = pl.when(pl.col("area_mm2") > 0).then(1 / pl.col("area_mm2"))
    table = table.with_columns(
        pl.when(done).then(pl.lit(population)).alias("population"),
        (pl.col("nuclei_count") * per_mm2).alias("nuclei_density"),
        (pl.col("live_count") * per_mm2).alias("live_density"),
        (pl.col("neurite_length_total") / 1000 * per_mm2).alias("neurite_length_density"),
        pl.when(neuron_count >= settings.min_cells)
        .then(pl.col("neurite_length_total") / neuron_count)
        .alias("neurite_length_per_neuron"),
        pl.when(neuron_count >= settings.min_cells)
        .then(pl.col("motor_neuron_count") / neuron_count)
        .alias("purity"),
        *(
            pl.when(pl.col("attribution_conflict_fraction") <= settings.max_conflict)
            .then(pl.col(name))
            .alias(name)
            for name in PER_NEURON
        ),
    )
    vehicle = vehicle_means(table, "live_density")
    return conform(
        table.with_columns(
            pl.when(vehicle > 0).then(pl.col("live_density") / vehicle).alias("survival_fixed")
        ),
        "well",
    )


def _population(cells: pl.DataFrame) -> str:
    if cells["is_motor_neuron"].null_count() < len(cells):
        return "motor neurons"
    return "neurons" if cells["is_neuron"].null_count() < len(cells) else "nuclei"


def _over_cells(cells: pl.DataFrame, population: str, settings: WellSettings) -> list[pl.Expr]:
    stained = cells["nucleus_area_um2"].null_count() < len(cells)
    # Null where a nucleus cannot be called, for want of vehicle or of light that was not clipped:
    # then live cells are unknown, but for those that could not be any.
    intact = ~pl.col("is_pyknotic") if stained else pl.lit(value=True)
    neuron = intact & pl.col("is_neuron").fill_null(value=False)
    large = (pl.col("soma_area_um2") >= settings.min_soma_area_um2).fill_null(value=False)
    motor = neuron & pl.col("is_motor_neuron").fill_null(value=False)
    alive = {"motor neurons": motor & large, "neurons": neuron & large, "nuclei": intact}[
        population
    ]
    live = alive.fill_null(value=False)
    whole = live & ~pl.col("touches_border")
    means = {
        "nucleus_area_mean": pl.col("nucleus_area_um2").filter(whole),
        "soma_area_mean": pl.col("soma_area_um2").filter(whole),
        "mislocalised_fraction": pl.col("is_mislocalised").filter(live).cast(pl.Float64),
        "puncta_per_neuron": pl.col("puncta_count").filter(live),
        "puncta_area_per_neuron": pl.col("puncta_area_um2").filter(live),
        "puncta_positive_fraction": (pl.col("puncta_count") > 0).filter(live).cast(pl.Float64),
        "puncta_many_fraction": (
            (pl.col("puncta_count") >= settings.many_puncta).filter(live).cast(pl.Float64)
        ),
        "granules_per_neuron": pl.col("granule_count").filter(live),
        "granule_area_fraction": pl.col("granule_area_fraction").filter(live),
        "granule_positive_fraction": (pl.col("granule_count") > 0).filter(live).cast(pl.Float64),
        "manders_m1_mean": pl.col("manders_m1").filter(live),
        "manders_excess_mean": (pl.col("manders_m1") - pl.col("manders_null")).filter(live),
        "rim_log2_mean": pl.col("rim_log2_envelope").filter(whole),
        "rim_cv_mean": pl.col("rim_cv_envelope").filter(whole),
        "primary_neurites_mean": pl.col("primary_neurites").filter(whole),
        "max_process_mean": pl.col("max_process_um").filter(whole),
        **{f"sholl_{r}um_mean": pl.col(f"sholl_{r}um").filter(whole) for r in SHOLL_UM},
    }
    for role in INTENSITY_ROLES:
        means |= {
            f"{name}_{role}": pl.col(f"{name}_{role}").filter(live)
            for name in ("nucleus_mean", "nc_log2")
        }
    processes = pl.col("primary_neurites").filter(whole)
    known = population != "nuclei"
    return [
        pl.len().alias("nuclei_count"),
        (_number(neuron) if known else pl.lit(None, pl.Int64)).alias("neuron_count"),
        (_number(motor) if population == "motor neurons" else pl.lit(None, pl.Int64)).alias(
            "motor_neuron_count"
        ),
        _number(alive).alias("live_count"),
        pl.when(pl.col("is_pyknotic").is_not_null().all())
        .then(pl.col("is_pyknotic").mean())
        .alias("pyknotic_fraction"),
        pl.when((processes.count() >= settings.min_cells) & (processes.sum() > 0))
        .then(pl.col("neurite_length_um").filter(whole).sum() / processes.sum())
        .alias("mean_process_mean"),
        *(
            pl.when(values.count() >= settings.min_cells).then(values.mean()).alias(name)
            for name, values in means.items()
        ),
    ]


def _number(of: pl.Expr) -> pl.Expr:
    """How many cells these are; null where it is unknown of any."""
    return pl.when(of.is_not_null().all()).then(of.sum())


def _over_fields() -> list[pl.Expr]:
    length = pl.col("neurite_length_um")
    # With one field without a length, the well's total and every ratio to it would cover fewer
    # fields than its area.
    complete = length.is_not_null().all() & (pl.len() > 0)

    def per_100um(name: str) -> pl.Expr:
        return pl.when(complete & (length.sum() > 0)).then(100 * pl.col(name).sum() / length.sum())

    def weighted(name: str) -> pl.Expr:
        known = length.filter(pl.col(name).is_not_null()).sum()
        return pl.when(complete & (known > 0)).then((pl.col(name) * length).sum() / known)

    measured = {
        name: pl.col(name).is_not_null().any()
        for name in ("neurite_branch_points", "neurite_tips", "neurite_beads")
    }
    return [
        pl.len().alias("n_valid_fields"),
        pl.col("label_version").max(),
        # A table from before 0.3.0 knows the imaged area only.
        pl.coalesce("valid_area_mm2", "area_mm2").sum().alias("area_mm2"),
        pl.when(complete).then(length.sum()).alias("neurite_length_total"),
        weighted("attribution_conflict_fraction").alias("attribution_conflict_fraction"),
        *(weighted(name).alias(name) for name in OTHER_FLOORS),
        pl.when(measured["neurite_branch_points"])
        .then(per_100um("neurite_branch_points"))
        .alias("branch_points_per_100um"),
        pl.when(measured["neurite_tips"]).then(per_100um("neurite_tips")).alias("tips_per_100um"),
        pl.when(measured["neurite_beads"])
        .then(per_100um("neurite_beads"))
        .alias("beads_per_100um"),
        pl.when(
            complete
            & (pl.col("neurite_area_um2").sum() > 0)
            & pl.col("neurite_fragment_um2").is_not_null().all()
        )
        .then(pl.col("neurite_fragment_um2").sum() / pl.col("neurite_area_um2").sum())
        .alias("fragmentation_index"),
        weighted("neurite_width_um").alias("neurite_width_mean"),
        weighted("neurite_straightness").alias("straightness_mean"),
        ((pl.col("clump_fraction") * pl.col("nuclei_count")).sum() / pl.col("nuclei_count").sum())
        .fill_nan(None)
        .alias("clump_fraction"),
        pl.col("qc")
        .drop_nulls()
        .filter(pl.col("qc").drop_nulls() != "")
        .unique(maintain_order=True)
        .str.join("; ")
        .alias("qc"),
    ]


def _by_well(
    table: pl.DataFrame, aggregates: list[pl.Expr], every: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Aggregates of each well, in the table's order.

    With `every`, its wells without rows have null and 0 fields.

    Well by well: a threaded group_by sums in an order of its own, and the last digit would change
    from run to run.
    """
    empty = table.clear().select(pl.col("well"), *aggregates).clear()
    parts = [
        part.select(pl.col("well").first(), *aggregates)
        for part in table.partition_by("well", maintain_order=True)
    ]
    aggregated = pl.concat([empty, *parts])
    if every is None:
        return aggregated
    return every.join(aggregated, on="well", how="left", maintain_order="left").with_columns(
        pl.col("n_valid_fields").fill_null(0)
    )


def vehicle_means(wells: pl.DataFrame, name: str) -> pl.Series:
    """Mean of a column over the vehicle wells of each well's line that are done.

    Null where there are none.
    """
    vehicles = wells.filter(
        (pl.col("status") == WellStatus.DONE) & (pl.col("control") == "vehicle")
    )
    means = {
        line: vehicles.filter(pl.col("line") == line)[name].mean()
        for line in wells["line"].unique()
    }
    return pl.Series(name, [means[line] for line in wells["line"]], dtype=pl.Float64)
