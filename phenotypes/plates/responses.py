"""Responses of a plate: one row per line × compound × phenotype.

Each row has its uncertainty, or the reason why there is no number.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from phenotypes.columns.dictionary import conform, phenotype
from phenotypes.columns.statuses import ResponseStatus, WellStatus
from phenotypes.plates.normalise import normalised, unit_of
from phenotypes.plates.quality.controls import quality_table
from phenotypes.plates.quality.edge_doses import judged_by_edge
from phenotypes.plates.quality.vehicle_places import apart, judged_by_place, with_edge
from phenotypes.plates.wells import COUNTED, PER_NEURON, WellSettings
from phenotypes.statistics.curves.dose_response import fit
from phenotypes.statistics.curves.hill import DoseResponse
from phenotypes.statistics.multiple_testing import with_q_values
from phenotypes.statistics.odd_vehicle import odd_vehicles
from phenotypes.statistics.threads import one_thread
from plate_maps.conditions import format_dose


@dataclass(frozen=True)
class Curve:
    """A row's fit with the wells behind it, for pictures.

    `dose` in mol/L (0: vehicle), `response` normalised.

    Examples
    --------
    >>> from phenotypes import Curve, fit
    >>> one = fit([0.0], [100.0])
    >>> wells = ("B03",), (0.0,), (100.0,), ("",)
    >>> Curve("HC-01", "riluzole", "live_density", "% of vehicle", *wells, one)
    Curve(HC-01 × riluzole, live_density in % of vehicle, 1 well, too_few_doses)
    """

    line: str
    compound: str
    phenotype: str
    unit: str
    well: tuple[str, ...]
    dose: tuple[float, ...]
    response: tuple[float, ...]
    batch: tuple[str, ...]
    result: DoseResponse

    def __repr__(self) -> str:
        wells = f"{len(self.well)} well{'' if len(self.well) == 1 else 's'}"
        measured = f"{self.phenotype} in {self.unit}"
        return f"Curve({self.line} × {self.compound}, {measured}, {wells}, {self.result.status})"


@dataclass(frozen=True)
class Responses:
    """The response table, the quality table and the curves, in the same order as the response rows.

    Examples
    --------
    >>> from phenotypes import Responses
    >>> from phenotypes.columns import empty_table
    >>> Responses(empty_table("response"), empty_table("quality"), ())
    Responses(0 rows)
    """

    table: pl.DataFrame
    quality: pl.DataFrame
    curves: tuple[Curve, ...]

    def __repr__(self) -> str:
        counts = (
            self.table["status"]
            .value_counts(sort=True)
            .sort("count", "status", descending=[True, False])
        )
        ended = ", ".join(f"{n} {status}" for status, n in counts.rows())
        return f"Responses({len(self.table)} rows{': ' if ended else ''}{ended})"

    def _repr_html_(self) -> str:
        """The response table for a notebook, with the reason in rows that have no number."""
        from phenotypes.plates.response_table import html_table

        return html_table(self)


@one_thread()
def respond(
    wells: pl.DataFrame,
    phenotypes: Sequence[str],
    *,
    pixel_size_um: float,
    provenance: Mapping[str, object] | None = None,
    seed: int = 0,
    lines: Collection[str] | None = None,
    settings: WellSettings | None = None,
    plate_shape: tuple[int, int] | None = None,
) -> Responses:
    """Fit every line × compound × phenotype of a plate.

    Parameters
    ----------
    wells
        The well table.
    phenotypes
        Well columns that are phenotypes, see `phenotypes.columns.phenotype`.
    pixel_size_um
        A phenotype that this pixel size cannot carry gets the status `pixel_size_too_coarse`.
    provenance
        Values of the columns run_id, plate_map_digest, protocol_digest, label_version,
        software_version.
    seed
        Of permutations and bootstraps.
    lines
        Fit these lines only; all if not given. The dose range of `auc` stays that of all lines.
    settings
        Settings that the well table was made with; refusals name their limits.
    plate_shape
        Rows and columns of the plate's format, which tell its edge; the smallest of 96 wells or
        more that holds all wells if not given.

    Returns
    -------
    Responses
        One row per line × compound × phenotype; a row without a number has a status and a reason.

    Examples
    --------
    >>> import polars as pl
    >>> from phenotypes import respond
    >>> wells = pl.read_parquet("results/wells.parquet")
    >>> responses = respond(wells, ["live_density"], pixel_size_um=0.65)
    >>> responses
    Responses(6 rows: 4 too_few_doses, 2 too_few_wells)
    """
    settings, wells = settings or WellSettings(), with_edge(wells, plate_shape)
    measured, wells = wells, _finite(wells, phenotypes)
    quality = quality_table(wells, phenotypes, seed=seed)
    windows = {(r["line"], r["phenotype"]): r for r in quality.iter_rows(named=True)}
    treated = wells.filter((pl.col("control") == "none") & (pl.col("compound") != ""))
    wanted = treated if lines is None else treated.filter(pl.col("line").is_in(list(lines)))
    pairs = wanted.select("line", "compound").unique().sort("line", "compound").rows()
    rows: list[dict[str, object]] = []
    curves: list[Curve] = []
    for name in phenotypes:
        column = phenotype(name)
        values = _values(wells, name)
        ranges = _common_ranges(values)
        for line, compound in pairs:
            used = values.filter(
                (pl.col("line") == line)
                & (
                    (pl.col("control") == "vehicle")
                    | ((pl.col("control") == "none") & (pl.col("compound") == compound))
                )
            )
            planned = treated.filter((pl.col("line") == line) & (pl.col("compound") == compound))
            result = _refusal(
                wells, line, name, column.coarsest_pixel_um, pixel_size_um, settings
            ) or _curve(used, seed, settings)
            result = judged_by_place(result, used, apart(values, line, compound), unit_of(name))
            result = judged_by_edge(
                result, used, unit_of(name), lambda part: _curve(part, seed, settings)
            )
            window = windows.get((line, name), {})
            rows.append(
                {
                    "line": line,
                    "genotype": planned["genotype"][0],
                    "compound": compound,
                    "phenotype": name,
                    "population": next(iter(wells["population"].drop_nulls()), None),
                    "unit": unit_of(name),
                    **_result_columns(result),
                    "ec50_absolute_molar": _absolute(result, name, used["dose_molar"]),
                    "reason": "; ".join(
                        filter(
                            None,
                            (
                                result.reason,
                                _lost_doses(planned, used),
                                _not_finite(measured, name, line, compound),
                            ),
                        )
                    ),
                    "n_cells": int(used["nuclei_count"].sum() or 0) if result.n_wells else 0,
                    "n_plates": 1,
                    "n_batches": planned["batch"].n_unique(),
                    "auc": _auc(result, ranges.get(compound)),
                    "z_prime": window.get("z_prime"),
                    "ssmd": window.get("ssmd"),
                    **(provenance or {}),
                }
            )
            curves.append(
                Curve(
                    line,
                    compound,
                    name,
                    unit_of(name),
                    tuple(used["well"]),
                    tuple(used["dose_molar"]),
                    tuple(used["response"]),
                    tuple(used["batch"]),
                    result,
                )
            )
    if not rows:
        return Responses(conform(pl.DataFrame(schema={"line": pl.String}), "response"), quality, ())
    frame = conform(pl.DataFrame(rows, infer_schema_length=None), "response")
    return Responses(with_q_values(frame, ["phenotype"]), quality, tuple(curves))


def lines_to_fit(
    before: pl.DataFrame,
    after: pl.DataFrame,
    phenotypes: Sequence[str],
    *,
    pixel_size_um: float,
    settings: WellSettings | None = None,
) -> list[str]:
    """Lines with response rows that differ between two well tables; other lines' rows can be kept.

    They are the lines of wells that changed; all lines where something changed that a row takes
    from the whole plate: the dose range that all lines were given, or the refusal of a phenotype.
    """
    settings = settings or WellSettings()
    before, after = _finite(before, phenotypes), _finite(after, phenotypes)
    watched = ["well", "line", "status", "population", "nuclei_count", *phenotypes]
    same = before.select(watched).join(
        after.select(watched), on=watched, how="semi", nulls_equal=True
    )
    moved = after.filter(~pl.col("well").is_in(same["well"].implode()))
    whole = any(
        _of_plate(before, name, pixel_size_um, settings)
        != _of_plate(after, name, pixel_size_um, settings)
        for name in phenotypes
    )
    return sorted((after if whole else moved)["line"].unique())


def _of_plate(
    wells: pl.DataFrame, name: str, pixel_size_um: float, settings: WellSettings
) -> tuple[DoseResponse | None, dict[str, tuple[float, float]]]:
    """What a response row takes from other lines' wells."""
    return _plate_refusal(
        wells, name, phenotype(name).coarsest_pixel_um, pixel_size_um, settings
    ), _common_ranges(_values(wells, name))


def _finite(wells: pl.DataFrame, phenotypes: Sequence[str]) -> pl.DataFrame:
    """Wells with null in place of values that are not finite: these are not measurements."""
    return wells.with_columns(
        pl.when(pl.col(name).cast(pl.Float64).is_finite()).then(pl.col(name))
        for name in dict.fromkeys(phenotypes)
    )


def _not_finite(wells: pl.DataFrame, name: str, line: str, compound: str) -> str:
    """Name the wells of a row whose value is not finite, in words."""
    treated = (pl.col("compound") == compound) & (pl.col("control") == "none")
    of_row = (pl.col("status") == WellStatus.DONE) & (treated | (pl.col("control") == "vehicle"))
    lost = wells.filter(
        of_row & (pl.col("line") == line) & ~pl.col(name).cast(pl.Float64).is_finite()
    )["well"].to_list()
    if not lost:
        return ""
    return f"{name} is not a finite number in {len(lost)} well(s) left out: {', '.join(lost)}"


def _curve(used: pl.DataFrame, seed: int, settings: WellSettings) -> DoseResponse:
    """Fit the wells of a row, or refuse it where a vehicle well spoils what it is compared with."""
    dose, response = used["dose_molar"].to_numpy(), used["response"].to_numpy()
    odd = odd_vehicles(dose.astype(float), response)
    n_vehicle = int((dose == 0).sum())
    least = settings.min_vehicle_wells
    if not len(odd):
        return fit(dose.tolist(), response.tolist(), seed=seed, min_vehicles=least)
    listed = ", ".join(f"{used['well'][int(i)]} at {response[i]:.3g}" for i in odd)
    remark = f"far from the other vehicle wells: {listed}"
    if n_vehicle - len(odd) < least <= n_vehicle:
        reason = (
            f"{remark}; without it {n_vehicle - len(odd)} are left, and a response needs {least}."
            " Look at the well and exclude it, or keep more vehicle wells"
        )
        return DoseResponse(
            ResponseStatus.TOO_FEW_VEHICLES,
            reason,
            n_wells=int((dose > 0).sum()),
            n_vehicle=n_vehicle,
            n_doses=len(set(dose[dose > 0].tolist())),
        )
    curve = fit(dose.tolist(), response.tolist(), seed=seed, min_vehicles=least)
    return replace(curve, reason="; ".join(filter(None, (curve.reason, remark))))


def _values(wells: pl.DataFrame, name: str) -> pl.DataFrame:
    """Wells with a value of the phenotype, normalised as `response`."""
    return wells.with_columns(normalised(wells, name).alias("response")).filter(
        pl.col("response").is_not_null()
    )


def _refusal(
    wells: pl.DataFrame,
    line: str,
    name: str,
    coarsest: float | None,
    pixel_size_um: float,
    settings: WellSettings,
) -> DoseResponse | None:
    """The refusal of a row that needs no fit; None where a fit is to be made."""
    refused = _plate_refusal(wells, name, coarsest, pixel_size_um, settings)
    if refused is not None:
        return refused
    vehicle = wells.filter(
        (pl.col("status") == WellStatus.DONE)
        & (pl.col("line") == line)
        & (pl.col("control") == "vehicle")
    )[name].drop_nulls()
    if vehicle.is_empty():
        return DoseResponse(
            ResponseStatus.NO_VEHICLE, f"line {line} has no vehicle well with a value of {name}"
        )
    if phenotype(name).scale == "percent" and not vehicle.to_numpy().mean() > 0:
        return DoseResponse(
            ResponseStatus.VEHICLE_IS_ZERO,
            f"{name} is 0 in the vehicle wells of line {line}; a percentage of it means nothing",
        )
    return None


def _plate_refusal(
    wells: pl.DataFrame,
    name: str,
    coarsest: float | None,
    pixel_size_um: float,
    settings: WellSettings,
) -> DoseResponse | None:
    """Why no line of the plate has a response of this phenotype."""
    if coarsest is not None and pixel_size_um > coarsest:
        return DoseResponse(
            ResponseStatus.PIXEL_SIZE_TOO_COARSE,
            f"{name} needs pixels of at most {coarsest} µm, these are {pixel_size_um:.3g} µm",
        )
    done = wells.filter(pl.col("status") == WellStatus.DONE)
    if done.is_empty():
        return DoseResponse(
            ResponseStatus.NO_WELL_DONE,
            "no well of the plate could be analysed; the well table says why",
        )
    crossed = done["attribution_conflict_fraction"].drop_nulls() > settings.max_conflict
    if (
        name in PER_NEURON
        and done[name].null_count() == len(done)
        and 2 * int(crossed.sum()) > len(crossed)
    ):
        typical = float(np.median(done["attribution_conflict_fraction"].drop_nulls().to_numpy()))
        reason = (
            f"neurites touching several somas hold {typical:.0%} of the length (median well, limit"
            f" {settings.max_conflict:.0%})"
        )
        return DoseResponse(
            ResponseStatus.ATTRIBUTION_CONFLICT,
            f"{reason}, so they cannot be attributed to neurons; use field-level phenotypes or"
            " plate fewer neurons",
        )
    if done[name].null_count() == len(done):
        cells = max(done["live_count"].drop_nulls().to_list(), default=0)
        if (
            phenotype(name).scale is not None
            and 0 < cells < settings.min_cells
            and name not in COUNTED
        ):
            return DoseResponse(
                ResponseStatus.TOO_FEW_CELLS,
                f"{name} needs {settings.min_cells} cells per well; the fullest well has {cells}",
            )
        if not (done["control"] == "vehicle").any():
            return DoseResponse(
                ResponseStatus.NO_VEHICLE,
                f"{name} has no value in any well, and the plate has no vehicle well that could be"
                " used; responses are relative to the vehicle wells of the same line",
            )
        reason = "its channel or compartment is missing, or it was refused (see the plate's checks)"
        return DoseResponse(
            ResponseStatus.NOT_MEASURED, f"{name} has no value in any well: {reason}"
        )
    return None


def _result_columns(result: DoseResponse) -> dict[str, object]:
    return {
        "status": result.status,
        "reason": result.reason,
        "direction": result.direction,
        "model": result.model,
        "n_wells": result.n_wells,
        "n_vehicle": result.n_vehicle,
        "n_doses": result.n_doses,
        "ec50_molar": result.ec50,
        "ec50_low": result.ec50_low,
        "ec50_high": result.ec50_high,
        "hill": result.hill,
        "e0": result.e0,
        "emax": result.emax,
        "effect": result.effect,
        "effect_low": result.effect_low,
        "effect_high": result.effect_high,
        "p_value": result.p_value,
        "residual_sd": result.residual_sd,
    }


def _absolute(result: DoseResponse, name: str, doses: pl.Series) -> float | None:
    """Dose at which the curve falls to 50 % of vehicle, inside the tested doses."""
    tested = doses.filter(doses > 0).to_numpy()
    if phenotype(name).scale != "percent" or not len(tested):
        return None
    return result.dose_at(50.0, float(tested.min()), float(tested.max()))


def _lost_doses(planned: pl.DataFrame, used: pl.DataFrame) -> str:
    """The doses of the plate map that have no value, in words.

    `emax` and `auc` then describe fewer doses than were given.
    """
    given = set(planned["dose_molar"].drop_nulls())
    lost = sorted(given - set(used["dose_molar"]))
    if not lost or lost == sorted(given):
        return ""
    doses = ", ".join(map(format_dose, lost))
    return (
        f"no well has a value at {len(lost)} of {len(given)} doses ({doses}): they failed or have"
        " too few cells"
    )


def _common_ranges(values: pl.DataFrame) -> dict[str, tuple[float, float]]:
    """Compound ► the dose range in which every line has values; absent where there is none."""
    values = values.filter((pl.col("control") == "none") & (pl.col("compound") != ""))
    ranges = {}
    for compound in values["compound"].unique():
        treated = values.filter((pl.col("compound") == compound) & (pl.col("dose_molar") > 0))
        ends = [
            (part["dose_molar"].to_numpy().min(), part["dose_molar"].to_numpy().max())
            for part in treated.partition_by("line")
        ]
        low, high = max((e[0] for e in ends), default=0.0), min((e[1] for e in ends), default=0.0)
        if high > low > 0:
            ranges[str(compound)] = (float(low), float(high))
    return ranges


def _auc(result: DoseResponse, dose_range: tuple[float, float] | None) -> float | None:
    return None if dose_range is None or result.e0 is None else result.mean_response(*dose_range)
