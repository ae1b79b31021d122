"""Power of a screen to come: how many batches, donors, wells and vehicle wells an effect needs.

Strategy. The variance of an effect in a design follows from the variance components of a screen
that was measured (`phenotypes.screens.batches.components`). Power is that of the tests which the
next screen will do: a line's t over batches, plain and with the borrowed variance, and the mean
over donors that share batches. The estimated standard error varies from screen to screen, and the
degrees of freedom with it; power is therefore the mean over quantiles of its distribution. With
fixed degrees of freedom this is the power of a noncentral t.

Benjamini–Hochberg at 5 % with a share π of true effects, of which a share w is detected, calls
everything under p = 0.05 π w / (1 − 0.05 (1 − π)): w is where power at that p is w again (Genovese
& Wasserman, J. R. Stat. Soc. B 64:499, 2002). A row's own p under 0.05 / rows is always called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from phenotypes.screens.batches.components import Components
from phenotypes.screens.hits import ALPHA
from phenotypes.statistics.moderation import estimated_freedom

Real = NDArray[np.float64]
BATCHES = tuple(range(2, 11))
DONORS = (3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 18, 20)
WELLS = (2, 3, 4, 6, 8)
VEHICLES = (4, 6, 8, 12, 16, 24, 32)
TARGET = 0.8
LINE, ACROSS_DONORS = "line", "donors"

# Quantiles of a standard error that power is averaged over, and shares of detected effects at which
# it is computed.
_QUANTILES = 64
_SHARES = np.linspace(0.05, 1.0, 20)
# Rows whose variances do not differ, as degrees of freedom that a computer can multiply by.
_SAME = 1e6

SCHEMA = {
    "phenotype": pl.String(),
    "test": pl.String(),
    "n_batches": pl.Int64(),
    "n_donors": pl.Int64(),
    "n_wells": pl.Int64(),
    "n_vehicle": pl.Int64(),
    "all_wells": pl.Int64(),
    "power": pl.Float64(),
    "moderated_power": pl.Float64(),
}


@dataclass(frozen=True)
class Question:
    """What a screen should find: rows that do `effect`, a share `working` of all rows.

    A line's hit must also be estimated at `floor` or more, and be the best of several doses.
    """

    effect: float
    working: float = 0.1
    floor: float = 0.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.effect) and self.effect != 0):
            raise ValueError(f"effect {self.effect} is not a number other than 0")
        if not 0 < self.working <= 1:
            raise ValueError(f"share of effects {self.working} is not over 0 and at most 1")
        if self.floor < 0 or abs(self.effect) <= self.floor:
            raise ValueError(
                f"effect {self.effect:g} is not over the screen's effect floor {self.floor:.3g}:"
                " rows under the floor are never hits; ask for a larger effect"
            )


def best_vehicles(components: Components, n_wells: int) -> float:
    """Vehicle wells per plate of a line that make effects most precise for the wells spent.

    Every arm is compared with the same vehicle wells: with k arms of n wells that is √k × n, times
    the ratio of the standard deviations of vehicle and treated wells.

    Notes
    -----
    The variance w / n + v / m of an effect is least for given k n + m at m / n = √(k v / w)
    (Dunnett, J. Am. Stat. Assoc. 50:1096, 1955).
    """
    ratio = components.vehicles / components.wells
    return float(n_wells * np.sqrt(components.arms * ratio))


def power_table(components: Components, question: Question) -> pl.DataFrame:
    """Power of all designs: one row per test × batches × donors × wells per arm × vehicle wells.

    Returns
    -------
    Table with `test` (line or donors), the design, `all_wells` of one line over all batches or of
    all donors, `power` of the plain test and `moderated_power` of that with borrowed variances,
    null where it cannot be told. There are no rows for donors where their variance is not known.
    """
    designs = np.array(list(product(BATCHES, WELLS, VEHICLES)), float)
    parts = [
        _table(
            components,
            LINE,
            designs,
            np.ones(len(designs)),
            *power_of_lines(components, designs, question),
        )
    ]
    if components.donors is not None:
        designs = np.array(list(product(BATCHES, DONORS, WELLS, VEHICLES)), float)
        parts.append(
            _table(
                components,
                ACROSS_DONORS,
                designs[:, [0, 2, 3]],
                designs[:, 1],
                *power_of_donors(components, designs, question),
            )
        )
    return pl.concat(parts)


def smallest_designs(table: pl.DataFrame) -> pl.DataFrame:
    """Of each test and number of batches, the design with the fewest wells that reaches `TARGET`.

    A design counts as reaching it by the borrowed test where there is one, for that is the one by
    which hits are called.
    """
    test = ["phenotype", "test"]
    return (
        table.with_columns(pl.coalesce("moderated_power", "power").alias("reached"))
        .filter(pl.col("reached") >= TARGET)
        .sort("all_wells", "reached", descending=[False, True])
        .group_by(*test, "n_batches", maintain_order=True)
        .first()
        .select(list(SCHEMA))
        .sort("test", "n_batches", descending=[True, False])
    )


def _table(
    components: Components,
    test: str,
    designs: Real,
    donors: Real,
    plain: Real,
    borrowed: Real | None,
) -> pl.DataFrame:
    batches, wells, vehicles = designs.T
    nothing = [None] * len(designs)
    return pl.DataFrame(
        {
            "phenotype": [components.phenotype] * len(designs),
            "test": [test] * len(designs),
            "n_batches": batches.astype(int),
            "n_donors": nothing if test == LINE else donors.astype(int),
            "n_wells": wells.astype(int),
            "n_vehicle": vehicles.astype(int),
            "all_wells": (batches * donors * (components.arms * wells + vehicles)).astype(int),
            "power": plain,
            "moderated_power": nothing if borrowed is None else borrowed,
        },
        schema=SCHEMA,
    )


def power_of_lines(
    components: Components, designs: Real, question: Question
) -> tuple[Real, Real | None]:
    """Power of a line's plain and borrowed test; designs are batches, wells, vehicle wells."""
    batches, wells, vehicles = (column[:, None] for column in designs.T)
    of_vehicles = components.vehicles / vehicles
    total = components.batch + components.line + components.wells / wells + of_vehicles
    batch_df = batches - 1
    rows = components.n_lines * components.n_compounds
    # Rows differ in their variance as the prior says. Given a row's estimate, its deviation follows
    # Student's t about the drawn variance (Smyth 2004): both tests are averaged by it.
    differ = min(components.prior_freedom or _SAME, _SAME)
    typical = total * (components.prior_variance or components.total) / components.total
    estimated = typical * _at_each(lambda df: stats.f.ppf(_levels(), df, differ), batch_df)
    spread = np.sqrt((differ * typical + batch_df * estimated) / (differ + batch_df) / batches)
    scatter = differ + batch_df
    doses = components.doses
    plain = _detected(
        [(np.sqrt(estimated / batches), batch_df)], spread, scatter, question, rows, doses
    )
    if components.prior_variance is None or components.prior_freedom is None:
        return plain, None
    # Rows that share batches or vehicle wells are worth fewer rows together: effects that correlate
    # by r have variances that correlate by r², and squares of those (by which the worth of the
    # common variance is told) by r⁴.
    alike = ((components.n_lines, components.batch), (components.n_compounds, of_vehicles))
    of_variances, of_squares = (
        rows / (1 + sum((n - 1) * (part / total) ** power for n, part in alike)) for power in (2, 4)
    )
    borrowed = []
    for worth in _worths(components.prior_freedom, batch_df, of_squares):
        drawn = (worth * typical + batch_df * estimated) / (worth + batch_df)
        degrees = np.minimum(worth + batch_df, of_variances * batch_df)
        borrowed.append(
            _detected([(np.sqrt(drawn / batches), degrees)], spread, scatter, question, rows, doses)
        )
    return plain, np.mean(borrowed, axis=0)


def _worths(prior_freedom: float, freedom: Real, n_rows: Real, *, cautious: bool = False) -> Real:
    """Prior degrees of freedom (2, designs, 1) that screens of these designs use."""
    pairs = np.stack(np.broadcast_arrays(freedom, n_rows), axis=-1)[:, 0]
    unlike, which = np.unique(pairs, axis=0, return_inverse=True)
    ends = np.array(
        [estimated_freedom(prior_freedom, float(f), float(n), cautious=cautious) for f, n in unlike]
    )
    return np.asarray(np.minimum(ends[which.ravel()].T[:, :, None], _SAME))


def power_of_donors(
    components: Components, designs: Real, question: Question
) -> tuple[Real, Real | None]:
    """Power of the mean over donors; designs are batches, donors, wells, vehicle wells.

    Raises ValueError where the variance between donors is not known.
    """
    between = components.donors
    if between is None:
        raise ValueError(f"nothing is known of donors: {components.no_donors}")
    batches, donors, wells, vehicles = (column[:, None] for column in designs.T)
    rest = components.line + components.wells / wells + components.vehicles / vehicles
    variance = (between.variance + rest / batches) / donors + components.batch / batches
    expected = np.stack(
        np.broadcast_arrays(
            batches * between.variance + rest, donors * components.batch + rest, rest
        )
    )
    freedom = np.stack([donors - 1, batches - 1, (donors - 1) * (batches - 1)])
    cells = donors * batches
    plain = _of_mean(expected, freedom, cells, variance, question, components)
    if between.batches_freedom is None or between.rest_freedom is None:
        return plain, None
    compounds = between.n_compounds
    borrowed = []
    for of_batches, of_rest in zip(
        _worths(between.batches_freedom, freedom[1], np.array([[compounds]]), cautious=True),
        _worths(between.rest_freedom, freedom[2], np.array([[compounds]]), cautious=True),
        strict=True,
    ):
        drawn = freedom.copy()
        drawn[1:] = np.minimum(
            freedom[1:] + np.stack([of_batches, of_rest]), compounds * freedom[1:]
        )
        borrowed.append(_of_mean(expected, drawn, cells, variance, question, components))
    return plain, np.mean(borrowed, axis=0)


def _of_mean(
    expected: Real,
    freedom: Real,
    cells: Real,
    variance: Real,
    question: Question,
    components: Components,
) -> Real:
    """Power of the crossed mean, averaged over the mean squares that a screen may give.

    The three mean squares are independent, and independent of the mean (normal, balanced): their
    quantiles are taken at the points of a low-discrepancy sequence. The variance and its degrees of
    freedom (Satterthwaite) are those of `phenotypes.statistics.crossed`, as is Student's t over two
    batches.
    """
    points = stats.qmc.Sobol(3, rng=np.random.default_rng(0)).random(_QUANTILES).T
    quantiles = [
        _at_each(partial(stats.chi2.ppf, level[None, :]), of)
        for level, of in zip(points, freedom, strict=True)
    ]
    squares = expected * np.stack(quantiles) / freedom
    parts = squares * np.array([1.0, 1.0, -1.0]).reshape(3, 1, 1) / cells
    estimated, least = parts.sum(axis=0), squares[2] / cells
    satterthwaite = np.maximum(estimated**2 / (parts**2 / freedom).sum(axis=0), 1.0)
    degrees = np.where(estimated > least, satterthwaite, np.maximum(freedom[2], 1.0))
    of_two = np.where(freedom[1] == 1, np.sqrt(squares[1] / cells), 0.0)
    tests = [(np.sqrt(np.maximum(estimated, least)), degrees), (of_two, np.ones((1, 1)))]
    without_floor = Question(question.effect, question.working)
    compounds = components.n_compounds
    return _detected(tests, np.sqrt(variance), np.full((1, 1), _SAME), without_floor, compounds, 1)


def _levels() -> Real:
    return np.asarray((np.arange(_QUANTILES) + 0.5)[None, :] / _QUANTILES)


def _at_each(quantiles: Callable[[Real], ArrayLike], freedom: Real) -> Real:
    """Quantiles (designs, levels), computed once for each of few degrees of freedom."""
    values, which = np.unique(freedom[:, 0], return_inverse=True)
    return np.asarray(quantiles(values[:, None]))[which]


def _detected(
    tests: Sequence[tuple[Real, Real]],
    spread: Real,
    scatter: Real,
    question: Question,
    rows: int,
    doses: int,
) -> Real:
    """Share of the effects that the test finds after Benjamini–Hochberg.

    Parameters
    ----------
    tests
        Estimated standard errors and degrees of freedom, (designs, quantiles), of the tests that
        must all find an effect.
    spread, scatter
        The estimate deviates from the effect by `spread` × Student's t of `scatter` degrees of
        freedom.
    rows, doses
        Tests that are corrected for each other, and doses that each is the best of.
    """
    # A screen without any true effect has no power: at least one row has it.
    working = max(question.working, 1 / rows)
    highest = ALPHA * working / (1 - ALPHA * (1 - working))
    normal = bool((scatter >= _SAME).all())

    def power(p: float) -> Real:
        of_dose = -np.expm1(np.log1p(-p) / doses)
        least = np.asarray(question.floor)
        for error, freedom in tests:
            least = np.maximum(least, _quantile(of_dose / 2, freedom) * error)
        deviation = (abs(question.effect) - least) / spread
        chance = special.ndtr(deviation) if normal else special.stdtr(scatter, deviation)
        return np.asarray(chance.mean(axis=1))

    # Power less the share that p stands for: it crosses 0 where the two agree. The largest such
    # share is that of Benjamini and Hochberg, who step up from the largest p. A row counts itself:
    # of few true effects even the first is found at the p of one.
    first = 1 / (working * rows)
    beyond = np.stack([power(highest * (share + first * (1 - share))) - share for share in _SHARES])
    reached = beyond >= 0
    last = len(_SHARES) - 1 - np.argmax(reached[::-1], axis=0)
    after, design = np.minimum(last + 1, len(_SHARES) - 1), np.arange(beyond.shape[1])
    above, under = beyond[last, design], beyond[after, design]
    step = np.where(after > last, above / np.where(after > last, above - under, 1.0), 0.0)
    share = _SHARES[last] + step * (_SHARES[after] - _SHARES[last])
    return np.where(reached.any(axis=0), share, power(highest * first))


# Degrees of freedom between which quantiles of t are interpolated: their logarithm is smooth in the
# inverse.
_INVERSE = np.r_[0.0, np.geomspace(1e-4, 1.0, 160)]


def _quantile(tail: float, freedom: Real) -> Real:
    """Upper quantiles of Student's t for many degrees of freedom of at least 1."""
    logarithms = np.log(stats.t.isf(tail, 1 / np.maximum(_INVERSE, 1e-9)))
    return np.asarray(np.exp(np.interp(1 / freedom, _INVERSE, logarithms)))
