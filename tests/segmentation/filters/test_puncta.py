from __future__ import annotations

import numpy as np
import pytest

from segmentation.filters.puncta import segment_puncta, spot_response, spot_scale

Y, X = np.mgrid[:80, :80].astype(np.float32)


def spots(*places, height=100.0, sigma=2.0):
    return sum(
        height * np.exp(-((Y - y) ** 2 + (X - x) ** 2) / (2 * sigma**2)) for y, x in places
    ).astype(np.float32)


def test_the_filter_fits_a_disc_of_0_6_um_and_never_goes_under_0_8_px():
    assert spot_scale(0.2) == pytest.approx(0.6 / np.sqrt(2) / 0.2)
    assert spot_scale(0.65) == 0.8


def test_each_spot_over_the_threshold_is_one_punctum_of_its_half_height_pixels():
    image = spots((20, 20), (50, 60), sigma=4.0)
    peak = float(spot_response(image, 0.1)[20, 20])
    labels = segment_puncta(image, 0.1, 0.6 * peak, None)
    assert labels.dtype == np.int32
    assert labels.max() == 2
    assert labels[20, 20] != labels[50, 60]
    assert np.array_equal(labels > 0, spot_response(image, 0.1) > 0.3 * peak)
    assert segment_puncta(image, 0.1, 1.01 * peak, None).max() == 0


def test_touching_spots_are_parted():
    assert segment_puncta(spots((40, 36), (40, 44)), 0.2, 1.0, None).max() == 2


def test_only_peaks_inside_the_mask_count():
    within = np.zeros((80, 80), bool)
    within[:40] = True
    labels = segment_puncta(spots((20, 20), (50, 60)), 0.2, 1.0, within)
    assert labels.max() == 1
    assert labels[50, 60] == 0


def test_pixels_over_0_7_um_are_refused():
    assert segment_puncta(spots((20, 20)), 0.7, 1.0, None).max() == 1
    with pytest.raises(ValueError, match="at most 0.7 µm, these are 0.71"):
        segment_puncta(spots((20, 20)), 0.71, 1.0, None)
