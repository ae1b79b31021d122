from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from phenotypes.line_effects import across_lines, batch_effects, confounded, group_contrast, line_effects, well_effects


def screen(rng, lines=("L1", "L2", "L3", "L4"), batches=3, wells=4, effect=1.0, batch_sd=0.0, line_sd=0.0, noise=0.05):
    """Density 200 × 2^effect under the drug; batches differ in level and in response, lines in response."""
    rows = []
    for line in lines:
        own = effect + rng.normal(0, line_sd)
        for b in range(batches):
            level, answer = rng.lognormal(5.3, 0.3), own + rng.normal(0, batch_sd)
            for control, compound, dose in (("vehicle", "DMSO", 0.0), ("none", "x", 1e-6)):
                rows += [
                    {"plate": f"{line}-{b}", "batch": f"b{b}", "line": line, "compound": compound, "dose_molar": dose, "control": control, "status": "done",
                     "live_density": level * 2 ** ((answer if control == "none" else 0) + rng.normal(0, noise))}
                    for _ in range(wells)
                ]  # fmt: skip
    return pl.DataFrame(rows)


def estimate(wells):
    return line_effects(batch_effects(well_effects(wells, "live_density")))


def test_levels_of_batches_cancel_and_the_effect_is_found():
    lines = estimate(screen(np.random.default_rng(0)))
    assert lines["effect"].to_list() == pytest.approx([1.0] * 4, abs=0.1)
    assert set(lines["status"]) == {"ok"}
    assert lines["n_batches"].to_list() == [3] * 4
    assert lines["n_wells"].to_list() == [12] * 4
    assert lines["same_direction"].to_list() == [3] * 4


def test_the_batch_is_n_not_the_well():
    """Twelve wells in three batches that respond differently are three observations."""
    lines = estimate(screen(np.random.default_rng(1), batch_sd=0.5, noise=0.01))
    by_hand = batch_effects(well_effects(screen(np.random.default_rng(1), batch_sd=0.5, noise=0.01), "live_density"))
    y = by_hand.filter((pl.col("line") == "L1") & (pl.col("control") == "none"))["effect"].to_numpy()
    assert lines["error"][0] == pytest.approx(y.std(ddof=1) / np.sqrt(3))


def test_one_batch_is_said_and_takes_no_part_across_lines():
    lines = estimate(screen(np.random.default_rng(0), batches=1))
    assert set(lines["status"]) == {"one_batch"}
    assert lines["error"].null_count() == 0
    across = across_lines(lines)
    assert across["status"].to_list() == ["too_few_donors"]


def test_differences_are_taken_where_a_ratio_means_nothing():
    wells = screen(np.random.default_rng(0)).with_columns(nc_log2_aggregate=pl.when(pl.col("control") == "none").then(0.7).otherwise(0.2))
    found = well_effects(wells, "nc_log2_aggregate").filter(pl.col("control") == "none")
    assert found["effect"].to_list() == pytest.approx([0.5] * len(found))


def test_a_plate_without_vehicle_has_no_effect_and_an_empty_well_no_logarithm():
    wells = screen(np.random.default_rng(0), lines=("L1",))
    assert (
        well_effects(wells.filter(~((pl.col("plate") == "L1-0") & (pl.col("control") == "vehicle"))), "live_density")["plate"].n_unique()
        == 2
    )
    zero = wells.with_columns(pl.when(pl.col("control") == "none").then(0.0).otherwise(pl.col("live_density")).alias("live_density"))
    assert well_effects(zero, "live_density").filter(pl.col("control") == "none").is_empty()


def test_across_lines_and_donors():
    lines = estimate(screen(np.random.default_rng(2), lines=("A1", "A2", "B", "C", "D"), line_sd=0.3, batch_sd=0.1))
    across = across_lines(lines, {"A1": "A", "A2": "A"}).to_dicts()[0]
    assert (across["status"], across["n_lines"], across["n_donors"]) == ("ok", 5, 4)
    assert across["low"] < 1.0 < across["high"]
    assert across["predicted_low"] < across["low"]
    assert across_lines(lines, dict.fromkeys(("A1", "A2", "B", "C", "D"), "one"))["status"][0] == "too_few_donors"


def test_confounding_is_named():
    wells = screen(np.random.default_rng(0))
    assert "confounded_with_plate" in confounded(wells, "line")[0]  # every line on its own plates
    assert confounded(wells, "line", by=["batch"]) == []
    apart = wells.with_columns(pl.when(pl.col("line").is_in(["L1", "L2"])).then(pl.lit("b1")).otherwise(pl.lit("b2")).alias("batch"))
    said = confounded(apart, "line", by=["batch"])[0]
    assert "L1, L2 only on batch b1" in said
    linked = wells.with_columns(pl.Series("batch", ["b1" if i % 2 else "b2" for i in range(len(wells))]))
    assert confounded(linked, "line", by=["batch"]) == []


def test_two_genotypes_are_compared_by_their_donors():
    rng = np.random.default_rng(0)
    lines = pl.DataFrame(
        {"line": [f"L{i}" for i in range(8)], "genotype": ["SOD1"] * 4 + ["iso"] * 4, "effect": rng.normal([1.0] * 4 + [0.0] * 4, 0.1)}
    )
    row = group_contrast(lines, "genotype")
    assert (row["status"], row["n_donors"], row["contrast"]) == ("ok", 8, "iso − SOD1")
    assert row["low"] < -1.0 < row["high"]
    assert group_contrast(lines.head(6), "genotype")["status"] == "too_few_donors"
    assert group_contrast(lines.head(4), "genotype")["status"] == "no_two_groups"
