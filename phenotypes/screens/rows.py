"""One row of a screen: effect, curve and rescue from the batches of one line and compound.

Inputs are arrays of a few dozen numbers, and a screen has tens of thousands of rows: tables would
cost more time than the statistics.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from phenotypes.columns.dictionary import phenotype
from phenotypes.columns.statuses import LineWindowStatus, RescueStatus, ScreenStatus
from phenotypes.screens.across.rescue import LOST_CELLS, Rescue, best_dose, rescue
from phenotypes.statistics.curves.batch_curves import fit_batches
from phenotypes.statistics.curves.hill import DoseResponse
from plate_maps.conditions import format_dose

Row = dict[str, object]
Real = NDArray[np.float64]
# Half as many as for a plate: a screen has tens of thousands of rows.
_AUC_POINTS = 101
# Columns of batches that say how wells lie; tables of effects alone have none.
_PLACES = ("apart", "edge_dose")


@dataclass(frozen=True)
class Cells:
    """Batch means of one line and compound: one entry per batch and dose, in that order."""

    vehicles: tuple[str, ...]
    batch: tuple[str, ...]
    apart: tuple[str, ...]
    edge: tuple[bool, ...]
    dose: Real
    effect: Real
    response: Real
    error: Real
    n_wells: Real
    n_cells: Real
    n_floored: Real
    n_vehicle: Real

    def effects_at(self, dose: float) -> dict[str, float]:
        """Batch ► effect at a dose."""
        return {self.batch[i]: float(self.effect[i]) for i in np.flatnonzero(self.dose == dose)}

    def by_dose(self) -> dict[float, dict[str, float]]:
        """Dose ► batch ► effect."""
        return {float(d): self.effects_at(float(d)) for d in np.unique(self.dose)}

    def fingerprint(self) -> bytes:
        """Bytes to digest: rounded, since the order of plates changes the last digits of a sum."""
        numbers = (
            np.round(
                np.stack(
                    [
                        self.effect,
                        self.response,
                        self.error,
                        self.n_wells,
                        self.n_cells,
                        self.n_vehicle,
                    ]
                ),
                8,
            )
            + 0.0
        )
        return repr((self.batch, self.vehicles)).encode() + self.dose.tobytes() + numbers.tobytes()


def cells_of(batches: pl.DataFrame) -> dict[tuple[str, str, str], Cells]:
    """(phenotype, line, compound) ► its batch means."""
    keys = ["phenotype", "line", "compound"]
    ordered = batches.sort(*keys, "batch", "dose_molar")
    starts = ordered.select(pl.struct(keys).rle_id())[keys[0]].to_numpy()
    edges = np.flatnonzero(
        np.diff(starts, prepend=-1, append=(starts[-1] if len(starts) else 0) + 1)
    )
    names = ordered.select(keys).rows()
    batch, vehicles = ordered["batch"].to_list(), ordered["vehicles"].to_list()
    known = {name: ordered[name].to_list() for name in ordered.columns if name in _PLACES}
    apart = known.get("apart", [""] * len(ordered))
    edge = known.get("edge_dose", [False] * len(ordered))
    columns = [
        ordered[c].cast(pl.Float64).fill_null(np.nan).to_numpy()
        for c in (
            "dose_molar",
            "effect",
            "response",
            "error",
            "n_wells",
            "n_cells",
            "n_floored",
            "n_vehicle",
        )
    ]
    return {
        names[i]: Cells(
            tuple(sorted(set(vehicles[i:j]))),
            tuple(batch[i:j]),
            tuple(apart[i:j]),
            tuple(edge[i:j]),
            *(c[i:j] for c in columns),
        )
        for i, j in pairwise(edges)
    }


def points_of(ladder: Cells, name: str) -> dict[str, list[Any]]:
    """Points for a curve: batch, dose, response and wells, with the vehicle at dose 0.

    The vehicle's response is 100 % (or a difference of 0) by definition; its weight is the number
    of vehicle wells on the plates with the compound.
    """
    level = 100.0 if phenotype(name).scale == "percent" else 0.0
    rows = list(
        zip(
            ladder.batch,
            ladder.dose.tolist(),
            ladder.response.tolist(),
            ladder.n_wells.tolist(),
            strict=True,
        )
    )
    for batch in dict.fromkeys(ladder.batch):
        members = [i for i, b in enumerate(ladder.batch) if b == batch]
        rows.append((batch, 0.0, level, float(ladder.n_vehicle[members].max())))
    rows.sort()
    return dict(
        zip(("batch", "dose", "response", "wells"), map(list, zip(*rows, strict=True)), strict=True)
    )


def curve_of(ladder: Cells, name: str, *, robust: bool = False) -> DoseResponse:
    """Fit the curve through the batches of one line and compound."""
    points = points_of(ladder, name)
    number = {b: i for i, b in enumerate(dict.fromkeys(points["batch"]))}
    return fit_batches(
        points["dose"],
        points["response"],
        points["wells"],
        [number[b] for b in points["batch"]],
        robust=robust,
    )


@dataclass(frozen=True)
class ScreenRow:
    """Inputs of one row of the screen table."""

    phenotype: str
    ladder: Cells
    isogenic: Cells | None
    live: Cells | None
    gaps: Mapping[str, float] | None
    effect: Mapping[str, Any] | None
    dose: float | None
    dose_range: tuple[float, float] | None
    partner: str
    robust: bool = False
    version: str = ""
    # Whether `dose` is the screen's own choice, made without looking at effects.
    chosen: bool = False

    def digest(self) -> str:
        """SHA-256 of the inputs."""
        gaps = None if self.gaps is None else {b: round(g, 8) for b, g in self.gaps.items()}
        parts = (
            self.version,
            self.phenotype,
            gaps,
            self.dose,
            self.dose_range,
            self.partner,
            self.robust,
            self.chosen,
        )
        digest = hashlib.sha256(repr(parts).encode())
        for cells in (self.ladder, self.isogenic, self.live):
            digest.update(b"none" if cells is None else cells.fingerprint())
        return digest.hexdigest()

    def fit(self) -> Row:
        """Columns that depend on these inputs only."""
        ladder = self.ladder
        row: Row = {
            "n_curve_wells": int(ladder.n_wells.sum()),
            "n_curve_batches": len(set(ladder.batch)),
        }
        row |= self._effect()
        floored = int(ladder.n_floored.sum())
        mixed = any(", " in v for v in ladder.vehicles) or len(ladder.vehicles) > 1
        remarks = (
            str(row["reason"]),
            (
                f"{floored} well(s) of conditions under 1/64 of vehicle count as 1/64"
                if floored
                else ""
            ),
            f"mixed vehicles: {'; '.join(ladder.vehicles)} are averaged as one" if mixed else "",
        )
        row["reason"] = "; ".join(filter(None, remarks))
        curve = curve_of(ladder, self.phenotype, robust=self.robust)
        row |= {
            "curve_status": curve.status,
            "curve_reason": curve.reason,
            "curve_p_value": curve.p_value,
            "direction": curve.direction or None,
            "model": curve.model or None,
            "ec50_molar": curve.ec50,
            "ec50_molar_low": curve.ec50_low,
            "ec50_molar_high": curve.ec50_high,
            "hill": curve.hill,
            "e0": curve.e0,
            "emax": curve.emax,
            "auc": self._auc(curve),
            "ec50_absolute_molar": self._absolute(curve),
        }
        return row | self._rescue()

    def _effect(self) -> Row:
        no_counts: Row = dict.fromkeys(("n_batches", "n_plates", "n_wells", "n_cells"), 0)
        if self.dose is None:
            reason = (
                "lines were given no dose in common; see the table of doses, or name an effect dose"
            )
            return no_counts | {"status": ScreenStatus.NO_COMMON_DOSE, "reason": reason}
        if self.effect is None:
            dose = format_dose(self.dose)
            reason = f"no well has a value at {dose}, the dose that lines are compared at"
            return no_counts | {"status": ScreenStatus.NOT_MEASURED, "reason": reason}
        columns = (
            "status",
            "reason",
            "effect",
            "effect_low",
            "effect_high",
            "p_value",
            "same_direction",
            *no_counts,
        )
        return {n: self.effect[n] for n in columns}

    def _auc(self, curve: DoseResponse) -> float | None:
        if self.dose_range is None or curve.e0 is None:
            return None
        return curve.mean_response(*self.dose_range, points=_AUC_POINTS)

    def _absolute(self, curve: DoseResponse) -> float | None:
        """Dose at which the curve falls to 50 % of vehicle, within the tested doses."""
        percent = phenotype(self.phenotype).scale == "percent"
        return (
            curve.dose_at(50.0, float(self.ladder.dose.min()), float(self.ladder.dose.max()))
            if percent
            else None
        )

    def _rescue(self) -> Row:
        if not self.partner:
            return {
                "window_status": LineWindowStatus.NO_PAIR,
                "rescue_status": RescueStatus.NO_PAIR,
                "rescue_reason": "the registry names no isogenic partner",
            }
        if self.gaps is None:
            return {
                "window_status": LineWindowStatus.TOO_FEW_BATCHES,
                "rescue_status": RescueStatus.TOO_FEW_BATCHES,
                "rescue_reason": f"no plate has vehicle wells with a value of both {self.partner}"
                " and this line, or the value is 0",
            }
        live = {} if self.live is None else self.live.by_dose()
        ratios = {d: float(2 ** np.mean(list(v.values()))) for d, v in live.items()}
        dose, looked_at, left_out = self._rescue_dose(ratios)
        drug = self.ladder.effects_at(dose)
        other = {} if self.isogenic is None else self.isogenic.effects_at(dose)
        shared = [b for b in drug if b in self.gaps]
        outcome = rescue(
            [drug[b] for b in shared],
            [self.gaps[b] for b in shared],
            [other.get(b, np.nan) for b in shared],
            ratios.get(dose),
            looked_at,
        )
        columns = _rescue_columns(outcome)
        if left_out:
            remark = f"{left_out} dose(s) that lose over {LOST_CELLS:.0%} of live cells left out"
            columns["rescue_reason"] = "; ".join(
                filter(None, (str(columns["rescue_reason"]), remark))
            )
        return columns | {"rescue_dose_molar": dose if outcome.rho is not None else None}

    def _rescue_dose(self, live: Mapping[float, float]) -> tuple[float, int, int]:
        """(dose, doses looked at, doses left out): the screen's choice, or the best of all."""
        if self.dose is not None and self.chosen:
            return self.dose, 1, 0
        best = best_dose(self.ladder.by_dose(), self.gaps or {}, live)
        # Without a dose in two batches with a gap: any one, for the reason.
        return best or (float(self.ladder.dose.max()), 1, 0)


def _rescue_columns(outcome: Rescue) -> Row:
    undecided = (
        RescueStatus.TOO_FEW_BATCHES,
        RescueStatus.NOT_EXPRESSED,
        RescueStatus.NO_VARIATION,
    )
    window_status = (
        LineWindowStatus(outcome.status)
        if outcome.status in undecided
        else LineWindowStatus.EXPRESSED
    )
    return {
        "window_status": window_status,
        "window": outcome.window,
        "window_low": outcome.window_low,
        "window_high": outcome.window_high,
        "rescue_status": outcome.status,
        "rescue_reason": "; ".join(filter(None, (outcome.reason, *outcome.flags))),
        "rescue": outcome.rho,
        "rescue_low": outcome.low,
        "rescue_high": outcome.high,
        "interaction": outcome.interaction,
        "interaction_low": outcome.interaction_low,
        "interaction_high": outcome.interaction_high,
    }
