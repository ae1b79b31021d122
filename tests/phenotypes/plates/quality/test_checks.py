from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from phenotypes.columns.dictionary import conform
from phenotypes.plates.quality.checks import (
    exclude_unfocused,
    exclude_vehicle_outliers,
    mark_fields,
    plate_checks,
)
from phenotypes.plates.quality.limits import QualityLimits
from tests.messages import states

LIMITS = QualityLimits()
NAMES = [f"{r}{c:02d}" for r in "ABCDEFGH" for c in range(1, 13)]


def conditions(controls):
    return pl.DataFrame([{"well": w, "line": "L", "control": c} for w, c in controls.items()])


def fields(slopes, **columns):
    rows = [
        {"well": w, "field": i + 1, "frame": 1, "focus_dna": s, "nuclei_count": 50}
        for w, values in slopes.items()
        for i, s in enumerate(values)
    ]
    return conform(
        pl.DataFrame(rows).with_columns(**{k: pl.lit(v) for k, v in columns.items()}), "field"
    )


def test_a_blurred_field_is_left_out_and_a_well_of_them_excluded():
    controls = dict.fromkeys(NAMES[:6], "vehicle") | {"H01": "none", "H02": "none"}
    slopes = {w: [-2.0, -2.1] for w in NAMES[:6]} | {"H01": [-2.0, -4.0], "H02": [-4.2, -4.0, -2.0]}
    marked = mark_fields(fields(slopes), conditions(controls), LIMITS)
    assert marked.filter(~pl.col("valid")).select("well", "field").rows() == [
        ("H01", 2),
        ("H02", 1),
        ("H02", 2),
    ]
    assert "out_of_focus" in marked.filter(~pl.col("valid"))["qc"][0]
    outcomes = exclude_unfocused(marked, dict.fromkeys(slopes, ("done", "")), LIMITS)
    assert outcomes["H01"] == ("done", "")
    assert outcomes["H02"][0] == "excluded"
    assert states("checks.fields_in_focus", outcomes["H02"][1], sharp=1, of=3)


@pytest.mark.parametrize("blurred", [1, 5, 6])
def test_blurred_vehicle_fields_are_not_what_others_are_judged_by(blurred):
    rng = np.random.default_rng(0)
    slopes = {w: [-4.5, -4.2] for w in NAMES[:blurred]}
    slopes |= {w: list(rng.normal(-2.5, 0.1, 2)) for w in NAMES[blurred:8]}
    slopes |= {"H01": [-2.4, -2.6], "H02": [-4.4, -2.6]}
    controls = dict.fromkeys(NAMES[:8], "vehicle") | {"H01": "none", "H02": "none"}
    marked = mark_fields(fields(slopes), conditions(controls), LIMITS)
    left_out = marked.filter(~pl.col("valid")).select("well", "field").rows()
    assert left_out == [(w, f) for w in NAMES[:blurred] for f in (1, 2)] + [("H02", 1)]


def test_an_emptied_well_is_never_out_of_focus():
    """A toxic dose leaves few nuclei and a steep spectrum; that is an effect, not a fault."""
    controls = dict.fromkeys(NAMES[:6], "vehicle") | {"H01": "none"}
    table = fields({w: [-2.0] for w in NAMES[:6]} | {"H01": [-5.0]})
    emptied = table.with_columns(
        pl.when(pl.col("well") == "H01")
        .then(3)
        .otherwise(pl.col("nuclei_count"))
        .alias("nuclei_count")
    )
    assert mark_fields(emptied, conditions(controls), LIMITS)["valid"].all()
    none = table.with_columns(
        pl.when(pl.col("well") == "H01").then(0).otherwise(50).alias("nuclei_count"),
        focus_dna=pl.lit(None, pl.Float64),
    )
    marked = mark_fields(none, conditions(controls), LIMITS)
    assert marked["valid"].all()
    assert marked.filter(pl.col("well") == "H01")["qc"][0] == "empty: no nucleus"


def test_warnings_do_not_make_a_field_invalid():
    marked = mark_fields(
        fields({"A01": [-2.0]}, saturated_dna=0.2, debris_fraction=3.0),
        conditions({"A01": "vehicle"}),
        LIMITS,
    )
    assert marked["valid"].all()
    assert states("checks.saturated", marked["qc"][0], role="dna", share=0.2)
    assert states("checks.debris", marked["qc"][0], share=3.0)


def wells(density, controls, **columns):
    rows = [
        {
            "well": w,
            "status": "done",
            "reason": "",
            "line": "L",
            "compound": "x",
            "dose_molar": 1e-6,
            "control": c,
            "live_density": d,
        }
        for w, c, d in zip(NAMES, controls, density, strict=False)
    ]
    return conform(
        pl.DataFrame(rows).with_columns(**{k: pl.lit(v) for k, v in columns.items()}), "well"
    )


def test_a_vehicle_well_unlike_the_others_is_excluded_and_a_treated_one_never():
    table = wells([100.0, 104, 96, 101, 99, 102, 20, 5, 0], ["vehicle"] * 7 + ["none"] * 2)
    found = exclude_vehicle_outliers(table, LIMITS)
    assert found["status"].to_list() == ["done"] * 6 + ["excluded"] + ["done"] * 2
    assert "vehicle_outlier" in found["reason"][6]
    assert found["survival_fixed"][7] == pytest.approx(5 / np.mean([100, 104, 96, 101, 99, 102]))


def test_vehicle_wells_that_agree_closely_do_not_condemn_one_another():
    assert set(
        exclude_vehicle_outliers(wells([100.0, 100, 100, 100, 100, 110], ["vehicle"] * 6), LIMITS)[
            "status"
        ]
    ) == {"done"}
    assert set(
        exclude_vehicle_outliers(wells([100.0, 100, 10, 100], ["vehicle"] * 4), LIMITS)["status"]
    ) == {"done"}


def test_empty_vehicle_wells_are_left_out_however_many_they_are():
    for empty in (1, 5, 7):
        density = [0.0, 2.0, 0.0, 1.0, 0.0, 0.0, 3.0][:empty] + [100.0] * (8 - empty)
        table = wells([*density, 50.0], ["vehicle"] * 8 + ["none"])
        marked = exclude_vehicle_outliers(table, LIMITS)
        assert marked["status"].to_list() == ["excluded"] * empty + ["done"] * (9 - empty)
        assert states("checks.vehicle_empty", marked["reason"][0], density=0, others=100)
        assert marked["survival_fixed"][8] == 0.5
        assert marked["survival_fixed"][7] == 1.0
    # Few cells are not none, and a treated well without cells is toxicity.
    few = exclude_vehicle_outliers(wells([100.0, 20, 0], ["vehicle"] * 2 + ["none"]), LIMITS)
    assert few["status"].to_list() == ["done"] * 3
    none = exclude_vehicle_outliers(wells([0.0, 0, 9], ["vehicle"] * 2 + ["none"]), LIMITS)
    assert none["status"].to_list() == ["excluded"] * 2 + ["done"]
    assert none["survival_fixed"][2] is None


def plate(value):
    rng = np.random.default_rng(0)
    return wells(
        [value(i // 12 + 1, i % 12 + 1) * rng.normal(1, 0.03) for i in range(96)], ["vehicle"] * 96
    )


def verdict(table, check):
    checks = plate_checks(table, fields({"A01": [-2.0]}), 8, 12)
    return checks.filter(
        (pl.col("check") == check) & (pl.col("subject") == "live_density")
    ).to_dicts()[0]


def test_edge_row_and_column_effects_are_seen_and_a_flat_plate_is_clean():
    flat = plate(lambda row, column: 100.0)
    assert {verdict(flat, c)["status"] for c in ("edge_effect", "row_trend", "column_trend")} == {
        "ok"
    }
    edge = verdict(
        plate(lambda row, column: 80.0 if row in (1, 8) or column in (1, 12) else 100.0),
        "edge_effect",
    )
    assert edge["status"] == "warning"
    assert edge["value"] == pytest.approx(0.8, abs=0.03)
    assert verdict(plate(lambda row, column: 100.0 + 4 * row), "row_trend")["status"] == "warning"
    assert (
        verdict(plate(lambda row, column: 100.0 + 3 * column), "column_trend")["status"]
        == "warning"
    )


def drift(table, hours):
    taken = pl.DataFrame(
        {"well": table["well"], "field": 1, "frame": 1, "exposed_h": hours},
        schema_overrides={"exposed_h": pl.Float64},
    )
    checks = plate_checks(table, conform(taken, "field"), 8, 12)
    return checks.filter(
        (pl.col("check") == "acquisition_drift") & (pl.col("subject") == "live_density")
    ).to_dicts()[0]


def test_wells_that_fade_while_the_plate_is_imaged_are_seen():
    """Imaged in an order of its own, so that nothing but time explains the fading."""
    hours = np.random.default_rng(1).permutation(96) / 40
    flat = plate(lambda row, column: 100.0)
    fading = flat.with_columns(
        pl.Series("live_density", flat["live_density"].to_numpy() * (1 - 0.1 * hours))
    )
    assert drift(flat, hours)["status"] == "ok"
    found = drift(fading, hours)
    assert found["status"] == "warning"
    assert found["value"] < -0.8
    assert "row" not in found["reason"]


def test_drift_along_the_rows_is_said_to_look_like_a_row_trend():
    found = drift(plate(lambda row, column: 100.0 + 4 * row), np.arange(96) / 40)
    assert found["status"] == "warning"
    assert states("drift.along_the_rows", found["reason"])


def test_drift_without_times_is_not_assessable():
    flat = plate(lambda row, column: 100.0)
    assert states("drift.no_times", drift(flat, [None] * 96)["reason"])
    few = drift(flat, [0.1, 0.2, 0.3, 0.4, 0.5] + [None] * 91)
    assert states("drift.few_times", few["reason"], times=5, wells=5)


def test_too_few_controls_are_said_and_not_judged():
    few = wells([100.0, 100, 100], ["vehicle"] * 3)
    assert (
        verdict(few, "edge_effect")["status"]
        == verdict(few, "row_trend")["status"]
        == "not_assessable"
    )


def test_a_glowing_compound_is_named():
    table = wells([100.0] * 20, ["vehicle"] * 8 + ["none"] * 12).with_columns(
        dose_molar=pl.Series([0.0] * 8 + [1e-8, 1e-7, 1e-6, 1e-5] * 3),
        compound=pl.Series(["DMSO"] * 8 + ["dye"] * 4 + ["clear"] * 8),
    )
    rng = np.random.default_rng(0)
    level = 200 + rng.normal(0, 4, 20) + np.array([0] * 8 + [0, 5, 60, 400] + [0] * 8)
    rows = pl.DataFrame(
        {"well": NAMES[:20], "field": [1] * 20, "frame": [1] * 20, "background_aggregate": level}
    )
    glowing = plate_checks(table, conform(rows, "field"), 8, 12).filter(
        pl.col("check") == "autofluorescence"
    )
    assert glowing["subject"].to_list() == ["dye, aggregate"]
    assert glowing["status"].to_list() == ["warning"]


def test_a_well_that_is_not_done_hides_no_glowing_compound():
    """An excluded vehicle well with a bubble is brighter than the dye."""
    table = wells([100.0] * 20, ["vehicle"] * 9 + ["none"] * 11).with_columns(
        dose_molar=pl.Series([0.0] * 9 + [1e-7, 1e-6, 1e-5] * 3 + [1e-6, 1e-5]),
        compound=pl.Series(["DMSO"] * 9 + ["dye"] * 3 + ["clear"] * 8),
        status=pl.Series(["excluded"] + ["done"] * 19),
    )
    level = (
        200
        + np.random.default_rng(0).normal(0, 4, 20)
        + np.array([900] + [0] * 10 + [400] + [0] * 8)
    )
    rows = pl.DataFrame(
        {"well": NAMES[:20], "field": [1] * 20, "frame": [1] * 20, "background_aggregate": level}
    )
    glowing = plate_checks(table, conform(rows, "field"), 8, 12).filter(
        pl.col("check") == "autofluorescence"
    )
    assert glowing["subject"].to_list() == ["dye, aggregate"]
