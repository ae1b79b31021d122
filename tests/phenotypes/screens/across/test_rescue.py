from __future__ import annotations

import numpy as np
import pytest

from phenotypes.screens.across.rescue import best_dose, fieller, rescue, responder_class
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


@pytest.mark.parametrize("towards", [1.0, -1.0])
def test_the_best_dose_is_that_which_moves_the_line_most_towards_its_control(towards):
    def batches(level, count=3):
        return {f"b{i}": towards * (level + 0.01 * i) for i in range(count)}

    effects = {1.0: batches(0.2), 2.0: batches(0.5), 3.0: batches(-0.9), 4.0: batches(9.0, 1)}
    gaps = {f"b{i}": towards for i in range(3)}
    # One batch, however large, is no rescue.
    assert best_dose(effects, gaps, {}) == (2.0, 3, 0)
    assert best_dose(effects, gaps, {2.0: 0.79}) == (1.0, 2, 1)
    assert best_dose(effects, gaps, {2.0: 0.81}) == (2.0, 3, 0)
    assert best_dose(effects, gaps, dict.fromkeys(effects, 0.1)) == (2.0, 3, 0)
    assert best_dose(effects, {"b0": towards}, {}) is None
    # Of equals the lower, and a mean of more batches counts for more.
    assert best_dose({2.0: batches(0.5), 1.0: batches(0.5)}, gaps, {})[0] == 1.0
    assert best_dose({1.0: batches(0.5), 2.0: batches(0.55, 2)}, gaps, {})[0] == 1.0


@pytest.mark.parametrize("batches", [3, 5])
def test_the_interval_covers_although_the_dose_was_chosen_for_its_effect(batches):
    """Eight doses, none of which does anything; misses on either side.

    The interval of a dose that was not chosen misses in 11 to 14 %.
    """
    rng = np.random.default_rng(0)
    high, alone, shown = 0, 0, 0
    names = [f"b{i}" for i in range(batches)]
    for _ in range(400):
        vehicle = rng.normal(0, 0.03, batches)
        window = 1.0 + rng.normal(0, 0.05, batches) - vehicle
        drug = rng.normal(0, 0.1, (8, batches)) - vehicle
        effects = {float(d): dict(zip(names, drug[d], strict=True)) for d in range(8)}
        gaps = dict(zip(names, window, strict=True))
        dose, n_doses, _ = best_dose(effects, gaps, {})
        found = rescue(list(effects[dose].values()), window, n_doses=n_doses)
        if found.status != "ok":
            continue
        shown += 1
        assert found.low < found.rho < found.high
        high += found.low > 0
        assert found.high > 0
        alone += rescue(list(effects[dose].values()), window).low > 0
    assert shown > 250
    assert high / shown <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / shown)
    assert alone / shown > 0.09


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
