"""Expected sizes, and which compartments each of them decides with the engine that takes all."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from segmentation import load
from segmentation.phantoms.render import Culture, Optics, render
from segmentation.phantoms.scenery import Clutter
from segmentation.sizes import Sizes

# Somas are grown from nuclei, and neurites end at somas: what decides the first decides the rest.
CASES = {
    "nucleus_diameter_um": (20.0, {"nuclei", "somas", "neurites"}),
    "min_nucleus_area_um2": (80.0, {"nuclei", "somas", "neurites"}),
    "neurite_width_um": (6.0, {"somas", "neurites"}),
    "max_soma_reach_um": (4.0, {"somas", "neurites"}),
    "neurite_contrast": (0.9, {"neurites"}),
}


def test_the_defaults_are_those_of_human_motor_neurons():
    assert dataclasses.asdict(Sizes()) == {
        "nucleus_diameter_um": 11.0,
        "min_nucleus_area_um2": 20.0,
        "neurite_width_um": 3.0,
        "max_soma_reach_um": 14.0,
        "neurite_contrast": 0.3,
    }


def test_sizes_do_not_change_while_a_plate_is_analysed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Sizes().nucleus_diameter_um = 5.0


def areas(sizes: Sizes) -> dict[str, float | list[int]]:
    """Sizes of nuclei in order, the area of somas outside nuclei, and that of neurites."""
    culture = Culture(neurons_per_mm2=400, clutter=Clutter(clumping=0.5))
    field = render(culture, Optics(shape=(400, 400)), 3).field
    labels = load("classical", sizes=sizes).segment(field).labels
    nuclei = np.unique(labels["nuclei"], return_counts=True)[1]
    return {
        "nuclei": sorted(nuclei.tolist()),
        "somas": int(((labels["somas"] > 0) & (labels["nuclei"] == 0)).sum()),
        "neurites": int(labels["neurites"].sum()),
    }


def test_every_size_has_a_case():
    assert sorted(CASES) == sorted(f.name for f in dataclasses.fields(Sizes))


@pytest.mark.parametrize("name", CASES)
def test_a_size_changes_its_compartment(name):
    value, compartments = CASES[name]
    before, after = areas(Sizes()), areas(Sizes(**{name: value}))
    assert {c for c in before if before[c] != after[c]} == compartments
