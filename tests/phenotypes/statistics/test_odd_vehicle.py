from __future__ import annotations

import numpy as np
import pytest

from phenotypes.statistics.odd_vehicle import odd_vehicles


def plate(vehicles=4, sd=5.0, seed=0, odd=0.0):
    rng = np.random.default_rng(seed)
    dose = np.concatenate([np.zeros(vehicles), np.repeat(np.geomspace(1e-8, 1e-5, 8), 3)])
    response = 100 - 60 * dose / (dose + 1e-6) + rng.normal(0, sd, len(dose))
    response[0] += odd
    return dose, response


@pytest.mark.parametrize("vehicles", [3, 4, 8])
def test_one_bad_well_among_few_is_named_and_sound_ones_are_not(vehicles):
    assert odd_vehicles(*plate(vehicles, odd=59.0)).tolist() == [0]
    assert odd_vehicles(*plate(vehicles, odd=-59.0)).tolist() == [0]
    called = [len(odd_vehicles(*plate(vehicles, seed=s))) for s in range(200)]
    assert sum(called) <= 3


def test_wells_that_scatter_more_than_treated_ones_are_not_odd():
    """Counts vary with their mean: where the drug kills, replicates agree by far better."""
    called = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        dose, _ = plate(8)
        mean = 100 - 95 * dose / (dose + 1e-8)
        called += len(odd_vehicles(dose, mean * (1 + rng.normal(0, 0.1, len(dose)))))
    assert called <= 10


def test_two_wells_or_no_replicates_cannot_be_judged():
    assert odd_vehicles(*plate(2, odd=59.0)).tolist() == []
    assert odd_vehicles(np.array([0.0, 0, 0, 1, 2]), np.array([9.0, 1, 1, 1, 1])).tolist() == []


def test_wells_that_agree_to_the_last_digit_are_not_odd():
    dose, _ = plate(4)
    assert odd_vehicles(dose, np.full(len(dose), 0.0)).tolist() == []
    assert odd_vehicles(dose, np.where(np.arange(len(dose)) == 1, 5.0, 0.0)).tolist() == [1]
