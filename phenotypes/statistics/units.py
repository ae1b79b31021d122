"""Values so large or so small that their squares are no number a computer holds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]
# Values whose largest is further from 1 than this have fourth powers that no number holds.
_FAR = 1e30


def far_exponent(response: Real) -> int:
    """Power of two that brings very large or very small responses near 1; 0 for all others.

    Dividing by it rounds nothing, so that a fit is the same in every unit. Responses of about 1e-17
    are what rounding leaves of differences of numbers near 1, and are not brought near it.

    Examples
    --------
    >>> import numpy as np
    >>> from phenotypes.statistics.units import far_exponent
    >>> far_exponent(np.array([90.0, 110.0])), far_exponent(np.array([0.0, 1e-160]))
    (0, -531)
    """
    largest = float(np.abs(response).max(initial=0.0))
    if largest == 0 or 1 / _FAR <= largest <= _FAR:
        return 0
    return int(np.frexp(largest)[1])
