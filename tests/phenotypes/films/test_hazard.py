from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from lifelines import KaplanMeierFitter
from lifelines.utils import restricted_mean_survival_time
from scipy import stats

from phenotypes.columns.dictionary import conform
from phenotypes.films.hazard import MIN_EVENTS, compare, hazard_table, well_survival
from phenotypes.films.kaplan_meier import kaplan_meier

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


def only(table):
    return hazard_table(table).to_dicts()[0]


@pytest.mark.parametrize("ratio", [1.0, 2.0])
def test_the_ratio_is_recovered(ratio):
    row = only(tracks(np.random.default_rng(0), ratio))
    assert row["status"] == "ok"
    assert row["hr_low"] <= ratio <= row["hr_high"]
    assert row["hazard_ratio"] == pytest.approx(ratio, rel=0.3)
    assert (row["p_value"] < 0.05) == (ratio == 2.0)
    true = {h: (1 - np.exp(-h * END)) / h for h in (0.01, 0.01 * ratio)}
    assert row["rmst_vehicle_h"] == pytest.approx(true[0.01], rel=0.1)
    assert row["rmst_difference_h"] == pytest.approx(true[0.01 * ratio] - true[0.01], abs=6)


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
    parts = [
        tracks(rng, ratio, wells=6).with_columns(
            batch=pl.lit(f"b{i}"), well=pl.col("well") + f"-{i}"
        )
        for i, ratio in enumerate((0.4, 1.0, 2.5))
    ]
    apart, agreeing = (
        pl.concat(parts),
        pl.concat(
            [
                tracks(rng, 1.0, wells=6).with_columns(
                    batch=pl.lit(f"b{i}"), well=pl.col("well") + f"-{i}"
                )
                for i in range(3)
            ]
        ),
    )
    wide, narrow = (only(t) for t in (apart, agreeing))
    assert wide["n_batches"] == narrow["n_batches"] == 3
    assert np.log(wide["hr_high"] / wide["hr_low"]) > 3 * np.log(
        narrow["hr_high"] / narrow["hr_low"]
    )
    assert wide["p_value"] > 0.05
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
    assert few["hr_low"] is None


def test_unequal_loss_is_flagged_with_both_bounds():
    row = only(tracks(np.random.default_rng(2), lost=(0.05, 0.5)))
    assert row["status"] == "informative_censoring"
    assert row["hr_lost_lived"] < row["hazard_ratio"] < row["hr_lost_died"]
    assert only(tracks(np.random.default_rng(2), lost=(0.3, 0.3)))["status"] == "ok"


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
        pl.when(pl.col("control") == "none").then(0.5).otherwise(pl.col("exit_h")).alias("exit_h"),
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
    assert row["status"] in {"not_converged", "ok"}
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
    assert "not proportional" in row["reason"]


def test_only_included_tracks_take_part():
    table = tracks(np.random.default_rng(0))
    assert hazard_table(table.with_columns(included=pl.lit(value=False))).is_empty()
    assert hazard_table(table.filter(pl.col("control") == "vehicle")).is_empty()


def test_q_values_never_fall_below_p():
    rng = np.random.default_rng(0)
    many = pl.concat(
        [tracks(rng, r).with_columns(line=pl.lit(f"L{i}")) for i, r in enumerate((1.0, 1.0, 2.0))]
    )
    table = hazard_table(many)
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


def reference_cox(table):
    """(log ratio, model's error, cluster-robust error) by lifelines as it stands."""
    import pandas as pd
    from lifelines import CoxPHFitter

    used = table.filter((pl.col("exit_h") > pl.col("entry_h")) & pl.col("included"))
    frame = pd.DataFrame(
        {
            "hours": (used["exit_h"] - used["entry_h"]).to_numpy(),
            "event": used["event"].to_numpy().astype(int),
            "treated": (used["control"] == "none").to_numpy().astype(float),
            "well": used["well"].to_list(),
        }
    )
    plain = CoxPHFitter().fit(frame.drop(columns="well"), "hours", "event")
    clustered = CoxPHFitter().fit(frame, "hours", "event", cluster_col="well")
    errors = (float(m.standard_errors_["treated"]) for m in (plain, clustered))
    return float(plain.params_["treated"]), *errors


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
    """Lifelines' sandwich times √(G / (G − 1)), Student's t with G − 2, G = 8 wells."""
    table = unequal_wells()
    row = only(table)
    log_ratio, model, clustered = reference_cox(table)
    assert clustered > 1.3 * model
    error = clustered * np.sqrt(8 / 7)
    half_width = 2.4469119 * error  # t, 97.5 %, 6 degrees of freedom
    assert row["hazard_ratio"] == pytest.approx(np.exp(log_ratio), rel=1e-6)
    assert np.log([row["hr_low"], row["hr_high"]]) == pytest.approx(
        [log_ratio - half_width, log_ratio + half_width], rel=1e-5
    )
    assert row["p_value"] == pytest.approx(2 * stats.t.sf(abs(log_ratio) / error, 6), rel=1e-5)


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
    log_ratio, model, clustered = reference_cox(copies)
    assert clustered < 0.9 * model
    row = only(copies)
    half_width = 2.7764451 * model  # t, 97.5 %, 4 degrees of freedom
    assert np.log(row["hr_high"]) == pytest.approx(log_ratio + half_width, rel=1e-5)


def test_batches_that_disagree_have_the_interval_between_their_ratios():
    """Each batch's own log ratio by lifelines; Student's t with 3 − 1 degrees of freedom."""
    rng = np.random.default_rng(0)
    parts = [
        tracks(rng, ratio).with_columns(batch=pl.lit(f"b{i}"), well=pl.col("well") + f"-{i}")
        for i, ratio in enumerate((0.4, 1.0, 2.5))
    ]
    row = only(pl.concat(parts))
    between = np.array([reference_cox(p)[0] for p in parts])
    error = between.std(ddof=1) / np.sqrt(3)
    middle = np.log(row["hazard_ratio"])
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
    """Where it exceeds Greenwood's: sd of the wells' own means / √4, normal quantile 1.96."""
    table = unequal_wells()
    row = only(table)
    errors = []
    for control in ("vehicle", "none"):
        arm = table.filter(pl.col("control") == control)
        own = []
        for part in arm.partition_by("well"):
            curve = KaplanMeierFitter().fit(part["exit_h"].to_numpy(), part["event"].to_numpy())
            own.append(restricted_mean_survival_time(curve, t=END))
        curve = kaplan_meier(arm["exit_h"], arm["event"])
        errors.append(max(np.std(own, ddof=1) / 2, curve.rmst(END)[1]))
    half_width = (row["rmst_difference_high"] - row["rmst_difference_low"]) / 2
    assert half_width == pytest.approx(1.96 * np.hypot(*errors), rel=1e-9)
    centre = (row["rmst_difference_high"] + row["rmst_difference_low"]) / 2
    assert centre == pytest.approx(row["rmst_difference_h"], rel=1e-9)


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
    beside = hazard_table(pl.concat([table, other])).filter(pl.col("line") == "L")
    assert beside.drop("q_value").equals(hazard_table(table).drop("q_value"))
    empty = table.with_columns(
        compound=pl.lit(""), control=pl.lit("none"), event=pl.lit(value=True)
    )
    assert hazard_table(pl.concat([table, empty])).equals(hazard_table(table))
