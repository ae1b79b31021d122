"""Vehicle wells that differ by place or time are found as often as said, and flat plates are left
alone."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from phenotypes.columns.dictionary import conform
from phenotypes.plates.flatness import STANDING, flatness_checks
from tests.messages import states

NC = "nc_log2_aggregate"
ASKED = ("live_density", "neurite_length_density", NC, "puncta_per_neuron")
ROWS = "ABCDEFGHIJKLMNOP"
# Between wells, of the plate where two columns read −0.55 and −0.29 (Welch's t 4.7).
SD = 0.11
TWO_COLUMNS = [f"{row}{column:02d}" for column in (4, 20) for row in ROWS[4:12]]


def plate(wells, seed=0, lines=None, **levels):
    """Vehicle wells that read the same but for `levels`: phenotype ► added to its wells."""
    rng = np.random.default_rng(seed)
    table = {
        "well": wells,
        "status": ["done"] * len(wells),
        "control": ["vehicle"] * len(wells),
        "line": lines or ["L"] * len(wells),
    }
    for name in ASKED:
        middle, sd = (-0.42, SD) if name == NC else (100.0, 10.0)
        added = np.asarray(levels.get(name, 0.0), np.float64)
        table[name] = middle + rng.normal(0, sd, len(wells)) + added
    hours = rng.permutation(len(wells)) / 20
    return conform(pl.DataFrame(table), "well"), pl.DataFrame({"well": wells, "taken_h": hours})


def checks(table, phenotypes=ASKED, limit=0.05, taken=None):
    wells, hours = table
    found = flatness_checks(wells, hours if taken is None else taken, 16, 24, phenotypes, limit)
    return conform(pl.DataFrame(found, infer_schema_length=None), "check")


def one(found, check, subject=NC):
    (row,) = found.filter((pl.col("check") == check) & (pl.col("subject") == subject)).to_dicts()
    return row


def column(wells, number):
    return np.array([name[1:] == f"{number:02d}" for name in wells], np.float64)


def test_a_flat_plate_has_a_false_warning_as_rarely_as_said():
    warned = [
        (checks(plate(TWO_COLUMNS, seed))["status"] == "warning").any() for seed in range(300)
    ]
    assert 0.015 <= np.mean(warned) <= 0.07


def test_a_column_that_reads_otherwise_is_found():
    found = [
        one(
            checks(plate(TWO_COLUMNS, seed, **{NC: 0.26 * column(TWO_COLUMNS, 20)})),
            "column_difference",
        )
        for seed in range(50)
    ]
    assert np.mean([f["status"] == "warning" for f in found]) >= 0.9
    assert np.mean([f["effect"] for f in found]) == pytest.approx(0.26, abs=0.02)
    assert {f["unit"] for f in found} == {"Δ log2"}
    assert states(
        "flatness.one_reads", found[0]["reason"], place="column 20", effect="+0.305 Δ log2"
    )
    assert states("flatness.beside", found[0]["reason"], place="column 4")


def test_what_a_check_could_have_seen_is_found_four_times_of_five():
    could = np.mean(
        [one(checks(plate(TWO_COLUMNS, s)), "column_difference")["could_see"] for s in range(40)]
    )
    assert could == pytest.approx(0.22, abs=0.03)
    found = [
        one(
            checks(plate(TWO_COLUMNS, 1000 + s, **{NC: could * column(TWO_COLUMNS, 4)})),
            "column_difference",
        )
        for s in range(100)
    ]
    assert np.mean([f["status"] == "warning" for f in found]) == pytest.approx(0.8, abs=0.12)


def test_one_column_of_many_is_found_though_there_is_no_trend():
    wells = [f"{row}{number:02d}" for number in range(3, 23) for row in ROWS[2:14:2]]
    found = checks(plate(wells, **{NC: 0.3 * column(wells, 12)}))
    row = one(found, "column_difference")
    assert row["status"] == "warning"
    assert states("flatness.one_reads", row["reason"], place="column 12", effect="+0.3")
    assert one(found, "column_trend")["status"] == "ok"


def test_edges_trends_and_drift_are_found_in_the_phenotypes_unit():
    wells = [f"{row}{number:02d}" for number in range(1, 25) for row in ROWS]
    edge = np.array([w[0] in "AP" or w[1:] in ("01", "24") for w in wells], float)
    outside = one(checks(plate(wells, **{NC: -0.2 * edge})), "edge_effect")
    assert (outside["status"], outside["p_adjusted"]) == ("warning", 0.001)
    assert outside["effect"] == pytest.approx(-0.2, abs=0.03)
    assert outside["value"] == pytest.approx(-0.2, abs=0.05)  # medians
    down = np.array([ROWS.index(w[0]) / 15 for w in wells])
    trend = one(checks(plate(wells, **{NC: 0.15 * down})), "row_trend")
    assert trend["status"] == "warning"
    assert trend["effect"] == pytest.approx(0.15, abs=0.04)
    flat, hours = plate(wells)
    fading = flat.with_columns(
        pl.Series(
            "live_density",
            flat["live_density"].to_numpy() * (1 - 0.2 * hours["taken_h"].to_numpy() / 19.15),
        )
    )
    drift = one(checks((fading, hours)), "acquisition_drift", "live_density")
    assert (drift["status"], drift["unit"]) == ("warning", "% of vehicle")
    assert drift["effect"] == pytest.approx(-22, abs=5)
    assert one(checks((flat, hours)), "acquisition_drift", "live_density")["status"] == "ok"


def test_few_vehicle_wells_say_how_little_they_could_have_seen():
    four = ["E04", "F04", "E20", "F20"]
    row = one(checks(plate(four, **{NC: [0, 0, 1.0, 1.0]})), "column_difference")
    assert row["status"] == "not_assessable"
    assert states("flatness.few_ways", row["reason"], wells=4, ways=6)
    assert row["could_see"] > 4 * SD
    missed = f"{row['could_see']:.3g} Δ log2"
    assert states("flatness.could_miss", row["reason"], effect=missed)
    assert row["p_adjusted"] is None


def test_lines_are_compared_with_themselves():
    """A line in each column: the columns differ as the lines do."""
    lines = ["HC"] * 8 + ["SOD1"] * 8
    nested = checks(plate(TWO_COLUMNS, lines=lines, **{NC: 5.0 * column(TWO_COLUMNS, 20)}))
    row = one(nested, "column_difference")
    assert row["status"] == "not_assessable"
    assert states("flatness.within_no_line", row["reason"], place="column")
    mixed = ["HC", "SOD1"] * 8
    apart = np.array([5.0 if line == "SOD1" else 0.0 for line in mixed])
    assert (
        one(checks(plate(TWO_COLUMNS, lines=mixed, **{NC: apart})), "column_difference")["status"]
        == "ok"
    )
    shifted = plate(TWO_COLUMNS, lines=mixed, **{NC: apart + 0.4 * column(TWO_COLUMNS, 20)})
    found = one(checks(shifted), "column_difference")
    assert found["status"] == "warning"
    assert found["effect"] == pytest.approx(0.4, abs=0.1)


def test_every_phenotype_asked_for_is_looked_at_and_those_of_every_plate():
    found = checks(plate(TWO_COLUMNS), phenotypes=[NC])
    assert set(found["subject"]) == {NC, *STANDING}
    assert len(found) == 3 * 6
    # A phenotype that has no value in any well is said.
    empty = one(
        checks(plate(TWO_COLUMNS), phenotypes=["manders_excess_mean"]),
        "row_difference",
        "manders_excess_mean",
    )
    assert (empty["status"], empty["n_wells"], empty["could_see"]) == ("not_assessable", 0, None)
    # More phenotypes ask for more: the same difference is less sure.
    table = plate(TWO_COLUMNS, **{NC: 0.2 * column(TWO_COLUMNS, 20)})
    alone, among = (one(checks(table, p), "column_difference") for p in ([NC], ASKED))
    assert alone["p_value"] == among["p_value"] < alone["p_adjusted"] < among["p_adjusted"]
    assert alone["could_see"] < among["could_see"]


def test_wells_that_all_read_the_same_are_flat_and_missing_values_are_left_out():
    wells, hours = plate(TWO_COLUMNS)
    same = checks((wells.with_columns(pl.lit(50.0).alias(NC)), hours))
    row = one(same, "column_difference")
    assert (row["status"], row["p_value"], row["p_adjusted"], row["could_see"]) == (
        "ok",
        1.0,
        1.0,
        None,
    )
    gone = wells.with_columns(
        pl.when(pl.col("well").is_in(["E04", "F20"])).then(None).otherwise(pl.col(NC)).alias(NC)
    )
    assert one(checks((gone, hours)), "column_difference")["n_wells"] == 14
    nothing = checks((wells.with_columns(pl.lit("none").alias("control")), hours))
    assert set(nothing["status"]) == {"not_assessable"}


def test_wells_that_are_not_done_and_treated_wells_take_no_part():
    wells = [*TWO_COLUMNS, "A01", "P24", "H12"]
    table, hours = plate(wells)
    table = table.with_columns(
        status=pl.Series(["done"] * len(TWO_COLUMNS) + ["failed", "excluded", "done"]),
        control=pl.Series(["vehicle"] * (len(wells) - 1) + ["none"]),
    )
    absurd = pl.when(pl.col("well").is_in(["A01", "P24", "H12"]))
    spoiled = table.with_columns(absurd.then(99.0).otherwise(pl.col(n)).alias(n) for n in ASKED)
    of_the_rest = table.filter(~pl.col("well").is_in(["A01", "P24", "H12"]))
    assert checks((spoiled, hours)).equals(checks((of_the_rest, hours)))
