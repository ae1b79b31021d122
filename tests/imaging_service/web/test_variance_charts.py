from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import stats

from imaging_service.web.charts import svg
from imaging_service.web.variance_charts import variance_quantiles


def rows(sd, prior_sd=0.1, prior_freedom=np.inf, batches=3, status="ok", line="L"):
    half = stats.t.ppf(0.975, batches - 1) * np.asarray(sd) / np.sqrt(batches)
    return pl.DataFrame(
        {
            "phenotype": "live_density",
            "line": line,
            "compound": [f"c{i}" for i in range(len(half))],
            "moderation_status": status,
            "n_batches": batches,
            "prior_sd": prior_sd,
            "prior_freedom": prior_freedom,
            "effect_low": -half,
            "effect_high": half,
        }
    )


def points(spec):
    return pl.DataFrame(spec["layer"][1]["data"]["values"])


@pytest.mark.parametrize("freedom", [4.0, np.inf])
def test_rows_that_differ_as_fitted_lie_on_the_line(freedom):
    rng = np.random.default_rng(0)
    true = 0.1**2 * (1.0 if np.isinf(freedom) else freedom / rng.chisquare(freedom, 300))
    drawn = np.sqrt(true * rng.chisquare(2, 300) / 2)
    shown = points(variance_quantiles(rows(drawn, prior_freedom=freedom), "live_density"))
    middle = shown.filter(pl.col("expected").is_between(0.04, 0.25))
    assert len(middle) > 150
    assert ((middle["sd"] / middle["expected"]).log().abs() < 0.25).all()


def test_a_noisy_row_stands_above_the_line():
    spec = variance_quantiles(rows([*np.full(29, 0.1), 2.0]), "live_density")
    top = points(spec).sort("sd").to_dicts()[-1]
    assert top["row"] == "L × c29"
    assert top["sd"] == pytest.approx(2.0)
    assert top["sd"] > 5 * top["expected"]
    assert svg(spec).startswith("<svg")


def test_rows_of_unlike_numbers_of_batches_are_each_expected_by_their_own():
    table = pl.concat([rows(np.full(20, 0.1)), rows(np.full(20, 0.1), batches=6, line="M")])
    shown = points(variance_quantiles(table, "live_density"))
    spread = shown.group_by("batches").agg(pl.col("expected").log().std()).sort("batches")
    assert spread["expected"][0] > 1.4 * spread["expected"][1]


def test_without_a_row_that_borrows_there_is_no_picture():
    assert variance_quantiles(rows([0.1], status="too_few_rows"), "live_density") == {}
    assert variance_quantiles(rows([0.1] * 12), "nc_log2_aggregate") == {}


def test_a_large_screen_is_thinned():
    shown = points(variance_quantiles(rows(np.full(2000, 0.1)), "live_density"))
    assert len(shown) == 400
