"""Correction for rows and columns by median polish, on request only.

B-score: Brideau et al., J. Biomol. Screen. 8:634, 2003.

Position effects can be removed only where they are not mixed with biology. If a line or the doses
follow rows or columns, a polish removes the biology with the position and leaves a flat plate that
looks clean; such a layout is refused, and the reason names what follows what. A polish also takes
the median of a row as the effect of its position, which holds only while most wells do not respond:
a plate where many do is refused too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import stats

from phenotypes.columns.statuses import CheckStatus, Status, WellStatus
from phenotypes.statistics.robust import robust_z

Real = NDArray[np.float64]

# P of an analysis of variance over rows or columns under which a layout is not random enough.
LEAST_P = 0.001
# Share of wells beyond three robust standard deviations of their line's vehicle above which the
# medians of rows show the compounds.
MOST_ACTIVE = 0.25
# Wells with a value that a polish needs in each row and column that it corrects, and rows and
# columns that make a grid.
_LEAST_WELLS, _LEAST_LINES = 3, 4
_SWEEPS = 10


class PolishStatus(Status):
    """Whether rows and columns could be polished off."""

    OK = "ok"
    REFUSED = "refused"


@dataclass(frozen=True)
class Polished:
    """A phenotype after the polish, or the reason why it was refused.

    `corrected` and `score`: one value per well of the table, null where
    refused.
    """

    status: PolishStatus
    reason: str
    corrected: pl.Series
    score: pl.Series


def b_score(wells: pl.DataFrame, name: str) -> Polished:
    """Position-corrected values of a phenotype, and their B-scores.

    B-score: residual of the polish / (1.4826 MAD of the residuals).

    `wells` is the well table; wells that are done and have a value take part. Corrected values keep
    the plate's median.
    """
    empty = pl.Series(name, [None] * len(wells), dtype=pl.Float64)
    usable = (wells["status"] == WellStatus.DONE).to_numpy() & wells[name].is_not_null().to_numpy()
    row, column = places(wells["well"])
    value = wells[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
    fault = _follows(wells.filter(pl.Series(usable)), row[usable], column[usable])
    if fault:
        return Polished(PolishStatus.REFUSED, fault, empty, empty)
    active = _responding(wells.filter(pl.Series(usable)), name)
    if active > MOST_ACTIVE:
        reason = (
            f"{active:.0%} of the wells respond; a polish assumes that most do not, and would"
            " spread their effect over rows and columns"
        )
        return Polished(PolishStatus.REFUSED, reason, empty, empty)
    grid = np.full((row.max() + 1, column.max() + 1), np.nan) if len(row) else np.zeros((0, 0))
    grid[row[usable], column[usable]] = value[usable]
    filled = np.isfinite(grid)
    rows, columns = filled.sum(axis=1), filled.sum(axis=0)
    if (rows >= _LEAST_WELLS).sum() < _LEAST_LINES or (
        columns >= _LEAST_WELLS
    ).sum() < _LEAST_LINES:
        reason = f"a polish needs {_LEAST_LINES} rows and columns with {_LEAST_WELLS} wells each"
        return Polished(PolishStatus.REFUSED, reason, empty, empty)
    # One or two wells do not tell the effect of their row: it stays 0.
    overall, across, down = _polish(grid, rows >= _LEAST_WELLS, columns >= _LEAST_WELLS)
    residual = grid - overall - across[:, None] - down[None, :]
    spread = 1.4826 * float(np.nanmedian(np.abs(residual - np.nanmedian(residual))))
    well_residual = residual[row, column]
    score = well_residual / spread if spread > 0 else np.full(len(well_residual), np.nan)
    kept = np.where(usable, well_residual, np.nan)
    return Polished(
        PolishStatus.OK,
        "",
        pl.Series(name, kept + overall, dtype=pl.Float64).fill_nan(None),
        pl.Series(name, np.where(usable, score, np.nan), dtype=pl.Float64).fill_nan(None),
    )


def correct_positions(
    wells: pl.DataFrame, names: list[str]
) -> tuple[pl.DataFrame, list[dict[str, object]]]:
    """Correct the phenotypes that allow it; one check per phenotype tells what was done."""
    checks: list[dict[str, object]] = []
    for name in names:
        polished = b_score(wells, name)
        done = polished.status == PolishStatus.OK
        status = CheckStatus.OK if done else CheckStatus.NOT_ASSESSABLE
        reason = (
            "rows and columns were polished off (B-score)"
            if done
            else f"not corrected: {polished.reason}"
        )
        checks.append(
            {"check": "position_correction", "subject": name, "status": status, "reason": reason}
        )
        if done:
            wells = wells.with_columns(polished.corrected.cast(wells.schema[name]).alias(name))
    return wells, checks


def places(wells: pl.Series) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(row, column) of well names, from 0."""
    letters = [name.rstrip("0123456789") for name in wells]
    rows = [
        sum(26**i * (ord(c) - 64) for i, c in enumerate(reversed(text))) - 1 for text in letters
    ]
    columns = [int(name[len(text) :]) - 1 for name, text in zip(wells, letters, strict=True)]
    return np.array(rows, np.int64), np.array(columns, np.int64)


def _responding(used: pl.DataFrame, name: str) -> float:
    """Share of wells beyond three robust standard deviations of their line's vehicle wells."""
    scored = robust_z(used, name).drop_nulls()
    return float((scored.abs() > 3).sum()) / max(1, len(scored))


def _follows(used: pl.DataFrame, row: NDArray[np.int64], column: NDArray[np.int64]) -> str:
    """The part of the layout that follows rows or columns, in any pattern; empty without one."""
    features = {
        f"line {n}": (used["line"] == n).to_numpy().astype(float)
        for n in used["line"].unique().sort()
    }
    treated = used.filter(pl.col("control") == "none")["compound"].drop_nulls().unique().sort()
    features |= {
        f"compound {n}": (used["compound"] == n).fill_null(value=False).to_numpy().astype(float)
        for n in treated
        if n
    }
    dose = used["dose_molar"].fill_null(0.0).to_numpy()
    features["the dose"] = np.where(dose > 0, np.log10(np.where(dose > 0, dose, 1.0)), -12.0)
    features["the vehicle"] = (used["control"] == "vehicle").to_numpy().astype(float)
    for what, values in features.items():
        for name, place in (("rows", row), ("columns", column)):
            if _by_place(values, place) < LEAST_P:
                return (
                    f"{what} follows the {name}: a polish would take the effect off with the"
                    " position"
                )
    return ""


def _by_place(values: Real, place: NDArray[np.int64]) -> float:
    """P of a one-way analysis of variance of a feature over rows or columns.

    It detects alternating patterns as well as rising ones.
    """
    groups = [values[place == k] for k in np.unique(place)]
    if len(groups) < 2 or len(values) <= len(groups) or np.ptp(values) == 0:
        return 1.0
    if all(np.ptp(g) == 0 for g in groups):
        return 0.0
    return float(stats.f_oneway(*groups).pvalue)


def _polish(
    grid: Real, use_rows: NDArray[np.bool_], use_columns: NDArray[np.bool_]
) -> tuple[float, Real, Real]:
    """(overall, row effects, column effects) by Tukey's median polish over the wells there are."""
    overall = float(np.nanmedian(grid))
    across, down = np.zeros(grid.shape[0]), np.zeros(grid.shape[1])
    residual = grid - overall
    for _ in range(_SWEEPS):
        step = np.zeros_like(across)
        step[use_rows] = np.nanmedian(residual[use_rows], axis=1)
        across += step
        residual -= step[:, None]
        step = np.zeros_like(down)
        step[use_columns] = np.nanmedian(residual[:, use_columns], axis=0)
        down += step
        residual -= step[None, :]
    shift_rows, shift_columns = (
        float(np.median(across[use_rows])),
        float(np.median(down[use_columns])),
    )
    across[use_rows] -= shift_rows
    down[use_columns] -= shift_columns
    return overall + shift_rows + shift_columns, across, down
