from __future__ import annotations

import numpy as np
import pytest

from segmentation import Field

PIXELS = np.ones((2, 4, 5), np.uint16)


def test_channels_by_role():
    field = Field(PIXELS * np.array([1, 2], np.uint16)[:, None, None], ("dna", None), 0.5)
    assert field.channel("dna").dtype == np.float32
    assert field.shape == (4, 5)
    assert field.area_um2 == 5.0
    with pytest.raises(KeyError, match="roles present: dna"):
        field.channel("neurite")


@pytest.mark.parametrize(
    ("pixels", "roles", "size", "says"),
    [
        (PIXELS, ("dna", "soma"), 0.5, "unknown role 'soma'; known: dna, neurite"),
        (PIXELS, ("dna",), 0.5, "2 channels but 1 roles"),
        (PIXELS, ("dna", "dna"), 0.5, "each role belongs to one channel"),
        (PIXELS[0], ("dna",), 0.5, "shape"),
        (PIXELS, ("dna", None), 0.0, "positive"),
        (PIXELS, ("dna", None), float("nan"), "positive"),
        (np.full((1, 2, 2), np.nan, np.float32), ("dna",), 0.5, "NaN or infinity"),
    ],
)
def test_what_cannot_be_a_field_is_refused(pixels, roles, size, says):
    with pytest.raises(ValueError, match=says):
        Field(pixels, roles, size)
