"""Vehicles of a line that are unlike the rest: a batch whose compounds all seem to work.

Every effect is relative to the vehicle of its line, batch and plate. If that vehicle is off, all
compounds of the batch are off by as much, the other way: their mean effect is looked at, each
compound at its lowest dose, where least of them work. Beside it stands the vehicle's own level
among those of the line's other batches, with a tolerance band.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import stats

from phenotypes.columns.dictionary import conform, empty_table, phenotype
from phenotypes.columns.statuses import VehicleHistoryStatus, VehicleStatus

Real = NDArray[np.float64]
# Of fewer compounds a few that work are the mean.
MIN_COMPOUNDS = 6
# A band of fewer batches holds everything.
MIN_HISTORY = 5
ALPHA = 0.05
# Share of batches that the band is to hold, with 95 % confidence.
_CONTENT = 0.95
_GROUP = ["phenotype", "line", "batch"]


def vehicles_of(levels: pl.DataFrame, batches: pl.DataFrame) -> pl.DataFrame:
    """Judge vehicles: one row per phenotype × line × batch.

    Parameters
    ----------
    levels, batches
        Tables of `vehicle_levels` and `batch_effects`.

    Returns
    -------
    Level "vehicle" of the dictionary. `status` is `odd` where the mean effect of the compounds
    differs from 0 by more than chance over all rows of the phenotype (Bonferroni) and by more than
    their median scatter; `history_status` is `outside` where the level lies outside the band of the
    line's other batches.
    """
    if levels.is_empty():
        return empty_table("vehicle")
    table = levels.join(_shifts(batches), on=_GROUP, how="left", maintain_order="left")
    rows = [_judged(part) for part in table.partition_by("phenotype", maintain_order=True)]
    return conform(pl.concat(rows), "vehicle")


def _shifts(batches: pl.DataFrame) -> pl.DataFrame:
    """Mean over compounds of the effect at each compound's lowest dose."""
    treated = batches.filter((pl.col("control") == "none") & pl.col("effect").is_finite())
    lowest = treated.filter(
        pl.col("dose_molar") == pl.col("dose_molar").min().over(*_GROUP, "compound")
    )
    return lowest.group_by(_GROUP).agg(
        pl.len().cast(pl.Int64).alias("n_compounds"),
        pl.col("effect").mean().alias("shift"),
        pl.col("effect").std().alias("scatter"),
    )


def vehicle_levels(plates: pl.DataFrame) -> pl.DataFrame:
    """Level of the vehicle per phenotype × line × batch, of the table of `plate_effects`.

    Its wells' mean, as a logarithm for phenotypes that are ratios, with the standard error and
    degrees of freedom of its wells.
    """
    names = plates["phenotype"].unique().to_list()
    ratios = [n for n in names if phenotype(n).scale == "percent"]
    vehicle = plates.filter((pl.col("control") == "vehicle") & pl.col("level").is_finite())
    is_ratio = pl.col("phenotype").is_in(ratios)
    logged = pl.when(is_ratio).then(pl.col("level").log(2)).otherwise(pl.col("level"))
    # The standard error of the plate's mean, by the delta method for a logarithm.
    scale = pl.when(is_ratio).then(pl.col("level") * float(np.log(2))).otherwise(1.0)
    error = pl.col("level_sd") / pl.col("n_wells").sqrt() / scale
    return (
        vehicle.group_by(_GROUP)
        .agg(
            logged.mean().alias("level"),
            ((error**2).sum().sqrt() / pl.len()).alias("vehicle_error"),
            (pl.col("n_wells") - 1).sum().alias("freedom"),
            pl.col("n_wells").sum().alias("n_wells"),
        )
        .filter(pl.col("level").is_finite())
        .sort(_GROUP)
    )


def _judged(table: pl.DataFrame) -> pl.DataFrame:
    """Intervals, bands and statuses of one phenotype."""
    n = table["n_compounds"].fill_null(0).to_numpy().astype(float)
    enough = n >= MIN_COMPOUNDS
    shift, scatter = (table[c].fill_null(np.nan).to_numpy() for c in ("shift", "scatter"))
    # Compounds scatter, and all of them share the vehicle's own error.
    of_compounds = np.where(enough, scatter**2 / np.maximum(n, 1), np.nan)
    of_vehicle = table["vehicle_error"].fill_null(0.0).to_numpy() ** 2
    freedom = np.maximum(table["freedom"].fill_null(1).to_numpy(), 1)
    error = np.sqrt(of_compounds + of_vehicle)
    with np.errstate(invalid="ignore", divide="ignore"):
        degrees = (of_compounds + of_vehicle) ** 2 / (
            of_compounds**2 / (n - 1) + of_vehicle**2 / freedom
        )
    half_width = stats.t.ppf(1 - ALPHA / 2, degrees) * error
    limit = stats.t.ppf(1 - ALPHA / 2 / max(int(enough.sum()), 1), degrees) * error
    typical = float(np.nanmedian(scatter[enough])) if enough.any() else 0.0
    odd = enough & (np.abs(shift) > limit) & (np.abs(shift) > typical)
    low, high, known = _bands(table)
    level = table["level"].to_numpy()
    outside = known & ((level < low) | (level > high))
    status = np.where(
        ~enough, VehicleStatus.TOO_FEW_COMPOUNDS, np.where(odd, VehicleStatus.ODD, VehicleStatus.OK)
    )
    history = np.where(
        ~known,
        VehicleHistoryStatus.TOO_FEW_BATCHES,
        np.where(outside, VehicleHistoryStatus.OUTSIDE, VehicleHistoryStatus.WITHIN),
    )
    numbers = {
        "shift_low": shift - half_width,
        "shift_high": shift + half_width,
        "history_low": low,
        "history_high": high,
    }
    return table.drop("scatter", "vehicle_error", "freedom").with_columns(
        pl.Series("shift", np.where(enough, shift, np.nan)).fill_nan(None),
        pl.col("n_compounds").fill_null(0),
        pl.Series("status", status.tolist(), dtype=pl.String),
        pl.Series("history_status", history.tolist(), dtype=pl.String),
        *(pl.Series(name, values).fill_nan(None) for name, values in numbers.items()),
    )


def _bands(table: pl.DataFrame) -> tuple[Real, Real, NDArray[np.bool_]]:
    """Tolerance band of the line's other batches for each row, and where there are enough."""
    level, lines = table["level"].to_numpy(), table["line"].to_numpy()
    low, high = np.full(len(level), np.nan), np.full(len(level), np.nan)
    for i in range(len(level)):
        others = level[(lines == lines[i]) & (np.arange(len(level)) != i)]
        if len(others) >= MIN_HISTORY:
            half_width = tolerance_factor(len(others)) * float(others.std(ddof=1))
            low[i], high[i] = others.mean() - half_width, others.mean() + half_width
    return low, high, np.isfinite(low)


def tolerance_factor(n: int, content: float = _CONTENT, confidence: float = 0.95) -> float:
    """Factor k of the two-sided normal tolerance band mean ± k·SD of n values.

    Howe, J. Am. Stat. Assoc. 64:610, 1969; for 10 values, 95 % and 95 %, 3.38.

    Examples
    --------
    >>> round(tolerance_factor(10), 2)
    3.4
    """
    z = float(stats.norm.ppf((1 + content) / 2))
    return z * float(np.sqrt((n - 1) * (1 + 1 / n) / stats.chi2.ppf(1 - confidence, n - 1)))


def odd_batches(vehicles: pl.DataFrame) -> dict[tuple[str, str], list[str]]:
    """(phenotype, line) ► sentences on its odd vehicles, for the rows of the screen."""
    sentences: dict[tuple[str, str], list[str]] = {}
    for r in vehicles.filter(pl.col("status") == VehicleStatus.ODD).iter_rows(named=True):
        sentences.setdefault((r["phenotype"], r["line"]), []).append(
            f"the vehicle of batch {r['batch'] or 'unnamed'} is odd: its {r['n_compounds']}"
            f" compounds read {r['shift']:+.2g} on average at their lowest dose"
        )
    return sentences
