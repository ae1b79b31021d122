"""Whether an effect may be that of the edge of the plate, where a ladder of doses runs into it.

Where doses follow the columns and the highest one lies in the outer column, an edge that reads less
is an effect at the highest dose, and every inert compound has a curve. The other wells of the row
tell: an effect that the doses inside show as well is a compound's. An effect that only doses at the
edge show is withheld, unless vehicle wells at the edge and inside say that the edge makes less.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl

from phenotypes.columns.statuses import ResponseStatus
from phenotypes.plates.quality.vehicle_places import ALPHA, Shift, edge_shift, with_edge
from phenotypes.statistics.curves.hill import DoseResponse
from plate_maps.conditions import format_dose

# Share of the vehicle wells that must lie inside: else they tell what the edge reads.
_INSIDE = 0.5


def doses_at_edge(used: pl.DataFrame) -> list[float]:
    """Doses of a row with all their wells at the edge, where vehicle and other doses lie inside.

    `used` are the wells of a row with dose_molar, control and `at_edge`.

    Examples
    --------
    >>> wells = pl.DataFrame(
    ...     {
    ...         "control": ["vehicle", "vehicle", "none", "none"],
    ...         "dose_molar": [0.0, 0.0, 1e-7, 1e-6],
    ...         "at_edge": [False, False, False, True],
    ...     }
    ... )
    >>> doses_at_edge(wells)
    [1e-06]
    """
    placed = used.filter(pl.col("at_edge").is_not_null())
    inside = placed.filter(control="vehicle")["at_edge"].not_()
    if inside.is_empty() or inside.cast(pl.Float64).to_numpy().mean() < _INSIDE:
        return []
    treated = placed.filter(control="none").group_by("dose_molar").agg(pl.col("at_edge").all())
    edge = treated.filter("at_edge")["dose_molar"].sort().to_list()
    return edge if len(edge) < len(treated) else []


def lie_at_edge(wells: pl.DataFrame, plate_shape: tuple[int, int] | None = None) -> pl.DataFrame:
    """List the doses that run into the edge of their plate, as `doses_at_edge` has them.

    Parameters
    ----------
    wells
        Well table with `plate`; without a column `well` nothing is known of places.
    plate_shape
        Rows and columns of the plates; the smallest that hold all wells if not given.

    Returns
    -------
    plate, batch, line, compound, dose_molar and `edge_dose`, which is true.
    """
    keys = ["plate", "batch", "line"]
    row = [*keys, "compound"]
    schema = pl.Schema({**dict.fromkeys(row, pl.String()), "dose_molar": pl.Float64()})
    schema["edge_dose"] = pl.Boolean()
    if "well" not in wells.columns or wells.is_empty():
        return pl.DataFrame(schema=schema)
    placed = with_edge(wells, plate_shape).filter(pl.col("at_edge").is_not_null())
    inside = (
        placed.filter(control="vehicle")
        .group_by(keys)
        .agg((~pl.col("at_edge")).cast(pl.Float64).mean().alias("inside"))
        .filter(pl.col("inside") >= _INSIDE)
    )
    doses = (
        placed.filter(control="none")
        .group_by(*row, "dose_molar")
        .agg(pl.col("at_edge").all().alias("edge_dose"))
        .filter(pl.col("edge_dose") & ~pl.col("edge_dose").all().over(row))
    )
    return (
        doses.join(inside, on=keys, how="semi", nulls_equal=True).select(list(schema)).cast(schema)
    )


def judged_by_edge(
    result: DoseResponse,
    used: pl.DataFrame,
    unit: str,
    fitted: Callable[[pl.DataFrame], DoseResponse],
) -> DoseResponse:
    """The result, with the doses at the edge named on it, or withheld where only they show it.

    Parameters
    ----------
    result
        Of all wells of the row.
    used
        The wells of the row, with `at_edge` and the `response`.
    unit
        Of the response, for the reason.
    fitted
        Fits the wells of a row.
    """
    # Neither refusals nor flat rows claim an effect.
    if result.p_value is None or result.p_value >= ALPHA or not (doses := doses_at_edge(used)):
        return result
    named = ", ".join(map(format_dose, doses))
    words = f"all wells of {len(doses)} dose(s), {named}, lie at the edge of the plate"
    inner = fitted(used.filter(~pl.col("dose_molar").is_in(doses)))
    if inner.p_value is not None and inner.p_value < ALPHA:
        remark = f"{words}; the other doses show an effect without them"
        return replace(result, reason="; ".join(filter(None, (result.reason, remark))))
    vehicle = used.filter(control="vehicle")
    shift = edge_shift(vehicle)
    at_edge = used.filter(pl.col("dose_molar").is_in(doses)).group_by("dose_molar")
    means = at_edge.agg(pl.col("response").mean())["response"].to_numpy()
    largest = float(np.abs(means - vehicle["response"].to_numpy().mean()).max())
    if shift is not None and largest > shift.most:
        return replace(
            result, reason="; ".join(filter(None, (result.reason, f"{words}{_makes(shift, unit)}")))
        )
    return DoseResponse(
        ResponseStatus.CONFOUNDED_WITH_POSITION,
        f"{words}{_makes(shift, unit)}, and the other doses show no effect: it may be that of the"
        " edge; lay doses at random, or leave the edge empty (plate-map new)",
        n_wells=result.n_wells,
        n_vehicle=result.n_vehicle,
        n_doses=result.n_doses,
    )


def _makes(shift: Shift | None, unit: str) -> str:
    if shift is None:
        return ""
    return f", which makes {shift.value:+.3g} {unit} [{shift.low:+.3g}, {shift.high:+.3g}]"
