from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from lifelines import KaplanMeierFitter
from lifelines.utils import restricted_mean_survival_time
from scipy import stats

from phenotypes.columns.dictionary import conform
from phenotypes.films.hazard import MIN_EVENTS, compare, hazard_table, well_survival
from tests.messages import states

END = 96.0


def tracks(rng, ratio=1.0, wells=6, cells=60, lost=(0.0, 0.0), hazard=0.01, batches=("b1",)):
    """Vehicle and treated wells; `lost` is the share of tracks lost alive at a random time, per
    arm.
    """
    rows = []
    for n in range(2 * wells):
        treated = n >= wells
        frailty = rng.lognormal(0, 0.1)
        for i in range(cells):
            death = rng.exponential(1 / (hazard * frailty * (ratio if treated else 1.0)))
            gone = rng.uniform(0, END) if rng.random() < lost[treated] else np.inf
            stop = min(death, gone, END)
            rows.append(
                {
                    "well": f"A{n + 1:02d}",
                    "field": 1,
                    "track": i + 1,
                    "line": "L",
                    "genotype": "SOD1",
                    "compound": "x" if treated else "DMSO",
                    "dose_molar": 1e-6 if treated else 0.0,
                    "control": "none" if treated else "vehicle",
                    "batch": batches[n % len(batches)],
                    "entry_h": 0.0,
                    "exit_h": stop,
                    "event": death == stop,
                    "reason": "" if death == stop else "lost" if gone == stop else "end_of_study",
                    "included": True,
                    "study_end_h": END,
                }
            )
    return conform(pl.DataFrame(rows), "track")


def batches_of(rng, ratios, **settings):
    """One batch per ratio."""
    return pl.concat(
        [
            tracks(rng, ratio, **settings).with_columns(
                batch=pl.lit(f"b{i}"), well=pl.col("well") + f"-{i}"
            )
            for i, ratio in enumerate(ratios)
        ]
    )


def only(table):
    return hazard_table(table).to_dicts()[0]


@pytest.mark.parametrize("ratio", [1.0, 2.0])
def test_the_ratio_is_recovered(ratio):
    row = only(tracks(np.random.default_rng(0), ratio))
    assert row["status"] == "one_batch"
    assert (row["p_value"], row["q_value"]) == (None, None)
    assert row["hr_low"] <= ratio <= row["hr_high"]
    assert row["hazard_ratio"] == pytest.approx(ratio, rel=0.3)
    true = {h: (1 - np.exp(-h * END)) / h for h in (0.01, 0.01 * ratio)}
    assert row["rmst_vehicle_h"] == pytest.approx(true[0.01], rel=0.1)
    assert row["rmst_difference_h"] == pytest.approx(true[0.01 * ratio] - true[0.01], abs=6)


@pytest.mark.parametrize("ratio", [1.0, 2.0])
def test_an_effect_in_every_batch_has_a_p(ratio):
    row = only(batches_of(np.random.default_rng(1), (ratio,) * 3))
    assert row["status"] == "ok"
    assert row["n_batches"] == 3
    assert row["hr_low"] <= ratio <= row["hr_high"]
    assert (row["p_value"] < 0.05) == (ratio == 2.0)
    assert row["q_value"] == row["p_value"]


def test_batches_are_strata():
    """Hazards ten-fold apart between batches, with unequal arms, do not pass for an effect."""
    rng = np.random.default_rng(1)
    mild = tracks(rng, 1.0, wells=6, hazard=0.003)
    harsh = tracks(rng, 1.0, wells=6, hazard=0.03).with_columns(
        pl.lit("b2").alias("batch"), (pl.col("well") + "x").alias("well")
    )
    unequal = pl.concat(
        [
            mild.filter((pl.col("control") == "vehicle") | pl.col("well").is_in(["A07", "A08"])),
            harsh.filter((pl.col("control") == "none") | pl.col("well").is_in(["A01x", "A02x"])),
        ]
    )
    stratified, pooled = only(unequal), only(unequal.with_columns(pl.lit("one").alias("batch")))
    assert stratified["hr_low"] < 1 < stratified["hr_high"]
    assert 0.5 < stratified["hazard_ratio"] < 1.7
    assert pooled["hazard_ratio"] > 2.5


def test_batches_that_disagree_widen_the_interval():
    """Three batches of six wells an arm in which the drug does 0.5, 1 and 2: eighteen wells agree
    on a mean, three batches do not.
    """
    rng = np.random.default_rng(0)
    wide, narrow = (only(batches_of(rng, r)) for r in ((0.4, 1.0, 2.5), (1.0, 1.0, 1.0)))
    assert wide["n_batches"] == narrow["n_batches"] == 3
    assert np.log(wide["hr_high"] / wide["hr_low"]) > 3 * np.log(
        narrow["hr_high"] / narrow["hr_low"]
    )
    assert wide["p_value"] > 0.05
    assert wide["rmst_difference_low"] < 0 < wide["rmst_difference_high"]
    assert only(tracks(rng))["n_batches"] == 1


def test_few_deaths_give_no_ratio():
    row = only(tracks(np.random.default_rng(0), hazard=0.0002))
    assert row["status"] == "too_few_events"
    assert row["hazard_ratio"] is None
    assert str(MIN_EVENTS) in row["reason"]
    assert row["rmst_difference_h"] is not None


def test_few_tracks_and_few_wells_are_said():
    rng = np.random.default_rng(0)
    assert only(tracks(rng, cells=2))["status"] == "too_few_tracks"
    few = only(tracks(rng, wells=1))
    assert few["status"] == "too_few_wells"
    assert states("hazard.few_wells", few["reason"], wells=2, least=4)
    assert few["hazard_ratio"] is not None
    ends = ("hr_low", "hr_high", "p_value", "rmst_difference_low", "rmst_difference_high")
    assert [few[name] for name in ends] == [None] * 5


def test_one_treated_well_is_as_sure_as_one_well():
    """The vehicle wells' scatter stands for its own; 8 wells on one plate leave 6 degrees of
    freedom, 3 × 4 wells on three plates 8.
    """
    table = unequal_wells(wells=7)
    one = table.filter((pl.col("control") == "vehicle") | (pl.col("well") == "A02-0"))
    row = only(one)
    assert (row["n_wells_vehicle"], row["n_wells_treated"]) == (7, 1)
    means = [p["exit_h"].mean() for p in one.sort("control").partition_by("well")]
    test = stats.ttest_ind(means[:1], means[1:])
    ends = test.confidence_interval()
    assert row["rmst_difference_low"] == pytest.approx(ends.low, rel=1e-9)
    assert row["rmst_difference_high"] == pytest.approx(ends.high, rel=1e-9)
    # Wells differ by 0.6, so one well is off by that: 1.96 × 0.6 and more.
    assert np.log(row["hr_high"] / row["hr_low"]) / 2 > 0.8
    three = one.filter(pl.col("well").is_in([f"A01-{i}" for i in range(2)] + ["A02-0"]))
    assert only(three)["status"] == "too_few_wells"
    assert only(three)["rmst_difference_low"] is None


def test_where_no_neuron_dies_there_is_no_interval_of_no_width():
    row = only(tracks(np.random.default_rng(0), hazard=1e-9))
    assert (row["status"], row["rmst_difference_h"]) == ("too_few_events", 0.0)
    assert (row["rmst_difference_low"], row["rmst_difference_high"]) == (None, None)


def test_unequal_loss_is_flagged_with_both_bounds():
    row = only(tracks(np.random.default_rng(2), lost=(0.05, 0.5)))
    assert row["status"] == "informative_censoring"
    assert row["hr_lost_lived"] < row["hazard_ratio"] < row["hr_lost_died"]
    assert only(tracks(np.random.default_rng(2), lost=(0.3, 0.3)))["status"] == "one_batch"


def test_bounds_have_intervals_and_no_p():
    """Also over batches, where the biased ratio would have a p."""
    rows = [
        only(table)
        for table in (
            tracks(np.random.default_rng(2), lost=(0.05, 0.5)),
            batches_of(np.random.default_rng(2), (1.0,) * 3, lost=(0.05, 0.5)),
        )
    ]
    for row in rows:
        assert row["status"] == "informative_censoring"
        assert (row["p_value"], row["q_value"]) == (None, None)
        for name in ("hr_lost_died", "hr_lost_lived", "rmst_lost_died", "rmst_lost_lived"):
            assert row[f"{name}_low"] < row[name] < row[f"{name}_high"], name
        assert row["hr_low"] <= row["hr_lost_lived_low"]
        assert row["hr_high"] >= row["hr_lost_died_high"]
        assert row["rmst_difference_low"] <= row["rmst_lost_died_low"]
        assert row["rmst_difference_high"] >= row["rmst_lost_lived_high"]
        assert row["rmst_lost_died"] < row["rmst_difference_h"] < row["rmst_lost_lived"]


@pytest.mark.parametrize("ratio", [1.0, 2.0])
def test_the_interval_holds_whatever_became_of_the_lost(ratio):
    """Half of the dying treated neurons float off before they are seen dead, three in ten of the
    vehicle's are lost alive: if all had died, the drug would look better than it is.
    """
    covered, biased = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        table = tracks(rng, ratio)
        treated = pl.col("control") == "none"
        draw, hour = (pl.Series(rng.uniform(0, high, len(table))) for high in (1, END))
        floats = treated & pl.col("event") & (draw < 0.6)
        alive = ~treated & (draw < 0.3) & (hour < pl.col("exit_h"))
        row = only(
            table.with_columns(
                exit_h=pl.when(floats)
                .then(pl.col("exit_h") - 0.1)
                .when(alive)
                .then(hour)
                .otherwise(pl.col("exit_h")),
                event=pl.col("event") & ~floats & ~alive,
                reason=pl.when(floats | alive).then(pl.lit("lost")).otherwise(pl.col("reason")),
            )
        )
        assert row["status"] == "informative_censoring"
        true = [(1 - np.exp(-h * END)) / h for h in (0.01, 0.01 * ratio)]
        covered.append(row["hr_low"] <= ratio <= row["hr_high"])
        covered.append(
            row["rmst_difference_low"] <= true[1] - true[0] <= row["rmst_difference_high"]
        )
        biased.append(row["hazard_ratio"] < 0.7 * ratio)
    assert sum(biased) >= 11
    assert sum(covered) >= 22


def test_rows_with_unequal_loss_are_no_part_of_the_family():
    """The q of the other rows is that of a table without them."""
    rng = np.random.default_rng(0)
    fine = [
        batches_of(rng, (r,) * 3).with_columns(line=pl.lit(f"L{i}"))
        for i, r in enumerate((1.0, 2.0))
    ]
    biased = batches_of(rng, (3.0,) * 3, lost=(0.05, 0.5)).with_columns(line=pl.lit("Z"))
    table = hazard_table(pl.concat([*fine, biased]))
    assert table["status"].to_list() == ["ok", "ok", "informative_censoring"]
    assert table["q_value"].to_list()[:2] == hazard_table(pl.concat(fine))["q_value"].to_list()
    assert table["q_value"][2] is None


def test_positive_controls_are_no_part_of_the_family():
    """What is known to kill would make room for false discoveries."""
    rng = np.random.default_rng(0)
    drug = batches_of(rng, (1.3,) * 3)
    kill = batches_of(rng, (4.0,) * 3).with_columns(
        pl.when(pl.col("control") == "none")
        .then(pl.lit("kill"))
        .otherwise(pl.col("compound"))
        .alias("compound"),
        pl.col("control").replace("none", "positive"),
        well=pl.col("well") + "k",
    )
    rows = {r["compound"]: r for r in hazard_table(pl.concat([drug, kill])).to_dicts()}
    assert rows["kill"]["p_value"] < 0.05
    assert rows["kill"]["q_value"] is None
    assert rows["x"]["q_value"] == rows["x"]["p_value"]


def test_tracks_lost_after_one_frame_count_in_the_bounds():
    """Half of the treated are seen in the first frame only: if these had died, the drug would look
    far worse.
    """
    table = tracks(np.random.default_rng(2))
    gone = (pl.col("control") == "none") & (pl.col("track") % 2 == 0)
    once = table.with_columns(
        pl.when(gone).then(0.0).otherwise(pl.col("exit_h")).alias("exit_h"),
        pl.when(gone).then(pl.lit(value=False)).otherwise(pl.col("event")).alias("event"),
        pl.when(gone).then(pl.lit("lost")).otherwise(pl.col("reason")).alias("reason"),
    )
    row = only(once)
    assert row["status"] == "informative_censoring"
    assert row["hr_lost_lived"] < 0.7 < row["hazard_ratio"] < 1.5 < row["hr_lost_died"]


def test_a_bound_that_is_not_finite_is_left_out_and_said():
    """The treated who were lost are lost in an instant, and nobody else: as deaths they come before
    every other.
    """
    table = tracks(np.random.default_rng(3), hazard=0.003)
    lost = pl.col("control") == "none"
    gone = table.with_columns(
        pl.when(lost)
        .then(pl.when(pl.col("track") < 15).then(pl.col("exit_h")).otherwise(0.5))
        .otherwise(pl.col("exit_h"))
        .alias("exit_h"),
        pl.when(lost & (pl.col("track") >= 15))
        .then(pl.lit(value=False))
        .otherwise(pl.col("event"))
        .alias("event"),
        pl.when(lost & (pl.col("track") >= 15))
        .then(pl.lit("lost"))
        .otherwise(pl.col("reason"))
        .alias("reason"),
    )
    row = only(gone)
    assert row["status"] == "informative_censoring"
    assert all(
        row[name] is None or np.isfinite(row[name])
        for name in ("hr_lost_died", "hr_lost_lived", "hr_low", "hr_high")
    )


def test_an_arm_that_dies_at_once_has_no_finite_ratio():
    table = tracks(np.random.default_rng(3), hazard=0.003)
    killed = table.with_columns(
        pl.when(pl.col("control") == "none").then(0.01).otherwise(pl.col("exit_h")).alias("exit_h"),
        pl.when(pl.col("control") == "none")
        .then(pl.lit(value=True))
        .otherwise(pl.col("event"))
        .alias("event"),
        pl.when(pl.col("control") == "none")
        .then(pl.lit(""))
        .otherwise(pl.col("reason"))
        .alias("reason"),
    )
    row = only(killed)
    assert row["status"] == "not_converged"
    assert (row["hazard_ratio"], row["hr_low"]) == (None, None)
    assert row["rmst_difference_h"] < -50


def test_crossing_hazards_are_said():
    rng = np.random.default_rng(4)
    table = tracks(rng)
    late = rng.uniform(70, END, len(table))
    crossing = table.with_columns(
        pl.when(pl.col("control") == "none")
        .then(pl.Series(late))
        .otherwise(pl.col("exit_h"))
        .alias("exit_h"),
        pl.when(pl.col("control") == "none")
        .then(pl.lit(value=True))
        .otherwise(pl.col("event"))
        .alias("event"),
    )
    row = only(crossing)
    assert row["schoenfeld_p"] < 0.01
    assert states("hazard.not_proportional", row["reason"])


def test_only_included_tracks_take_part():
    table = tracks(np.random.default_rng(0))
    assert hazard_table(table.with_columns(included=pl.lit(value=False))).is_empty()
    assert hazard_table(table.filter(pl.col("control") == "vehicle")).is_empty()


def test_q_values_never_fall_below_p():
    rng = np.random.default_rng(0)
    many = pl.concat(
        [
            batches_of(rng, (r,) * 3, wells=2).with_columns(line=pl.lit(f"L{i}"))
            for i, r in enumerate((1.0, 1.0, 2.0))
        ]
    )
    table = hazard_table(many)
    assert table["q_value"].null_count() == 0
    assert (table["q_value"] >= table["p_value"]).all()


def test_wells_have_their_own_survival():
    table = tracks(np.random.default_rng(0), cells=80)
    wells = well_survival(table)
    assert wells["n_tracked"].to_list() == [80] * 12
    first = table.filter(pl.col("well") == "A01")
    assert wells["n_deaths"][0] == first["event"].sum()
    assert wells["survival_end"][0] == pytest.approx(1 - first["event"].mean())
    assert well_survival(tracks(np.random.default_rng(0), cells=5))["rmst_h"].null_count() == 12


def test_compare_states_its_counts():
    table = tracks(np.random.default_rng(0))
    row = compare(
        table.filter(pl.col("control") == "vehicle"), table.filter(pl.col("control") == "none"), END
    )
    assert (
        row["n_tracks_vehicle"],
        row["n_tracks_treated"],
        row["n_wells_vehicle"],
        row["n_wells_treated"],
    ) == (360, 360, 6, 6)


def reference_cox(table, **more):
    """(log ratio, model's error) by lifelines with entry times."""
    import pandas as pd
    from lifelines import CoxPHFitter

    used = table.filter((pl.col("exit_h") > pl.col("entry_h")) & pl.col("included"))
    frame = pd.DataFrame(
        {
            "entry": used["entry_h"].to_numpy(),
            "exit": used["exit_h"].to_numpy(),
            "event": used["event"].to_numpy().astype(int),
            "treated": (used["control"] == "none").to_numpy().astype(float),
            **{name: used[name].to_list() for name in more.get("strata", [])},
        }
    )
    fit = CoxPHFitter().fit(frame, "exit", "event", entry_col="entry", **more)
    return float(fit.params_["treated"]), float(fit.standard_errors_["treated"])


def unequal_wells(seed=7, wells=4):
    """Wells whose hazards differ by more than their cells can explain."""
    rng = np.random.default_rng(seed)
    parts = [
        tracks(rng, wells=1, hazard=0.01 * rng.lognormal(0, 0.6)).with_columns(
            well=pl.col("well") + f"-{i}"
        )
        for i in range(wells)
    ]
    return pl.concat(parts)


def test_the_interval_is_that_of_the_wells_with_few_of_them():
    """One batch: the error that wells leave over, and 2 (4 − 1) degrees of freedom."""
    table = unequal_wells()
    row = only(table)
    log_ratio, model = reference_cox(table)
    assert row["hazard_ratio"] == pytest.approx(np.exp(log_ratio), rel=1e-6)
    half_width = np.log(row["hr_high"] / row["hr_low"]) / 2
    assert np.log(row["hr_high"]) - log_ratio == pytest.approx(half_width, rel=1e-6)
    # Wells differ by 0.6: √(2 · 0.6² / 4) = 0.42, and Student's t is 2.45.
    assert 1.5 * 1.96 * model < half_width
    assert 0.5 < half_width / (2.4469119 * 0.42) < 1.6


def test_the_error_is_never_below_the_models_own():
    """Wells that are copies of one another differ less than their cells make likely."""
    rng = np.random.default_rng(1)
    arm, other = (tracks(rng, wells=1).filter(pl.col("control") == c) for c in ("vehicle", "none"))
    copies = pl.concat(
        [
            p.with_columns(well=pl.lit(f"{p['control'][0]}{i}"))
            for p in (arm, other)
            for i in range(3)
        ]
    )
    log_ratio, model = reference_cox(copies)
    row = only(copies)
    half_width = 1.9599640 * model
    assert np.log(row["hr_high"]) == pytest.approx(log_ratio + half_width, rel=1e-5)


def test_batches_that_disagree_have_the_interval_between_their_ratios():
    """Each batch's own log ratio by lifelines; Student's t with 3 − 1 degrees of freedom; a batch
    weighs as its own error makes it.
    """
    rng = np.random.default_rng(0)
    table = batches_of(rng, (0.4, 1.0, 2.5))
    row = only(table)
    ratios, errors = np.array([reference_cox(p) for p in table.partition_by("batch")]).T
    share = errors**-2 / (errors**-2).sum()
    error = ratios.std(ddof=1) * np.sqrt((share**2).sum())
    middle = reference_cox(table, strata=["batch"])[0]
    assert row["hazard_ratio"] == pytest.approx(np.exp(middle), rel=1e-6)
    assert np.log(row["hr_high"]) - middle == pytest.approx(4.3026527 * error, rel=1e-5)
    assert middle - np.log(row["hr_low"]) == pytest.approx(4.3026527 * error, rel=1e-5)
    assert row["p_value"] == pytest.approx(2 * stats.t.sf(abs(middle) / error, 2), rel=1e-5)


def test_the_horizon_is_the_earliest_end_of_study():
    """One well was imaged to 60 h only: no mean survival time is restricted to more."""
    table = tracks(np.random.default_rng(0))
    short = pl.col("well") == "A01"
    cut = table.with_columns(
        event=pl.when(short & (pl.col("exit_h") > 60)).then(False).otherwise(pl.col("event")),
        exit_h=pl.when(short).then(pl.min_horizontal("exit_h", 60.0)).otherwise(pl.col("exit_h")),
        study_end_h=pl.when(short).then(60.0).otherwise(END),
    )
    row = only(cut)
    vehicle = cut.filter(pl.col("control") == "vehicle")
    curve = KaplanMeierFitter().fit(vehicle["exit_h"].to_numpy(), vehicle["event"].to_numpy())
    assert row["horizon_h"] == 60.0
    expected = restricted_mean_survival_time(curve, t=60.0)
    assert row["rmst_vehicle_h"] == pytest.approx(expected, rel=1e-9)
    wells = well_survival(cut).filter(pl.col("well") == "A02").to_dicts()[0]
    own = cut.filter(pl.col("well") == "A02")
    curve = KaplanMeierFitter().fit(own["exit_h"].to_numpy(), own["event"].to_numpy())
    assert wells["rmst_h"] == pytest.approx(restricted_mean_survival_time(curve, t=60.0), rel=1e-9)
    assert wells["survival_end"] == pytest.approx(float(curve.predict(60.0)), rel=1e-9)


def test_the_mean_survival_time_knows_the_scatter_of_wells():
    """Without censoring before the end it is a t test of the wells' own means: four wells an arm of
    60 cells, 6 degrees of freedom.
    """
    table = unequal_wells()
    row = only(table)
    means = []
    for control in ("vehicle", "none"):
        arm = table.filter(pl.col("control") == control)
        means.append([p["exit_h"].mean() for p in arm.partition_by("well")])
    test = stats.ttest_ind(means[1], means[0])
    ends = test.confidence_interval()
    assert row["rmst_difference_h"] == pytest.approx(np.mean(means[1]) - np.mean(means[0]))
    assert row["rmst_difference_low"] == pytest.approx(ends.low, rel=1e-9)
    assert row["rmst_difference_high"] == pytest.approx(ends.high, rel=1e-9)


@pytest.mark.parametrize("lost", [(0.05, 0.5), (0.5, 0.05)])
def test_loss_is_informative_in_whichever_arm_it_is_greater(lost):
    row = only(tracks(np.random.default_rng(2), lost=lost))
    assert row["status"] == "informative_censoring"
    assert row["hr_lost_died"] is not None
    assert row["hr_lost_lived"] is not None


def test_tracks_that_do_not_count_change_nothing():
    """Excluded tracks with absurd times, cells of no line's compound, killed wells of another line."""
    table = tracks(np.random.default_rng(0))
    poison = table.with_columns(
        included=pl.lit(value=False),
        exit_h=pl.lit(1e9),
        entry_h=pl.lit(-1e9),
        study_end_h=pl.lit(1e-9),
        event=pl.lit(value=True),
        well=pl.lit("H12"),
    )
    both = pl.concat([table, poison, poison.with_columns(line=pl.lit("Z"))])
    assert hazard_table(both).equals(hazard_table(table))
    assert well_survival(both).equals(well_survival(table))
    other = table.with_columns(line=pl.lit("Z"), exit_h=pl.lit(0.5), event=pl.lit(value=True))
    alone = hazard_table(pl.concat([table, other])).filter(pl.col("line") == "L")
    assert alone.drop("q_value").equals(hazard_table(table).drop("q_value"))
    empty = table.with_columns(
        compound=pl.lit(""), control=pl.lit("none"), event=pl.lit(value=True)
    )
    assert hazard_table(pl.concat([table, empty])).equals(hazard_table(table))


def late_fields(rng, late_h=24.0, share=0.5, **settings):
    """No effect; deaths at 2 % per h in the first 24 h, 0.4 % after; half of the treated wells'
    fields are first usable at `late_h`.
    """
    table = tracks(rng, **settings)
    unit = pl.Series(rng.exponential(size=len(table)))
    death = pl.when(unit < 0.48).then(unit / 0.02).otherwise(24 + (unit - 0.48) / 0.004)
    late = (pl.col("control") == "none") & (pl.col("track") % 100 < 100 * share)
    late &= pl.col("track") % 2 == 0 if share == 0.5 else pl.lit(value=True)
    return (
        table.with_columns(
            entry_h=pl.when(late).then(late_h).otherwise(0.0),
            exit_h=pl.min_horizontal(death, pl.lit(END)),
            event=death <= END,
            reason=pl.when(death <= END).then(pl.lit("")).otherwise(pl.lit("end_of_study")),
        )
        .filter(pl.col("exit_h") > pl.col("entry_h"))
        .with_columns(field=pl.col("track") % 2)
    )


def test_fields_that_are_seen_late_do_not_look_like_survival():
    """Neurons that had died by then were never seen: lifelines with `entry_col` to 6 digits."""
    rows = []
    for seed in range(8):
        table = late_fields(np.random.default_rng(seed))
        rows.append(only(table))
        row = rows[-1]
        log_ratio, _ = reference_cox(table)
        assert row["hazard_ratio"] == pytest.approx(np.exp(log_ratio), rel=1e-6)
        means = []
        for control in ("vehicle", "none"):
            arm = table.filter(pl.col("control") == control)
            curve = KaplanMeierFitter().fit(
                arm["exit_h"].to_numpy(), arm["event"].to_numpy(), entry=arm["entry_h"].to_numpy()
            )
            means.append(restricted_mean_survival_time(curve, t=END))
        assert [row["rmst_vehicle_h"], row["rmst_treated_h"]] == pytest.approx(means, rel=1e-6)
        assert row["rmst_start_h"] == 0.0
    # By the clock of each field: 0.66 and +14.8 h.
    assert 0.9 < np.exp(np.mean([np.log(r["hazard_ratio"]) for r in rows])) < 1.1
    assert -2.5 < np.mean([r["rmst_difference_h"] for r in rows]) < 2.5
    covered = [r["rmst_difference_low"] < 0 < r["rmst_difference_high"] for r in rows]
    assert sum(covered) >= 7


def test_an_arm_that_is_seen_late_is_compared_from_then_on():
    table = late_fields(np.random.default_rng(3), share=1.0)
    row = only(table)
    assert row["rmst_start_h"] == 24.0
    vehicle = table.filter((pl.col("control") == "vehicle") & (pl.col("exit_h") > 24))
    curve = KaplanMeierFitter().fit(vehicle["exit_h"].to_numpy() - 24, vehicle["event"].to_numpy())
    expected = restricted_mean_survival_time(curve, t=72.0)
    assert row["rmst_vehicle_h"] == pytest.approx(expected, rel=1e-9)
    assert row["rmst_difference_low"] < 0 < row["rmst_difference_high"]
    assert 0.6 < row["hazard_ratio"] < 1.6


def test_an_arm_seen_after_the_horizon_has_no_mean_and_says_so():
    table = late_fields(np.random.default_rng(3), share=1.0, cells=100)
    early = table.with_columns(
        study_end_h=pl.when(pl.col("well") == "A01").then(12.0).otherwise(END)
    )
    row = only(early)
    assert row["rmst_difference_h"] is None
    assert states("hazard.field_ends", row["reason"], start=24, end=12)
    assert row["hazard_ratio"] is not None


def test_wells_of_late_fields_have_the_survival_of_the_others():
    """Half of a well's fields late: entry times. A well that is late as a whole: none, since its
    neurons that died before were not seen.
    """
    rng = np.random.default_rng(5)
    table = late_fields(rng, cells=400)
    wells = well_survival(table)
    for name in ("A01", "A08"):
        of_well = table.filter(pl.col("well") == name)
        curve = KaplanMeierFitter().fit(
            of_well["exit_h"].to_numpy(),
            of_well["event"].to_numpy(),
            entry=of_well["entry_h"].to_numpy(),
        )
        row = wells.filter(well=name).to_dicts()[0]
        expected = restricted_mean_survival_time(curve, t=END)
        assert row["rmst_h"] == pytest.approx(expected, rel=1e-6)
        assert row["survival_end"] == pytest.approx(float(curve.predict(END)), rel=1e-6)
    mean = wells.group_by(pl.col("well") > "A06").agg(pl.col("survival_end").mean())
    true = np.exp(-0.48 - 72 * 0.004)
    assert mean["survival_end"].to_list() == pytest.approx([true, true], abs=0.04)
    late = table.filter((pl.col("well") != "A07") | (pl.col("entry_h") > 0))
    rows = {r["well"]: r for r in well_survival(late).to_dicts()}
    assert rows["A07"]["rmst_h"] is None
    assert rows["A07"]["survival_end"] is None
    assert rows["A07"]["n_tracked"] > 50
    assert rows["A08"]["rmst_h"] == wells.filter(well="A08")["rmst_h"][0]


def test_a_well_whose_neurons_all_left_has_no_survival():
    """The curve of a well that was followed for a few hours stays at 1 for ever."""
    table = tracks(np.random.default_rng(0), hazard=0.001)
    left = pl.col("well") == "A01"
    gone = table.with_columns(
        exit_h=pl.when(left).then(12.0).otherwise(pl.col("exit_h")),
        event=pl.col("event") & ~left,
        reason=pl.when(left).then(pl.lit("left_field")).otherwise(pl.col("reason")),
    )
    rows = well_survival(gone).to_dicts()
    assert (rows[0]["rmst_h"], rows[0]["survival_end"]) == (None, None)
    assert rows[0]["lost_fraction"] == 1.0
    assert rows[1]["rmst_h"] is not None


def on_plates(rng, ratio=1.0, plate_sd=0.3, batch="b1", **settings):
    """Two plates of one batch whose hazards differ: vehicle on both, the compound on one."""
    parts = []
    for plate in ("run1", "run2"):
        hazard = 0.01 * np.exp(rng.normal(0, plate_sd))
        part = tracks(rng, ratio, hazard=hazard, **settings)
        if plate == "run2":
            part = part.filter(pl.col("control") == "vehicle")
        parts.append(
            part.with_columns(
                well=pl.lit(f"{plate} ") + pl.col("well"),
                plate=pl.lit(plate),
                batch=pl.lit(batch),
            )
        )
    return pl.concat(parts)


def test_vehicle_wells_of_another_plate_do_not_count():
    table = on_plates(np.random.default_rng(0), plate_sd=1.0)
    same = table.filter(pl.col("well").str.starts_with("run1"))
    assert hazard_table(table).drop("horizon_h").equals(hazard_table(same).drop("horizon_h"))
    assert only(table)["n_wells_vehicle"] == 6
    named = table.drop("plate")
    assert hazard_table(named).equals(hazard_table(table))
    # Both plates with both arms count, each against its own vehicle.
    whole = pl.concat(
        [
            tracks(np.random.default_rng(i), hazard=h).with_columns(
                well=pl.lit(f"run{i} ") + pl.col("well"), plate=pl.lit(f"run{i}")
            )
            for i, h in enumerate((0.003, 0.03))
        ]
    )
    odd = whole.filter(
        (pl.col("control") == "vehicle")
        | pl.col("well").is_in(["run0 A07", "run0 A08"])
        | pl.col("well").str.starts_with("run1")
    ).filter(
        (pl.col("control") == "none")
        | pl.col("well").str.starts_with("run0")
        | pl.col("well").is_in(["run1 A01", "run1 A02"])
    )
    row, pooled = only(odd), only(odd.with_columns(plate=pl.lit("one")))
    assert row["n_wells_vehicle"] == row["n_wells_treated"] == 8
    assert 0.7 < row["hazard_ratio"] < 1.4
    assert row["rmst_difference_low"] < 0 < row["rmst_difference_high"]
    assert pooled["hazard_ratio"] > 2.5
    assert pooled["rmst_difference_h"] < -15


def test_a_compound_without_vehicle_on_its_plates_is_refused():
    rng = np.random.default_rng(0)
    table = on_plates(rng).filter(
        (pl.col("control") == "none") | pl.col("well").str.starts_with("run2")
    )
    row = only(table)
    assert row["status"] == "no_vehicle"
    assert (row["hazard_ratio"], row["rmst_difference_h"]) == (None, None)
    assert (row["n_wells_vehicle"], row["n_wells_treated"]) == (6, 6)


def test_a_batch_without_deaths_in_an_arm_gives_no_ratio_and_the_row_says_so():
    rng = np.random.default_rng(0)
    table = batches_of(rng, (1.0, 1.0))
    none = (pl.col("batch") == "b1") & (pl.col("control") == "none")
    spared = table.with_columns(
        exit_h=pl.when(none).then(END).otherwise(pl.col("exit_h")), event=pl.col("event") & ~none
    )
    row = only(spared)
    assert (row["status"], row["n_batches"], row["p_value"]) == ("one_batch", 1, None)
    assert states("hazard.few_batches", row["reason"], batches=1, of=2)
