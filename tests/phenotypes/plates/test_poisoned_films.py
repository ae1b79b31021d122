"""What a reviewer rejected, and wells that are not done, reach no survival and no call of a plate."""

from __future__ import annotations

from functools import cache

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from phenotypes.films.deaths import DeathSettings
from phenotypes.plates.judge import judge
from tests.messages import states
from tests.phenotypes.drawn_films import CONDITIONS, film

DONE = dict.fromkeys(CONDITIONS["well"], ("done", ""))
ABSURD = ["soma_mean_death", "nucleus_area_um2", "nucleus_mean_dna", "nc_log2_aggregate"]


@cache
def drawn(n=20):
    return film(n)


def judged(cells, fields, outcomes=DONE, deaths=None, **rejected):
    return judge(cells, fields, CONDITIONS, outcomes, (8, 12), deaths=deaths, **rejected)


def poisoned(table, where, value, names=ABSURD):
    return table.with_columns(
        pl.when(where).then(pl.lit(value, pl.Float64)).otherwise(pl.col(n)).alias(n) for n in names
    )


def same(clean, spoiled):
    assert len(clean)
    assert_frame_equal(clean, spoiled, check_exact=True)


# Most of the healthy line's vehicle cells, so that a median of all would be theirs.
FIELDS = {(f"B{n:02d}", 1): "lint" for n in range(1, 6)} | {
    ("B02", 2): "lint",
    ("C03", 2): "debris",
}
WELLS = {"B01": "failed", "B02": "excluded", "B03": "skipped", "C03": "excluded"}
LEFT_OUT = {
    "rejected fields": (
        {"rejected_fields": FIELDS},
        pl.struct("well", "field").is_in([{"well": w, "field": f} for w, f in FIELDS]),
    ),
    "wells that are not done": (
        {"outcomes": DONE | {w: (status, "why") for w, status in WELLS.items()}},
        pl.col("well").is_in(list(WELLS)),
    ),
}


@pytest.mark.parametrize("value", [1e9, -1e9])
@pytest.mark.parametrize("deaths", [None, DeathSettings("gedi")], ids=["plate", "film"])
@pytest.mark.parametrize("what", LEFT_OUT)
def test_what_is_left_out_moves_no_call_no_survival_and_no_well(what, deaths, value):
    settings, where = LEFT_OUT[what]
    cells, fields = drawn(30)
    if deaths is None:
        cells, fields = (t.filter(pl.col("frame") == 1) for t in (cells, fields))
    clean = judged(cells, fields, deaths=deaths, **settings)
    spoiled = judged(
        poisoned(cells, where, value),
        poisoned(fields, where, value, ["focus_dna", "background_aggregate"]),
        deaths=deaths,
        **settings,
    )
    calls = ["well", "field", "label", "is_pyknotic", "is_mislocalised"]
    same(clean.cells.filter(~where).select(calls), spoiled.cells.filter(~where).select(calls))
    assert not clean.cells.filter(~where)["is_mislocalised"].has_nulls()
    assert clean.cells.filter(~where & (pl.col("well") == "B10"))["is_pyknotic"].any()
    # The row of a well that is left out still shows what was measured in it.
    kept = pl.col("status") == "done"
    same(clean.wells.filter(kept), spoiled.wells.filter(kept))
    same(clean.wells.select("well", "status"), spoiled.wells.select("well", "status"))
    same(clean.checks, spoiled.checks)
    if deaths is not None:
        same(clean.hazards, spoiled.hazards)
        same(clean.tracks.filter(~where), spoiled.tracks.filter(~where))


def test_tracks_of_a_rejected_field_or_well_are_not_included_and_say_why():
    cells, fields = drawn()
    answer = judged(
        cells,
        fields,
        DONE | {"B03": ("excluded", "contaminated")},
        DeathSettings("gedi"),
        rejected_fields={("B02", 1): "lint"},
        rejected_tracks={("B04", 1, 5): "two cells"},
    )
    why = {
        (well, field): part.group_by("excluded_reason", maintain_order=True).len().rows()
        for (well, field), part in answer.tracks.group_by("well", "field", maintain_order=True)
    }
    early = ("dead in the first usable frame", 1)
    assert why["B02", 1] == [("lint", 20)]
    assert why["B02", 2] == [early, ("", 19)]
    assert why["B03", 1] == why["B03", 2] == [("contaminated", 20)]
    assert why["B04", 1] == [early, ("", 18), ("two cells", 1)]
    assert (answer.tracks["included"] == (answer.tracks["excluded_reason"] == "")).all()
    wells = {w["well"]: w for w in answer.wells.to_dicts()}
    assert wells["B02"]["n_tracked"] == 19
    assert (wells["B03"]["n_tracked"], wells["B03"]["rmst_h"]) == (None, None)
    row = answer.hazards.filter(line="HC", compound="x").to_dicts()[0]
    assert row["n_tracks_vehicle"] == 3 * 38 - 1 + 19


def test_a_vehicle_well_unlike_the_others_is_not_what_a_hazard_is_compared_with():
    """As it is no vehicle well of the responses; its own survival stays on its row."""
    cells, fields = drawn()
    gone = (pl.col("well") == "B02") & (pl.col("label") > 4)
    answer = judged(cells.filter(~gone), fields, deaths=DeathSettings("gedi"))
    well = answer.wells.filter(well="B02").to_dicts()[0]
    assert well["status"] == "excluded"
    assert well["n_tracked"] == 6
    tracks = answer.tracks.filter(well="B02")
    assert not tracks["included"].any()
    assert set(tracks["excluded_reason"]) == {well["reason"]}
    row = answer.hazards.filter(line="HC", compound="x").to_dicts()[0]
    assert row["n_tracks_vehicle"] == 4 * 38


def test_a_well_that_is_seen_late_has_no_survival_and_a_check_names_it():
    """Its neurons that died in the first day were never seen; its hazard ratio uses the hours in
    which it was.
    """
    cells, fields = drawn()
    blind = (pl.col("well") == "B07") & (pl.col("frame") <= 2)
    late = judged(
        cells.with_columns(pl.when(~blind).then(pl.col("track")).alias("track")),
        fields.with_columns(usable=pl.col("usable") & ~blind),
        deaths=DeathSettings("gedi"),
    )
    clean = judged(cells, fields, deaths=DeathSettings("gedi"))
    assert clean.checks.filter(check="survival").is_empty()
    check = late.checks.filter(check="survival").to_dicts()[0]
    assert (check["status"], check["n_wells"]) == ("warning", 1)
    assert states("survival.not_followed", check["reason"], wells="B07")
    well = late.wells.filter(well="B07").to_dicts()[0]
    assert (well["rmst_h"], well["survival_end"], well["status"]) == (None, None, "done")
    assert well["n_tracked"] >= 20
    others = pl.col("well") != "B07"
    same(clean.wells.filter(others), late.wells.filter(others))
    assert late.tracks.filter(well="B07", included=True)["entry_h"].unique().to_list() == [24.0]
    row = late.hazards.filter(line="HC", compound="x").to_dicts()[0]
    assert row["n_wells_treated"] == 3
    assert row["hazard_ratio"] == pytest.approx(
        clean.hazards.filter(line="HC", compound="x")["hazard_ratio"][0], rel=0.25
    )


def test_a_check_names_compounds_whose_wells_lose_more_neurons():
    """Their rmst_h is that of the neurons that stayed; half of the treated leave after 12 h."""
    cells, fields = drawn()
    treated = pl.col("well").is_in(["B06", "B07", "B08"])
    gone = treated & (pl.col("label") % 2 == 0) & (pl.col("frame") > 2)
    clean = judged(cells, fields, deaths=DeathSettings("gedi"))
    answer = judged(cells.filter(~gone), fields, deaths=DeathSettings("gedi"))
    named = answer.checks.filter(check="survival").to_dicts()
    assert clean.checks.filter(check="survival").is_empty()
    assert [n["subject"] for n in named] == ["HC, x at 1 µM"]
    assert named[0]["status"] == "warning"
    assert states("survival.of_those_that_stayed", named[0]["reason"])
    row = answer.hazards.filter(line="HC", compound="x").to_dicts()[0]
    assert named[0]["value"] == pytest.approx(
        row["lost_fraction_treated"] - row["lost_fraction_vehicle"]
    )
    assert named[0]["value"] > 0.2
    assert row["q_value"] is None
