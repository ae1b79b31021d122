from __future__ import annotations

import numpy as np
import pytest

from imaging_service.models.scores import figures, score
from tests.imaging_service.models.drawn_fields import traced


def test_the_traced_labels_themselves_are_right():
    fields = [traced(i, well=f"B0{i + 1}") for i in range(4)]
    made = figures([score(f, f.labels) for f in fields])
    assert {n: f.value for n, f in made.items()} == {
        "neurite_f1": 1.0,
        "length_error": 0.0,
        "length_bias": 0.0,
        "count_error": 0.0,
        "nuclei_ap": 1.0,
        "soma_ap": 1.0,
    }
    assert {(f.low, f.high) for n, f in made.items() if n != "length_bias"} <= {(0, 0), (1, 1)}


def test_what_is_missed_and_what_is_false_is_counted():
    fields = [traced(i, well=f"B0{i + 1}") for i in range(4)]
    scores = []
    for field in fields:
        # One of two cells and one of two neurites is missed.
        labels = {
            n: np.where(np.arange(96)[:, None] < 48, image, 0) for n, image in field.labels.items()
        }
        scores.append(score(field, labels))
    made = figures(scores)
    assert made["neurite_f1"].value == pytest.approx(2 / 3, abs=0.02)
    assert made["length_error"].value == pytest.approx(0.5, abs=0.03)
    assert made["length_bias"].value == pytest.approx(-0.5, abs=0.03)
    assert made["count_error"].value == 0.5
    assert made["nuclei_ap"].value == 0.5
    assert made["soma_ap"].value == 0.5
    low, high = made["length_error"].low, made["length_error"].high
    assert low <= made["length_error"].value <= high
    assert 0 < high - low < 0.1


def test_an_engine_without_a_compartment_missed_all_of_it():
    field = traced()
    made = figures([score(field, {})])
    assert (made["neurite_f1"].value, made["nuclei_ap"].value) == (0, 0)
    assert made["length_error"].value == 1


def test_two_wells_say_nothing_on_how_wells_differ():
    fields = [traced(i, well=f"B0{1 + i % 2}", field=1 + i) for i in range(6)]
    made = figures([score(f, f.labels) for f in fields])
    assert (made["neurite_f1"].wells, made["neurite_f1"].fields) == (2, 6)
    assert made["neurite_f1"].low is None


def test_what_was_not_traced_has_no_figure():
    field = traced(traced={"neurites": "corrected"})
    assert set(figures([score(field, field.labels)])) == {
        "neurite_f1",
        "length_error",
        "length_bias",
    }
    assert figures([]) == {}
