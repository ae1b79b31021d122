from __future__ import annotations

import dataclasses

import pytest

from segmentation.sizes import Sizes


def test_the_defaults_are_those_of_human_motor_neurons():
    assert dataclasses.asdict(Sizes()) == {
        "nucleus_diameter_um": 11.0,
        "min_nucleus_area_um2": 20.0,
        "neurite_width_um": 3.0,
        "max_soma_reach_um": 14.0,
    }


def test_sizes_do_not_change_while_a_plate_is_analysed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Sizes().nucleus_diameter_um = 5.0
