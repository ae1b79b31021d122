"""Potency shifts of a screen: how much more of a compound one line needs than another.

Pairs are each disease line and its isogenic control, or all lines against one that is named. Both
lines need a curve of the same direction; what has none says which line has what.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from phenotypes.columns.dictionary import conform, empty_table
from phenotypes.columns.statuses import PotencyStatus, ScreenCurveStatus
from phenotypes.screens.rows import Cells, cells_of, points_of
from phenotypes.statistics.curves.potency import Ladder, PotencyShift, potency_shift
from phenotypes.statistics.multiple_testing import with_q_values

Row = dict[str, object]


def potency_table(
    responses: pl.DataFrame,
    batches: pl.DataFrame,
    pairs: Mapping[str, str] | Sequence[tuple[str, str]],
) -> pl.DataFrame:
    """Ratios of EC50s: one row per pair of lines × compound × phenotype.

    Parameters
    ----------
    responses, batches
        Tables of a screen (`Screen.responses`, `Screen.batches`).
    pairs
        Line ► its reference; as a sequence where a line has several.

    Returns
    -------
    Level "potency" of the dictionary. A ratio over 1: the line needs more of the compound than its
    reference. q is over the compounds and pairs of a phenotype.

    Examples
    --------
    >>> import polars as pl
    >>> from phenotypes import fit_screen, plate_effects
    >>> from phenotypes.screens.across.potencies import potency_table
    >>> wells = pl.read_parquet("results/wells.parquet").with_columns(plate=pl.lit("p1"))
    >>> treated = wells.filter(control="none").select("line", "compound", "dose_molar").unique()
    >>> effects = plate_effects(wells, ["live_density"], min_vehicles=1)
    >>> screen = fit_screen(effects, treated)
    >>> lines = screen.responses["line"].unique(maintain_order=True).to_list()
    >>> table = potency_table(screen.responses, screen.batches, [(lines[1], lines[0])])
    >>> set(table["reference"]) == {lines[0]}
    True
    """
    chosen = list(pairs.items()) if isinstance(pairs, Mapping) else list(pairs)
    ladders = cells_of(batches.filter(pl.col("control") == "none"))
    curves = {
        (r["phenotype"], r["line"], r["compound"]): r
        for r in responses.select(
            "phenotype", "line", "compound", "curve_status", "direction"
        ).iter_rows(named=True)
    }
    names = responses.select("phenotype", "compound").unique(maintain_order=True).rows()
    rows: list[Row] = []
    for name, compound in names:
        for line, reference in chosen:
            one, other = (curves.get((name, n, compound)) for n in (line, reference))
            if one is None or other is None or line == reference:
                continue
            row: Row = {
                "line": line,
                "reference": reference,
                "compound": compound,
                "phenotype": name,
            }
            if why := _refused(one, other, line, reference):
                rows.append(row | why)
                continue
            shift = potency_shift(
                *(_ladder(ladders[name, n, compound], name) for n in (line, reference))
            )
            rows.append(row | _columns(shift))
    if not rows:
        return empty_table("potency")
    table = conform(pl.DataFrame(rows, infer_schema_length=None), "potency")
    return with_q_values(table, ["phenotype"])


def _ladder(cells: Cells, name: str) -> Ladder:
    points = points_of(cells, name)
    return Ladder(points["dose"], points["response"], points["wells"], points["batch"])


def _refused(one: Row, other: Row, line: str, reference: str) -> Row | None:
    """Why two lines have no ratio, where their rows already say so."""
    lacking = [
        f"{name}: {row['curve_status']}"
        for name, row in ((line, one), (reference, other))
        if row["curve_status"] != ScreenCurveStatus.OK
    ]
    if lacking:
        return {
            "status": PotencyStatus.NO_CURVE,
            "reason": f"no EC50 of both lines ({'; '.join(lacking)})",
        }
    if one["direction"] != other["direction"]:
        reason = f"{line} is {one['direction']}, {reference} {other['direction']}"
        return {"status": PotencyStatus.DIRECTIONS_DIFFER, "reason": reason}
    return None


def _columns(shift: PotencyShift) -> Row:
    return {
        "status": shift.status,
        "reason": shift.reason,
        "n_batches": shift.n_batches,
        "ratio": shift.ratio,
        "ratio_low": shift.low,
        "ratio_high": shift.high,
        "p_value": shift.p_value,
        "hill": shift.hill,
        "slope_p": shift.slope_p,
    }
