"""Four-parameter Hill curves in both directions, with profile-likelihood intervals and honest refusals.

    y = E0 + (Einf − E0) / (1 + (EC50 / x)^h),   y(0) = E0,   h > 0

Strategy. Given log EC50 and h the curve is linear in E0 and Einf − E0, so least squares has a closed form there. The whole
plane (log EC50, h) is evaluated on a grid in one go, the best point is polished, and the profile over log EC50 is read
from the same grid: no starting values, no iteration that fails, no preference for a direction. Vehicle wells enter at
dose 0 and so pin E0.

The curve is preferred to a constant by an F test; its null distribution is not F with 3 degrees of freedom, because EC50
and h mean nothing under a constant (Davies, Biometrika 74:33, 1987). The critical value is therefore taken from wells
permuted over doses, which is exact whatever the design.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

Real = NDArray[np.float64]

MIN_DOSES = 4
# Four parameters on fewer wells fit almost anything, and their interval is as good as none.
MIN_WELLS = 8
ALPHA = 0.05
HILL_BOUNDS = (0.3, 8.0)
# How far outside the tested doses, in decades, a half-maximal dose is still looked for.
_MARGIN_DECADES = 1.0
_STEP_DECADES = 0.04
_HILLS = np.geomspace(*HILL_BOUNDS, 28)
_PERMUTATIONS = 999


@dataclass(frozen=True)
class DoseResponse:
    """A fitted curve, or the reason why there is none.

    Doses in mol/L (or whatever was given), responses in the unit given. Intervals are 95 %; None is an open end.
    `covariance` belongs to (h, E0, Einf, log10 EC50) and comes from the observed Hessian, as R's drc has it.
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

    def predict(self, dose: Sequence[float] | Real) -> Real:
        """Fitted response at doses; NaN where no model was fitted."""
        x = np.asarray(dose, float)
        if self.model == "constant" and self.e0 is not None:
            return np.full(x.shape, self.e0)
        if self.e0 is None or self.einf is None or self.fitted_log_ec50 is None or self.hill is None:
            return np.full(x.shape, np.nan)
        return self.e0 + (self.einf - self.e0) * occupancy(x, self.fitted_log_ec50, self.hill)

    def effective_dose(self, share: float) -> float | None:
        """Dose with this share of the whole effect, 0 < share < 1, whether or not it was tested (R drc's ED); None without a curve."""
        if self.fitted_log_ec50 is None or self.hill is None:
            return None
        return float(10**self.fitted_log_ec50 * (share / (1 - share)) ** (1 / self.hill))

    def dose_at(self, response: float, low: float, high: float) -> float | None:
        """Dose between `low` and `high` at which a falling curve reaches a response (the absolute EC50, at 50 % of vehicle); None if none."""
        if self.direction != "descending" or self.e0 is None or self.einf is None or not self.einf < response < self.e0:
            return None
        dose = self.effective_dose((self.e0 - response) / (self.e0 - self.einf))
        return dose if dose is not None and low <= dose <= high else None

    def band(self, dose: Sequence[float] | Real) -> tuple[Real, Real] | None:
        """Pointwise 95 % interval of the fitted curve by the delta method; None where the curve has no covariance."""
        gradient = self.gradient(dose)
        if self.covariance is None or gradient is None:
            return None
        x = np.asarray(dose, float)
        spread = np.sqrt(np.maximum(np.einsum("pi,ij,pj->p", gradient, self.covariance, gradient), 0))
        half = stats.t.ppf(1 - ALPHA / 2, self.n_wells + self.n_vehicle - 4) * spread
        curve = self.predict(x)
        return curve - half, curve + half

    def gradient(self, dose: Sequence[float] | Real) -> Real | None:
        """(n, 4) derivatives of the fitted response by Hill slope, e0, einf and log10 EC50; None without a curve."""
        if self.model != "hill4" or self.fitted_log_ec50 is None or self.hill is None or self.e0 is None or self.einf is None:
            return None
        x = np.asarray(dose, float)
        f = occupancy(x, self.fitted_log_ec50, self.hill)
        slope = f * (1 - f) * np.log(10) * (self.einf - self.e0)
        distance = np.log10(np.maximum(x, 1e-300)) - self.fitted_log_ec50
        return np.stack([slope * distance, 1 - f, f, -slope * self.hill], axis=1)

    # Kept beside `ec50`, which is withheld when it lies outside the tested doses or is not determined.
    fitted_log_ec50: float | None = None


def occupancy(dose: Real, log10_ec50: float | Real, hill: float | Real) -> Real:
    """1 / (1 + (EC50/x)^h), 0 at dose 0; stable for any size of the exponent."""
    with np.errstate(divide="ignore"):
        exponent = hill * (np.log(dose) - np.log(10) * np.asarray(log10_ec50))
    return np.asarray(0.5 * (1 + np.tanh(0.5 * np.clip(exponent, -700, 700))))


def fit(dose: Sequence[float], response: Sequence[float], *, seed: int = 0) -> DoseResponse:
    """Fit one curve to the wells of one line and compound.

    Parameters
    ----------
    dose
        mol/L, 0 for vehicle wells.
    response
        One value a well, normalised or not, in any unit.
    seed
        Of the permutations.

    Returns
    -------
    DoseResponse
        `status` is "ok"; "flat" (a constant fits as well); "below_tested_range" / "above_tested_range" (half of the
        effect lies outside the tested doses; `ec50` is None); "not_determined" (an end of the EC50's interval is open;
        the other is given, `ec50` is None); "no_vehicle"; "too_few_doses"; "too_few_wells".
    """
    x, y = np.asarray(dose, float), np.asarray(response, float)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"doses {x.shape} and responses {y.shape} must be one list each, of the same length")
    if not (np.isfinite(x).all() and np.isfinite(y).all() and (x >= 0).all()):
        raise ValueError("doses must be zero or more and responses finite; drop wells without a value first")
    treated = np.unique(x[x > 0])
    counts: Any = {"n_wells": int((x > 0).sum()), "n_vehicle": int((x == 0).sum()), "n_doses": len(treated)}
    if counts["n_vehicle"] == 0:
        return DoseResponse("no_vehicle", "no vehicle well has a value, so the response without compound is unknown", **counts)
    if len(treated) < MIN_DOSES:
        return DoseResponse("too_few_doses", f"{len(treated)} doses with values; a curve needs {MIN_DOSES}", **counts)
    if len(y) < MIN_WELLS:
        return DoseResponse("too_few_wells", f"{len(y)} wells with values, vehicle included; a curve needs {MIN_WELLS}", **counts)
    grid = _Grid(x)
    total = float(((y - y.mean()) ** 2).sum())
    if total <= 1e-12 * max(1.0, float((y**2).sum())):
        return _flat(x, y, counts, 1.0, "all wells have the same value")
    p_value = grid.permutation_p(y, seed)
    if p_value >= ALPHA:
        return _flat(x, y, counts, p_value, f"a constant fits as well as a curve (p = {p_value:.2g})")
    return _hill(x, y, grid, counts, p_value)


class _Grid:
    """All curves of the (log EC50, h) plane over one design, so that many responses can be fitted to it at once."""

    def __init__(self, x: Real) -> None:
        tested = np.log10(np.unique(x[x > 0]))
        low, high = tested[0] - _MARGIN_DECADES, tested[-1] + _MARGIN_DECADES
        self.theta = np.linspace(low, high, int(np.ceil((high - low) / _STEP_DECADES)) + 1)
        curves = occupancy(x[None, None, :], self.theta[:, None, None], _HILLS[None, :, None])
        centred = curves - curves.mean(-1, keepdims=True)
        norm = np.sqrt((centred**2).sum(-1, keepdims=True))
        # A curve that is constant over the design explains nothing.
        self.unit = np.divide(centred, norm, out=np.zeros_like(centred), where=norm > 1e-6)

    def explained(self, y: Real) -> Real:
        """Sum of squares that each (θ, h) explains of y (…, n): shape (…, θ, h)."""
        centred = y - y.mean(-1, keepdims=True)
        return np.asarray(np.tensordot(centred, self.unit, axes=([-1], [2])) ** 2)

    def permutation_p(self, y: Real, seed: int) -> float:
        """P of so good a best curve if doses meant nothing: share of permutations of the wells that fit as well.

        A coarser net of shapes is used for the observed and the permuted wells alike.
        """
        net = self.unit[::3, ::3].reshape(-1, self.unit.shape[2])
        centred = y - y.mean()
        rng = np.random.default_rng(seed)
        observed = ((net @ centred) ** 2).max()
        shuffled = rng.permuted(np.broadcast_to(centred, (_PERMUTATIONS, len(y))), axis=1)
        best = ((net @ shuffled.T) ** 2).max(axis=0)
        return float((1 + (best >= observed * (1 - 1e-12)).sum()) / (_PERMUTATIONS + 1))


def _flat(x: Real, y: Real, counts: Any, p_value: float, reason: str) -> DoseResponse:
    vehicle, treated = y[x == 0], y[x > 0]
    effect = float(treated.mean() - vehicle.mean())
    low = high = None
    freedom = len(y) - 2
    pooled = (((vehicle - vehicle.mean()) ** 2).sum() + ((treated - treated.mean()) ** 2).sum()) / freedom
    half = float(stats.t.ppf(1 - ALPHA / 2, freedom) * np.sqrt(pooled * (1 / len(vehicle) + 1 / len(treated))))
    low, high = effect - half, effect + half
    mean = float(y.mean())
    return DoseResponse(
        "flat", reason, **counts, model="constant", e0=mean, emax=mean, effect=effect, effect_low=low, effect_high=high,
        p_value=p_value, residual_sd=float(y.std(ddof=1)),
    )  # fmt: skip


def _rss(parameters: Real, x: Real, y: Real) -> float:
    """Residual sum of squares at (log EC50, log h) with E0 and Einf at their best."""
    e0, span = _linear(parameters, x, y)
    return float(((y - e0 - span * occupancy(x, parameters[0], np.exp(parameters[1]))) ** 2).sum())


def _linear(parameters: Real, x: Real, y: Real) -> tuple[float, float]:
    f = occupancy(x, parameters[0], np.exp(parameters[1]))
    centred = f - f.mean()
    norm = float((centred**2).sum())
    span = float((centred * y).sum() / norm) if norm > 1e-12 else 0.0
    return float(y.mean() - span * f.mean()), span


def _hill(x: Real, y: Real, grid: _Grid, counts: Any, p_value: float) -> DoseResponse:
    explained = grid.explained(y)
    i, j = np.unravel_index(explained.argmax(), explained.shape)
    start = np.array([grid.theta[i], np.log(_HILLS[j])])
    bounds = [(float(grid.theta[0]), float(grid.theta[-1])), tuple(np.log(HILL_BOUNDS))]
    solution = optimize.minimize(
        _rss, start, (x, y), method="Nelder-Mead", bounds=bounds,
        options={"xatol": 1e-7, "fatol": 1e-12 * float(((y - y.mean()) ** 2).sum()), "maxiter": 2000},
    )  # fmt: skip
    theta, hill = float(solution.x[0]), float(np.exp(solution.x[1]))
    e0, span = _linear(solution.x, x, y)
    rss = float(solution.fun)
    freedom = len(y) - 4
    variance = rss / freedom
    tested = np.log10(x[x > 0])
    top = float(occupancy(np.array([x.max()]), theta, hill)[0])
    covariance = _covariance(np.array([hill, e0, e0 + span, theta]), x, y, variance)
    effect = span * top
    half = _effect_half_width(covariance, theta, hill, span, float(np.log10(x.max())), freedom)
    bound = rss + variance * float(stats.f.ppf(1 - ALPHA, 1, freedom))
    low, high = _interval(x, y, grid, explained, theta, bound)
    status, reason, inside = potency_status(theta, tested, low, high)
    return DoseResponse(
        status, reason, **counts, model="hill4", direction="ascending" if span > 0 else "descending",
        ec50=float(10**theta) if status == "ok" else None,
        ec50_low=float(10**low) if inside and low is not None else None,
        ec50_high=float(10**high) if inside and high is not None else None,
        hill=hill, e0=e0, einf=e0 + span, emax=e0 + effect, effect=effect,
        effect_low=None if half is None else effect - half, effect_high=None if half is None else effect + half,
        p_value=p_value, residual_sd=float(np.sqrt(variance)), covariance=covariance, fitted_log_ec50=theta,
    )  # fmt: skip


def potency_status(theta: float, tested: Real, low: float | None, high: float | None) -> tuple[str, str, bool]:
    """(status, reason, whether the interval may be shown) of a log10 EC50 against the log10 doses tested and its interval's ends."""
    if theta < tested.min():
        return "below_tested_range", f"half of the effect is reached below the lowest tested dose, {10 ** tested.min():.3g} mol/L", False
    if theta > tested.max():
        return "above_tested_range", f"half of the effect is not reached at the highest tested dose, {10 ** tested.max():.3g} mol/L", False
    if low is None or high is None:
        # There is an effect, but a point estimate without both bounds would be read as a potency.
        ends = "on both sides" if low is None and high is None else "downwards" if low is None else "upwards"
        return "not_determined", f"there is an effect, but the EC50's interval is open {ends}", True
    return "ok", "", True


def _interval(x: Real, y: Real, grid: _Grid, explained: Real, best: float, bound: float) -> tuple[float | None, float | None]:
    """Where the profile over log EC50 crosses the likelihood-ratio bound on either side; None where it does not.

    The grid's profile knows only its own slopes and so lies above the true one: it says where to begin to look, and each
    candidate is then checked with the best slope.
    """

    def excess(theta: float) -> float:
        inner = optimize.minimize_scalar(
            lambda log_h: _rss(np.array([theta, log_h]), x, y), bounds=tuple(np.log(HILL_BOUNDS)), method="bounded", options={"xatol": 1e-4}
        )
        return float(inner.fun) - bound

    rough = ((y - y.mean()) ** 2).sum() - explained.max(axis=1)
    ends: list[float | None] = []
    for side in (grid.theta[grid.theta < best][::-1], grid.theta[grid.theta > best]):
        over = rough[np.searchsorted(grid.theta, side)] > bound
        candidates = side[np.argmax(over) :] if over.any() else side[:0]
        beyond = next((t for t in candidates if excess(float(t)) > 0), None)
        ends.append(None if beyond is None else float(optimize.brentq(excess, best, float(beyond), xtol=1e-4)))
    return ends[0], ends[1]


def _covariance(parameters: Real, x: Real, y: Real, variance: float) -> Real | None:
    """Covariance of (h, E0, Einf, log10 EC50) from the observed Hessian of RSS / 2σ², by central differences."""

    def rss(p: Real) -> float:
        return float(((y - p[1] - (p[2] - p[1]) * occupancy(x, p[3], p[0])) ** 2).sum())

    steps = 1e-4 * np.maximum(np.abs(parameters), [0.1, abs(parameters[2] - parameters[1]), abs(parameters[2] - parameters[1]), 1.0])
    hessian = np.empty((4, 4))
    for a in range(4):
        for b in range(a, 4):
            ea, eb = np.eye(4)[a] * steps[a], np.eye(4)[b] * steps[b]
            difference = rss(parameters + ea + eb) - rss(parameters + ea - eb) - rss(parameters - ea + eb) + rss(parameters - ea - eb)
            hessian[a, b] = hessian[b, a] = difference / (4 * steps[a] * steps[b])
    try:
        covariance: Real = np.asarray(np.linalg.inv(hessian / (2 * variance)), float)
    except np.linalg.LinAlgError:
        return None
    return covariance if (np.diag(covariance) > 0).all() else None


def _effect_half_width(covariance: Real | None, theta: float, hill: float, span: float, log_top: float, freedom: int) -> float | None:
    """Half width of the 95 % interval of emax − e0, by the delta method."""
    if covariance is None:
        return None
    top = float(occupancy(np.array([10**log_top]), theta, hill)[0])
    slope = span * top * (1 - top) * np.log(10)
    gradient = np.array([slope * (log_top - theta), -top, top, -slope * hill])
    variance = float(gradient @ covariance @ gradient)
    return float(stats.t.ppf(1 - ALPHA / 2, freedom) * np.sqrt(variance)) if variance > 0 else None
