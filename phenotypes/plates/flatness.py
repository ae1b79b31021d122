"""Whether vehicle wells read the same wherever they lie and whenever they were imaged.

Every check is one linear model of a phenotype in vehicle wells: the line, and the place or the
time. A plate has many checks, and one of twenty honest ones would be a warning at p 0.05; so p is
adjusted over all checks of all phenotypes together, by exchanging the wells of each line (the least
p of Westfall & Young, Resampling-Based Multiple Testing, 1993). A check that finds nothing says
what it could have found: with few vehicle wells that is little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import optimize, special, stats

from phenotypes.columns.dictionary import phenotype
from phenotypes.columns.statuses import CheckStatus, WellStatus
from phenotypes.plates.normalise import normalised, unit_of
from phenotypes.plates.quality.position import places
from phenotypes.statistics.permutation import PERMUTATIONS, monte_carlo_p

Real = NDArray[np.float64]
Row = dict[str, object]

# What is looked at on every plate, asked for or not: cells are lost at edges and in time.
STANDING = ("live_density", "neurite_length_density")
# Shares of the chance of a false warning. Vehicle wells lie in columns, and plates are filled,
# coated and washed column by column, so most of it goes there.
_SHARE = {
    "edge_effect": 1.0,
    "row_trend": 1.0,
    "column_trend": 1.0,
    "row_difference": 1.0,
    "column_difference": 3.0,
    "acquisition_drift": 1.0,
}
_SHARE_NOT_ASKED = 0.25
_TREND_WELLS, _TREND_PLACES = 8, 4
# What a check could have seen is what it finds this often.
_POWER = 0.8
# Noncentrality at which the search for that effect is given up: with one well more than there are
# groups, hardly any is found so often.
_MOST_SIZE = 1e6
# Variance under which wells differ by rounding only.
_ROUNDING = 1e-18


@dataclass(frozen=True)
class _Model:
    """A linear model of vehicle wells: their line, and what a check tells them apart by.

    `used` are the wells of the plate's vehicle wells that have a value, `lines` and `y` (free of
    the lines) are theirs. `basis` (n, k) is orthonormal and free of the lines; `least` is the
    squared length of the smallest effect of size 1. `ways` is the logarithm of the number of ways
    to place the wells of each line.
    """

    used: NDArray[np.bool_]
    lines: NDArray[np.int64]
    y: Real
    basis: Real
    least: float
    ways: float

    @property
    def freedom(self) -> tuple[int, int]:
        """Degrees of freedom of the effect and of the wells about it."""
        effect = self.basis.shape[1]
        return effect, len(self.y) - len(np.unique(self.lines)) - effect

    def p(self, values: Real) -> Real:
        """P of the F test of each row of values (draws, n), which are free of the lines."""
        first, second = self.freedom
        explained = ((values @ self.basis) ** 2).sum(axis=-1)
        rest = np.maximum((values**2).sum(axis=-1) - explained, 0)
        # Wells without any spread, or spread by rounding only, show no effect.
        rounding = _ROUNDING * len(self.y)
        ratio = np.divide(
            explained / first,
            rest / second,
            out=np.full(rest.shape, np.inf),
            where=rest > rounding,
        )
        return np.where(explained + rest > rounding, stats.f.sf(ratio, first, second), 1.0)

    def sees(self, p: float) -> float | None:
        """The smallest effect that has a lower p than this `_POWER` of the time.

        None where wells without any spread say nothing of it.
        """
        first, second = self.freedom
        rest = float((self.y**2).sum() - ((self.y @ self.basis) ** 2).sum())
        if rest <= _ROUNDING * len(self.y):
            return None
        limit = float(stats.f.isf(p, first, second))

        def more_often(size: float) -> float:
            return float(stats.ncf.sf(limit, first, second, size)) - _POWER

        high = 16.0
        while more_often(high) < 0:
            high *= 2
            if high > _MOST_SIZE:
                return None
        size = optimize.brentq(more_often, 1e-9, high)
        return float(np.sqrt(size * rest / second / self.least))


@dataclass(frozen=True)
class _Test:
    """A check of a phenotype before its p is known; `fault` says why it cannot be made."""

    check: str
    subject: str
    n: int
    fault: str = ""
    words: str = ""
    value: float | None = None
    effect: float | None = None
    share: float = 1.0
    model: _Model | None = None


def flatness_checks(
    wells: pl.DataFrame,
    taken_h: pl.DataFrame,
    rows: int,
    columns: int,
    phenotypes: Sequence[str],
    limit: float,
) -> list[Row]:
    """Edge, trends, differences between rows and columns, and drift, of every phenotype.

    Parameters
    ----------
    wells
        The well table; vehicle wells that are done take part.
    taken_h
        well, taken_h: when a well was imaged, in hours; wells without a time may be absent.
    rows, columns
        The plate's format.
    phenotypes
        Those asked for; those of every plate (`STANDING`) are added with a smaller share.
    limit
        Chance of any false warning on a plate where all vehicle wells read the same.
    """
    vehicles = wells.filter(
        (pl.col("status") == WellStatus.DONE) & (pl.col("control") == "vehicle")
    )
    vehicles = vehicles.join(taken_h, on="well", how="left", maintain_order="left")
    tests = [
        replace(test, share=_SHARE[test.check] * (1 if name in phenotypes else _SHARE_NOT_ASKED))
        for name in dict.fromkeys([*STANDING, *phenotypes])
        for test in _tests(vehicles, name, rows, columns)
    ]
    planned = sum(t.share for t in tests if not t.fault) or 1.0
    tests = [_with_enough_ways(t, limit * t.share / planned) for t in tests]
    asked = [t for t in tests if not t.fault]
    least = _least_p(asked, len(vehicles))
    # A p below its share of this would be a warning.
    lowest = float(np.quantile(least, limit)) if asked else 0.0
    return [
        _row(t, least, min(limit, t.share * (limit / planned if t.fault else lowest)), limit)
        for t in tests
    ]


def _tests(vehicles: pl.DataFrame, name: str, rows: int, columns: int) -> list[_Test]:
    """The checks of one phenotype."""
    value = normalised(vehicles, name).to_numpy().astype(np.float64)
    usable = np.isfinite(value)
    row, column = (place.astype(np.float64) for place in places(vehicles["well"]))
    edge = (row == 0) | (row == rows - 1) | (column == 0) | (column == columns - 1)
    lines = np.unique(vehicles["line"].fill_null("").to_numpy(), return_inverse=True)[1]
    tests = [_edge(name, usable, lines, value, edge)]
    for axis, place in (("row", row), ("column", column)):
        tests.append(_trend(name, usable, lines, value, axis, place))
    for axis, place in (("row", row), ("column", column)):
        tests.append(_difference(name, usable, lines, value, axis, place))
    hours = vehicles["taken_h"].cast(pl.Float64).to_numpy().astype(np.float64)
    tests.append(_drift(name, usable, lines, value, hours, {"row": row, "column": column}))
    return tests


def _edge(
    name: str, usable: NDArray[np.bool_], lines: NDArray[np.int64], value: Real, edge: Real
) -> _Test:
    inside, outside = value[usable & ~(edge > 0)], value[usable & (edge > 0)]
    if not len(inside) or not len(outside):
        return _Test(
            "edge_effect",
            name,
            int(usable.sum()),
            f"{len(outside)} vehicle wells at the edge, {len(inside)} inside",
        )
    test = _model("edge_effect", name, usable, lines, value, edge.astype(float)[:, None])
    if phenotype(name).scale == "percent":
        middle = float(np.median(inside))
        ratio = float(np.median(outside)) / middle if middle > 0 else None
    else:
        ratio = float(np.median(outside) - np.median(inside))
    return replace(
        test,
        value=ratio,
        words=f"vehicle wells at the edge read {_size(test.effect, name)} beside those inside",
    )


def _trend(
    name: str,
    usable: NDArray[np.bool_],
    lines: NDArray[np.int64],
    value: Real,
    axis: str,
    place: Real,
) -> _Test:
    n, different = int(usable.sum()), len(np.unique(place[usable]))
    if n < _TREND_WELLS or different < _TREND_PLACES:
        needed = f"{_TREND_WELLS} in {_TREND_PLACES} are needed"
        fault = f"{n} vehicle wells in {different} {axis}(s); {needed}"
        return _Test(f"{axis}_trend", name, n, fault)
    test = _model(f"{axis}_trend", name, usable, lines, value, _from_0_to_1(place, usable))
    rank = _rank(place[usable], value[usable])
    return replace(
        test,
        value=rank,
        words=(
            f"vehicle wells change by {_size(test.effect, name)} from the first to the last {axis}"
            f" with vehicle wells (rank correlation {rank:.2f})"
        ),
    )


def _difference(
    name: str,
    usable: NDArray[np.bool_],
    lines: NDArray[np.int64],
    value: Real,
    axis: str,
    place: Real,
) -> _Test:
    groups = np.unique(place[usable])
    if len(groups) < 2:
        fault = f"{int(usable.sum())} vehicle wells in {len(groups)} {axis}(s); 2 are needed"
        return _Test(f"{axis}_difference", name, int(usable.sum()), fault)
    design = (place[:, None] == groups).astype(float)
    test = _model(f"{axis}_difference", name, usable, lines, value, design)
    if test.model is None:
        return test
    level = np.linalg.lstsq(_free(design[usable], lines[usable]), test.model.y, rcond=None)[0]
    low, high = (_named(axis, int(groups[i])) for i in (level.argmin(), level.argmax()))
    spread = float(np.ptp(level))
    return replace(
        test,
        value=spread,
        effect=spread,
        words=f"vehicle wells of {high} read {_size(spread, name)} beside those of {low}",
    )


def _drift(
    name: str,
    usable: NDArray[np.bool_],
    lines: NDArray[np.int64],
    value: Real,
    hours: Real,
    axes: dict[str, Real],
) -> _Test:
    """Whether vehicle wells imaged later read differently.

    Cells die or bleach while the plate waits on the stage.
    """
    check = "acquisition_drift"
    if not np.isfinite(hours).any():
        return _Test(check, name, 0, "the scan does not say when its images were taken")
    used = usable & np.isfinite(hours)
    n = int(used.sum())
    times = len(np.unique(hours[used]))
    if n < _TREND_WELLS or times < _TREND_WELLS:
        fault = f"{times} times of {n} vehicle wells are known; {_TREND_WELLS} are needed"
        return _Test(check, name, n, fault)
    test = _model(check, name, used, lines, value, _from_0_to_1(hours, used))
    rank = _rank(hours[used], value[used])
    words = (
        f"vehicle wells change by {_size(test.effect, name)} over {np.ptp(hours[used]):.2g} h of"
        f" imaging (rank correlation {rank:.2f})"
    )
    for axis, place in axes.items():
        if abs(_rank(hours[used], place[used])) > 0.9:
            words += (
                f"; the plate was imaged {axis} by {axis}, so a trend over {axis}s looks the same"
            )
    return replace(test, value=rank, words=words)


def _model(
    check: str,
    name: str,
    usable: NDArray[np.bool_],
    lines: NDArray[np.int64],
    value: Real,
    design: Real,
) -> _Test:
    """The test of a design (wells, k) in the usable wells, free of the lines."""
    of, given = lines[usable], design[usable]
    free, y = _free(given, of), _free(value[usable], of)
    left, strength, _ = np.linalg.svd(free, full_matrices=False)
    basis = left[:, strength > 1e-9 * max(1.0, float(strength.max(initial=0.0)))]
    n = int(usable.sum())
    what = check.split("_", maxsplit=1)[0].replace("acquisition", "time")
    if not basis.shape[1]:
        return _Test(check, name, n, f"within no line do vehicle wells differ in their {what}")
    lengths = (free**2).sum(axis=0)
    least = float(lengths[lengths > 1e-9].min())
    model = _Model(usable, of, y, basis, least, _ways(given, of))
    if model.freedom[1] < 1:
        return _Test(check, name, n, f"{n} vehicle wells leave none to tell their spread by")
    slope = float(free[:, 0] @ y / lengths[0]) if free.shape[1] == 1 else None
    return _Test(check, name, n, effect=slope, model=model)


def _free(values: Real, lines: NDArray[np.int64]) -> Real:
    """Values beside the mean of their line."""
    free = np.array(values, np.float64)
    for line in np.unique(lines):
        free[lines == line] -= free[lines == line].mean(axis=0)
    return free


def _ways(design: Real, lines: NDArray[np.int64]) -> float:
    """Logarithm of the number of ways to place the wells of each line differently."""
    ways = 0.0
    for line in np.unique(lines):
        counts = np.unique(design[lines == line], axis=0, return_counts=True)[1]
        ways += float(special.gammaln(counts.sum() + 1) - special.gammaln(counts + 1).sum())
    return ways


def _with_enough_ways(test: _Test, p: float) -> _Test:
    """A check of wells that can be placed in so few ways that none is unlike chance says so."""
    if test.model is None or np.log(2 / p) <= test.model.ways:
        return test
    return replace(
        test,
        fault=(
            f"{test.n} vehicle wells can be placed in {np.exp(test.model.ways):.0f} ways, too few"
            " to tell an effect from chance"
        ),
    )


def _least_p(tests: Sequence[_Test], wells: int) -> Real:
    """The least p, over its share, of each exchange of wells within their lines.

    All phenotypes are exchanged together, so checks that agree by nature count once.
    """
    least = np.full(PERMUTATIONS, np.inf)
    keys = np.random.default_rng(0).random((PERMUTATIONS, wells))
    drawn: dict[tuple[str, bytes], Real] = {}
    for test in tests:
        model = test.model
        if model is None:
            continue
        key = test.subject, model.used.tobytes()
        if key not in drawn:
            values = np.empty((PERMUTATIONS, test.n))
            for line in np.unique(model.lines):
                of = model.lines == line
                order = np.argsort(keys[:, np.flatnonzero(model.used)[of]], axis=1)
                values[:, of] = model.y[of][order]
            drawn[key] = values
        least = np.minimum(least, model.p(drawn[key]) / test.share)
    return least


def _row(test: _Test, least: Real, alone: float, limit: float) -> Row:
    """A check's row: what it found, or why it could not look, and what it could have found.

    `alone` is the p of the check alone under which it would be a warning.
    """
    sees = None if test.model is None else test.model.sees(alone)
    could = "" if sees is None else f"{_size(sees, test.subject, signed=False)}"
    row: Row = {
        "check": test.check,
        "subject": test.subject,
        "unit": unit_of(test.subject),
        "n_wells": test.n,
        "could_see": sees,
    }
    if test.fault or test.model is None:
        more = f"; even an effect of {could} could be missed" if could else ""
        return row | {"status": CheckStatus.NOT_ASSESSABLE, "reason": f"{test.fault}{more}"}
    p = float(test.model.p(test.model.y[None])[0])
    # Draws whose p is the same but for rounding count.
    adjusted = monte_carlo_p(-least, -p / test.share * (1 + 1e-9))
    seen = f"{could} would have been found 4 times of 5" if could else ""
    return row | {
        "status": CheckStatus.WARNING if adjusted < limit else CheckStatus.OK,
        "reason": f"{test.words}; {seen}" if seen else test.words,
        "value": test.value,
        "effect": test.effect,
        "p_value": p,
        "p_adjusted": adjusted,
    }


def _size(effect: float | None, name: str, *, signed: bool = True) -> str:
    """An effect with its unit, as a difference."""
    unit = unit_of(name)
    shown = 0.0 if effect is None else effect
    number = f"{shown:+.3g}" if signed else f"{shown:.3g}"
    return f"{number} {unit}".strip()


def _named(axis: str, place: int) -> str:
    """A row or column as plates print it."""
    if axis == "column":
        return f"column {place + 1}"
    return f"row {'' if place < 26 else chr(64 + place // 26)}{chr(65 + place % 26)}"


def _from_0_to_1(place: Real, used: NDArray[np.bool_]) -> Real:
    low, high = place[used].min(), place[used].max()
    return np.asarray((place - low) / (high - low), np.float64)[:, None]


def _rank(a: Real, b: Real) -> float:
    """Spearman's correlation; 0 where one of them does not vary."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return float(stats.spearmanr(a, b).statistic)
