"""Growth rates of a run's wells, from a second run of the time of dosing."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import polars as pl

from imaging_service.errors import StoreError
from imaging_service.review.local import LocalRun
from imaging_service.store.tables import write_table
from phenotypes.plates.growth_rate import growth_rates


def write_growth(
    run: str | PathLike[str],
    dosing: str | PathLike[str],
    out: str | PathLike[str] | None = None,
) -> pl.DataFrame:
    """Write growth.csv and .parquet to `out`, else to RUN, and return the table.

    `dosing` is the run of the same plate, or of one seeded with it, imaged when it was dosed.
    Raises StoreError where the two are one run, or were counted by different protocols.
    """
    end, start = LocalRun(run), LocalRun(dosing)
    if end.record["run_id"] == start.record["run_id"]:
        raise StoreError(
            f"{run} and {dosing} are the same run; --dosing takes the run of the plate as it was"
            " imaged when it was dosed"
        )
    if end.record["protocol_digest"] != start.record["protocol_digest"]:
        raise StoreError(
            f"{run} and {dosing} were analysed by different protocols, so their counts cannot be"
            " compared; analyse both by one"
        )
    table = growth_rates(end.table("wells"), start.table("wells"))
    write_table(table, (end.root if out is None else Path(out)) / "growth")
    return table
