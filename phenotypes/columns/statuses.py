"""Every status that a table may hold: one enumeration per column.

A member is the text that stands in the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

import polars as pl

from phenotypes.columns.column import Level


class Status(StrEnum):
    """Text of a closed set, which also prints as text: a notebook shows 'ok'."""

    __repr__ = str.__repr__


class WellStatus(Status):
    """What became of a well."""

    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    EXCLUDED = "excluded"


class ImageStatus(Status):
    """How an image looks before it is analysed."""

    OK = "ok"
    UNREADABLE = "unreadable"
    BLANK = "blank"
    COMPRESSED = "compressed"
    CLIPPED = "clipped"
    OUT_OF_FOCUS = "out_of_focus"
    NO_CELLS = "no_cells"


class QualityStatus(Status):
    """Whether a plate's controls could be compared."""

    OK = "ok"
    NOT_MEASURED = "not_measured"
    TOO_FEW_CONTROL_WELLS = "too_few_control_wells"


class CheckStatus(Status):
    """What a check of a plate found."""

    OK = "ok"
    WARNING = "warning"
    NOT_ASSESSABLE = "not_assessable"


class ResponseStatus(Status):
    """What became of a dose-response curve within a plate."""

    OK = "ok"
    FLAT = "flat"
    BELOW_TESTED_RANGE = "below_tested_range"
    ABOVE_TESTED_RANGE = "above_tested_range"
    NOT_DETERMINED = "not_determined"
    NOT_MONOTONE = "not_monotone"
    LACK_OF_FIT = "lack_of_fit"
    NO_VEHICLE = "no_vehicle"
    TOO_FEW_VEHICLES = "too_few_vehicles"
    VEHICLE_IS_ZERO = "vehicle_is_zero"
    CONFOUNDED_WITH_POSITION = "confounded_with_position"
    TOO_FEW_DOSES = "too_few_doses"
    TOO_FEW_WELLS = "too_few_wells"
    TOO_FEW_CELLS = "too_few_cells"
    NO_WELL_DONE = "no_well_done"
    NOT_MEASURED = "not_measured"
    PIXEL_SIZE_TOO_COARSE = "pixel_size_too_coarse"
    ATTRIBUTION_CONFLICT = "attribution_conflict"


class HazardStatus(Status):
    """What became of a hazard ratio."""

    OK = "ok"
    ONE_BATCH = "one_batch"
    INFORMATIVE_CENSORING = "informative_censoring"
    NO_VEHICLE = "no_vehicle"
    SEVERAL_SITES = "several_sites"
    TOO_FEW_TRACKS = "too_few_tracks"
    TOO_FEW_EVENTS = "too_few_events"
    TOO_FEW_WELLS = "too_few_wells"
    NOT_CONVERGED = "not_converged"


class GrowthStatus(Status):
    """What became of a well's growth rate."""

    OK = "ok"
    NO_DOSING = "no_dosing"
    NO_VEHICLE = "no_vehicle"
    VEHICLE_DOES_NOT_GROW = "vehicle_does_not_grow"
    NOT_MEASURED = "not_measured"


class ScreenStatus(Status):
    """What became of an effect over batches."""

    OK = "ok"
    ONE_BATCH = "one_batch"
    NO_VARIATION = "no_variation"
    NOT_MEASURED = "not_measured"
    NO_VEHICLE = "no_vehicle"
    VEHICLE_IS_ZERO = "vehicle_is_zero"
    TOO_FEW_VEHICLES = "too_few_vehicles"
    NO_COMMON_DOSE = "no_common_dose"
    CONFOUNDED_WITH_POSITION = "confounded_with_position"


class ScreenCurveStatus(Status):
    """What became of a dose-response curve over batches."""

    OK = "ok"
    FLAT = "flat"
    BELOW_TESTED_RANGE = "below_tested_range"
    ABOVE_TESTED_RANGE = "above_tested_range"
    NOT_DETERMINED = "not_determined"
    NOT_MONOTONE = "not_monotone"
    LACK_OF_FIT = "lack_of_fit"
    BATCHES_DISAGREE = "batches_disagree"
    CONFOUNDED_WITH_POSITION = "confounded_with_position"
    TOO_FEW_VEHICLES = "too_few_vehicles"
    TOO_FEW_DOSES = "too_few_doses"
    NO_VALUE = "no_value"


class LineWindowStatus(Status):
    """Whether a line's phenotype differs from its isogenic control's, in the screen table."""

    EXPRESSED = "expressed"
    NOT_EXPRESSED = "not_expressed"
    NO_VARIATION = "no_variation"
    TOO_FEW_BATCHES = "too_few_batches"
    NO_PAIR = "no_pair"


class RescueStatus(Status):
    """What became of the fraction of a line's phenotype that a compound reverses."""

    OK = "ok"
    NOT_EXPRESSED = "not_expressed"
    NO_VARIATION = "no_variation"
    UNBOUNDED = "unbounded"
    TOO_FEW_BATCHES = "too_few_batches"
    NO_PAIR = "no_pair"
    CONFOUNDED_WITH_POSITION = "confounded_with_position"


class VehicleStatus(Status):
    """Whether all compounds of a batch are off together, as where its vehicle is."""

    OK = "ok"
    ODD = "odd"
    TOO_FEW_COMPOUNDS = "too_few_compounds"


class VehicleHistoryStatus(Status):
    """Where a vehicle's level lies among those of the line's other batches."""

    WITHIN = "within"
    OUTSIDE = "outside"
    TOO_FEW_BATCHES = "too_few_batches"


class PotencyStatus(Status):
    """What became of the ratio of two lines' EC50s."""

    OK = "ok"
    SLOPES_DIFFER = "slopes_differ"
    ONE_BATCH = "one_batch"
    NO_CURVE = "no_curve"
    DIRECTIONS_DIFFER = "directions_differ"
    NOT_DETERMINED = "not_determined"
    TOO_FEW_BATCHES = "too_few_batches"


class DoseStatus(Status):
    """What became of an effect at one dose over batches."""

    OK = "ok"
    ONE_BATCH = "one_batch"
    NO_VARIATION = "no_variation"


class ModerationStatus(Status):
    """What became of a test with variances borrowed over rows."""

    OK = "ok"
    TOO_FEW_ROWS = "too_few_rows"
    NOT_TESTED = "not_tested"


class DonorModerationStatus(Status):
    """What became of a test over donors with variances borrowed over compounds."""

    OK = "ok"
    TOO_FEW_ROWS = "too_few_rows"
    NOT_TESTED = "not_tested"
    BATCHES_NOT_SHARED = "batches_not_shared"


class CompoundStatus(Status):
    """What became of a compound's effect over donors."""

    OK = "ok"
    NO_VARIATION = "no_variation"
    TOO_FEW_DONORS = "too_few_donors"
    HEALTH_UNKNOWN = "health_unknown"
    NO_COMMON_DOSE = "no_common_dose"
    CONFOUNDED_WITH_POSITION = "confounded_with_position"


class SiteStatus(Status):
    """What became of the comparison of sites."""

    OK = "ok"
    ONE_SITE = "one_site"
    TOO_FEW_DONORS = "too_few_donors"


class BridgeStatus(Status):
    """Whether a joining site measured on the bridge what the others did."""

    AGREES = "agrees"
    DIFFERS = "differs"
    TOO_FEW_BATCHES = "too_few_batches"


class MixedModelStatus(Status):
    """What became of the mixed model that confirms a compound's effect."""

    OK = "ok"
    TOO_FEW_DONORS = "too_few_donors"
    COLLAPSED = "collapsed"
    NOT_CONVERGED = "not_converged"


class AssociationStatus(Status):
    """Whether the test of a difference in effect between genes was made."""

    OK = "ok"
    HOMOGENEOUS = "homogeneous"
    TOO_FEW_DONORS = "too_few_donors"
    CONFOUNDED_WITH_BATCH = "confounded_with_batch"


class WindowStatus(Status):
    """Whether a line's phenotype differs from its isogenic control's, per batch and over batches."""

    EXPRESSED = "expressed"
    NOT_EXPRESSED = "not_expressed"
    NO_VARIATION = "no_variation"
    TOO_FEW_WELLS = "too_few_wells"
    TOO_FEW_BATCHES = "too_few_batches"


# (table, column) ► its statuses.
STATUSES: Mapping[tuple[Level, str], type[Status]] = MappingProxyType(
    {
        ("well", "status"): WellStatus,
        ("quality", "status"): QualityStatus,
        ("check", "status"): CheckStatus,
        ("response", "status"): ResponseStatus,
        ("hazard", "status"): HazardStatus,
        ("growth", "status"): GrowthStatus,
        ("screen", "status"): ScreenStatus,
        ("screen", "curve_status"): ScreenCurveStatus,
        ("screen", "window_status"): LineWindowStatus,
        ("screen", "rescue_status"): RescueStatus,
        ("screen", "moderation_status"): ModerationStatus,
        ("dose", "status"): DoseStatus,
        ("dose", "moderation_status"): ModerationStatus,
        ("compound", "moderation_status"): DonorModerationStatus,
        ("compound", "status"): CompoundStatus,
        ("compound", "mixed_status"): MixedModelStatus,
        ("compound", "association_status"): AssociationStatus,
        ("window", "status"): WindowStatus,
        ("potency", "status"): PotencyStatus,
        ("vehicle", "status"): VehicleStatus,
        ("vehicle", "history_status"): VehicleHistoryStatus,
        ("site", "status"): SiteStatus,
        ("bridge", "status"): BridgeStatus,
        ("image", "status"): ImageStatus,
    }
)


def unknown_statuses(table: pl.DataFrame, level: Level) -> dict[str, list[str]]:
    """Column ► statuses of a table that its enumeration does not have; empty for a sound table."""
    unknown = {}
    for (of, name), known in STATUSES.items():
        if of == level and name in table.columns:
            strange = set(table[name].drop_nulls().unique().to_list()) - {s.value for s in known}
            if strange:
                unknown[name] = sorted(strange)
    return unknown
