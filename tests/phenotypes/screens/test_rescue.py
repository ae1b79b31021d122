from __future__ import annotations

import numpy as np
import pytest

from phenotypes.screens.rescue import fieller, rescue, responder_class
from tests.messages import states


def test_half_way_back():
    rng = np.random.default_rng(0)
    window = 1.0 + rng.normal(0, 0.03, 5)
    found = rescue(
        0.5 + rng.normal(0, 0.03, 5), window, isogenic=rng.normal(0, 0.03, 5), live_ratio=1.0
    )
    assert found.status == "ok"
    assert found.rho == pytest.approx(0.5, abs=0.05)
    assert found.low < 0.5 < found.high
    assert found.interaction_low > 0
    assert found.flags == ()


def test_without_a_window_there_is_no_rescue_not_a_rescue_of_nothing():
    found = rescue([0.1, 0.2, 0.1], [0.05, -0.1, 0.02])
    assert found.status == "not_expressed"
    assert found.rho is None


def test_a_trophic_drug_an_overshoot_and_a_toxic_one_are_flagged():
    window = [1.0, 1.02, 0.98, 1.01]
    trophic = rescue([0.5, 0.52, 0.48, 0.51], window, isogenic=[0.5, 0.51, 0.5, 0.5])
    assert any("trophic" in f for f in trophic.flags)
    over = rescue([1.5, 1.52, 1.48, 1.5], window, live_ratio=0.7)
    assert any("overshoots" in f for f in over.flags)
    assert any(states("rescue.live_cells_lost", f, share="30%") for f in over.flags)


def test_one_batch_is_refused():
    assert rescue([0.5], [1.0]).status == "too_few_batches"


def test_fieller_covers_the_ratio():
    rng = np.random.default_rng(0)
    covered = unbounded = 0
    for _ in range(1000):
        shared = rng.normal(0, 0.2, 4)
        a, b = 0.6 + shared + rng.normal(0, 0.2, 4), 1.2 + shared + rng.normal(0, 0.2, 4)
        found = fieller(a, b)
        if found is None:
            unbounded += 1
            continue
        covered += found[1] <= 0.5 <= found[2]
    assert unbounded < 100
    assert covered / (1000 - unbounded) == pytest.approx(0.95, abs=0.025)


def test_classes_of_response():
    found, likely = responder_class([1.0, 0.0, 0.3], [0.1, 0.05, 0.3], [5, 5, 3], 0.2)
    assert found.tolist() == ["responder", "non_responder", "indeterminate"]
    assert likely[2] == pytest.approx(0.6198, abs=1e-3)  # t of 1/3 with 3 degrees of freedom


def test_a_trophic_drug_is_flagged_where_the_disease_raises_the_phenotype_too():
    """The mirror image of a falling phenotype: the same flags, every number with the other sign."""
    window, drug, other = [1.0, 1.02, 0.98, 1.01], [0.5, 0.52, 0.48, 0.51], [0.5, 0.51, 0.5, 0.5]
    rising = rescue(drug, window, isogenic=other, live_ratio=1.0)
    falling = rescue(*(-np.array(v) for v in (drug, window, other)), live_ratio=1.0)
    assert falling.flags == rising.flags
    assert len([f for f in falling.flags if f.startswith("trophic")]) == 1
    assert falling.rho == pytest.approx(rising.rho)
    assert falling.interaction == pytest.approx(-rising.interaction)
