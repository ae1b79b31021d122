"""Rows of a screen that must not count are given absurd values; the answer for all other rows must
be exactly the same.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import polars as pl
import polars.selectors as cs
import pytest
from polars.testing import assert_frame_equal

from phenotypes.screens.across.donors import HEALTHY, across_lines_table
from phenotypes.screens.across.rescue import rescue
from phenotypes.screens.batches.windows import batch_gaps, windows_of
from phenotypes.screens.conditions import plate_effects, plate_refusals
from phenotypes.screens.fit import LineFacts, fit_screen
from phenotypes.screens.lines import batch_effects, line_effects
from phenotypes.statistics.multiple_testing import with_q_values
from tests.phenotypes.drawn_screens import DOSES, ladder_wells, planned_of

NAMES = ["live_density", "nc_log2_aggregate"]
PAIRS = {n: f"{n}-iso" for n in ("S1", "S2", "S3")}
LINES = [*PAIRS, *PAIRS.values()]
FACTS = LineFacts(
    donors={n: n[:2] for n in LINES},
    genes=dict.fromkeys(PAIRS, "SOD1"),
    isogenic=PAIRS,
    healthy=frozenset(PAIRS.values()),
)
NUMBERS = [1e9, -1e9]
POISONS = [*NUMBERS, float("nan"), float("inf"), None]
VEHICLE, TREATED = pl.col("control") == "vehicle", pl.col("control") == "none"
MEANS = ["effect", "response", "error", "level", "level_sd"]


@cache
def wells():
    """Three diseased lines and their isogenic ones in three batches; of each condition one well
    failed, was excluded or skipped, and one has no line.
    """
    table = ladder_wells(
        np.random.default_rng(0),
        LINES,
        vehicles=5,
        gap=0.6,
        isogenic=list(PAIRS.values()),
        span={"nc_log2_aggregate": 0.4, "live_density": -0.4},
    )
    number = pl.int_range(pl.len()).over("plate", "line", "control", "dose_molar")
    gone = ["failed", "excluded", "skipped"]
    status = pl.int_range(pl.len()).mod(3).replace_strict(dict(enumerate(gone)))
    extra = table.filter(number == 0)
    return pl.concat(
        [
            table,
            extra.with_columns(status.alias("status")),
            extra.with_columns(pl.lit("").alias("line")),
        ]
    )


COUNTS = (pl.col("status") == "done") & (pl.col("line") != "")


def poisoned(table, where, value, names=NAMES):
    value = pl.lit(value, pl.Float64)
    return table.with_columns(
        pl.when(where).then(value).otherwise(pl.col(n)).alias(n) for n in names
    )


def same(clean, spoiled, where=None):
    if where is not None:
        clean, spoiled = clean.filter(where), spoiled.filter(where)
    assert len(clean)
    assert_frame_equal(clean, spoiled, check_exact=True)


@cache
def plates():
    return plate_effects(wells(), NAMES)


@pytest.mark.parametrize("value", POISONS)
def test_wells_that_are_not_done_or_of_no_line_make_no_condition(value):
    spoiled = poisoned(wells(), ~COUNTS, value)
    same(plate_effects(wells().filter(COUNTS), NAMES), plate_effects(spoiled, NAMES))
    assert plate_refusals(spoiled, NAMES).is_empty()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None])
def test_wells_without_a_value_enter_no_mean_and_no_count(value):
    """Of one phenotype: the other keeps all its wells and their cells."""
    every = pl.int_range(pl.len()) % 4 == 0
    clean = plate_effects(wells().filter(~every), NAMES[:1])
    spoiled = plate_effects(poisoned(wells(), every, value, NAMES[:1]), NAMES)
    same(clean, spoiled.filter(pl.col("phenotype") == NAMES[0]))
    same(plates(), spoiled, pl.col("phenotype") == NAMES[1])


@pytest.mark.parametrize("value", POISONS)
def test_a_refusal_is_of_wells_that_count(value):
    """Vehicle wells of S1 on plate p0 all failed, and the only wells with a value of S2 on p1."""
    lost = (pl.col("line") == "S1") & (pl.col("plate") == "p0") & VEHICLE
    lost |= (pl.col("line") == "S2") & (pl.col("plate") == "p1")
    table = wells().with_columns(
        pl.when(lost).then(pl.lit("failed")).otherwise("status").alias("status")
    )
    refused = plate_refusals(poisoned(table, ~COUNTS, value), NAMES)
    assert refused.select("plate", "line", "status").unique().sort("line").rows() == [
        ("p0", "S1", "no_vehicle"),
        ("p1", "S2", "not_measured"),
    ]
    same(plate_refusals(poisoned(table, ~COUNTS, 1.0), NAMES), refused)


@pytest.mark.parametrize("value", NUMBERS)
@pytest.mark.parametrize("column", ["line", "plate", "batch"])
def test_a_condition_is_of_its_own_line_plate_and_batch(column, value):
    """Here each plate holds two batches, and each batch stands on two plates."""
    half = pl.int_range(pl.len()) % 2 == 0
    table = wells().with_columns(
        pl.when(half).then(pl.lit("p0")).otherwise(pl.lit("p1")).alias("plate")
    )
    kept = pl.col(column) == {"line": "S1", "plate": "p1", "batch": "b1"}[column]
    same(
        plate_effects(table, NAMES),
        plate_effects(poisoned(table, ~kept & (pl.col("line") != ""), value), NAMES),
        kept,
    )


@pytest.mark.parametrize("value", NUMBERS)
def test_treated_wells_make_no_vehicle(value):
    same(plates(), plate_effects(poisoned(wells(), TREATED, value), NAMES), VEHICLE)


BATCHES_OF = {
    "line": pl.col("line") == "S1",
    "batch": pl.col("batch") == "b1",
    "phenotype": pl.col("phenotype") == NAMES[0],
    "dose_molar": pl.col("dose_molar") == DOSES[-1],
    "control": VEHICLE,
}


@pytest.mark.parametrize("value", NUMBERS)
@pytest.mark.parametrize("column", BATCHES_OF)
def test_a_batch_is_of_its_own_conditions(column, value):
    kept = BATCHES_OF[column]
    spoiled = batch_effects(poisoned(plates(), ~kept, value, MEANS))
    same(batch_effects(plates()), spoiled, kept)


@pytest.mark.parametrize("value", NUMBERS)
@pytest.mark.parametrize("column", sorted({*BATCHES_OF} - {"batch", "control"}))
def test_a_line_s_effect_is_of_its_own_batches(column, value):
    kept = BATCHES_OF[column]
    batches = batch_effects(plates())
    spoiled = line_effects(poisoned(batches, ~kept, value, ["effect", "response", "error"]))
    same(line_effects(batches), spoiled, kept)


@pytest.mark.parametrize("value", [*NUMBERS, float("nan")])
def test_vehicle_rows_are_no_effect_of_a_line(value):
    batches = batch_effects(plates())
    same(line_effects(batches), line_effects(poisoned(batches, VEHICLE, value, ["effect"])))


def windows(table):
    return windows_of(batch_gaps(table, PAIRS))


@pytest.mark.parametrize("value", POISONS)
def test_treated_wells_make_no_window(value):
    clean, gaps = windows(plates())
    spoiled, spoiled_gaps = windows(poisoned(plates(), TREATED, value, MEANS))
    same(clean, spoiled)
    assert gaps == spoiled_gaps


@pytest.mark.parametrize("value", NUMBERS)
@pytest.mark.parametrize(
    "where",
    [
        ~pl.col("line").is_in(["S1", "S1-iso"]),
        # A plate of S1 whose partner's wells are lost, and a plate of the partner alone.
        (pl.col("line") == "S1") & (pl.col("plate") == "p9"),
        (pl.col("line") == "S1-iso") & (pl.col("plate") == "p8"),
    ],
    ids=["another line", "a line without its partner", "a partner without its line"],
)
def test_a_window_is_of_a_pair_on_one_plate(where, value):
    late = [
        plates()
        .filter((pl.col("line") == line) & (pl.col("plate") == "p1"))
        .with_columns(plate=pl.lit(plate))
        for line, plate in (("S1", "p9"), ("S1-iso", "p8"))
    ]
    table = pl.concat([plates(), *late])
    of_pair = pl.col("line") == "S1"
    spoiled, spoiled_gaps = windows(poisoned(table, where, value, MEANS))
    same(windows(plates())[0], spoiled, of_pair)
    clean_gaps = windows(plates())[1]
    assert all(spoiled_gaps["S1", n] == clean_gaps["S1", n] for n in NAMES)


@cache
def screen():
    return fit(wells())


def fit(table, **more):
    settings = {"planned": planned_of(wells().filter(COUNTS)), "facts": FACTS} | more
    return fit_screen(
        plate_effects(table, NAMES), refusals=plate_refusals(table, NAMES), **settings
    )


def same_screen(clean, spoiled, where=None):
    """But for what compares a row with all others of its phenotype: q, hit, borrowed variances."""
    compared = cs.starts_with("moderat", "prior_", "best_", "responder", "curve_") | cs.by_name(
        "q_value", "hit"
    )
    rows = [table.responses.select(~compared) for table in (clean, spoiled)]
    same(*rows, where)


@pytest.mark.parametrize("value", [*NUMBERS, float("nan")])
def test_wells_that_do_not_count_reach_no_table_of_the_screen(value):
    spoiled = fit(poisoned(wells(), ~COUNTS, value))
    for name in ("responses", "doses", "compounds", "windows", "batches"):
        same(getattr(screen(), name), getattr(spoiled, name))


@pytest.mark.parametrize("value", NUMBERS)
def test_a_row_of_a_screen_is_of_its_own_line_pair_and_compound(value):
    other = wells().filter(TREATED & (pl.col("line") != "")).with_columns(compound=pl.lit("y"))
    table = pl.concat([wells(), other])
    apart = ~pl.col("line").is_in(["S1", "S1-iso"]) | (pl.col("compound") == "y")
    planned = planned_of(table.filter(COUNTS))
    clean, spoiled = (
        fit(t, planned=planned)
        # The floor of a difference is over all vehicle wells of the screen.
        for t in (table, poisoned(table, apart & ~VEHICLE & (pl.col("line") != ""), value))
    )
    same_screen(
        clean, spoiled, pl.col("line").is_in(["S1", "S1-iso"]) & (pl.col("compound") == "x")
    )
    assert clean.responses["window"].is_not_null().any()


@pytest.mark.parametrize("value", NUMBERS)
def test_batches_that_one_line_of_a_pair_lacks_make_no_rescue(value):
    """Batch b9 has S1 but not its partner, b8 the partner but not S1."""
    parts = [
        wells()
        .filter((pl.col("line") == line) & (pl.col("batch") == "b1") & COUNTS)
        .with_columns(plate=pl.lit(f"p{n}"), batch=pl.lit(f"b{n}"))
        for line, n in (("S1", 9), ("S1-iso", 8))
    ]
    unpaired = pl.col("batch").is_in(["b8", "b9"])
    table = pl.concat([wells(), *parts])
    spoiled = fit(poisoned(table, unpaired & TREATED, value, NAMES[1:])).responses
    # The loss of cells in the reason is over all batches of the line: more of them say more.
    columns = [n for n in spoiled.columns if n.startswith(("rescue", "window", "interaction"))]
    columns.remove("rescue_reason")
    kept = (pl.col("line") == "S1") & (pl.col("phenotype") == NAMES[1])
    assert screen().responses.filter(kept)["rescue_status"].to_list() == ["ok"]
    same(screen().responses.filter(kept).select(columns), spoiled.filter(kept).select(columns))


@pytest.mark.parametrize("value", NUMBERS)
def test_quality_and_provenance_are_of_the_row_s_own_plates_and_line(value):
    quality = pl.DataFrame(
        [
            {"plate": p, "line": n, "phenotype": name, "z_prime": 0.5, "ssmd": 4.0}
            for p in ("p0", "p1", "p2", "elsewhere")
            for n in LINES
            for name in (*NAMES, "puncta_per_neuron")
        ]
    )
    provenance = pl.DataFrame(
        {
            "plate": ["p0", "p1", "p2"],
            "run_id": ["r0", "r1", "r2"],
            "plate_map_digest": ["m"] * 3,
            "protocol_digest": ["d"] * 3,
            "label_version": [1] * 3,
        }
    )
    stranger = provenance.head(1).with_columns(
        plate=pl.lit("elsewhere"), run_id=pl.lit("stranger"), label_version=pl.lit(99, pl.Int64)
    )
    other = (pl.col("line") != "S1") | (pl.col("plate") == "elsewhere")
    other |= pl.col("phenotype") == "puncta_per_neuron"
    clean, spoiled = (
        fit(wells(), quality=q, provenance=p)
        for q, p in (
            (quality, provenance),
            (
                poisoned(quality, other, value, ["z_prime", "ssmd"]),
                pl.concat([provenance, stranger]),
            ),
        )
    )
    same(clean.responses, spoiled.responses, pl.col("line") == "S1")
    assert set(spoiled.responses["label_version"]) == {1}


def test_results_of_other_inputs_are_not_taken_for_known():
    absurd = {key: {"effect": 1e9} for key in ("0" * 64, *(d[::-1] for d in screen().fits))}
    again = fit(wells(), known=absurd)
    same(screen().responses, again.responses)
    assert again.refitted == len(again.responses)


def across(lines, batches, **facts):
    given = {"donors": FACTS.donors, "genes": FACTS.genes, "healthy": FACTS.healthy} | facts
    return across_lines_table(lines, batches, {"x": DOSES[-1]}, **given)


@cache
def at_dose():
    batches = batch_effects(plates())
    chosen = (pl.col("dose_molar") == DOSES[-1]) & TREATED
    return line_effects(batches).filter(chosen), batches


ESTIMATES = ["effect", "error", "effect_low", "effect_high", "p_value"]


@pytest.mark.parametrize("value", NUMBERS)
def test_lines_of_one_batch_take_no_part_across_donors(value):
    lines, batches = at_dose()
    more = lines.filter(pl.col("line").str.starts_with("S1")).with_columns(
        ("X" + pl.col("line")).alias("line"), status=pl.lit("one_batch")
    )
    more = poisoned(more, pl.lit(value=True), value, ESTIMATES)
    theirs = batches.with_columns(("X" + pl.col("line")).alias("line"))
    theirs = poisoned(theirs, pl.lit(value=True), value, ["effect"])
    spoiled = across(
        pl.concat([lines, more]), pl.concat([batches, theirs]), genes=FACTS.genes | {"XS1": "SOD1"}
    )
    same(across(lines, batches), spoiled)


@pytest.mark.parametrize("value", NUMBERS)
def test_the_batches_behind_a_mean_over_donors_are_of_its_dose_and_lines(value):
    lines, batches = at_dose()
    unused = VEHICLE | (pl.col("dose_molar") != DOSES[-1])
    same(across(lines, batches), across(lines, poisoned(batches, unused, value, ["effect"])))


@pytest.mark.parametrize("value", NUMBERS)
def test_healthy_lines_do_not_move_the_diseased_nor_these_the_healthy(value):
    lines, batches = at_dose()
    healthy = pl.col("line").is_in(list(FACTS.healthy))
    clean = across(lines, batches)
    for where, group in (
        (healthy, pl.col("group") != HEALTHY),
        (~healthy, pl.col("group") == HEALTHY),
    ):
        spoiled = across(
            poisoned(lines, where, value, ["effect"]), poisoned(batches, where, value, ["effect"])
        )
        same(clean, spoiled, group)


@pytest.mark.parametrize("value", NUMBERS)
def test_batches_in_which_the_isogenic_line_was_not_measured_make_no_interaction(value):
    drug, gap = [0.4, 0.5, 0.45, 0.5], [0.6, 0.7, 0.65, 0.62]
    isogenic = [0.01, 0.02, np.nan, 0.03]
    clean = rescue(drug, gap, isogenic)
    spoiled = rescue([0.4, 0.5, value, 0.5], gap, isogenic)
    assert (clean.interaction, clean.interaction_low, clean.interaction_high) == (
        spoiled.interaction,
        spoiled.interaction_low,
        spoiled.interaction_high,
    )
    assert clean.interaction == pytest.approx(np.mean([0.39, 0.48, 0.47]))


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_rows_without_p_and_of_other_families_are_no_tests(value):
    table = pl.DataFrame({"phenotype": ["a"] * 4, "p_value": [0.01, 0.02, 0.03, 0.5]})
    silent = pl.DataFrame({"phenotype": ["a"] * 9, "p_value": [None, float("nan"), None] * 3})
    other = pl.DataFrame({"phenotype": ["b"] * 9, "p_value": [value] * 9})
    clean = with_q_values(table, ["phenotype"])
    assert clean["q_value"].to_list() == pytest.approx([0.04, 0.04, 0.04, 0.5])
    both = with_q_values(pl.concat([silent, other, table, silent, other]), ["phenotype"])
    same(clean, both, (pl.col("phenotype") == "a") & pl.col("p_value").is_not_nan())
    assert (
        both.filter(pl.col("p_value").is_null() | pl.col("p_value").is_nan())["q_value"]
        .is_null()
        .all()
    )
