from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from phenotypes.columns.dictionary import conform
from phenotypes.plates.quality.position import b_score, correct_positions, places
from tests.messages import states

NAMES = [f"{r}{c:02d}" for r in "ABCDEFGH" for c in range(1, 13)]


def plate(seed=1, effect=None, ordered=False, kills=40.0):
    """96 wells of two lines, half vehicle and eight doses at random places; density 200, the two
    highest doses take 40 off.
    """
    rng = np.random.default_rng(seed)
    doses = np.array(([0.0] * 24 + [1e-8 * 3**i for i in range(8) for _ in range(3)]) * 2)
    order = np.arange(96) if ordered else rng.permutation(96)
    dose, line = doses[order], np.array(["L1"] * 48 + ["L2"] * 48)[order]
    row, column = places(pl.Series(NAMES))
    value = (
        200
        - kills * (dose > 5e-6)
        + rng.normal(0, 2, 96)
        + (0 if effect is None else effect(row, column))
    )
    table = {
        "well": NAMES,
        "status": "done",
        "line": line,
        "dose_molar": dose,
        "control": np.where(dose > 0, "none", "vehicle"),
        "live_density": value,
    }
    return conform(pl.DataFrame(table), "well"), value


def test_places():
    row, column = places(pl.Series(["A01", "H12", "AA03"]))
    assert (row.tolist(), column.tolist()) == ([0, 7, 26], [0, 11, 2])


def test_rows_and_columns_are_taken_off_and_doses_stay():
    clean, _ = plate()
    tilted, before = plate(effect=lambda row, column: 1.0 * row - 0.7 * column)
    found = b_score(tilted, "live_density")
    assert found.status == "ok"
    flat = clean["live_density"].to_numpy()
    assert np.abs(found.corrected.to_numpy() - flat).mean() < 0.6 * np.abs(before - flat).mean()
    top = (clean["dose_molar"] > 5e-6).to_numpy()
    assert found.corrected.to_numpy()[top].mean() == pytest.approx(160, abs=2)
    assert found.corrected.to_numpy()[~top].mean() == pytest.approx(200, abs=2)
    assert np.median(found.score.to_numpy()) == pytest.approx(0, abs=0.3)
    assert found.score.to_numpy()[top].max() < -5


def test_a_plate_where_many_wells_respond_is_refused():
    table, _ = plate()
    strong = table.with_columns(
        pl.when(pl.col("dose_molar") > 5e-8)
        .then(pl.col("live_density") - 60)
        .otherwise("live_density")
        .alias("live_density")
    )
    found = b_score(strong, "live_density")
    assert found.status == "refused"
    assert states("position.many_respond", found.reason)


def test_a_layout_that_follows_the_plate_is_refused_by_name():
    by_row, _ = plate(ordered=True)
    found = b_score(by_row, "live_density")
    assert (found.status, found.corrected.null_count()) == ("refused", 96)
    assert states("position.follows", found.reason, what="line L1", way="rows")
    table, checks = correct_positions(by_row, ["live_density"])
    assert table.equals(by_row)
    assert checks[0]["status"] == "not_assessable"


def test_small_grids_and_missing_wells():
    table, _ = plate()
    few = table.filter(pl.col("well").str.starts_with("A"))
    refused = b_score(few, "live_density")
    assert refused.status == "refused"
    assert states("position.small_plate", refused.reason)
    holes = (
        table.with_row_index()
        .with_columns(
            pl.when(pl.col("index") % 7 == 0)
            .then(pl.lit("failed"))
            .otherwise("status")
            .alias("status")
        )
        .drop("index")
    )
    found = b_score(holes, "live_density")
    assert found.status == "ok"
    assert found.corrected.null_count() == 14


def test_the_well_table_is_corrected_on_request():
    tilted, _ = plate(effect=lambda row, column: 1.5 * row, kills=0.0)
    table, checks = correct_positions(tilted, ["live_density"])
    (check,) = checks
    assert states("position.polished", check.pop("reason"))
    assert check == {"check": "position_correction", "subject": "live_density", "status": "ok"}
    assert table.columns == tilted.columns
    assert table["live_density"].std() < tilted["live_density"].std()


def test_alternating_rows_and_compounds_of_their_own_row_are_refused():
    """No correlation with the row's number, and yet the polish would take the lines' difference
    off.
    """
    table, _ = plate()
    row, _ = places(table["well"])
    alternating = table.with_columns(line=pl.Series(np.where(row % 2 == 0, "L1", "L2")))
    refused = b_score(alternating, "live_density")
    assert states("position.follows", refused.reason, what="line L1", way="rows")
    by_row = table.with_columns(
        compound=pl.when(pl.col("control") == "none")
        .then(pl.Series([f"c{r}" for r in row]))
        .otherwise(pl.lit("DMSO"))
    )
    refused = b_score(by_row, "live_density")
    assert states("position.follows", refused.reason, what="compound c0", way="rows")
