"""Fit a screen: plates, batches, lines and labs, one row per line × compound × phenotype.

Strategy. Plates enter as conditions (`phenotypes.screens.conditions`), so that a screen never reads
a well. They are averaged to batches; a line's effect is the mean of its batches at one dose that
all lines were given, and its curve goes through all of them. Every dose is tested, with variances
borrowed over the screen (`phenotypes.screens.batches.moderated`). Lines are combined by
`phenotypes.screens.across.donors`. Every row depends only on its own batches and carries a digest
of them: a row with a known digest is not fitted again, so that a new plate refits only the rows it
touches.

A hit must be significant at some dose after correction, large enough to matter, and in the same
direction in two batches (`phenotypes.screens.hits`); a rescue needs a phenotype that is shown to
differ from the isogenic control in the same batches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from phenotypes.columns.dictionary import conform, empty_table, phenotype
from phenotypes.columns.statuses import (
    ScreenCurveStatus,
    ScreenStatus,
)
from phenotypes.plates.normalise import unit_of
from phenotypes.screens.across.donors import across_lines_table
from phenotypes.screens.batches.curve_tests import with_curve_tests
from phenotypes.screens.batches.edge_doses import judged_edge_doses, only_at_edge
from phenotypes.screens.batches.effect_doses import dose_ranges, effect_doses
from phenotypes.screens.batches.moderated import (
    best_doses,
    with_moderated_tests,
    with_tests_over_doses,
)
from phenotypes.screens.batches.places import judged_places
from phenotypes.screens.batches.vehicles import odd_batches, vehicles_of
from phenotypes.screens.batches.windows import windows_of
from phenotypes.screens.hits import judged_rows, with_screen_tests
from phenotypes.screens.lines import line_effects
from phenotypes.screens.parts import ScreenParts, parts_of
from phenotypes.screens.rows import Row, ScreenRow, cells_of
from phenotypes.statistics.multiple_testing import with_q_values
from phenotypes.statistics.threads import one_thread

RATIO_FLOOR = float(np.log2(1.2))


# Columns of the moderated test that the table of doses does not show.
_OF_SCREEN = ("moderated_error", "moderated_freedom", "prior_freedom", "prior_sd")


@dataclass(frozen=True)
class ScreenSettings:
    """Choices of a screen.

    `effect_dose`: compound ► mol/L at which lines are compared, if not the highest common dose.
    `effect_floor`: phenotype ► least effect of a hit. `robust_curves`: batch means far from their
    curve weigh less.
    """

    effect_dose: Mapping[str, float] = field(default_factory=dict)
    effect_floor: Mapping[str, float] = field(default_factory=dict)
    robust_curves: bool = False


@dataclass(frozen=True)
class LineFacts:
    """Facts about lines from the registry.

    Line ► donor, line ► gene, disease line ► isogenic partner, the lines that are healthy or
    corrected, and those of unknown health with what is known of them.
    """

    donors: Mapping[str, str] = field(default_factory=dict)
    genes: Mapping[str, str] = field(default_factory=dict)
    isogenic: Mapping[str, str] = field(default_factory=dict)
    healthy: frozenset[str] = frozenset()
    unknown: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Screen:
    """Tables of a screen.

    `fits` maps the digest of a row's inputs to the row's results, to pass as `known` next time.
    `refitted` counts the rows that had to be fitted.

    Examples
    --------
    >>> from phenotypes import Screen
    >>> from phenotypes.columns import empty_table
    >>> levels = ("screen", "dose", "compound", "window", "vehicle", "quality")
    >>> tables = [empty_table(level) for level in levels]
    >>> Screen(*tables, fits={}, refitted=0)
    Screen(0 rows, 0 lines, 0 compounds; 0 rows fitted now)
    """

    responses: pl.DataFrame
    doses: pl.DataFrame
    compounds: pl.DataFrame
    windows: pl.DataFrame
    vehicles: pl.DataFrame
    batches: pl.DataFrame
    fits: Mapping[str, Row]
    refitted: int

    def __repr__(self) -> str:
        lines, compounds = self.responses["line"].n_unique(), self.responses["compound"].n_unique()
        return (
            f"Screen({len(self.responses)} rows, {lines} lines, {compounds} compounds;"
            f" {self.refitted} rows fitted now)"
        )


def fit_screen(
    plates: pl.DataFrame,
    planned: pl.DataFrame,
    *,
    phenotypes: Sequence[str] | None = None,
    refusals: pl.DataFrame | None = None,
    facts: LineFacts | None = None,
    settings: ScreenSettings | None = None,
    quality: pl.DataFrame | None = None,
    provenance: pl.DataFrame | None = None,
    known: Mapping[str, Row] | None = None,
    software_version: str = "",
) -> Screen:
    """Fit the rows that are not known yet and judge all of them.

    Parameters
    ----------
    plates
        Conditions of all plates, from `plate_effects`. `batch` must differ between differentiation
        batches, of all labs.
    planned
        line, compound, dose_molar of all plate maps, whether or not the wells could be analysed,
        and `batch` where it is known: a dose that few batches have is not one to compare lines at.
    phenotypes
        Phenotypes that get rows, with or without values; those of `plates` if not given.
    refusals
        From `plate_refusals`: plates on which a line had no value or no vehicle; rows name them.
    quality
        plate, line, phenotype, z_prime, ssmd of the plates.
    provenance
        plate, run_id, plate_map_digest, protocol_digest, label_version: one row per plate.
    known
        `Screen.fits` of an earlier call.

    Examples
    --------
    >>> import polars as pl
    >>> from phenotypes import fit_screen, plate_effects
    >>> wells = pl.read_parquet("results/wells.parquet").with_columns(plate=pl.lit("p1"))
    >>> treated = wells.filter(control="none").select("line", "compound", "dose_molar").unique()
    >>> effects = plate_effects(wells, ["live_density"], min_vehicles=1)
    >>> screen = fit_screen(effects, treated)
    >>> screen
    Screen(6 rows, 3 lines, 2 compounds; 6 rows fitted now)
    """
    facts = facts or LineFacts()
    return fit_parts(
        parts_of(plates, facts.isogenic),
        planned,
        phenotypes=phenotypes,
        refusals=refusals,
        facts=facts,
        settings=settings,
        quality=quality,
        provenance=provenance,
        known=known,
        software_version=software_version,
    )


@one_thread()
def fit_parts(
    parts: ScreenParts,
    planned: pl.DataFrame,
    *,
    phenotypes: Sequence[str] | None = None,
    refusals: pl.DataFrame | None = None,
    facts: LineFacts | None = None,
    settings: ScreenSettings | None = None,
    quality: pl.DataFrame | None = None,
    provenance: pl.DataFrame | None = None,
    known: Mapping[str, Row] | None = None,
    software_version: str = "",
) -> Screen:
    """`fit_screen` from averages of batches, of plates that lie here or at several sites."""
    facts, settings, known = facts or LineFacts(), settings or ScreenSettings(), known or {}
    batches, plates = parts.batches, parts.placed
    lines = with_tests_over_doses(with_moderated_tests(line_effects(batches), batches))
    doses = effect_doses(planned, settings.effect_dose)
    windows, gaps = windows_of(parts.gaps)
    vehicles = vehicles_of(parts.levels, batches)
    odd = odd_batches(vehicles)
    pairs = (
        planned.filter(pl.col("compound") != "")
        .select("line", "compound")
        .unique()
        .sort("line", "compound")
    )
    wanted = (
        list(phenotypes)
        if phenotypes is not None
        else plates["phenotype"].unique(maintain_order=True).to_list()
    )
    left_out = _left_out(refusals)
    floors = {name: _floor(parts.spreads, name, settings) for name in wanted}
    genotype = dict(plates.select("line", "genotype").unique(subset="line", keep="first").rows())
    ladders = cells_of(batches.filter(pl.col("control") == "none"))
    at_dose = _at_effect_dose(lines, doses)
    effects = {(r["phenotype"], r["line"], r["compound"]): r for r in at_dose.iter_rows(named=True)}
    ranges = dose_ranges(planned)
    fits: dict[str, Row] = {}
    rows: list[Row] = []
    refitted = 0
    for name in wanted:
        for line, compound in pairs.rows():
            partner, dose = facts.isogenic.get(line, ""), doses.get(compound)
            row: Row = {
                "line": line,
                "genotype": genotype.get(line, ""),
                "donor": facts.donors.get(line, line),
                "compound": compound,
                "phenotype": name,
                "unit": "log2 ratio" if phenotype(name).scale == "percent" else unit_of(name),
                "response_unit": unit_of(name),
                "effect_dose_molar": dose,
                "effect_floor": floors[name],
                "isogenic": partner or None,
                "n_donors": 1,
            }
            ladder = ladders.get((name, line, compound))
            missing = left_out.get((name, line), {})
            if ladder is None:
                rows.append(row | _unmeasured(name, line, compound, missing))
                continue
            screen_row = ScreenRow(
                name,
                ladder,
                ladders.get((name, partner, compound)),
                ladders.get(("live_density", line, compound)),
                gaps.get((line, name)),
                effects.get((name, line, compound)),
                dose,
                ranges.get(compound),
                partner,
                settings.robust_curves,
                software_version,
                compound in settings.effect_dose,
            )
            digest = screen_row.digest()
            fitted = known.get(digest)
            if fitted is None:
                refitted += 1
                fitted = screen_row.fit()
            fits[digest] = fitted
            rows.append(
                row
                | fitted
                | {
                    "reason": "; ".join(
                        filter(
                            None,
                            (
                                str(fitted["reason"]),
                                *_sentences(missing),
                                *odd.get((name, line), []),
                            ),
                        )
                    )
                }
            )
    table = (
        pl.DataFrame(rows, infer_schema_length=None)
        if rows
        else pl.DataFrame(schema={"line": pl.String})
    )
    table = conform(table, "screen")
    table, best = judged_places(
        with_curve_tests(table, ladders, batches), best_doses(lines), ladders
    )
    table, best = judged_edge_doses(table, best, lines, ladders)
    table = with_q_values(table, ["phenotype"], of="curve_")
    placed = table.filter(pl.col("status") == ScreenStatus.CONFOUNDED_WITH_POSITION).select(
        "phenotype", "line", "compound"
    )
    tested = at_dose.join(placed, on=placed.columns, how="anti")
    table = judged_rows(with_screen_tests(table, tested, best), facts.healthy)
    table = _with_plates(table, plates, quality, provenance, software_version)
    compounds = across_lines_table(
        at_dose,
        batches,
        doses,
        donors=facts.donors,
        genes=facts.genes,
        healthy=facts.healthy,
        unknown=facts.unknown,
        placed=set(placed.rows()),
        edge=only_at_edge(lines, ladders, doses),
    )
    described = lines.with_columns(
        pl.col("line").replace_strict(dict(facts.donors), default=pl.col("line")).alias("donor"),
        pl.lit(1, pl.Int64).alias("n_donors"),
    ).drop("error", "n_floored", "moderated", "n_doses", *_OF_SCREEN)
    return Screen(
        table,
        conform(described, "dose") if len(described) else empty_table("dose"),
        compounds,
        windows,
        vehicles,
        batches,
        fits,
        refitted,
    )


# Status ► why a plate of a line gave no effect.
_REFUSED: Mapping[str, str] = {
    ScreenStatus.NOT_MEASURED: "no treated well has a value",
    ScreenStatus.NO_VEHICLE: "there is no vehicle well of this line and batch",
    ScreenStatus.TOO_FEW_VEHICLES: "there are fewer vehicle wells than the protocol asks for",
    ScreenStatus.VEHICLE_IS_ZERO: "the vehicle is 0, and a ratio to it means nothing",
}


def _left_out(refusals: pl.DataFrame | None) -> dict[tuple[str, str], dict[str, list[str]]]:
    """(phenotype, line) ► status ► plates that gave no effect."""
    plates_of: dict[tuple[str, str], dict[str, list[str]]] = {}
    if refusals is not None:
        for name, line, status, plate in (
            refusals.sort("plate").select("phenotype", "line", "status", "plate").iter_rows()
        ):
            plates_of.setdefault((name, line), {}).setdefault(status, []).append(plate)
    return plates_of


def _sentences(missing: Mapping[str, Sequence[str]]) -> list[str]:
    """One sentence per reason for which plates were left out."""
    return [
        f"{len(plates)} plate(s) of this line left out, {_REFUSED[status]}:"
        f" {', '.join(p[:12] for p in plates)}"
        for status, plates in missing.items()
    ]


def _unmeasured(name: str, line: str, compound: str, missing: Mapping[str, Sequence[str]]) -> Row:
    """Columns of a row without any effect; the status is what all plates agree on."""
    status = next(iter(missing)) if len(missing) == 1 else ScreenStatus.NOT_MEASURED
    reason = (
        "; ".join(_sentences(missing)) or f"no well of {line} with {compound} has a value of {name}"
    )
    return {
        "status": status,
        "reason": reason,
        "curve_status": ScreenCurveStatus.NO_VALUE,
        **dict.fromkeys(("n_batches", "n_plates", "n_wells", "n_cells"), 0),
    }


def _floor(spreads: pl.DataFrame, name: str, settings: ScreenSettings) -> float | None:
    """Least effect of a hit.

    The screen's choice; 1.2-fold for ratios; else the median standard deviation of vehicle wells
    within their plate.
    """
    if name in settings.effect_floor:
        return float(settings.effect_floor[name])
    if phenotype(name).scale == "percent":
        return RATIO_FLOOR
    spread = spreads.filter(pl.col("phenotype") == name)["level_sd"].drop_nulls().to_numpy()
    typical = float(np.median(spread)) if len(spread) else 0.0
    # Vehicle wells that do not vary (no punctum in any) give no scale for an effect: then no row is
    # a hit.
    return typical if typical > 0 else None


def _at_effect_dose(lines: pl.DataFrame, doses: Mapping[str, float]) -> pl.DataFrame:
    chosen = pl.DataFrame(
        {"compound": list(doses), "dose_molar": list(doses.values())},
        schema={"compound": pl.String, "dose_molar": pl.Float64},
    )
    return lines.filter(pl.col("control") == "none").join(
        chosen, on=["compound", "dose_molar"], how="semi", maintain_order="left"
    )


def _with_plates(
    table: pl.DataFrame,
    plates: pl.DataFrame,
    quality: pl.DataFrame | None,
    provenance: pl.DataFrame | None,
    software_version: str,
) -> pl.DataFrame:
    """Fill the quality and the provenance of each row's plates."""
    treated = (
        plates.filter(pl.col("control") == "none")
        .select("plate", "line", "compound", "phenotype")
        .unique()
    )
    keys = ["line", "compound", "phenotype"]
    parts = []
    if quality is not None and len(quality):
        joined = treated.join(quality, on=["plate", "line", "phenotype"], how="inner")
        parts.append(joined.group_by(keys).agg(pl.col("z_prime").median(), pl.col("ssmd").median()))
    if provenance is not None and len(provenance):
        joined = treated.join(provenance, on="plate", how="inner").sort("run_id")
        parts.append(
            joined.group_by(keys).agg(
                pl.col("run_id").str.join(" ").alias("run_ids"),
                pl.col("plate_map_digest").str.join(" ").alias("plate_map_digests"),
                pl.col("protocol_digest").unique().sort().str.join(" ").alias("protocol_digests"),
                pl.col("label_version").max(),
            )
        )
    for part in parts:
        filled = [c for c in part.columns if c not in keys]
        table = table.drop(filled).join(part, on=keys, how="left", maintain_order="left")
    return conform(table.with_columns(pl.lit(software_version).alias("software_version")), "screen")
