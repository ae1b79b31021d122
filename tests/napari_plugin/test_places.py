from __future__ import annotations

import pytest

from napari_plugin.places import WHOLE_PX, WINDOW_PX, window


def test_a_field_up_to_the_limit_is_loaded_whole():
    assert (WHOLE_PX, WINDOW_PX) == (2560, 2048)
    assert window((2560, 2560), None) is None
    assert window((2560, 2560), (10, 10)) is None
    assert window((2561, 2560), None) is not None
    assert window((2560, 2561), None) is not None


@pytest.mark.parametrize(
    ("centre", "corner"),
    [
        (None, (976, 1976)),
        ((2000, 3000), (976, 1976)),
        ((2100, 2000), (1076, 976)),
        ((0, 0), (0, 0)),
        ((1024, 1025), (0, 1)),
        ((3999, 5999), (1952, 3952)),
        ((2976, 4976), (1952, 3952)),
        ((2975, 4975), (1951, 3951)),
    ],
)
def test_a_window_lies_around_the_place_and_inside_the_field(centre, corner):
    assert window((4000, 6000), centre) == (*corner, 2048, 2048)


def test_a_window_is_no_larger_than_a_narrow_field():
    assert window((500, 8000), (250, 7990)) == (0, 5952, 500, 2048)
    assert window((8000, 1), (10, 0)) == (0, 0, 2048, 1)
