"""When a tracked neuron died, by one of four definitions, or why its end was not seen.

A track lost while alive is right-censored at its last observed frame: it is never a death, and
never dropped. Only reporter loss reads absence as death, and only where the neuron is absent from
two usable frames in a row (`absent_frames`) that saw its place, was not at the field's edge and did
not merge with another. A frame saw a place that lies inside its own view, shifted and turned as the
plate was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np
import polars as pl
import pydantic
from numpy.typing import ArrayLike

from phenotypes.columns.dictionary import conform, empty_table
from phenotypes.films.views import VIEW, in_view, to_first
from segmentation.settings import STRICT, Count, Positive, Share, meaning

Definition = Literal["reporter_loss", "rounding", "death_dye", "gedi"]
DEFINITIONS: tuple[Definition, ...] = ("reporter_loss", "rounding", "death_dye", "gedi")
CENSORED = ("end_of_study", "lost", "left_field", "identity_conflict", "focus_failure")
MIN_CONTROL_CELLS = 20
EVERY_CELL = pl.lit(value=True)


@pydantic.dataclasses.dataclass(frozen=True, kw_only=True, config=STRICT)
class DeathSettings:
    """What counts as a death, and what ends an observation.

    A track that seems to die while it moves farther than `jump_um` has more likely slipped to
    another cell that was dead before: the neuron is censored, not dead. `sensor_share` is that
    of Linsley et al., Nat. Commun. 12:5284, 2021.
    """

    definition: Definition = field(default="reporter_loss", kw_only=False)
    round_form_factor: Annotated[
        Positive, meaning("A soma at least this round, twice in a row, is dead (rounding).")
    ] = 0.85
    round_area: Annotated[Positive, meaning("… and at most this share of its first area.")] = 0.7
    edge_um: Annotated[
        Positive, meaning("A neuron lost nearer to the field's edge left the field.")
    ] = 15.0
    jump_um: Annotated[
        Positive,
        meaning(
            "A neuron that seems to die while it moves farther than this is censored, not dead."
        ),
    ] = 7.5
    sensor_share: Annotated[
        Share,
        meaning(
            "Share of the way from live to killed wells above which a sensor reads dead (death_dye,"
            " gedi)."
        ),
    ] = 0.25
    absent_frames: Annotated[
        Count,
        meaning("Usable frames in a row without the neuron that count as a death (reporter_loss)."),
    ] = 2


@dataclass(frozen=True)
class SensorThreshold:
    """Sensor value above which a neuron is dead.

    None, with the reason, where the control wells do not give it.
    """

    threshold: float | None
    reason: str


def sensor_threshold(
    live: ArrayLike, dead: ArrayLike, settings: DeathSettings | None = None
) -> SensorThreshold:
    """Threshold of a death sensor between live and killed control wells.

    θ = mean live + `sensor_share` (mean dead − mean live), from vehicle wells at the first frame
    and killed wells at the last.
    """
    settings = settings or DeathSettings()
    alive, killed = (np.asarray(v, float) for v in (live, dead))
    alive, killed = alive[np.isfinite(alive)], killed[np.isfinite(killed)]
    if min(len(alive), len(killed)) < MIN_CONTROL_CELLS:
        return SensorThreshold(
            None,
            f"death_threshold_refused: {len(alive)} cells in vehicle wells and {len(killed)} in"
            f" killed (positive-control) wells; {MIN_CONTROL_CELLS} of each are needed",
        )
    gap, spread = float(killed.mean() - alive.mean()), float(alive.std(ddof=1))
    if gap <= 2 * spread:
        return SensorThreshold(
            None,
            f"death_threshold_refused: killed wells read {killed.mean():.3g}, vehicle wells"
            f" {alive.mean():.3g} ± {spread:.2g}: the sensor does not tell them apart",
        )
    return SensorThreshold(
        settings.sensor_share * gap + float(alive.mean()),
        f"from {len(alive)} vehicle and {len(killed)} killed cells",
    )


def with_sensor(cells: pl.DataFrame, definition: Definition) -> pl.DataFrame:
    """Add `sensor`: red over green for GEDI, the dye's mean for a death dye, null otherwise."""
    if definition == "gedi":
        green = pl.col("soma_mean_neurite")
        return cells.with_columns(
            pl.when(green > 0).then(pl.col("soma_mean_death") / green).alias("sensor")
        )
    if definition == "death_dye":
        return cells.with_columns(pl.col("soma_mean_death").alias("sensor"))
    return cells.with_columns(pl.lit(None, pl.Float64).alias("sensor"))


def plate_tracks(
    cells: pl.DataFrame,
    fields: pl.DataFrame,
    conditions: pl.DataFrame,
    settings: DeathSettings,
    reference: pl.Expr = EVERY_CELL,
) -> tuple[pl.DataFrame, SensorThreshold]:
    """The plate's track table, and the sensor threshold that it was made with.

    `reference`: which cells may be among those of control wells that give the threshold. Where the
    definition needs a threshold and there is none, the table is empty: deaths are unknown.
    """
    sensed = with_sensor(cells.filter(pl.col("track").is_not_null()), settings.definition)
    threshold = SensorThreshold(None, f"{settings.definition} needs no threshold")
    if settings.definition in ("gedi", "death_dye"):
        threshold = _plate_threshold(sensed.filter(reference), fields, conditions, settings)
        if threshold.threshold is None:
            return empty_table("track"), threshold
    placed = sensed.join(
        fields.select("well", "field", "frame", *VIEW),
        on=["well", "field", "frame"],
        how="left",
        maintain_order="left",
    )
    of_field = dict(placed.group_by("well", "field", maintain_order=True))
    parts = []
    for (well, number), frames in fields.group_by("well", "field", maintain_order=True):
        tracked = of_field.get((well, number))
        if tracked is None:
            continue
        size = (float(frames["height_um"][0]), float(frames["width_um"][0]))
        described = frames.sort("frame").select("frame", "time_h", "usable", *VIEW)
        table = tracks_table(
            to_first(tracked, size), described, size, settings, threshold.threshold
        )
        parts.append(table.with_columns(pl.lit(well).alias("well"), pl.lit(number).alias("field")))
    if not parts:
        return empty_table("track"), threshold
    named = pl.concat(parts).join(conditions, on="well", how="left", maintain_order="left")
    return conform(named, "track"), threshold


def _plate_threshold(
    sensed: pl.DataFrame, fields: pl.DataFrame, conditions: pl.DataFrame, settings: DeathSettings
) -> SensorThreshold:
    usable = fields.filter("usable")
    ends = usable.group_by("well", "field").agg(
        pl.col("frame").min().alias("first"), pl.col("frame").max().alias("last")
    )
    placed = sensed.join(ends, on=["well", "field"], how="inner").join(
        conditions.select("well", "control"), on="well", how="left"
    )
    live = placed.filter((pl.col("control") == "vehicle") & (pl.col("frame") == pl.col("first")))[
        "sensor"
    ]
    dead = placed.filter((pl.col("control") == "positive") & (pl.col("frame") == pl.col("last")))[
        "sensor"
    ]
    return sensor_threshold(live.drop_nulls().to_numpy(), dead.drop_nulls().to_numpy(), settings)


def tracks_table(
    objects: pl.DataFrame,
    frames: pl.DataFrame,
    field_um: tuple[float, float],
    settings: DeathSettings,
    threshold: float | None,
) -> pl.DataFrame:
    """One row per track of one field: entry, exit, event, reason of censoring.

    Parameters
    ----------
    objects
        As `tracking.link` gives them, with `sensor`, `soma_form_factor`; y_um, x_um registered to
        the first frame.
    frames
        frame, time_h, usable, drift_y_um, drift_x_um, turn_deg; one row per frame, in order.
    field_um
        Height and width of the field.
    threshold
        Of `sensor`, for the definitions that need one.

    Returns
    -------
    track, first_frame, last_frame, entry_h, exit_h, event, reason (of an end without event),
    included, excluded_reason. Only tracks present and alive in the first usable frame are included.
    """
    usable = (
        frames.filter("usable").with_row_index("step").with_columns(pl.col("step").cast(pl.Int64))
    )
    last_step = len(usable) - 1
    rows = objects.join(
        usable.select("frame", "step", "time_h"), on="frame", how="inner", maintain_order="left"
    ).sort("track", "step")
    edge = pl.lit(settings.edge_um)
    rows = (
        rows.drop(VIEW, strict=False)
        .join(frames.select("frame", *VIEW), on="frame", how="left", maintain_order="left")
        .with_columns(
            _dead(settings, threshold).alias("dead"), (~in_view(field_um, edge)).alias("edge")
        )
    )
    moved = (
        (
            (pl.col("y_um") - pl.col("y_um").shift(1)).pow(2)
            + (pl.col("x_um") - pl.col("x_um").shift(1)).pow(2)
        )
        .sqrt()
        .over("track")
    )
    slipped = (
        pl.col("dead")
        & ~pl.col("dead").shift(1, fill_value=False).over("track")
        & (moved.fill_null(0.0) > settings.jump_um)
    )
    rows = rows.with_columns(slipped.alias("slipped"))
    ends = rows.group_by("track", maintain_order=True).agg(
        pl.col("frame").first().alias("first_frame"),
        pl.col("frame").last().alias("last_frame"),
        pl.col("step").first().alias("begin"),
        pl.col("step").last().alias("end"),
        pl.col("time_h").last().alias("seen_h"),
        pl.col("edge").last(),
        pl.col("conflict").last().alias("merged"),
        pl.col("time_h").filter(pl.col("conflict") | pl.col("slipped")).first().alias("conflict_h"),
        pl.when(~pl.col("slipped").any())
        .then(pl.col("time_h").filter("dead").first())
        .alias("dead_h"),
        pl.col("dead").first().alias("dead_at_start"),
        pl.col("y_um").first().alias("y_um"),
        pl.col("x_um").first().alias("x_um"),
    )
    times = usable["time_h"].to_list()
    after = usable.select((pl.col("step") - 1).alias("end"), pl.col("time_h").alias("absent_h"))
    ends = ends.join(after, on="end", how="left", maintain_order="left")
    # Where unusable frames follow the last sighting, and too few usable ones behind them, the
    # microscope may have missed the neuron.
    blind = _followed_by_unusable(frames)
    absent = last_step - pl.col("end")
    ends = ends.join(
        _sights(rows, usable, field_um, settings), on="track", how="left", maintain_order="left"
    )
    confirmed = (
        (pl.col("seen") >= settings.absent_frames)
        & ~pl.col("edge")
        & ~pl.col("merged")
        & pl.col("conflict_h").is_null()
    )
    event_h = pl.col("dead_h")
    if settings.definition == "reporter_loss":
        # Also behind an unusable frame: to censor those who were gone by then, and keep those who
        # were not, would leave that interval without deaths.
        event_h = pl.when(confirmed).then(pl.col("absent_h"))
    # After a conflict the track may follow another neuron, so a later event does not count.
    conflicted = pl.col("conflict_h").is_not_null() & (
        event_h.is_null() | (pl.col("conflict_h") < event_h)
    )
    event = event_h.is_not_null() & ~conflicted
    study_end_h = _last_told(times, settings)
    left_h = pl.when(conflicted).then(pl.col("conflict_h")).otherwise(pl.col("seen_h"))
    reason = (
        pl.when(event)
        .then(pl.lit(""))
        .when((absent == 0) & ~conflicted | (left_h >= study_end_h))
        .then(pl.lit("end_of_study"))
        .when(conflicted)
        .then(pl.lit("identity_conflict"))
        .when(pl.col("edge") | pl.col("unseen"))
        .then(pl.lit("left_field"))
        .when(pl.col("last_frame").is_in(blind))
        .then(pl.lit("focus_failure"))
        .otherwise(pl.lit("lost"))
    )
    included = (pl.col("begin") == 0) & ~pl.col("dead_at_start")
    why = (
        pl.when(pl.col("begin") > 0)
        .then(pl.lit("not present in the first usable frame"))
        .when(pl.col("dead_at_start"))
        .then(pl.lit("dead in the first usable frame"))
        .otherwise(pl.lit(""))
    )
    return ends.select(
        "track",
        "first_frame",
        "last_frame",
        "y_um",
        "x_um",
        pl.lit(times[0] if times else 0.0).alias("entry_h"),
        pl.when(event)
        .then(event_h)
        .otherwise(pl.min_horizontal(left_h, pl.lit(study_end_h)))
        .alias("exit_h"),
        event.alias("event"),
        reason.alias("reason"),
        included.alias("included"),
        why.alias("excluded_reason"),
        pl.lit(study_end_h).alias("study_end_h"),
    )


def _last_told(times: Sequence[float], settings: DeathSettings) -> float:
    """The last hour at which a death can be told from what follows; 0 without any frame.

    A death that several frames must show is not known in the last ones. To count the survivors'
    hours there would make those hours immortal.
    """
    needed = {"reporter_loss": settings.absent_frames, "rounding": 2}.get(settings.definition, 1)
    return times[max(0, len(times) - needed)] if times else 0.0


def _dead(settings: DeathSettings, threshold: float | None) -> pl.Expr:
    if settings.definition in ("gedi", "death_dye"):
        if threshold is None:
            raise ValueError(
                f"the death definition {settings.definition} needs a threshold from control wells;"
                " pass the one of sensor_threshold"
            )
        return (pl.col("sensor") > threshold).fill_null(value=False)
    if settings.definition == "rounding":
        first = pl.col("soma_area_um2").first().over("track")
        round_now = (pl.col("soma_form_factor") >= settings.round_form_factor) & (
            pl.col("soma_area_um2") <= settings.round_area * first
        )
        # Twice in a row: a live soma is round for a moment when its neighbour leaves.
        return (round_now & round_now.shift(-1).over("track")).fill_null(value=False)
    return pl.lit(value=False)


def _sights(
    rows: pl.DataFrame,
    usable: pl.DataFrame,
    field_um: tuple[float, float],
    settings: DeathSettings,
) -> pl.DataFrame:
    """Per track, over the `absent_frames` usable frames after its last sighting.

    `seen`: how many saw the place where it was last; `unseen`: whether one did not.
    """
    radius = (pl.col("soma_area_um2").fill_null(0.0) / np.pi).sqrt()
    last = rows.group_by("track", maintain_order=True).agg(
        pl.col("step").last().alias("end"),
        pl.col("y_um", "x_um").last(),
        # A soma that the view cuts may not be segmented.
        pl.max_horizontal(radius, settings.edge_um).last().alias("margin"),
    )
    after = last.join(usable.select("step", *VIEW), how="cross").filter(
        (pl.col("step") > pl.col("end"))
        & (pl.col("step") <= pl.col("end") + settings.absent_frames)
    )
    inside = in_view(field_um, pl.col("margin"))
    sights = after.group_by("track").agg(
        inside.sum().cast(pl.Int64).alias("seen"), (~inside).any().alias("unseen")
    )
    return (
        last.select("track")
        .join(sights, on="track", how="left")
        .with_columns(pl.col("seen").fill_null(0), pl.col("unseen").fill_null(value=False))
    )


def _followed_by_unusable(frames: pl.DataFrame) -> list[int]:
    """Frames whose next frame is unusable.

    A copy of a frame has its time: nothing was missed between the two.
    """
    later = pl.col("time_h").shift(-1) > pl.col("time_h")
    following = frames.with_columns(
        ((~pl.col("usable")).shift(-1) & later).fill_null(value=False).alias("blind")
    )
    return following.filter("blind")["frame"].to_list()
