from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import stats

from phenotypes.screens.across.sites import bridge_table, sites_table


def batches(rows):
    names = ["site", "line", "batch", "effect"]
    table = pl.DataFrame(rows, schema=names, orient="row")
    return table.with_columns(
        phenotype=pl.lit("live_density"),
        compound=pl.lit("x"),
        dose_molar=pl.lit(1e-6),
        control=pl.lit("none"),
    )


def compared(rows, **more):
    table = batches(rows)
    site_of = dict(table.select("batch", "site").rows())
    return sites_table(table, {"x": 1e-6}, site_of, donors={}, healthy=frozenset(), **more)


def drawn(rng, site_sd, donor_sd, sites=4, donors=6):
    rows = []
    for s in range(sites):
        shift = rng.normal(0, site_sd)
        for d in range(donors):
            effect = shift + rng.normal(0, donor_sd)
            rows += [
                (f"s{s}", f"L{s}-{d}", f"s{s}/b{b}", effect + rng.normal(0, 0.02)) for b in range(3)
            ]
    return rows


def test_it_is_an_analysis_of_variance_with_the_donor_as_unit():
    rows = drawn(np.random.default_rng(0), 0.3, 0.2)
    (row,) = compared(rows).to_dicts()
    means = {}
    for site, line, _, effect in rows:
        means.setdefault(site, {}).setdefault(line, []).append(effect)
    groups = [[np.mean(v) for v in lines.values()] for lines in means.values()]
    assert row["site_p"] == pytest.approx(stats.f_oneway(*groups).pvalue)
    assert (row["n_sites"], row["n_donors"]) == (4, 24)


def test_both_spreads_are_recovered_where_a_mean_per_site_would_mix_them():
    rng = np.random.default_rng(1)
    found = [compared(drawn(rng, 0.3, 0.2, sites=12)).to_dicts()[0] for _ in range(40)]
    assert np.sqrt(np.mean([r["site_sd"] ** 2 for r in found])) == pytest.approx(0.3, rel=0.15)
    assert np.sqrt(np.mean([r["donor_sd"] ** 2 for r in found])) == pytest.approx(0.2, rel=0.1)
    alike = [compared(drawn(rng, 0.0, 0.2)).to_dicts()[0]["site_p"] for _ in range(200)]
    assert np.mean(np.array(alike) < 0.05) == pytest.approx(0.05, abs=0.04)


def test_what_cannot_be_compared_has_a_status():
    assert compared([("a", "L1", "b1", 0.1), ("a", "L2", "b1", 0.2)])["status"].to_list() == [
        "one_site"
    ]
    apart = [("a", "L1", "b1", 0.1), ("c", "L2", "b2", 0.2)]
    assert compared(apart)["status"].to_list() == ["too_few_donors"]
    assert compared(apart, unknown=["L1", "L2"]).is_empty()


def test_a_donor_at_two_sites_counts_once():
    rows = [
        ("a", "L1", "b1", 0.1),
        ("a", "L2", "b1", 0.2),
        ("c", "L1", "b2", 0.1),
        ("c", "L3", "b2", 0.3),
    ]
    assert compared(rows)["n_donors"].to_list() == [3]


def test_a_bridge_is_tested_with_batches_as_n():
    known = batches([("a", "L", f"b{i}", e) for i, e in enumerate((0.50, 0.55, 0.45, 0.52))])
    near = batches([("c", "L", f"c{i}", e) for i, e in enumerate((0.48, 0.56, 0.51))])
    far = near.with_columns(pl.col("effect") + 1)
    (row,) = bridge_table(known, near, ["L"], "x").to_dicts()
    test = stats.ttest_ind(near["effect"], known["effect"], equal_var=False)
    assert (row["status"], row["n_batches"], row["n_batches_other"]) == ("agrees", 4, 3)
    assert row["p_value"] == pytest.approx(test.pvalue)
    assert row["difference_low"] < 0 < row["difference_high"]
    assert bridge_table(known, far, ["L"], "x")["status"].to_list() == ["differs"]
    assert bridge_table(known, near[:1], ["L"], "x")["status"].to_list() == ["too_few_batches"]
    assert bridge_table(known, near, ["other"], "x").is_empty()
