"""Monte Carlo p values: by permutation, and from any simulated null distribution."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]
PERMUTATIONS = 999


def monte_carlo_p(drawn: Real, observed: float) -> float:
    """P value of a statistic: (1 + draws at least as large) / (1 + draws).

    The observed value counts as a draw (Davison & Hinkley, Bootstrap Methods, 1997, §4.2), so p is
    never 0.
    """
    return float((1 + (drawn >= observed).sum()) / (len(drawn) + 1))


def permutation_p(values: Real, statistic: Callable[[Real], Real], *, seed: int = 0) -> float:
    """P value of a statistic under exchangeable values, from PERMUTATIONS permutations.

    `statistic` takes centred values (…, n) to (…).
    """
    centred = values - values.mean()
    rng = np.random.default_rng(seed)
    shuffled = rng.permuted(np.broadcast_to(centred, (PERMUTATIONS, len(centred))), axis=1)
    # A permutation that repeats the observed order must count, however its sum is rounded.
    return monte_carlo_p(statistic(shuffled), float(statistic(centred)) * (1 - 1e-12))
