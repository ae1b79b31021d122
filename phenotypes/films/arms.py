"""Vehicle and treated tracks as two arms, compared within plates.

A stratum is a batch on a plate. Vehicle wells of a plate without the compound, and treated wells of
a plate without vehicle, tell of plates and not of the compound: they take no part.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

LOST = ("lost", "identity_conflict", "focus_failure", "left_field")
# A track seen in one frame only was at risk for an instant: Cox's model takes no time of 0.
_INSTANT_H = 1e-3
# Arms by `treated`.
VEHICLE, TREATED = 0.0, 1.0
_COLUMNS = ("well", "batch", "entry_h", "exit_h", "event", "reason")


def with_plate(tracks: pl.DataFrame) -> pl.DataFrame:
    """Tracks with a column `plate`.

    The tracks of a screen name a well by its run and its place ("4f2a… B03"); in a run there is
    one plate.
    """
    if "plate" in tracks.columns:
        return tracks
    plate = pl.col("well").str.extract(r"^(.+) [A-Z]{1,2}\d{1,2}$", 1)
    return tracks.with_columns(plate.fill_null("").alias("plate"))


def both_arms(vehicle: pl.DataFrame, arm: pl.DataFrame) -> pl.DataFrame:
    """Tracks of the plates that have both arms, with `treated` (0 or 1) and `stratum`.

    A `well` is a well of a plate: B03 of another plate is another one.
    """
    both = pl.concat(
        [
            with_plate(group).select(*_COLUMNS, "plate", pl.lit(z).alias("treated"))
            for group, z in ((vehicle, VEHICLE), (arm, TREATED))
        ]
    )
    both = both.with_columns(pl.col("batch").fill_null(""))
    paired = both.filter(pl.col("treated").n_unique().over("batch", "plate") == 2)
    return paired.with_columns(
        pl.struct("batch", "plate").rank("dense").cast(pl.Int64).alias("stratum"),
        pl.struct("plate", "well").rank("dense").cast(pl.Int64).alias("well"),
    )


def at_risk(both: pl.DataFrame) -> pl.DataFrame:
    """Without tracks that were seen in one frame only: they carry no time of death."""
    return both.filter(pl.col("exit_h") > pl.col("entry_h"))


def supposed(both: pl.DataFrame, horizon_h: float, died: Sequence[float]) -> pl.DataFrame:
    """Both arms as if the lost neurons of the arms in `died` had died when they were last seen.

    Those of the other arms are taken to have lived to the end.
    """
    lost = pl.col("reason").is_in(LOST)
    dead = lost & pl.col("treated").is_in(list(died))
    seen = pl.max_horizontal("exit_h", pl.col("entry_h") + _INSTANT_H)
    return both.with_columns(
        (pl.col("event") | dead).alias("event"),
        pl.when(lost & ~dead)
        .then(pl.max_horizontal(seen, pl.lit(horizon_h)))
        .otherwise(seen)
        .alias("exit_h"),
    )


def lost_fraction(tracks: pl.DataFrame) -> float:
    """Share of tracks whose end was not seen."""
    return int(tracks["reason"].is_in(LOST).sum()) / max(1, len(tracks))
