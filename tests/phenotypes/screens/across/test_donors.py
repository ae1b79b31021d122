from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from phenotypes.screens.across.donors import (
    DISEASE,
    HEALTHY,
    UNKNOWN,
    across_lines_table,
)
from phenotypes.screens.conditions import plate_effects
from phenotypes.screens.lines import batch_effects, line_effects
from tests.messages import states
from tests.phenotypes.drawn_screens import screen_wells


def across(wells, *, donors=None, genes=None, healthy=(), unknown=None):
    batches = batch_effects(plate_effects(wells, ["live_density"]))
    lines = line_effects(batches)
    return across_lines_table(
        lines,
        batches,
        {"x": 1e-6},
        donors=donors or {},
        genes=genes or {},
        healthy=frozenset(healthy),
        unknown=unknown,
    )


def of(table, group=DISEASE):
    return table.filter(pl.col("group") == group).to_dicts()[0]


def test_donors_are_n_and_lines_of_one_person_are_one():
    wells = screen_wells(
        np.random.default_rng(2), lines=("A1", "A2", "B", "C", "D"), line_sd=0.3, batch_sd=0.1
    )
    row = of(across(wells, donors={"A1": "A", "A2": "A"}))
    assert (row["status"], row["n_lines"], row["n_donors"], row["n_batches"]) == ("ok", 5, 4, 3)
    assert row["effect_low"] < 1.0 < row["effect_high"]
    assert row["predicted_low"] < row["effect_low"]
    assert row["stable"] is True
    assert row["mixed_status"] in {"ok", "collapsed"}
    assert row["mixed_effect"] == pytest.approx(row["effect"], abs=0.15)
    one = of(across(wells, donors=dict.fromkeys(("A1", "A2", "B", "C", "D"), "one")))
    assert (one["status"], one["effect"]) == ("too_few_donors", None)
    assert one["n_donors"] == 1


def test_one_batch_lines_take_no_part():
    assert (
        of(across(screen_wells(np.random.default_rng(0), batches=1)))["status"] == "too_few_donors"
    )


def test_healthy_lines_and_genes_are_groups_of_their_own():
    lines = [f"S{i}" for i in range(3)] + [f"F{i}" for i in range(2)] + [f"H{i}" for i in range(3)]
    table = across(
        screen_wells(np.random.default_rng(0), lines=lines),
        genes={n: {"S": "SOD1", "F": "FUS"}[n[0]] for n in lines if n[0] != "H"},
        healthy=[n for n in lines if n[0] == "H"],
    )
    assert {r["group"]: (r["status"], r["n_donors"]) for r in table.to_dicts()} == {
        DISEASE: ("ok", 5),
        HEALTHY: ("ok", 3),
        "SOD1": ("ok", 3),
        "FUS": ("too_few_donors", 2),
    }
    # FUS has two, so there is nothing to compare SOD1 with
    assert of(table)["association_status"] == "too_few_donors"


def test_lines_of_unknown_health_are_in_no_group_and_no_number_is_given_of_them():
    """Two healthy lines that were taken for disease lines halved the effect."""
    lines = [f"S{i}" for i in range(3)]
    sick = screen_wells(np.random.default_rng(0), lines=lines, effect=-1.1)
    other = screen_wells(np.random.default_rng(1), lines=["W1", "W2"], effect=0.0)
    known = {"W1": "W1 (genotype 'carrier')", "W2": "W2 (no genotype)"}
    table = across(pl.concat([sick, other]), unknown=known, genes={"W1": "SOD1"})
    assert of(table)["n_donors"] == 3
    assert of(table)["effect"] == pytest.approx(of(across(sick))["effect"])
    assert set(table["group"]) == {DISEASE, UNKNOWN}
    row = of(table, UNKNOWN)
    assert (row["status"], row["n_lines"], row["effect"], row["p_value"], row["q_value"]) == (
        "health_unknown",
        2,
        None,
        None,
        None,
    )
    assert states("health.line", row["reason"], line="W1", why="genotype 'carrier'")
    assert states("health.line", row["reason"], line="W2", why="no genotype")


def genes_apart(rng, apart):
    parts = [
        screen_wells(rng, lines=[f"{g}{i}" for i in range(4)], effect=e, line_sd=0.05)
        for g, e in (("S", 0.5), ("F", 0.5 + apart))
    ]
    return pl.concat(parts), {f"{g}{i}": g for g in "SF" for i in range(4)}


def test_genes_are_compared_only_where_donors_differ():
    wells, genes = genes_apart(np.random.default_rng(3), 1.0)
    row = of(across(wells, genes=genes))
    assert row["association_status"] == "ok"
    assert row["association_p"] < 0.05
    alike = pl.concat([screen_wells(np.random.default_rng(4), lines=list(genes), noise=0.3)])
    assert of(across(alike, genes=genes))["association_status"] == "homogeneous"


def test_confounding_leaves_the_mean_and_takes_the_differences():
    wells, genes = genes_apart(np.random.default_rng(3), 1.0)
    apart = wells.with_columns(batch=pl.col("line").str.slice(0, 1) + pl.col("batch"))
    row = of(across(apart, genes=genes))
    assert row["status"] == "ok"
    assert row["effect"] == pytest.approx(1.0, abs=0.2)
    assert row["association_status"] == "confounded_with_batch"
    assert row["tau2"] is row["predicted_low"] is row["association_p"] is None
    assert states("confounded.only_on", row["reason"], lines="F0, F1, F2, F3", batch="Fb0")


def by_batch(effects, donor=(0.02, -0.02, 0.01, -0.01, 0.0, 0.0)):
    """Six donors that answer as their batch does: 0.02 between them."""
    lines = [f"L{i}" for i in range(len(donor))]
    wells = screen_wells(np.random.default_rng(0), lines=lines, batches=len(effects))
    batches = batch_effects(plate_effects(wells, ["live_density"]))
    rows = batches.select("line", "batch").rows()
    batches = batches.with_columns(
        effect=pl.Series([donor[int(line[1:])] + effects[int(b[1:])] for line, b in rows])
    )
    return of(
        across_lines_table(
            line_effects(batches), batches, {"x": 1e-6}, donors={}, genes={}, healthy=frozenset()
        )
    )


def test_six_donors_in_three_batches_are_the_evidence_of_three_batches():
    """Donor means as n called this null p = 6e-7, stable, with an interval of ± 0.02."""
    row = by_batch((-0.45, -0.05, -0.25))
    assert (row["status"], row["method"], row["limited_by"]) == ("ok", "crossed", "batches")
    assert row["effect"] == pytest.approx(-0.25, abs=0.01)
    assert row["p_value"] == pytest.approx(0.16, abs=0.01)
    assert row["effect_low"] == pytest.approx(-0.75, abs=0.02)
    assert row["effect_high"] == pytest.approx(0.25, abs=0.02)
    assert row["freedom"] == pytest.approx(2, abs=0.1)
    assert row["predicted_low"] < -0.7
    assert row["stable"] is row["mixed_effect"] is None


def test_an_effect_that_rests_on_one_batch_is_not_stable():
    """With four batches of 1, 0.5, 0.45 and 0.4 p is 0.02; without the last it is 0.07."""
    row = by_batch((1.0, 0.5, 0.45, 0.4))
    assert row["p_value"] == pytest.approx(0.024, abs=0.003)
    assert row["stable"] is False
    assert by_batch((0.6, 0.5, 0.55, 0.5))["stable"] is True
    # Without the first the sign turns.
    assert by_batch((0.5, 0.4, 0.45, -0.1))["stable"] is not True


def test_batches_of_their_own_are_combined_by_meta_analysis():
    wells = screen_wells(
        np.random.default_rng(2), lines=[f"L{i}" for i in range(6)], line_sd=0.2, batch_sd=0.1
    )
    separate = wells.with_columns(batch=pl.col("line") + pl.col("batch"))
    row = of(across(separate))
    assert (row["method"], row["freedom"], row["n_batches"]) == ("REML", 5.0, 18)
    assert row["moderation_status"] == "batches_not_shared"
    assert row["effect_low"] < 1.0 < row["effect_high"]


def test_values_that_agree_to_the_last_digit_have_no_test():
    """A screen of zeros is not an effect of zero ± zero."""
    row = by_batch((0.0, 0.0, 0.0), donor=(0.0,) * 6)
    assert (row["status"], row["n_donors"], row["n_batches"]) == ("no_variation", 6, 3)
    assert row["effect"] == 0.0
    assert row["p_value"] is row["effect_low"] is None


def test_donors_whose_batches_agree_to_the_last_digit_count_in_the_mean():
    """All cells of three donors die in every batch, and a ratio under 1/64 counts as 1/64.

    Without them the mean would be that of the donors who hardly answer.
    """
    wells = screen_wells(
        np.random.default_rng(0), lines=[f"L{i}" for i in range(6)], effect=-1.0, batch_sd=0.1
    )
    killed = pl.col("line").is_in(["L0", "L1", "L2"]) & (pl.col("control") == "none")
    wells = wells.with_columns(live_density=pl.when(killed).then(0.0).otherwise("live_density"))
    row = of(across(wells))
    assert (row["status"], row["n_donors"], row["n_batches"]) == ("ok", 6, 3)
    assert row["effect"] == pytest.approx(-3.5, abs=0.1)
    assert row["limited_by"] == "donors"
    separate = of(across(wells.with_columns(batch=pl.col("line") + pl.col("batch"))))
    assert (separate["method"], separate["n_donors"]) == ("REML", 6)
    assert separate["effect"] == pytest.approx(-3.5, abs=0.1)


def test_ten_compounds_borrow_their_variance():
    rng = np.random.default_rng(4)
    lines = [f"L{i}" for i in range(6)]
    parts = [
        screen_wells(rng, lines=lines, effect=-0.8 * (i < 2), batch_sd=0.1).with_columns(
            compound=pl.when(pl.col("control") == "none")
            .then(pl.lit(f"x{i}"))
            .otherwise(pl.col("compound")),
            plate=pl.col("plate") + f"-{i}",
        )
        for i in range(12)
    ]
    batches = batch_effects(plate_effects(pl.concat(parts), ["live_density"]))
    table = across_lines_table(
        line_effects(batches),
        batches,
        {f"x{i}": 1e-6 for i in range(12)},
        donors={},
        genes={},
        healthy=frozenset(),
    )
    assert table["moderation_status"].unique().to_list() == ["ok"]
    active = pl.col("compound").is_in(["x0", "x1"])
    assert (table.filter(active)["moderated_q_value"] < 0.05).all()
    assert (table.filter(~active)["moderated_q_value"] > 0.05).all()
    few = batches.filter(pl.col("compound").is_in(["DMSO", *(f"x{i}" for i in range(9))]))
    table = across_lines_table(
        line_effects(few),
        few,
        {f"x{i}": 1e-6 for i in range(9)},
        donors={},
        genes={},
        healthy=frozenset(),
    )
    assert table["moderation_status"].unique().to_list() == ["too_few_rows"]
    assert table["moderated_p_value"].null_count() == 9


def test_alike_donors_are_called_different_as_often_as_the_level_says():
    """Cochran's Q against χ² calls one in four screens of three batches heterogeneous; against F it
    is one in twenty.
    """
    rng = np.random.default_rng(0)
    called = 0
    for _ in range(120):
        wells = screen_wells(
            rng, lines=[f"L{i}" for i in range(6)], wells=4, effect=0.5, batch_sd=0.15, noise=0.02
        )
        called += of(across(wells))["heterogeneity_p"] < 0.05
    assert called <= 0.12 * 120


def test_the_second_opinion_stands_on_the_lines_of_the_first():
    wells = screen_wells(np.random.default_rng(0), lines=("A", "B", "C"), batch_sd=0.1)
    alone = screen_wells(np.random.default_rng(1), lines=("D", "E", "F"), batches=1, effect=-3.0)
    row = of(across(pl.concat([wells, alone])))
    assert row["n_donors"] == 3
    assert row["mixed_effect"] == pytest.approx(row["effect"], abs=0.1)


def test_confounding_is_that_of_the_compound_not_of_the_screen():
    """Vehicle wells tie all lines to all batches; the compound was given to half of the lines in
    half of the batches each.
    """
    wells, genes = genes_apart(np.random.default_rng(3), 1.0)
    late = wells.with_columns(batch=pl.col("batch") + "-late", plate=pl.col("plate") + "-late")
    given = pl.concat(
        [
            wells.filter((pl.col("control") == "vehicle") | pl.col("line").str.starts_with("S")),
            late.filter((pl.col("control") == "vehicle") | pl.col("line").str.starts_with("F")),
        ]
    )
    row = of(across(given, genes=genes))
    assert row["association_status"] == "confounded_with_batch"
    assert row["heterogeneity_p"] is None
