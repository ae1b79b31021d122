"""Whether a row's effect may be that of the place where the vehicle wells lie.

Responses are relative to vehicle wells. Where these lie in an outer column that reads 15 % less,
all compounds read 18 % more at every dose, whatever they do. No check of vehicle wells can find
that: none of them lies elsewhere. Two things tell it from a compound: it is the same at all doses,
and it is shared by the line's other compounds. So where vehicle and treated wells lie apart, an
effect that does not change with the dose is withheld unless it is larger than what the other
compounds share; without enough other compounds it is withheld where an edge parts the wells.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import stats

from phenotypes.columns.statuses import ResponseStatus
from phenotypes.statistics.curves.hill import DoseResponse
from phenotypes.statistics.units import far_exponent
from plate_maps.wells import FORMATS, Well, row_letters

Real = NDArray[np.float64]
ALPHA = 0.05
# Difference in the share of wells at the edge from which vehicle and treated wells lie apart.
_APART = 0.5
# Under this difference, as of wells laid out at random, the edge makes next to nothing.
_LEAST_DIFFERENCE = 0.1
# Share of a compound's doses, the lowest, at which most compounds do nothing.
_LOW_DOSES = 0.25
# Other compounds of the line from which a shift that all of them share is known.
_LEAST_COMPOUNDS = 3
_ON_A_PLATE = ["plate", "batch", "line"]


@dataclass(frozen=True)
class Shift:
    """What treated wells of a line read beside its vehicle wells, whatever their compound.

    `low` and `high` are its 95 % interval, in the unit of the responses.
    """

    value: float
    low: float
    high: float

    @property
    def shown(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.low > 0 or self.high < 0

    @property
    def most(self) -> float:
        """The largest effect that it could make."""
        return max(abs(self.low), abs(self.high))

    def times_two_to(self, exponent: int) -> Shift:
        """The shift of responses that are 2 to this power times as large."""
        return Shift(*(float(np.ldexp(v, exponent)) for v in (self.value, self.low, self.high)))


@dataclass(frozen=True)
class Apart:
    """How a line's vehicle wells lie apart from a compound's wells.

    `by_edge`: whether the edge of the plate parts them. `shift` is what the place makes, where
    something tells it.
    """

    words: str
    by_edge: bool
    shift: Shift | None


def with_edge(wells: pl.DataFrame, plate_shape: tuple[int, int] | None = None) -> pl.DataFrame:
    """Wells with `at_edge`: whether each is an outer one.

    Without the plate's shape it is that of the smallest plate of 96 wells or more that holds all
    wells. Names that are not wells have no position (null).
    """
    places = [_place(name) for name in wells["well"]]
    shapes = [(f.rows, f.columns) for size, f in FORMATS.items() if size >= 96]
    rows, columns = plate_shape or next(
        (s for s in shapes if all(w.row <= s[0] and w.column <= s[1] for w in places if w)),
        shapes[-1],
    )
    edge = [None if w is None else w.row in (1, rows) or w.column in (1, columns) for w in places]
    return wells.with_columns(pl.Series("at_edge", edge, dtype=pl.Boolean))


def apart(values: pl.DataFrame, line: str, compound: str) -> Apart | None:
    """Whether vehicle and treated wells lie apart, and what that makes; None where they do not.

    `values` has well, line, compound, dose_molar, control, `at_edge` and the `response`.
    """
    of_line = values.filter((pl.col("line") == line) & pl.col("at_edge").is_not_null())
    vehicle = of_line.filter(pl.col("control") == "vehicle")
    treated = of_line.filter((pl.col("control") == "none") & (pl.col("compound") == compound))
    if vehicle.is_empty() or treated.is_empty():
        return None
    shares = [
        float(part["at_edge"].cast(pl.Float64).to_numpy().mean()) for part in (vehicle, treated)
    ]
    differ = shares[0] - shares[1]
    words = (
        f"{shares[0]:.0%} of the vehicle wells of line {line} lie at the edge of the plate, and"
        f" {shares[1]:.0%} of the treated wells"
    )
    # One source only: two would find twice as many shifts on a plate without any.
    seen = _seen_in_vehicle(vehicle, differ)
    if seen is not None and (seen.shown or abs(differ) >= _APART):
        return Apart(words, True, seen)
    if seen is None and abs(differ) >= _APART:
        return Apart(words, True, _shared(of_line, compound))
    for axis in ("column", "row"):
        lie = [
            {getattr(_place(name), axis) for name in part["well"]} for part in (vehicle, treated)
        ]
        if not lie[0] & lie[1]:
            named = ", ".join(
                str(n) if axis == "column" else row_letters(n) for n in sorted(lie[0])
            )
            words = f"vehicle wells of line {line} lie in {axis} {named}, treated wells do not"
            return Apart(words, False, _shared(of_line, compound))
    return None


def lie_apart(wells: pl.DataFrame, plate_shape: tuple[int, int] | None = None) -> pl.DataFrame:
    """How treated wells lie beside the vehicle wells of their line: one row per compound and plate.

    Parameters
    ----------
    wells
        Well table with `plate`; without a column `well` nothing is known of places.
    plate_shape
        Rows and columns of the plates; the smallest that hold all wells if not given.

    Returns
    -------
    plate, batch, line, compound and `apart`: "edge" where the shares of wells at the edge differ by
    half or more, "column" or "row" where vehicle and treated wells share none, else "".
    """
    keys = [*_ON_A_PLATE, "compound"]
    schema = pl.Schema(dict.fromkeys((*keys, "apart"), pl.String()))
    if "well" not in wells.columns or wells.is_empty():
        return pl.DataFrame(schema=schema)
    placed = with_edge(wells, plate_shape).filter(pl.col("at_edge").is_not_null())
    lie = [Well.parse(name) for name in placed["well"]]
    placed = placed.with_columns(
        pl.Series("row", [w.row for w in lie], dtype=pl.Int64),
        pl.Series("column", [w.column for w in lie], dtype=pl.Int64),
        pl.col("at_edge").cast(pl.Float64),
    )
    parts = (pl.col("at_edge").mean(), pl.col("row").unique(), pl.col("column").unique())
    vehicle = placed.filter(control="vehicle").group_by(_ON_A_PLATE).agg(parts)
    treated = placed.filter(control="none").group_by(keys).agg(parts)
    joined = treated.join(vehicle, on=_ON_A_PLATE, how="inner", suffix="_vehicle", nulls_equal=True)
    kinds = [
        "edge"
        if abs(r["at_edge"] - r["at_edge_vehicle"]) >= _APART
        else next(
            (axis for axis in ("column", "row") if not {*r[axis]} & {*r[f"{axis}_vehicle"]}), ""
        )
        for r in joined.iter_rows(named=True)
    ]
    return joined.select(*keys, pl.Series("apart", kinds, dtype=pl.String)).cast(schema)


def _place(name: str) -> Well | None:
    try:
        return Well.parse(name)
    except ValueError:
        return None


def _seen_in_vehicle(vehicle: pl.DataFrame, differ: float) -> Shift | None:
    """The shift that vehicle wells at the edge and inside tell; None where they do not.

    `differ` is the share at the edge of vehicle wells less that of treated wells.
    """
    edge = edge_shift(vehicle)
    if edge is None or abs(differ) < _LEAST_DIFFERENCE:
        return None
    ends = sorted((-differ * edge.low, -differ * edge.high))
    return Shift(-differ * edge.value, *ends)


def edge_shift(vehicle: pl.DataFrame) -> Shift | None:
    """What vehicle wells at the edge read beside those inside; None where too few tell."""
    edge, response = vehicle["at_edge"].to_numpy().astype(bool), vehicle["response"].to_numpy()
    outside, inside = response[edge], response[~edge]
    if min(len(outside), len(inside)) < 2 or len(response) < 5:
        return None
    exponent = far_exponent(response)
    outside, inside = np.ldexp(outside, -exponent), np.ldexp(inside, -exponent)
    degrees = len(response) - 2
    pooled = (outside.var() * len(outside) + inside.var() * len(inside)) / degrees
    value = float(outside.mean() - inside.mean())
    half_width = float(
        stats.t.ppf(1 - ALPHA / 2, degrees) * np.sqrt(pooled * (1 / len(outside) + 1 / len(inside)))
    )
    return Shift(value, value - half_width, value + half_width).times_two_to(exponent)


def _shared(of_line: pl.DataFrame, compound: str) -> Shift | None:
    """What the line's other compounds share at their lowest doses; None with too few of them.

    The median over compounds, so that a few potent ones do not count. Its error is that of the
    vehicle mean and of wells within a compound and dose. Only compounds whose wells lie like those
    of `compound` are asked.
    """
    response = of_line["response"].to_numpy().astype(float)
    exponent = far_exponent(response[np.isfinite(response)])
    of_line = of_line.with_columns(response=np.ldexp(response, -exponent))
    vehicle = of_line.filter(pl.col("control") == "vehicle")["response"].to_numpy()
    treated = of_line.filter((pl.col("control") == "none") & (pl.col("dose_molar") > 0))
    share = dict(treated.group_by("compound").agg(pl.col("at_edge").cast(pl.Float64).mean()).rows())
    lower = treated.filter(
        pl.col("dose_molar")
        <= pl.col("dose_molar").unique().quantile(_LOW_DOSES, "higher").over("compound")
    ).with_columns(
        (pl.col("response") - pl.col("response").mean().over("compound", "dose_molar")).alias(
            "rest"
        )
    )
    others = [
        part
        for (name,), part in lower.group_by("compound", maintain_order=True)
        if name and name != compound and abs(share[name] - share.get(compound, 0.0)) < _APART
    ]
    if len(others) < _LEAST_COMPOUNDS or len(vehicle) < 2:
        return None
    rest = np.concatenate([part["rest"].to_numpy() for part in others])
    within = len(rest) - sum(part["dose_molar"].n_unique() for part in others)
    spread = float((rest**2).sum()) / within if within > 0 else float(vehicle.var(ddof=1))
    wells = float(np.mean([len(part) for part in others]))
    means = [float(part["response"].to_numpy().mean()) for part in others]
    # The variance of a median of k means is π / 2 of that of their mean.
    variance = vehicle.var(ddof=1) / len(vehicle) + np.pi / 2 * spread / wells / len(others)
    value = float(np.median(means) - vehicle.mean())
    half_width = float(stats.t.ppf(1 - ALPHA / 2, len(vehicle) - 1) * np.sqrt(variance))
    return Shift(value, value - half_width, value + half_width).times_two_to(exponent)


def dose_p(dose: Real, response: Real) -> float:
    """P of any dependence on the dose among treated wells: a trend, or any difference.

    The smaller p of a line over log dose and an analysis of variance, doubled.
    """
    response = np.ldexp(response, -far_exponent(response))
    groups = [response[dose == d] for d in np.unique(dose)]
    if len(groups) < 2 or np.ptp(response) == 0:
        return 1.0
    p = [float(stats.linregress(np.log10(dose), response).pvalue)] if len(response) > 2 else []
    if len(response) > len(groups) and any(np.ptp(g) > 0 for g in groups):
        p.append(float(stats.f_oneway(*groups).pvalue))
    return min(1.0, len(p) * min(p, default=1.0))


def judged_by_place(
    result: DoseResponse, used: pl.DataFrame, lie: Apart | None, unit: str
) -> DoseResponse:
    """The result, with the place named on it, or withheld where the place may have made it.

    `used` are the wells of the row, `lie` is what `apart` says of them.
    """
    # Neither refusals nor flat rows claim an effect.
    if lie is None or result.p_value is None or result.p_value >= ALPHA:
        return result
    treated = used.filter(pl.col("control") == "none")
    dose, response = (treated[c].to_numpy().astype(float) for c in ("dose_molar", "response"))
    vehicle = float(used.filter(pl.col("control") == "vehicle")["response"].to_numpy().mean())
    # A curve whose half lies below the tested doses says so itself.
    alike = result.status == ResponseStatus.BELOW_TESTED_RANGE or dose_p(dose, response) >= ALPHA
    means = np.array([response[dose == d].mean() for d in np.unique(dose)]) - vehicle
    overall = float(response.mean()) - vehicle
    if lie.shift is None:
        # Nothing tells the place's share: an effect that changes with the dose is a compound's.
        if not (lie.by_edge and alike):
            return result
        return _withheld(
            result,
            f"{lie.words}: an effect of {overall:+.3g} {unit} that is the same at all doses may be"
            " that of the edge, and the line has too few other compounds to tell",
        )
    makes = f"{lie.shift.value:+.3g} {unit} [{lie.shift.low:+.3g}, {lie.shift.high:+.3g}]"
    largest = abs(overall) if alike else float(np.abs(means).max())
    if largest <= lie.shift.most and (alike or lie.shift.shown):
        return _withheld(
            result,
            f"{lie.words}: an effect of {largest:.3g} {unit} is no larger than what the place makes"
            f" ({makes})",
        )
    if not lie.shift.shown:
        return result
    remark = f"{lie.words}, which makes {makes} of the effect"
    return replace(result, reason="; ".join(filter(None, (result.reason, remark))))


def _withheld(result: DoseResponse, reason: str) -> DoseResponse:
    return DoseResponse(
        ResponseStatus.CONFOUNDED_WITH_POSITION,
        f"{reason}; lay vehicle wells among the treated ones (plate-map new)",
        n_wells=result.n_wells,
        n_vehicle=result.n_vehicle,
        n_doses=result.n_doses,
    )
