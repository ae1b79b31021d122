"""Variance components of a screen: what makes its effects scatter, for planning the next one.

    y = µ + u_donor + s_batch + e_line×batch + wells / n + vehicle wells / m

per compound at the dose at which lines are compared. The scatter of a row's batches gives the sum
of all parts but the donors'; lines of a batch that move together give the part of the batch; the
scatter of wells within a condition gives the parts of the wells; what is left is the line's own.
Donors are compared within batches. All are moments (unbiased mean squares pooled over compounds),
so a part may come out at 0.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from phenotypes.columns.dictionary import phenotype as phenotype_column
from phenotypes.columns.statuses import DoseStatus
from phenotypes.screens.batches.moderated import independent_freedom
from phenotypes.screens.lines import MIN_BATCHES, batch_effects, line_effects
from phenotypes.statistics.crossed import (
    BATCHES,
    REST,
    crossed_design,
    mean_squares,
    shared_variance,
)
from phenotypes.statistics.meta_analysis import MIN_STUDIES
from phenotypes.statistics.moderation import MIN_ROWS, variance_prior

# With ten independent degrees of freedom the 95 % interval of a standard deviation goes from 0.70
# to 1.75 times its estimate.
MIN_FREEDOM = 10


class NotEstimableError(ValueError):
    """Raised where a screen holds too little to estimate what makes it scatter."""


@dataclass(frozen=True)
class DonorComponents:
    """Between donors: the variance of their effects, and what borrowing over compounds is worth.

    `compounds` says of which compounds the variance is. `batches_freedom` and `rest_freedom` are
    the prior's degrees of freedom of the mean squares of batches and of the rest, None where they
    cannot be borrowed.
    """

    variance: float
    compounds: str
    n_donors: int
    n_compounds: int
    batches_freedom: float | None
    rest_freedom: float | None


@dataclass(frozen=True)
class Components:
    """Variances of one phenotype, in squared units of the effect.

    `batch` is shared by the lines of a batch, `line` is the rest between batches; `wells` and
    `vehicles` are of single wells. `total` is the mean variance of rows between batches, as it was
    measured, with `freedom` independent degrees of freedom. `prior_variance` and `prior_freedom`
    describe how rows differ in theirs; None where rows cannot borrow, with `not_borrowed`. `donors`
    is None with `no_donors` as the reason. `arms` are conditions that share the vehicle wells of a
    line's plate.
    """

    phenotype: str
    batch: float
    line: float
    wells: float
    vehicles: float
    total: float
    freedom: float
    prior_variance: float | None
    prior_freedom: float | None
    not_borrowed: str
    donors: DonorComponents | None
    no_donors: str
    arms: int
    doses: int
    n_lines: int
    n_compounds: int
    n_rows: int
    n_wells: int
    n_vehicles: int


def variance_components(
    plates: pl.DataFrame,
    name: str,
    doses: Mapping[str, float],
    *,
    donors: Mapping[str, str] | None = None,
    healthy: Collection[str] = (),
    working: Collection[str] = (),
) -> Components:
    """Estimate the variance components of one phenotype of a screen.

    Parameters
    ----------
    plates
        Conditions of all plates, from `plate_effects`.
    name
        The phenotype.
    doses
        Compound ► mol/L at which lines are compared.
    donors, healthy
        Line ► donor (the line itself if not given), and the lines without disease, which are no
        part of the variance between donors.
    working
        Compounds that are known to do something. Donors may differ under them as under no other
        compound, so they give the variance between donors where they are enough.

    Raises
    ------
    NotEstimableError
        Under two batches, under ten rows, under ten independent degrees of freedom, or where wells
        were not replicated.
    """
    of_name = plates.filter(pl.col("phenotype") == name)
    chosen = pl.DataFrame(
        {"compound": list(doses), "dose_molar": list(doses.values())},
        schema={"compound": pl.String, "dose_molar": pl.Float64},
    )
    treated = of_name.filter(pl.col("control") == "none").join(
        chosen, on=["compound", "dose_molar"], how="semi", maintain_order="left"
    )
    if treated.is_empty():
        raise NotEstimableError(
            f"{name}: no treated well has a value; fit a screen that measured it"
        )
    batches = batch_effects(treated)
    rows = line_effects(batches).filter(pl.col("status") == DoseStatus.OK)
    n_rows = len(rows)
    if treated["batch"].n_unique() < MIN_BATCHES or n_rows == 0:
        raise NotEstimableError(
            f"{name}: no line has a compound in two differentiation batches that differ, so nothing"
            " is known of how batches scatter; add a batch"
        )
    if n_rows < MIN_ROWS:
        raise NotEstimableError(
            f"{name}: {n_rows} lines × compounds were measured in two batches; {MIN_ROWS} are"
            " needed"
        )
    freedom = independent_freedom(rows, batches)
    if freedom < MIN_FREEDOM:
        raise NotEstimableError(
            f"{name}: rows of the same batches move together, and are worth {freedom:.1f} degrees"
            f" of freedom; {MIN_FREEDOM} are needed: add batches or compounds"
        )
    n = rows["n_batches"].to_numpy().astype(float)
    variances = rows["error"].to_numpy() ** 2 * n
    total = float(np.average(variances, weights=n - 1))
    between_wells = batches["error"].drop_nulls().to_numpy() ** 2
    wells, vehicles = _well_variances(of_name, treated, name)
    shared = min(_shared_by_lines(batches, rows), total)
    prior = variance_prior(variances, n - 1, most=freedom)
    of_donors, no_donors = _donors(batches, rows, donors or {}, healthy, working)
    arms = (
        of_name.filter(pl.col("control") == "none")
        .group_by("plate", "line")
        .agg(pl.struct("compound", "dose_molar").n_unique().alias("n"))["n"]
    )
    tested = (
        of_name.filter(pl.col("control") == "none")
        .group_by("line", "compound")
        .agg(pl.col("dose_molar").n_unique().alias("n"))["n"]
    )
    return Components(
        name,
        shared,
        max(0.0, total - shared - float(between_wells.mean())),
        wells,
        vehicles,
        total,
        freedom,
        None if prior is None else prior.variance,
        None if prior is None else prior.freedom,
        "half of the rows do not vary between batches" if prior is None else "",
        of_donors,
        no_donors,
        _typical(arms),
        _typical(tested),
        rows["line"].n_unique(),
        rows["compound"].n_unique(),
        n_rows,
        _typical(treated["n_wells"]),
        _typical(treated["n_vehicle"]),
    )


def _typical(counts: pl.Series) -> int:
    return max(1, round(float(np.median(counts.to_numpy()))))


def _well_variances(of_name: pl.DataFrame, treated: pl.DataFrame, name: str) -> tuple[float, float]:
    """Variance of single treated and vehicle wells within a plate, on the scale of effects."""
    variances = []
    for what, table in (
        ("treated", treated),
        ("vehicle", of_name.filter(pl.col("control") == "vehicle")),
    ):
        part = table.filter((pl.col("n_wells") > 1) & pl.col("level_sd").is_not_null())
        relative = phenotype_column(name).scale == "percent"
        if relative:
            part = part.filter(pl.col("level") > 0)
        if part.is_empty():
            raise NotEstimableError(
                f"{name}: no {what} condition has two wells of a line on a plate, so nothing is"
                " known of how wells scatter; replicate them"
            )
        sd = part["level_sd"].to_numpy()
        if relative:
            sd = sd / part["level"].to_numpy() / np.log(2)
        variances.append(float(np.average(sd**2, weights=part["n_wells"].to_numpy() - 1)))
    if min(variances) <= 0:
        raise NotEstimableError(
            f"{name}: wells of the same condition all have the very same value, which gives no"
            " scale to plan by"
        )
    return variances[0], variances[1]


def _shared_by_lines(batches: pl.DataFrame, rows: pl.DataFrame) -> float:
    """Variance of a batch that all of its lines share; 0 where no batch holds two lines."""
    beyond = scale = 0.0
    for part in _cells(batches, rows).partition_by("compound"):
        if part["line"].n_unique() < 2:
            continue
        design = crossed_design(part["line"].to_list(), part["batch"].to_list())
        if min(design.freedom[BATCHES], design.freedom[REST]) < 1:
            continue
        squares = mean_squares(part["effect"].to_numpy(), design).values
        beyond += float((squares[BATCHES] - squares[REST]) * design.freedom[BATCHES])
        scale += float(design.expected[BATCHES, BATCHES])
    return max(0.0, beyond / scale) if scale else 0.0


def _cells(batches: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Effects per line, compound and batch of the rows."""
    return batches.join(rows.select("line", "compound"), on=["line", "compound"], how="semi").sort(
        "compound", "line", "batch"
    )


def _donors(
    batches: pl.DataFrame,
    rows: pl.DataFrame,
    donors: Mapping[str, str],
    healthy: Collection[str],
    working: Collection[str],
) -> tuple[DonorComponents | None, str]:
    """Variance between donors within batches, or the reason why there is none."""
    cells = (
        _cells(batches, rows)
        .filter(~pl.col("line").is_in(list(healthy)))
        .with_columns(pl.col("line").replace_strict(dict(donors), default=pl.col("line")))
        .group_by("compound", "line", "batch")
        .agg(pl.col("effect").mean())
        .sort("compound", "line", "batch")
    )
    n_donors = cells["line"].n_unique()
    if n_donors < MIN_STUDIES:
        return None, f"{n_donors} donors of disease lines; a mean over donors needs {MIN_STUDIES}"
    designs, squares, of_compound = [], [], []
    for part in cells.partition_by("compound"):
        if part["line"].n_unique() < MIN_STUDIES:
            continue
        design = crossed_design(part["line"].to_list(), part["batch"].to_list())
        if min(design.freedom[REST], design.freedom[BATCHES], design.among_freedom) < 1:
            continue
        y = part["effect"].to_numpy()
        designs.append(design)
        squares.append(mean_squares(y, design))
        rest = float(squares[-1].values[REST])
        beyond = float(y @ design.among @ y) - rest * design.among_freedom
        of_compound.append(
            (part["compound"][0], beyond, design.among_expected, design.among_freedom)
        )
    known = [c for c in of_compound if c[0] in working]
    which = "compounds with a hit"
    if sum(c[3] for c in known) < MIN_FREEDOM:
        known, which = of_compound, "all compounds"
    if sum(c[3] for c in known) < MIN_FREEDOM:
        return None, (
            f"{len(of_compound)} compounds were given to {MIN_STUDIES} donors in shared batches;"
            f" the variance between donors needs {MIN_FREEDOM} degrees of freedom"
        )
    variance = max(0.0, sum(c[1] for c in known) / sum(c[2] for c in known))
    common = shared_variance(squares, designs)
    return (
        DonorComponents(
            variance,
            which,
            n_donors,
            len(of_compound),
            None if common is None else common.batches_prior.freedom,
            None if common is None else common.rest_prior.freedom,
        ),
        "",
    )
