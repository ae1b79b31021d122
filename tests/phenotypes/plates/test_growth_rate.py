from __future__ import annotations

import numpy as np
import pytest

from phenotypes.plates.growth_rate import growth_rate


def test_values_of_the_definition():
    """Two doublings of the vehicle from 100 cells: as the vehicle 1, one doubling √2 − 1, none 0,
    half the cells 2^(−1/2) − 1, none left −1.
    """
    found = growth_rate([400, 200, 100, 50, 0], [390, 410], [100, 100])
    assert found.status == "ok"
    assert found.growth == 4
    assert found.values.tolist() == pytest.approx([1, np.sqrt(2) - 1, 0, 2**-0.5 - 1, -1])


def test_cells_that_do_not_divide_have_none():
    found = growth_rate([40, 20], [105, 108], [100, 100])
    assert (found.status, len(found.values)) == ("vehicle_does_not_grow", 0)
    assert "1.06 ×" in found.reason or "1.07 ×" in found.reason


@pytest.mark.parametrize(
    "bad",
    [([1.0], [], [1.0]), ([1.0], [2.0], [0.0]), ([-1.0], [2.0], [1.0]), ([np.nan], [2.0], [1.0])],
)
def test_counts_that_mean_nothing_are_refused(bad):
    with pytest.raises(ValueError, match="counts must be finite"):
        growth_rate(*bad)
