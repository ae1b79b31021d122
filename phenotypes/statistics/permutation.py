"""Monte Carlo p values: by permutation, and from any simulated null distribution."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]
PERMUTATIONS = 999
MOST_PERMUTATIONS = 19_999
# Draws that reach the observed statistic by which its p is known to a third.
ENOUGH = 10
# 8! orders are counted in a tenth of a second.
EXACT = 8
_BLOCK = 3000


def monte_carlo_p(drawn: Real, observed: float) -> float:
    """P value of a statistic: (1 + draws at least as large) / (1 + draws).

    The observed value counts as a draw (Davison & Hinkley, Bootstrap Methods, 1997, §4.2), so p is
    never 0.
    """
    return float((1 + (drawn >= observed).sum()) / (len(drawn) + 1))


def permutation_p(values: Real, statistic: Callable[[Real], Real], *, seed: int = 0) -> float:
    """P value of a statistic under exchangeable values.

    Of at most EXACT values all orders are counted, and p is exact. Else random orders are drawn
    until ENOUGH of them reach the observed statistic, or MOST_PERMUTATIONS were (Besag & Clifford,
    Biometrika 78:301, 1991): a clear effect among the hundreds of rows of a plate needs a p far
    under 1 / 1,000 to stay after correction, and a row without one needs few draws.

    `statistic` takes centred values (…, n) to (…).

    Examples
    --------
    >>> import numpy as np
    >>> from phenotypes.statistics.permutation import permutation_p
    >>> def difference(v):
    ...     return abs(v[..., :3].sum(axis=-1) - v[..., 3:].sum(axis=-1))
    >>> permutation_p(np.array([1.0, 1.1, 0.9, 0.0, 0.1, -0.1]), difference)
    0.1
    """
    centred = values - values.mean()
    # A permutation that repeats the observed order must count, however its sum is rounded.
    observed = float(statistic(centred)) * (1 - 1e-12)
    if len(centred) <= EXACT:
        orders = np.array(list(permutations(range(len(centred)))))
        return float((statistic(centred[orders]) >= observed).mean())

    def shuffled(rng: np.random.Generator, size: int) -> Real:
        return statistic(rng.permuted(np.broadcast_to(centred, (size, len(centred))), axis=1))

    return sequential_p(observed, shuffled, seed=seed)


def sequential_p(
    observed: float, draw: Callable[[np.random.Generator, int], Real], *, seed: int = 0
) -> float:
    """P value of a statistic whose null distribution is drawn until p is known well enough.

    `draw` takes a generator and a number of draws to as many statistics.
    """
    rng = np.random.default_rng(seed)
    drawn = reached = 0
    while reached < ENOUGH and drawn < MOST_PERMUTATIONS:
        # 999 draws, then ten times as many in all, then twice that.
        size = min(PERMUTATIONS if not drawn else 9 * (drawn + 1), MOST_PERMUTATIONS - drawn)
        for block in _blocks(size):
            reached += int((draw(rng, block) >= observed).sum())
        drawn += size
    return (1 + reached) / (1 + drawn)


def _blocks(size: int) -> list[int]:
    """Sizes of parts that fit in memory."""
    return [min(_BLOCK, size - start) for start in range(0, size, _BLOCK)]
