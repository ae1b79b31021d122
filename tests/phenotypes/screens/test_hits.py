from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from phenotypes.columns.dictionary import empty_table
from phenotypes.screens.hits import judged_rows, with_screen_tests

BASE = {
    "phenotype": "live_density",
    "line": "L1",
    "compound": "x",
    "status": "ok",
    "reason": "",
    "effect": 0.5,
    "effect_low": 0.1,
    "effect_high": 0.9,
    "p_value": 0.03,
    "effect_floor": 0.2,
    "n_batches": 3,
    "same_direction": 3,
    "window_status": "expressed",
    "window": 1.0,
}
BEST = {
    "best_dose_molar": 1e-6,
    "best_effect": 0.5,
    "best_effect_low": 0.3,
    "best_effect_high": 0.7,
    "best_p_value": 0.001,
    "best_same_direction": 3,
    "n_doses": 2,
}
BORROWED = {
    "moderation_status": "ok",
    "moderated_error": 0.05,
    "moderated_freedom": 40.0,
    "moderated_low": 0.4,
    "moderated_high": 0.6,
    "moderated_p_value": 0.0005,
    "prior_freedom": 38.0,
    "prior_sd": 0.1,
}
KEYS = ["phenotype", "line", "compound"]


def judged(row=None, best=None, borrowed=BORROWED, healthy=frozenset()):
    described = BASE | (row or {})
    keys = {k: described[k] for k in KEYS}
    schema = dict(empty_table("screen").schema)
    table = pl.DataFrame([described], schema_overrides=schema)
    missing = [pl.lit(None).cast(t).alias(c) for c, t in schema.items() if c not in described]
    numbers = borrowed or dict.fromkeys(BORROWED) | {"moderation_status": "too_few_rows"}
    types = {c: pl.Float64 for c in BORROWED if c != "moderation_status"}
    at_dose = pl.DataFrame([keys | numbers], schema_overrides=types)
    chosen = pl.DataFrame([keys | BEST | (best or {})])
    if best == {}:
        chosen = chosen.clear()
    whole = with_screen_tests(table.with_columns(missing), at_dose, chosen)
    return judged_rows(whole, frozenset(healthy)).to_dicts()[0]


def test_a_hit_is_significant_large_and_in_one_direction_at_its_best_dose():
    assert judged()["hit"] is True
    assert judged(best={"best_p_value": 0.06})["hit"] is False
    assert judged(best={"best_effect": -0.19})["hit"] is False
    assert judged(best={"best_effect": -0.21})["hit"] is True
    assert judged(best={"best_same_direction": 1})["hit"] is False


def test_a_hit_at_a_middle_dose_needs_nothing_of_the_dose_of_comparison():
    """A rescue in the middle whose highest dose is toxic."""
    row = judged(row={"effect": -0.05, "p_value": 0.8}, best={"best_dose_molar": 1e-7})
    assert (row["hit"], row["best_dose_molar"]) == (True, 1e-7)


def test_without_a_floor_or_a_test_there_is_no_hit():
    assert judged(row={"effect_floor": None})["hit"] is False
    row = judged(row={"status": "one_batch", "p_value": None}, best={}, borrowed=None)
    assert row["hit"] is None
    assert row["best_dose_molar"] is row["best_q_value"] is None


def test_q_is_of_rows_of_one_phenotype():
    row = judged()
    assert row["q_value"] == pytest.approx(0.03)
    assert row["moderated_q_value"] == pytest.approx(0.0005)
    assert row["best_q_value"] == pytest.approx(0.001)


def test_the_class_of_a_responder_stands_on_the_borrowed_variance():
    """Plain: t of (0.5 − 0.2) / 0.093 with two degrees of freedom; borrowed: 6 with forty."""
    plain = judged(borrowed=None)["responder_probability"]
    borrowed = judged()["responder_probability"]
    assert 0.9 < plain < 0.97
    assert borrowed > 0.999
    assert np.isfinite(borrowed)
