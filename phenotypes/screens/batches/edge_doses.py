"""Whether an effect of a screen may be that of the edge, where ladders of doses run into it.

On plates laid out alike the highest dose of every compound lies in the same outer column, and what
the edge reads is an effect at that dose in every batch. As on a plate
(`phenotypes.plates.quality.edge_doses`) the other doses tell: an effect that only doses at the edge
show is withheld.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from phenotypes.screens.batches.moderated import best_doses
from phenotypes.screens.batches.places import ALPHA, Key, withheld_rows
from phenotypes.screens.rows import Cells
from plate_maps.conditions import format_dose

_KEYS = ("phenotype", "line", "compound")


def judged_edge_doses(
    table: pl.DataFrame, best: pl.DataFrame, lines: pl.DataFrame, ladders: Mapping[Key, Cells]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Name doses at the edge on rows with an effect, and withhold what only these doses show.

    Parameters
    ----------
    table, best
        From `judged_places`.
    lines
        Table of `with_tests_over_doses`.
    ladders
        (phenotype, line, compound) ► batch means, from `cells_of`.

    Returns
    -------
    Both tables, as `judged_places`.
    """
    at_edge, shown = _edge(lines, ladders)
    if not at_edge:
        return table, best
    claimed = _shown(best)
    remarks: list[str] = []
    withheld: list[bool] = []
    for *names, model in table.select(*_KEYS, "model").rows():
        key = (str(names[0]), str(names[1]), str(names[2]))
        curved = model not in {None, "constant"}
        if key not in at_edge or not (key in claimed or curved):
            remarks.append("")
            withheld.append(False)
            continue
        named = ", ".join(map(format_dose, at_edge[key]))
        words = f"all wells of {len(at_edge[key])} dose(s), {named}, lie at the edge of the plates"
        only = key not in shown
        remarks.append(
            f"{words}, and the other doses show no effect: it may be that of the edge"
            if only
            else f"{words}; the other doses show an effect without them"
        )
        withheld.append(only)
    return withheld_rows(table, best, remarks, withheld)


def only_at_edge(
    lines: pl.DataFrame, ladders: Mapping[Key, Cells], doses: Mapping[str, float]
) -> set[Key]:
    """Rows of which the dose that lines are compared at lies at the edge, and no other shows more.

    `doses`: compound ► that dose. Of one line such an effect may be too small to be claimed, and
    that of many lines together is not.
    """
    at_edge, shown = _edge(lines, ladders)
    return {key for key, edge in at_edge.items() if key not in shown and doses.get(key[2]) in edge}


def _edge(
    lines: pl.DataFrame, ladders: Mapping[Key, Cells]
) -> tuple[dict[Key, list[float]], set[Key]]:
    """(row ► its doses at the edge, rows of which another dose shows an effect)."""
    at_edge = {key: doses for key, cells in ladders.items() if (doses := _mostly(cells))}
    if not at_edge:
        return {}, set()
    edge = pl.DataFrame(
        [(*key, dose) for key, doses in at_edge.items() for dose in doses],
        schema={**dict.fromkeys(_KEYS, pl.String), "dose_molar": pl.Float64},
        orient="row",
    )
    return at_edge, _shown(best_doses(lines.join(edge, on=edge.columns, how="anti")))


def _shown(best: pl.DataFrame) -> set[Key]:
    return set(best.filter(pl.col("best_p_value") < ALPHA).select(_KEYS).rows())


def _mostly(cells: Cells) -> list[float]:
    """Doses that lie at the edge in more than half of their batches."""
    edge = np.array(cells.edge, bool)
    return [float(d) for d in np.unique(cells.dose) if edge[cells.dose == d].mean() > 0.5]
