"""Whether an effect of a screen may be that of the place where the vehicle wells lie.

Where vehicle lies in an outer column that reads less, all compounds of the line read more, in every
batch laid out alike: batches agree on it, and no test between them finds it. As on a plate
(`phenotypes.plates.quality.vehicle_places`) two things tell it from a compound: it is the same at
all doses, and the line's other compounds share it. So where vehicle and treated wells lie apart in
most batches of a row, an effect is withheld that the place could have made: whose interval over all
doses meets the interval of what the other compounds share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from phenotypes.columns.statuses import RescueStatus, ScreenCurveStatus, ScreenStatus
from phenotypes.screens.across.rescue import mean_interval
from phenotypes.screens.batches.curve_tests import OF_CURVE
from phenotypes.screens.rows import Cells

Key = tuple[str, str, str]
ALPHA = 0.05
# Other compounds of the line from which a shift that all of them share is known.
_LEAST_COMPOUNDS, _LEAST_BATCHES = 3, 2
# Statuses of a curve whose effect changes with the dose: no place does that.
_DEPENDS = (
    ScreenCurveStatus.OK,
    ScreenCurveStatus.ABOVE_TESTED_RANGE,
    ScreenCurveStatus.NOT_DETERMINED,
    ScreenCurveStatus.NOT_MONOTONE,
    ScreenCurveStatus.LACK_OF_FIT,
)
_WITHHELD = ("effect", "effect_low", "effect_high", "p_value", "same_direction")
_RESCUE = (
    "rescue",
    "rescue_low",
    "rescue_high",
    "rescue_dose_molar",
    "interaction",
    "interaction_low",
    "interaction_high",
)


@dataclass(frozen=True)
class _Shift:
    """What a line's compounds share at their lowest dose, with its interval between batches."""

    value: float
    low: float
    high: float

    @property
    def shown(self) -> bool:
        return self.low > 0 or self.high < 0


def judged_places(
    table: pl.DataFrame, best: pl.DataFrame, ladders: Mapping[Key, Cells]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Name the place on rows whose vehicle wells lie apart, and withhold what it could have made.

    Parameters
    ----------
    table
        Rows of the screen with their curves.
    best
        Table of `best_doses`.
    ladders
        (phenotype, line, compound) ► batch means, from `cells_of`.

    Returns
    -------
    Both tables: of withheld rows the status is `confounded_with_position`, without effect, curve
    and rescue, and `best` has no row, so that they are not part of a family of tests.
    """
    keys = ["phenotype", "line", "compound"]
    apart = {key: kind for key, cells in ladders.items() if (kind := _mostly(cells))}
    if not apart:
        return table, best
    lowest = {key: _at_lowest_dose(ladders[key]) for key in apart}
    of_line: dict[tuple[str, str], list[str]] = {}
    for name, line, compound in apart:
        of_line.setdefault((name, line), []).append(compound)
    tests = {(r["phenotype"], r["line"], r["compound"]): r for r in best.iter_rows(named=True)}
    remarks: list[str] = []
    withheld: list[bool] = []
    for r in table.select(*keys, "unit", "curve_status").iter_rows(named=True):
        key = (r["phenotype"], r["line"], r["compound"])
        if key not in apart or key not in tests:
            remarks.append("")
            withheld.append(False)
            continue
        others = [c for c in of_line[key[:2]] if c != key[2]]
        shift = _shared([lowest[key[0], key[1], c] for c in others])
        words, hold = _judgement(apart[key], tests[key], r["curve_status"], r["unit"], shift)
        remarks.append(words)
        withheld.append(hold)
    return withheld_rows(table, best, remarks, withheld)


def withheld_rows(
    table: pl.DataFrame, best: pl.DataFrame, remarks: Sequence[str], withheld: Sequence[bool]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Add remarks to the reasons, and withhold rows whose effect a place could have made.

    `remarks` and `withheld` have one entry per row of `table`. Returns both tables as
    `judged_places`.
    """
    keys = ["phenotype", "line", "compound"]
    reason = pl.Series("remark", remarks, dtype=pl.String)
    table = table.with_columns(reason, pl.Series("withheld", withheld, dtype=pl.Boolean))
    both = pl.col("reason") + "; " + pl.col("remark")
    said = (
        pl.when(pl.col("remark") == "")
        .then("reason")
        .when(pl.col("reason") == "")
        .then("remark")
        .otherwise(both)
    )
    rescued = pl.col("withheld") & pl.col("rescue").is_not_null()
    curves = (*_DEPENDS, ScreenCurveStatus.BELOW_TESTED_RANGE)
    curved = pl.col("withheld") & pl.col("curve_status").is_in(curves)
    judged = table.with_columns(
        said.alias("reason"),
        pl.when("withheld")
        .then(pl.lit(ScreenStatus.CONFOUNDED_WITH_POSITION))
        .otherwise("status")
        .alias("status"),
        pl.when(rescued)
        .then(pl.lit(RescueStatus.CONFOUNDED_WITH_POSITION))
        .otherwise("rescue_status")
        .alias("rescue_status"),
        pl.when(curved)
        .then(pl.lit(ScreenCurveStatus.CONFOUNDED_WITH_POSITION))
        .otherwise("curve_status")
        .alias("curve_status"),
        *(pl.when(~curved).then(name).alias(name) for name in ("curve_p_value", *OF_CURVE)),
        *(pl.when(~pl.col("withheld")).then(name).alias(name) for name in (*_WITHHELD, *_RESCUE)),
    )
    gone = judged.filter("withheld").select(keys)
    return judged.drop("remark", "withheld"), best.join(gone, on=keys, how="anti")


def _mostly(cells: Cells) -> str:
    """How vehicle lies apart in more than half of the batch means; empty where it does not."""
    kinds = [kind for kind in cells.apart if kind]
    return kinds[0] if 2 * len(kinds) > len(cells.apart) else ""


def _at_lowest_dose(cells: Cells) -> dict[str, float]:
    return {b: e for b, e in cells.effects_at(float(cells.dose.min())).items() if np.isfinite(e)}


def _shared(compounds: list[dict[str, float]]) -> _Shift | None:
    """The shift that compounds share, batches as n; None where too few tell.

    The median over compounds, so that a few potent ones do not count.
    """
    medians = [
        float(np.median(values))
        for batch in sorted({b for c in compounds for b in c})
        if len(values := [c[batch] for c in compounds if batch in c]) >= _LEAST_COMPOUNDS
    ]
    if len(medians) < _LEAST_BATCHES:
        return None
    low, high = mean_interval(np.array(medians))
    return _Shift(float(np.mean(medians)), low, high)


def _judgement(
    kind: str, best: Mapping[str, Any], curve: str, unit: str, shift: _Shift | None
) -> tuple[str, bool]:
    """(remark, whether the effect is withheld)."""
    words = {
        "edge": "vehicle and treated wells of this line lie apart (edge of the plate and inside)",
        "column": "vehicle and treated wells of this line share no column",
        "row": "vehicle and treated wells of this line share no row",
    }[kind]
    alike = curve not in _DEPENDS
    claimed = best["best_p_value"] < ALPHA
    effect = f"{best['best_effect']:+.2g} {unit}"
    if shift is None:
        if kind == "edge" and alike and claimed:
            return (
                f"{words}: an effect of {effect} that does not change with the dose may be that of"
                " the place, and too few other compounds tell",
                True,
            )
        return words, False
    makes = f"{shift.value:+.2g} {unit} [{shift.low:+.2g}, {shift.high:+.2g}]"
    meets = best["best_effect_low"] <= shift.high and best["best_effect_high"] >= shift.low
    if claimed and meets and (alike or shift.shown):
        return (
            f"{words}: an effect of {effect} is not shown to be more than what the line's other"
            f" compounds share at their lowest dose ({makes})",
            True,
        )
    return (f"{words}, which makes {makes} of the effect" if shift.shown else words), False
