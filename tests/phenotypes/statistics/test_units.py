from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phenotypes.statistics.units import far_exponent


@given(st.floats(1e-30, 1e30), st.sampled_from([-1, 1]))
def test_values_of_ordinary_size_stay_as_they_are(largest, sign):
    assert far_exponent(np.array([0.0, sign * largest, largest / 3])) == 0


@given(st.one_of(st.floats(5e-324, 9e-31), st.floats(2e30, 1.7e308)), st.sampled_from([-1, 1]))
def test_values_far_from_1_come_near_it_and_back_without_rounding(largest, sign):
    values = np.array([sign * largest, 0.0])
    exponent = far_exponent(values)
    near = np.ldexp(values, -exponent)
    assert 0.5 <= abs(near[0]) < 1
    assert np.ldexp(near, exponent).tolist() == values.tolist()


@pytest.mark.parametrize("values", [[], [0.0, 0.0]])
def test_no_values_and_zeros_have_no_size(values):
    assert far_exponent(np.array(values)) == 0
