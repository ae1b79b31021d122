from __future__ import annotations

import numpy as np
import pytest

from segmentation import Field
from tests.messages import says

PIXELS = np.ones((2, 4, 5), np.uint16)


def test_channels_by_role():
    field = Field(PIXELS * np.array([1, 2], np.uint16)[:, None, None], ("dna", None), 0.5)
    assert field.channel("dna").dtype == np.float32
    assert field.shape == (4, 5)
    assert field.area_um2 == 5.0
    with pytest.raises(KeyError, match=says("field.role_missing")):
        field.channel("neurite")


@pytest.mark.parametrize(
    ("pixels", "roles", "size", "sentence"),
    [
        (PIXELS, ("dna", "soma"), 0.5, says("field.unknown_role")),
        (PIXELS, ("dna",), 0.5, says("field.roles_and_channels_differ")),
        (PIXELS, ("dna", "dna"), 0.5, says("field.role_twice")),
        (PIXELS[0], ("dna",), 0.5, says("field.wrong_shape")),
        (PIXELS, ("dna", None), 0.0, says("field.pixel_size_not_positive")),
        (PIXELS, ("dna", None), float("nan"), says("field.pixel_size_not_positive")),
        (np.full((1, 2, 2), np.nan, np.float32), ("dna",), 0.5, says("field.not_finite")),
    ],
)
def test_what_cannot_be_a_field_is_refused(pixels, roles, size, sentence):
    with pytest.raises(ValueError, match=sentence):
        Field(pixels, roles, size)
