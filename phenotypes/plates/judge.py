"""Judge a whole plate: calls on cells, quality control, well table, survival over time.

Tables go in and come out; nothing is read from or written to disk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from phenotypes.columns.dictionary import conform, empty_table
from phenotypes.columns.statuses import CheckStatus, WellStatus
from phenotypes.films.deaths import DeathSettings, plate_tracks
from phenotypes.films.hazard import LOSS_POINTS, hazard_table, well_survival
from phenotypes.films.observation import MIN_TRACKS
from phenotypes.plates.calls import (
    CallSettings,
    mark_mislocalised,
    mark_motor_neurons,
    mark_pyknotic,
)
from phenotypes.plates.calls import healthy_lines as healthy_of
from phenotypes.plates.identity import IdentityStatus
from phenotypes.plates.quality.checks import (
    exclude_unfocused,
    exclude_vehicle_outliers,
    mark_fields,
    plate_checks,
)
from phenotypes.plates.quality.limits import QualityLimits
from phenotypes.plates.quality.position import correct_positions
from phenotypes.plates.quality.saturation import (
    CLIPPED,
    saturation_notes,
    with_clipped,
    withhold_saturated,
)
from phenotypes.plates.wells import WellSettings, well_table
from plate_maps.conditions import format_dose


@dataclass(frozen=True)
class PlateJudgement:
    """Tables of a plate, each conforming to the dictionary.

    `tracks` and `hazards` are empty in a fixed assay.

    Examples
    --------
    >>> from phenotypes import PlateJudgement
    >>> from phenotypes.columns import empty_table
    >>> levels = ("cell", "field", "well", "check", "track", "hazard")
    >>> PlateJudgement(*map(empty_table, levels))
    PlateJudgement(0 wells, 0 fields, 0 cells)
    """

    cells: pl.DataFrame
    fields: pl.DataFrame
    wells: pl.DataFrame
    checks: pl.DataFrame
    tracks: pl.DataFrame
    hazards: pl.DataFrame

    def __repr__(self) -> str:
        return (
            f"PlateJudgement({len(self.wells)} wells, {len(self.fields)} fields, {len(self.cells)}"
            " cells)"
        )


# Fields and cells that may be a reference for the others.
COUNTED = pl.col("counted")


def judge(
    cells: pl.DataFrame,
    fields: pl.DataFrame,
    conditions: pl.DataFrame,
    outcomes: Mapping[str, tuple[str, str]],
    plate_shape: tuple[int, int],
    *,
    limits: QualityLimits | None = None,
    wells: WellSettings | None = None,
    calls: CallSettings | None = None,
    healthy_lines: Sequence[str] = (),
    deaths: DeathSettings | None = None,
    phenotypes: Sequence[str] = (),
    position_corrected: Sequence[str] = (),
    rejected_fields: Mapping[tuple[str, int], str] | None = None,
    rejected_tracks: Mapping[tuple[str, int, int], str] | None = None,
) -> PlateJudgement:
    """From measured cells and fields to wells.

    A longitudinal assay (`deaths` given) has its well table from the last time point, with survival
    over all of them; its fields stay valid, since frames out of focus are already left out of
    all tracks.

    Parameters
    ----------
    cells, fields
        Of all wells that were measured.
    conditions
        well, line, genotype, compound, dose_molar, control, batch; one row per well.
    outcomes
        Well ► (status, reason); that of a measured well says which fields are lost.
    plate_shape
        Rows and columns of the plate's format.
    rejected_fields, rejected_tracks
        (well, field) and (well, field, track) ► why a reviewer rejected it. A well without any
        other field is excluded.
    phenotypes
        Those asked for: whether vehicle wells read them the same all over the plate is checked.
    position_corrected
        Phenotypes to correct for rows and columns, after every check has read the plate as it is.

    Examples
    --------
    >>> import polars as pl
    >>> from phenotypes import judge
    >>> cells, fields, wells = (
    ...     pl.read_parquet(f"results/{name}.parquet") for name in ("cells", "fields", "wells")
    ... )
    >>> names = ("well", "line", "genotype", "compound", "dose_molar", "control", "batch")
    >>> outcomes = {name: ("done", "") for name in wells["well"]}
    >>> judge(cells, fields, wells.select(names), outcomes, (16, 24)).wells.equals(wells)
    True
    """
    limits = limits or QualityLimits()
    # Since the plate's first image: only the order matters, and a date would be one step towards a
    # donor.
    fields = fields.with_columns(pl.col("exposed_h") - pl.col("exposed_h").min())
    fields, ended = _valid_fields(
        fields, conditions, outcomes, limits, rejected_fields or {}, film=deaths is not None
    )
    cells = _counted(cells, fields, ended)
    # Frames of a film keep their levels: who is alive is told from the cell's own change.
    if deaths is None:
        cells = with_clipped(cells, fields)
        cells = mark_pyknotic(cells, conditions, calls, COUNTED, CLIPPED).drop("dna_clipped")
    else:
        cells = mark_pyknotic(cells, conditions, calls, COUNTED)
    cells, identity = mark_motor_neurons(cells, conditions, COUNTED)
    if deaths is None:
        cells = withhold_saturated(cells, fields, limits.saturated)
    cells, mislocalised = mark_mislocalised(
        cells, conditions, healthy_of(conditions, healthy_lines), calls, COUNTED
    )
    tracks, hazards = empty_table("track"), empty_table("hazard")
    notes = _without_vehicle(cells, conditions) + _partly_scanned(outcomes)
    if deaths is None:
        notes += saturation_notes(fields, limits.saturated)
    if identity is not None:
        status = (
            CheckStatus.OK if identity.status == IdentityStatus.OK else CheckStatus.NOT_ASSESSABLE
        )
        notes.append(
            {
                "check": "identity",
                "subject": "motor neurons",
                "status": status,
                "reason": identity.reason,
                "value": identity.threshold,
            }
        )
    if cells["nc_log2_aggregate"].null_count() < len(cells):
        called = cells["is_mislocalised"].null_count() < len(cells)
        notes.append(
            {
                "check": "mislocalisation",
                "subject": "nc_log2_aggregate",
                "status": CheckStatus.OK if called else CheckStatus.NOT_ASSESSABLE,
                "reason": mislocalised,
            }
        )
    if deaths is not None:
        tracks, threshold = plate_tracks(cells, fields, conditions, deaths, COUNTED)
        tracks = _without(tracks, ended, rejected_fields or {}, rejected_tracks or {})
        status = (
            CheckStatus.NOT_ASSESSABLE
            if threshold.threshold is None and deaths.definition in ("gedi", "death_dye")
            else CheckStatus.OK
        )
        notes.append(
            {
                "check": "death",
                "subject": deaths.definition,
                "status": status,
                "reason": threshold.reason,
                "value": threshold.threshold,
            }
        )
    latest = fields["frame"].max()
    last = pl.col("frame") == (1 if latest is None else latest)
    table = well_table(cells.filter(last), fields.filter(last), conditions, ended, wells)
    if deaths is not None:
        survival = well_survival(tracks)
        notes += _not_followed(survival)
        table = conform(
            table.drop(c for c in survival.columns if c != "well").join(
                survival, on="well", how="left", maintain_order="left"
            ),
            "well",
        )
    table = exclude_vehicle_outliers(table, limits)
    if deaths is not None:
        kept = {w: (s, why) for w, s, why in table.select("well", "status", "reason").rows()}
        tracks = _without(tracks, kept)
        hazards = hazard_table(tracks)
        notes += _unequal_loss(hazards)
    checks = plate_checks(table, fields.filter(last), *plate_shape, limits, phenotypes)
    table, corrections = correct_positions(table, list(position_corrected))
    notes += corrections
    if notes:
        checks = pl.concat(
            [checks, conform(pl.DataFrame(notes, infer_schema_length=None), "check")]
        )
    return PlateJudgement(
        conform(cells.drop("counted"), "cell"),
        conform(fields, "field"),
        table,
        checks,
        tracks,
        hazards,
    )


def _partly_scanned(outcomes: Mapping[str, tuple[str, str]]) -> list[dict[str, object]]:
    """A note where wells were measured without some of their fields, with the reason."""
    partly = {
        well: why for well, (status, why) in outcomes.items() if status == WellStatus.DONE and why
    }
    if not partly:
        return []
    return [
        {
            "check": "scan",
            "subject": "fields",
            "status": CheckStatus.WARNING,
            "reason": "; ".join(f"well {well}: {why}" for well, why in partly.items()),
            "n_wells": len(partly),
        }
    ]


def _not_followed(survival: pl.DataFrame) -> list[dict[str, object]]:
    """A note where wells have tracks but no survival over the hours that the others share."""
    unknown = survival.filter((pl.col("n_tracked") >= MIN_TRACKS) & pl.col("rmst_h").is_null())[
        "well"
    ]
    if unknown.is_empty():
        return []
    return [
        {
            "check": "survival",
            "subject": "rmst_h",
            "status": CheckStatus.WARNING,
            "reason": f"wells {', '.join(unknown)} were not followed over the hours that the other"
            " wells share, and have no rmst_h and survival_end; hazard ratios use the hours in"
            " which they were followed",
            "n_wells": len(unknown),
        }
    ]


def _unequal_loss(hazards: pl.DataFrame) -> list[dict[str, object]]:
    """A note per line, compound and dose whose wells lose more or fewer tracks than vehicle."""
    vehicle, treated = pl.col("lost_fraction_vehicle"), pl.col("lost_fraction_treated")
    return [
        {
            "check": "survival",
            "subject": f"{line}, {compound} at {format_dose(dose)}",
            "status": CheckStatus.WARNING,
            "reason": f"{lost:.0%} of treated and {lost_vehicle:.0%} of vehicle tracks were lost:"
            " rmst_h and survival_end of these wells are those of the neurons that stayed; the"
            " hazard table has bounds",
            "value": lost - lost_vehicle,
        }
        for line, compound, dose, lost_vehicle, lost in hazards.filter(
            (treated - vehicle).abs() > LOSS_POINTS
        )
        .select("line", "compound", "dose_molar", vehicle, treated)
        .rows()
    ]


def _valid_fields(
    fields: pl.DataFrame,
    conditions: pl.DataFrame,
    outcomes: Mapping[str, tuple[str, str]],
    limits: QualityLimits,
    rejected: Mapping[tuple[str, int], str],
    *,
    film: bool,
) -> tuple[pl.DataFrame, dict[str, tuple[str, str]]]:
    """Fields with `valid` and `qc`, and outcomes in which wells without enough are excluded."""
    if film:
        marked = fields.with_columns(
            pl.col("usable").alias("valid"),
            pl.when(~pl.col("usable"))
            .then(pl.lit("unusable frame"))
            .otherwise(pl.lit(""))
            .alias("qc"),
        )
        return _reject(marked, outcomes, rejected)
    done = {well for well, (status, _) in outcomes.items() if status == WellStatus.DONE}
    places = fields.select("well", "field").rows()
    counted = [well in done and (well, field) not in rejected for well, field in places]
    marked = mark_fields(
        fields.with_columns(pl.Series("counted", counted, dtype=pl.Boolean)),
        conditions,
        limits,
        COUNTED,
    ).drop("counted")
    return _reject(marked, exclude_unfocused(marked, outcomes, limits), rejected)


def _counted(
    cells: pl.DataFrame, fields: pl.DataFrame, outcomes: Mapping[str, tuple[str, str]]
) -> pl.DataFrame:
    """Cells with a column `counted`: of a valid field of a well that is done."""
    done = [well for well, (status, _) in outcomes.items() if status == WellStatus.DONE]
    valid = fields.filter(
        pl.col("valid").fill_null(value=True) & pl.col("well").is_in(done)
    ).select("well", "field", "frame", pl.lit(value=True).alias("counted"))
    return cells.join(
        valid, on=["well", "field", "frame"], how="left", maintain_order="left"
    ).with_columns(COUNTED.fill_null(value=False))


def _without_vehicle(cells: pl.DataFrame, conditions: pl.DataFrame) -> list[dict[str, object]]:
    """A note for each line whose live cells are unknown for want of vehicle nuclei."""
    nuclei = cells.filter(pl.col("nucleus_area_um2").is_not_null())
    called = nuclei.join(conditions.select("well", "line"), on="well").group_by("line")
    unknown = called.agg(pl.col("is_pyknotic").is_null().all()).filter("is_pyknotic")
    lines = unknown["line"].drop_nulls()
    return [
        {
            "check": "pyknosis",
            "subject": line,
            "status": CheckStatus.NOT_ASSESSABLE,
            "reason": f"line {line} has no vehicle nuclei to call pyknotic ones by: its live cells,"
            " and means over them, are unknown; nuclei are counted",
        }
        for line in sorted(lines)
    ]


def _reject(
    fields: pl.DataFrame,
    outcomes: Mapping[str, tuple[str, str]],
    rejected: Mapping[tuple[str, int], str],
) -> tuple[pl.DataFrame, dict[str, tuple[str, str]]]:
    """Mark fields that a reviewer rejected as not valid, and exclude wells without other fields."""
    ended = dict(outcomes)
    if not rejected:
        return fields, ended
    reasons = [
        rejected.get((well, number)) for well, number in fields.select("well", "field").rows()
    ]
    rejections = pl.Series("rejected", reasons, dtype=pl.String)
    notes = pl.concat_str(
        rejections, pl.col("qc").replace("", None), separator="; ", ignore_nulls=True
    )
    fields = fields.with_columns(
        (pl.col("valid").fill_null(value=True) & rejections.is_null()).alias("valid"),
        pl.when(rejections.is_not_null()).then(notes).otherwise(pl.col("qc")).alias("qc"),
    )
    for well in dict.fromkeys(name for name, _ in rejected):
        of_well = fields.filter(pl.col("well") == well)
        if (
            len(of_well)
            and not of_well["valid"].any()
            and ended.get(well, ("", ""))[0] == WellStatus.DONE
        ):
            ended[well] = (
                WellStatus.EXCLUDED,
                "all fields were rejected: "
                + "; ".join(dict.fromkeys(w for (n, _), w in rejected.items() if n == well)),
            )
    return fields, ended


def _without(
    tracks: pl.DataFrame,
    outcomes: Mapping[str, tuple[str, str]],
    rejected_fields: Mapping[tuple[str, int], str] | None = None,
    rejected_tracks: Mapping[tuple[str, int, int], str] | None = None,
) -> pl.DataFrame:
    """Leave tracks out of survival, with the reason.

    Those that a reviewer rejected, of a field that was, and of a well that is not done.
    """
    left_out = {
        well: reason for well, (status, reason) in outcomes.items() if status != WellStatus.DONE
    }
    fields, single = rejected_fields or {}, rejected_tracks or {}
    reasons = [
        single.get((well, field, track)) or fields.get((well, field)) or left_out.get(well)
        for well, field, track in tracks.select("well", "field", "track").rows()
    ]
    rejections = pl.Series("rejected", reasons, dtype=pl.String)
    return tracks.with_columns(
        (pl.col("included") & rejections.is_null()).alias("included"),
        pl.when(rejections.is_not_null())
        .then(rejections)
        .otherwise(pl.col("excluded_reason"))
        .alias("excluded_reason"),
    )
