"""Growth-rate inhibition of cells that divide; refused for cells that do not.

Hafner et al., Nat. Methods 13:521, 2016:

    GR = 2^(log2(x / x0) / log2(x_vehicle / x0)) − 1

1: grows as the vehicle; 0: does not grow; below 0: fewer cells than at dosing. Motor neurons do not
divide: their vehicle does not grow, the denominator is noise about 0, and GR would call killing
growth.

x0 is not guessed from the treated plate: it is the density of live cells in a well table of its
own, of the same plate imaged at dosing or of one that was seeded with it.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from phenotypes.columns.dictionary import conform, empty_table
from phenotypes.columns.statuses import GrowthStatus, WellStatus

LEAST_GROWTH = 1.5
_COUNT = "live_density"


def growth_rates(wells: pl.DataFrame, dosing: pl.DataFrame) -> pl.DataFrame:
    """One row per treated well: its growth rate relative to vehicle wells of its line, or why not.

    Parameters
    ----------
    wells
        Well table at the end.
    dosing
        Well table at the time of dosing, of this plate or of one that was seeded with it. All its
        wells that are done count, by line: no compound has acted yet.

    Examples
    --------
    >>> import polars as pl
    >>> from phenotypes import growth_rates
    >>> wells = pl.read_parquet("results/wells.parquet")
    >>> set(growth_rates(wells, dosing=wells)["status"])
    {'vehicle_does_not_grow'}
    """
    end, start = _means(wells, pl.col("control") == "vehicle"), _means(dosing, pl.lit(value=True))
    treated = wells.filter(pl.col("control").is_in(["none", "positive"]) & (pl.col("line") != ""))
    rows = [
        {n: well[n] for n in ("well", "line", "genotype", "compound", "dose_molar")}
        | _growth(well, start.get(well["line"]), end.get(well["line"]))
        for well in treated.iter_rows(named=True)
    ]
    if not rows:
        return empty_table("growth")
    return conform(pl.DataFrame(rows, infer_schema_length=None), "growth")


def _means(wells: pl.DataFrame, which: pl.Expr) -> dict[str, float]:
    """Line ► mean density of its wells that are done."""
    counted = wells.filter(
        which & (pl.col("status") == WellStatus.DONE) & pl.col(_COUNT).is_not_null()
    )
    return dict(counted.group_by("line").agg(pl.col(_COUNT).mean()).rows())


def _growth(
    well: dict[str, object], start: float | None, vehicle: float | None
) -> dict[str, object]:
    density, line = well[_COUNT], well["line"]
    row: dict[str, object] = {"density_at_dosing": start, "density_of_vehicle": vehicle}
    if start is None or start <= 0:
        reason = f"no well of line {line} has live cells at dosing"
        return row | {"status": GrowthStatus.NO_DOSING, "reason": reason}
    if vehicle is None:
        reason = f"no vehicle well of line {line} has a count of live cells"
        return row | {"status": GrowthStatus.NO_VEHICLE, "reason": reason}
    growth = vehicle / start
    row["vehicle_growth"] = growth
    if growth < LEAST_GROWTH:
        reason = (
            f"vehicle wells of line {line} hold {growth:.2f} × the live cells of dosing; a growth"
            f" rate needs {LEAST_GROWTH} ×, and cells that do not divide have none"
        )
        return row | {"status": GrowthStatus.VEHICLE_DOES_NOT_GROW, "reason": reason}
    if well["status"] != WellStatus.DONE or not isinstance(density, float):
        reason = str(well["reason"] or "the well has no count of live cells")
        return row | {"status": GrowthStatus.NOT_MEASURED, "reason": reason}
    doublings = float(np.log2(growth))
    # No cell is left where the density is 0: the limit is −1.
    rate = 2.0 ** (float(np.log2(density / start)) / doublings) - 1 if density > 0 else -1.0
    return row | {"status": GrowthStatus.OK, "reason": "", "density": density, "gr": rate}
