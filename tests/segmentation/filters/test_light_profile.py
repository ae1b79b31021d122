"""The instrument's profile: a polynomial over the field, in pixels."""

from __future__ import annotations

import numpy as np
import pytest

from segmentation.filters.light_profile import LightProfile


def test_x_runs_along_rows_and_y_along_columns():
    profile = LightProfile(((1.0,), (0.5, 0.25), (0.0, 0.125, 0.0)), (1.0, 0.0), (2.0, 1.0))
    light = profile.evaluate((2, 3))
    x, y = np.array([-2.0, 0.0, 2.0])[None], np.array([0.0, 1.0])[:, None]
    assert light.tolist() == (1 + 0.5 * x + 0.25 * y + 0.125 * x * y).tolist()


def test_without_coefficients_it_is_flat():
    assert LightProfile().evaluate((2, 2)).tolist() == [[1, 1], [1, 1]]


def test_relative_light_has_mean_1_and_cannot_be_written():
    light = LightProfile(((4.0,), (1.0, 0.0))).relative((3, 5))
    assert light.mean() == pytest.approx(1)
    assert light.max() / light.min() == pytest.approx(8 / 4)
    assert not light.flags.writeable
