from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from phenotypes.plates.normalise import normalised
from phenotypes.plates.quality.vehicle_places import (
    Apart,
    Shift,
    apart,
    dose_p,
    judged_by_place,
    lie_apart,
    with_edge,
)
from phenotypes.plates.responses import respond
from phenotypes.statistics.curves.dose_response import fit
from tests.messages import states
from tests.phenotypes.drawn_edges import DOSES, edge_plate

NAME = "live_density"


def placed(seed, design, **more):
    wells = with_edge(edge_plate(np.random.default_rng(seed), design, **more))
    return wells.with_columns(normalised(wells, NAME).alias("response"))


def rows_of(plates, design, **more):
    tables = [
        respond(
            edge_plate(np.random.default_rng(seed), design, **more), [NAME], pixel_size_um=0.65
        ).table
        for seed in range(plates)
    ]
    return pl.concat(tables)


def share(rows, outcome):
    return float(rows.select(outcome.cast(pl.Float64).mean()).item())


NAMED = pl.col("reason").str.contains("vehicle wells of line S1 lie (at|in)")
PUBLISHED = ~pl.col("status").is_in(["flat", "confounded_with_position"])


@pytest.mark.parametrize("design", ["column", "row"])
def test_inert_compounds_beside_an_edge_of_vehicle_are_no_clean_curves(design):
    """97 % of them were: an effect of +18 % at every dose."""
    rows = rows_of(3, design, lost=0.15, wells=384, replicates=3, compounds=4)
    assert share(rows, PUBLISHED & ~NAMED) == 0.0
    assert share(rows, pl.col("status") == "confounded_with_position") >= 0.75
    withheld = rows.filter(pl.col("status") == "confounded_with_position")
    for name in ("ec50_molar", "effect", "effect_low", "emax", "e0", "p_value", "q_value"):
        assert withheld[name].null_count() == len(withheld), name
    assert all(states("place.at_the_edge", why, line="S1") for why in withheld["reason"])


def test_one_compound_alone_is_withheld_since_nothing_tells_it_from_the_edge():
    rows = rows_of(8, "column", lost=0.15, compounds=1, replicates=3)
    assert share(rows, PUBLISHED) <= 1 / 8
    assert share(rows, pl.col("status") == "confounded_with_position") > 0.6
    assert any(states("place.few_compounds", why) for why in rows["reason"])


@pytest.mark.parametrize("design", ["column", "row", "inside", "mixed", "random"])
def test_a_plate_without_any_edge_effect_is_left_alone(design):
    active = {"c0": (-0.6, 1e-6), "c1": (-0.6, 1e-10)}
    rows = rows_of(3, design, active=active)
    inert = rows.filter(~pl.col("compound").is_in(["c0", "c1"]))
    assert share(inert, NAMED) <= 1 / 12
    potent = rows.filter(pl.col("compound") == "c1")
    assert share(potent, pl.col("status") == "below_tested_range") == 1.0
    tested = rows.filter(pl.col("compound") == "c0")
    assert share(tested, pl.col("status") == "confounded_with_position") == 0.0
    assert share(tested, NAMED) <= 1 / 3


def test_an_active_compound_beside_an_edge_of_vehicle_keeps_its_curve_with_the_place_named():
    rows = rows_of(2, "column", lost=0.15, wells=384, replicates=3, active={"c0": (-0.6, 1e-6)})
    tested = rows.filter(pl.col("compound") == "c0")
    assert share(tested, PUBLISHED & NAMED) == 1.0
    assert tested["reason"].str.contains("which makes \\+1").any()


def test_a_shift_that_is_not_there_is_seen_in_a_twentieth_of_plates():
    """Both sides: an interval that never leaves 0 out would be as wrong."""
    for design, more in (
        ("column", {}),
        ("inside", {}),
        ("mixed", {}),
        (
            "column",
            {"active": {f"c{i}": (-0.6, 1e-6) for i in (1, 2, 3)}, "replicates": 3, "wells": 384},
        ),
    ):
        found = [apart(placed(seed, design, **more), "S1", "c0") for seed in range(120)]
        shown = np.mean(
            [lie is not None and lie.shift is not None and lie.shift.shown for lie in found]
        )
        assert 0.008 <= shown <= 0.1, (design, shown)


def test_a_shift_that_is_there_is_estimated():
    # 1 / 0.85 − 1 = 17.6 % of vehicle.
    found = [apart(placed(s, "column", lost=0.15), "S1", "c0") for s in range(60)]
    values = np.array([lie.shift.value for lie in found])
    covered = np.mean([lie.shift.low < 17.65 < lie.shift.high for lie in found])
    assert values.mean() == pytest.approx(17.65, abs=2.0)
    assert 0.90 <= covered <= 0.99
    assert all(lie.by_edge for lie in found)


def test_where_vehicle_lies_inside_and_outside_it_tells_the_edge_itself():
    found = [apart(placed(s, "mixed", lost=0.2), "S1", "c0") for s in range(60)]
    # Half of vehicle reads 20 % less: treated wells read 1 / 0.9 of it.
    assert np.mean([lie.shift.value for lie in found]) == pytest.approx(11.1, abs=1.5)
    assert np.mean([lie.shift.shown for lie in found]) > 0.9
    assert states("place.share", found[0].words, share="50%")


def test_a_column_of_vehicle_inside_is_named_as_such():
    lie = apart(placed(0, "inside"), "S1", "c0")
    assert not lie.by_edge
    assert states("place.in_a_column", lie.words, line="S1", column=2)
    assert apart(placed(0, "random"), "S1", "c0") is None
    assert apart(placed(0, "random"), "S2", "c0") is None


def test_names_that_are_no_wells_lie_nowhere():
    wells = edge_plate(np.random.default_rng(0), "column")
    named = wells.with_columns(pl.Series("well", [f"W{i}x" for i in range(len(wells))]))
    assert with_edge(named)["at_edge"].null_count() == len(wells)
    values = with_edge(named).with_columns(response=pl.lit(100.0))
    assert apart(values, "S1", "c0") is None


@pytest.mark.parametrize(
    ("shape", "edge"), [(None, [True, True, True, False]), ((16, 24), [True, True, False, False])]
)
def test_the_edge_is_that_of_the_plate(shape, edge):
    wells = pl.DataFrame({"well": ["A01", "B01", "H12", "G11"]})
    assert with_edge(wells, shape)["at_edge"].to_list() == edge
    larger = pl.DataFrame({"well": ["A01", "B24", "H12", "P03", "I05"]})
    assert with_edge(larger)["at_edge"].to_list() == [True, True, False, True, False]


def test_a_dose_that_does_nothing_has_its_level():
    rng = np.random.default_rng(0)
    dose = np.repeat(DOSES, 2)
    p = [dose_p(dose, rng.normal(100, 10, len(dose))) for _ in range(300)]
    assert 0.02 <= np.mean(np.array(p) < 0.05) <= 0.08
    rising = dose_p(dose, 100 + 10 * np.log10(dose / 1e-8) + rng.normal(0, 3, len(dose)))
    assert rising < 1e-4
    bell = np.where(np.abs(np.log10(dose) + 6.5) < 0.6, 150.0, 100.0)
    assert dose_p(dose, bell + rng.normal(0, 3, len(dose))) < 1e-4
    assert dose_p(dose, np.full(len(dose), 7.0)) == 1.0
    assert dose_p(np.array([1e-6, 1e-6]), np.array([1.0, 2.0])) == 1.0


def used_wells(treated):
    dose = [0.0] * 8 + list(np.repeat(DOSES, 2))
    response = [100.0 + d for d in (-2, -1, -1, 0, 0, 1, 1, 2)] + list(treated)
    control = ["vehicle"] * 8 + ["none"] * 16
    return pl.DataFrame({"dose_molar": dose, "response": response, "control": control})


NOISE = np.tile([-1.0, 1.0, 0.5, -0.5], 4)


@pytest.mark.parametrize(
    ("level", "shift", "status"),
    [
        # No larger than what the place makes, and larger.
        (118.0, Shift(18, 14, 22), "confounded_with_position"),
        (118.0, Shift(10, 6, 14), "below_tested_range"),
        (118.0, Shift(0, -4, 4), "below_tested_range"),
        (118.0, None, "confounded_with_position"),
    ],
)
def test_an_effect_is_withheld_if_the_place_could_make_it(level, shift, status):
    used = used_wells(level + NOISE)
    result = fit(used["dose_molar"].to_list(), used["response"].to_list())
    assert result.status == "below_tested_range"
    judged = judged_by_place(result, used, Apart("apart", True, shift), "%")
    assert judged.status == status
    assert ("apart" in judged.reason) == (shift is None or shift.shown)
    assert judged_by_place(result, used, None, "%") is result


def test_inside_the_plate_nothing_is_withheld_without_evidence():
    used = used_wells(118.0 + NOISE)
    result = fit(used["dose_molar"].to_list(), used["response"].to_list())
    assert judged_by_place(result, used, Apart("w", False, None), "%") is result


def test_flat_rows_and_refusals_stay():
    used = used_wells(100.0 + NOISE)
    flat = fit(used["dose_molar"].to_list(), used["response"].to_list())
    lie = Apart("w", True, Shift(18, 14, 22))
    assert flat.status == "flat"
    assert judged_by_place(flat, used, lie, "%") is flat
    few = fit([0.0, 1e-6], [1.0, 2.0])
    assert judged_by_place(few, used, lie, "%") is few


@pytest.mark.parametrize(
    ("design", "kind"),
    [("column", "edge"), ("row", "edge"), ("inside", "column"), ("mixed", "edge"), ("random", "")],
)
def test_how_a_compounds_wells_lie_beside_the_vehicle(design, kind):
    wells = edge_plate(np.random.default_rng(0), design).with_columns(
        plate=pl.lit("p"), batch=pl.lit(None, pl.String)
    )
    lie = lie_apart(wells)
    assert lie.columns == ["plate", "batch", "line", "compound", "apart"]
    assert sorted(lie["compound"]) == [f"c{i}" for i in range(6)]
    assert set(lie["apart"]) == {kind}
    # On a larger plate the last column lies inside.
    if design == "column":
        assert set(lie_apart(wells, (16, 24))["apart"]) == {"column"}


def test_a_plate_without_places_or_vehicle_has_no_row():
    wells = edge_plate(np.random.default_rng(0), "column").with_columns(
        plate=pl.lit("p"), batch=pl.lit("b")
    )
    assert lie_apart(wells.drop("well")).is_empty()
    assert lie_apart(wells.filter(pl.col("control") == "none")).is_empty()
    assert lie_apart(wells.with_columns(well=pl.lit("none"))).is_empty()
