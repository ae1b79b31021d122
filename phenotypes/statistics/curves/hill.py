"""The Hill model: its curve, its bounds, its evaluation on a grid, and when an EC50 may be shown.

    y = E0 + (Einf − E0) / (1 + (EC50 / x)^h),   y(0) = E0,   h > 0

Strategy. Given log EC50 and h the curve is linear in everything else, so least squares has a closed
form there. The whole plane (log EC50, h) is evaluated on a grid in one go and its best point is
refined: this needs no starting values, cannot fail to converge and prefers neither direction.

`phenotypes.statistics.curves.dose_response` fits the wells of a plate,
`phenotypes.statistics.curves.batch_curves` the means of several batches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from phenotypes.columns.statuses import ResponseStatus
from phenotypes.statistics.curves.ec50_interval import INSIDE, Ec50Interval
from plate_maps.conditions import dose_steps, format_dose

Real = NDArray[np.float64]

MIN_DOSES = 4
ALPHA = 0.05
HILL_BOUNDS = (0.3, 8.0)
# Steeper curves, never published: they count in the EC50's interval and in the test of fit, since
# a cliff between two doses does not say where it lies.
STEEP = (12.0, 20.0, 50.0, 200.0)
MIN_VEHICLES = 4
# How far outside the tested doses, in decades, an EC50 is still searched for.
MARGIN_DECADES = 1.0
_REFINEMENTS = 6


@dataclass(frozen=True)
class DoseResponse:
    """A fitted curve, or the reason why there is none.

    Doses in mol/L (or the unit given), responses in the unit given. Intervals are 95 %; None is an
    open end. `covariance` belongs to (h, E0, Einf, log10 EC50) and has `degrees` degrees of
    freedom. `fitted_log_ec50` is given also where `ec50` is withheld: outside the tested doses, or
    not determined. `means` are (dose, mean response), vehicle first, where no curve fits.

    Examples
    --------
    >>> from phenotypes import DoseResponse
    >>> reason = "3 doses with values; a curve needs 4"
    >>> DoseResponse("too_few_doses", reason, n_wells=9, n_vehicle=4)
    DoseResponse(too_few_doses, 9 wells and 4 vehicle)
    """

    status: str
    reason: str
    n_wells: int = 0
    n_vehicle: int = 0
    n_doses: int = 0
    model: str = ""
    direction: str = ""
    ec50: float | None = None
    ec50_low: float | None = None
    ec50_high: float | None = None
    hill: float | None = None
    e0: float | None = None
    einf: float | None = None
    emax: float | None = None
    effect: float | None = None
    effect_low: float | None = None
    effect_high: float | None = None
    p_value: float | None = None
    residual_sd: float | None = None
    covariance: Real | None = field(default=None, repr=False, compare=False)
    fitted_log_ec50: float | None = None
    degrees: float | None = None
    means: tuple[tuple[float, float], ...] = ()

    def __repr__(self) -> str:
        ec50 = "" if self.ec50 is None else f", EC50 {self.ec50:.3g}"
        effect = "" if self.effect is None else f", effect {self.effect:.3g}"
        return (
            f"DoseResponse({self.status}{ec50}{effect}, {self.n_wells} wells and {self.n_vehicle}"
            " vehicle)"
        )

    def times_two_to(self, exponent: int) -> DoseResponse:
        """The curve of responses that are 2 to this power times as large.

        What no computer number holds is None: an open end, or no covariance.
        """

        def larger(value: float | None) -> float | None:
            if value is None:
                return None
            with np.errstate(over="ignore"):
                times = float(np.ldexp(value, exponent))
            return times if np.isfinite(times) else None

        covariance = self.covariance
        if covariance is not None:
            of_response = np.array([0, 1, 1, 0]) * exponent
            with np.errstate(over="ignore"):
                covariance = np.ldexp(covariance, of_response[:, None] + of_response)
            covariance = covariance if np.isfinite(covariance).all() else None
        in_unit: dict[str, Any] = {name: larger(getattr(self, name)) for name in _IN_UNIT}
        return replace(
            self,
            **in_unit,
            covariance=covariance,
            means=tuple((dose, larger(mean) or 0.0) for dose, mean in self.means),
        )

    def predict(self, dose: Sequence[float] | Real) -> Real:
        """Fitted response at doses; NaN where no model was fitted.

        Where no curve fits, the means of the wells, joined by straight lines over log dose.
        """
        x = np.asarray(dose, float)
        if self.means:
            doses, means = np.array(self.means).T
            with np.errstate(divide="ignore"):
                between = np.interp(np.log(x), np.log(doses[1:]), means[1:])
            return np.asarray(np.where(x > 0, between, means[0]))
        if self.model == "constant" and self.e0 is not None:
            return np.full(x.shape, self.e0)
        if (
            self.e0 is None
            or self.einf is None
            or self.fitted_log_ec50 is None
            or self.hill is None
        ):
            return np.full(x.shape, np.nan)
        return self.e0 + (self.einf - self.e0) * occupancy(x, self.fitted_log_ec50, self.hill)

    def mean_response(self, low: float, high: float, points: int = 201) -> float:
        """Mean fitted response over log dose from `low` to `high`: the AUC.

        By the trapezoidal rule over `points` doses.
        """
        doses = np.geomspace(low, high, points)
        area = np.trapezoid(self.predict(doses), np.log10(doses))
        return float(area / np.log10(high / low))

    def effective_dose(self, share: float) -> float | None:
        """Dose with this share of the whole effect, 0 < share < 1 (R drc's ED), tested or not.

        None without a curve.
        """
        if self.fitted_log_ec50 is None or self.hill is None:
            return None
        return float(10**self.fitted_log_ec50 * (share / (1 - share)) ** (1 / self.hill))

    def dose_at(self, response: float, low: float, high: float) -> float | None:
        """Dose between `low` and `high` at which a falling curve reaches a response.

        None where there is no such dose. At 50 % of vehicle it is the absolute EC50.
        """
        if (
            self.direction != "descending"
            or self.e0 is None
            or self.einf is None
            or not self.einf < response < self.e0
        ):
            return None
        dose = self.effective_dose((self.e0 - response) / (self.e0 - self.einf))
        return dose if dose is not None and low <= dose <= high else None

    def band(self, dose: Sequence[float] | Real) -> tuple[Real, Real] | None:
        """Pointwise 95 % interval of a curve fitted to wells, by the delta method.

        None where the curve has no covariance.
        """
        gradient = self.gradient(dose)
        if self.covariance is None or gradient is None or self.degrees is None:
            return None
        x = np.asarray(dose, float)
        variance = np.einsum("pi,ij,pj->p", gradient, self.covariance, gradient)
        quantile = stats.t.ppf(1 - ALPHA / 2, self.degrees)
        half_width = quantile * np.sqrt(np.maximum(variance, 0))
        curve = self.predict(x)
        return curve - half_width, curve + half_width

    def gradient(self, dose: Sequence[float] | Real) -> Real | None:
        """Derivatives (n, 4) of the response by h, E0, Einf, log10 EC50; None without a curve."""
        if (
            self.model != "hill4"
            or self.fitted_log_ec50 is None
            or self.hill is None
            or self.e0 is None
            or self.einf is None
        ):
            return None
        x = np.asarray(dose, float)
        f = occupancy(x, self.fitted_log_ec50, self.hill)
        slope = f * (1 - f) * np.log(10) * (self.einf - self.e0)
        distance = np.log10(np.maximum(x, 1e-300)) - self.fitted_log_ec50
        return np.stack([slope * distance, 1 - f, f, -slope * self.hill], axis=1)


def occupancy(dose: Real, log10_ec50: float | Real, hill: float | Real) -> Real:
    """Share of the effect, 1 / (1 + (EC50/x)^h); 0 at dose 0, stable for any exponent."""
    with np.errstate(divide="ignore"):
        exponent = hill * (np.log(dose) - np.log(10) * np.asarray(log10_ec50))
    return np.asarray(0.5 * (1 + np.tanh(0.5 * np.clip(exponent, -700, 700))))


class Plane:
    """All curves of the (log10 EC50, h) plane over the points of one design.

    `centre` takes values (…, n) to their residuals about a constant (or about each batch's level),
    scaled so that their plain sum of squares is the one to be explained. `step` is in decades.
    """

    def __init__(self, x: Real, centre: Callable[[Real], Real], step: float, hills: Real) -> None:
        self.x, self.centre, self.step = x, centre, step
        self.n_hills, self.hills = len(hills), np.concatenate([hills, STEEP])
        tested = np.log10(np.unique(x[x > 0]))
        low, high = tested[0] - MARGIN_DECADES, tested[-1] + MARGIN_DECADES
        even = np.linspace(low, high, int(np.ceil((high - low) / step)) + 1)
        self.theta = np.union1d(even, tested[[0, -1]])
        curves = centre(occupancy(x, self.theta[:, None, None], self.hills[None, :, None]))
        norm = np.sqrt((curves**2).sum(-1, keepdims=True))
        # A curve that is constant over the design explains nothing.
        self.unit = np.divide(curves, norm, out=np.zeros_like(curves), where=norm > 1e-6)
        # Cliffs between neighbouring doses, the first between vehicle and the lowest dose.
        edges = np.concatenate([[-np.inf], tested])
        self.gaps = np.stack([edges[:-1], edges[1:]], axis=1)
        cliffs = centre((x[None, :] >= 10 ** (tested[:, None] - 1e-9)).astype(float))
        norm = np.sqrt((cliffs**2).sum(-1, keepdims=True))
        self.cliffs = np.divide(cliffs, norm, out=np.zeros_like(cliffs), where=norm > 1e-6)

    def shapes(self, every_theta: int, every_hill: int) -> Real:
        """Part of the curves (k, n), none of them steeper than what is published."""
        part = self.unit[::every_theta, : self.n_hills : every_hill]
        return np.asarray(part.reshape(-1, len(self.x)))

    def explained(self, centred: Real) -> Real:
        """Sums of squares (θ, h) of centred values that each curve explains."""
        return np.asarray((self.unit @ centred) ** 2)

    def explained_at(self, centred: Real, theta: float) -> float:
        """Sum of squares that the best curve with this log10 EC50 explains, steep ones included."""
        slopes = np.log(self.hills)
        for _ in range(_REFINEMENTS):
            curves = self.centre(occupancy(self.x, theta, np.exp(slopes)[:, None]))
            norm = (curves**2).sum(-1)
            explained = np.divide(
                (curves @ centred) ** 2, norm, out=np.zeros_like(norm), where=norm > 1e-12
            )
            j = int(explained.argmax())
            slopes = np.linspace(slopes[max(j - 1, 0)], slopes[min(j + 1, len(slopes) - 1)], 9)
        return float(explained.max())

    def separation(self, centred: Real, side: int, tested: float) -> Real:
        """Sum of squares (θ,) between the best curve of each log10 EC50 and the nearest outside.

        Outside: EC50s at `tested` or beyond it, above (side 1) or below (−1). 0 for these.
        """
        projected = self.unit @ centred
        best = np.abs(projected).argmax(axis=1)
        rows = np.arange(len(self.theta))
        curves = projected[rows, best][:, None] * self.unit[rows, best]
        outside = self.theta >= tested if side > 0 else self.theta <= tested
        shared = (curves @ self.unit[outside].reshape(-1, len(self.x)).T) ** 2
        return np.asarray(np.maximum((curves**2).sum(axis=1) - shared.max(axis=1), 0.0))

    def best(self, explained: Real) -> tuple[float, float]:
        """(log10 EC50, ln h) of the grid point that explains most, h within HILL_BOUNDS."""
        within = explained[:, : self.n_hills]
        i, j = np.unravel_index(within.argmax(), within.shape)
        return float(self.theta[i]), float(np.log(self.hills[j]))

    def refined(self, centred: Real, theta: float, log_hill: float) -> tuple[float, float, float]:
        """(log10 EC50, ln h, explained) at the maximum near a grid point.

        By grids of 7 × 7 points, each a third as wide as the one before.
        """
        reach_theta, reach_hill = self.step, float(np.log(self.hills[1] / self.hills[0]))
        steps = np.linspace(-1, 1, 7)
        best = 0.0
        for _ in range(_REFINEMENTS):
            thetas = np.clip(theta + reach_theta * steps, self.theta[0], self.theta[-1])
            hills = np.clip(log_hill + reach_hill * steps, *np.log(HILL_BOUNDS))
            f = occupancy(self.x, thetas[:, None, None], np.exp(hills)[None, :, None])
            curves = self.centre(f)
            norm = (curves**2).sum(-1)
            explained = np.divide(
                (curves @ centred) ** 2, norm, out=np.zeros_like(norm), where=norm > 1e-12
            )
            i, j = np.unravel_index(explained.argmax(), explained.shape)
            theta, log_hill, best = float(thetas[i]), float(hills[j]), float(explained[i, j])
            reach_theta, reach_hill = reach_theta / 3, reach_hill / 3
        return theta, log_hill, best


# Attributes in the unit of the response.
_IN_UNIT = ("e0", "einf", "emax", "effect", "effect_low", "effect_high", "residual_sd")


def as_rounded(response: Real) -> str:
    """Why responses that differ so little are not told from equal ones."""
    return (
        f"responses differ by {np.ptp(response):.1g}, which is what rounding leaves of numbers near"
        " 1; if they are measured so small, give them in a smaller unit"
    )


def on_steps(dose: Real) -> Real:
    """Doses with those of one step of the ladder at their geometric mean, 0 as it is.

    Numbers that differ by under 1 % are not doses between which a curve could lie.
    """
    steps = dose_steps(dose[dose > 0].tolist())
    split = [step for step in steps if len(step) > 1]
    if not split:
        return dose
    placed = dose.copy()
    for step in split:
        placed[np.isin(dose, step)] = np.exp(np.mean(np.log(step)))
    return placed


def too_few_doses(n_doses: int, counts: Mapping[str, Any]) -> DoseResponse:
    """Refuse a curve through fewer than MIN_DOSES doses."""
    reason = f"{n_doses} dose{'s' * (n_doses != 1)} with values; a curve needs {MIN_DOSES}"
    return DoseResponse(ResponseStatus.TOO_FEW_DOSES, reason, **counts)


def too_few_vehicles(needed: int, counts: Mapping[str, Any]) -> DoseResponse:
    """Refuse a curve whose response without compound rests on too few vehicle wells."""
    n = counts["n_vehicle"]
    reason = (
        f"{n} vehicle well{'' if n == 1 else 's'} with a value; responses are relative to vehicle,"
        f" which needs {needed}"
    )
    return DoseResponse(ResponseStatus.TOO_FEW_VEHICLES, reason, **counts)


def hill_curve(
    x: Real,
    theta: float,
    hill: float,
    e0: float,
    span: float,
    interval: Ec50Interval,
    counts: Mapping[str, Any],
    **more: Any,
) -> DoseResponse:
    """Result of a fitted curve, with its status.

    `span` is Einf − E0, `more` are further fields of the result.
    """
    status, reason = ec50_status(theta, np.log10(x[x > 0]), interval)
    effect = span * float(occupancy(np.array([x.max()]), theta, hill)[0])
    low, high = interval.low, interval.high
    return DoseResponse(
        status,
        "; ".join(filter(None, (reason, _slope_remark(hill)))),
        **counts,
        model="hill4",
        direction="ascending" if span > 0 else "descending",
        ec50=float(10**theta) if status == ResponseStatus.OK else None,
        ec50_low=None if low is None else float(10**low),
        ec50_high=None if high is None else float(10**high),
        hill=hill,
        e0=e0,
        einf=e0 + span,
        emax=e0 + effect,
        effect=effect,
        fitted_log_ec50=theta,
        **more,
    )


def _reach(tested: Real, interval: Ec50Interval, lowest: str, highest: str) -> str:
    """Name the outermost doses that the interval of a published EC50 reaches beyond."""
    ends = [
        f"the lowest tested dose, {lowest}"
        if interval.low is not None and interval.low < tested.min()
        else "",
        f"the highest tested dose, {highest}"
        if interval.high is not None and interval.high > tested.max()
        else "",
    ]
    beyond = " and ".join(filter(None, ends))
    return (
        f"the EC50 is only just shown to lie among the doses: its interval reaches beyond {beyond},"
        " since estimates that pass so narrowly tend to lie too far inside"
        if beyond
        else ""
    )


def at_slope_bound(hill: float) -> bool:
    """Whether the response changes between two doses, faster than a slope could say."""
    return hill > 0.999 * HILL_BOUNDS[1]


def _slope_remark(hill: float) -> str:
    """Say that the slope is at a bound, where its value is that of the bound."""
    if at_slope_bound(hill):
        return (
            f"the slope is at its bound of {HILL_BOUNDS[1]:g}: the response changes between two"
            " doses, and the EC50 may lie anywhere between them"
        )
    if hill < 1.001 * HILL_BOUNDS[0]:
        return f"the slope is at its bound of {HILL_BOUNDS[0]:g}: the true curve may be shallower"
    return ""


def ec50_status(theta: float, tested: Real, interval: Ec50Interval) -> tuple[str, str]:
    """(status, reason) of a log10 EC50; `tested` are the log10 doses."""
    lowest, highest = (format_dose(float(10**end)) for end in (tested.min(), tested.max()))
    if interval.above_lowest and interval.below_highest:
        return ResponseStatus.OK, _reach(tested, interval, lowest, highest)
    if theta < tested.min():
        reason = f"half of the effect is reached below the lowest tested dose, {lowest}"
        return ResponseStatus.BELOW_TESTED_RANGE, reason
    if theta > tested.max():
        reason = f"half of the effect is not reached at the highest tested dose, {highest}"
        return ResponseStatus.ABOVE_TESTED_RANGE, reason
    sides = [
        "above the lowest tested dose, " + lowest if not interval.above_lowest else "",
        "below the highest tested dose, " + highest if not interval.below_highest else "",
    ]
    # The interval is of 95 %, and may end inside the doses although the rule asks for more.
    reason = (
        f"there is an effect, but that the EC50 lies {' and '.join(filter(None, sides))}, is shown"
        f" with less than {special.ndtr(INSIDE):.1%} confidence, so only its 95 % interval is given"
    )
    return ResponseStatus.NOT_DETERMINED, reason
