"""The whole plate: what one stage says reaches the next."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from phenotypes.columns.dictionary import conform
from phenotypes.plates.judge import judge
from phenotypes.plates.responses import respond
from tests.messages import states

WELLS = {f"{r}{c:02d}": "vehicle" if c <= 4 else "none" for r in "BC" for c in range(2, 8)}
CONDITIONS = pl.DataFrame(
    [
        {
            "well": w,
            "line": "HC" if w[0] == "B" else "TDP",
            "genotype": "healthy" if w[0] == "B" else "TARDBP",
            "compound": "DMSO" if c == "vehicle" else "x",
            "dose_molar": 0.0 if c == "vehicle" else 1e-6,
            "control": c,
            "batch": "b1",
        }
        for w, c in WELLS.items()
    ]
)
DONE = dict.fromkeys(WELLS, ("done", ""))


def measured(n=60):
    rng = np.random.default_rng(0)
    rows = [
        {
            "well": w,
            "field": 1,
            "frame": 1,
            "label": i + 1,
            "touches_border": False,
            "is_neuron": True,
            "soma_area_um2": 200.0,
            "nucleus_area_um2": 100.0,
            "nucleus_mean_dna": 1000.0,
            "nc_log2_aggregate": rng.normal(1.0 if w[0] == "B" else 0.2, 0.2),
            "nucleus_mean_identity": float(rng.lognormal(7 if i % 2 else 4, 0.3)),
        }
        for w in WELLS
        for i in range(n)
    ]
    fields = [
        {
            "well": w,
            "field": 1,
            "frame": 1,
            "area_mm2": 0.5,
            "focus_dna": -2.0,
            "nuclei_count": n,
            "neurite_length_um": 5000.0,
        }
        for w in WELLS
    ]
    return conform(pl.DataFrame(rows), "cell"), conform(pl.DataFrame(fields), "field")


def test_a_plate_without_a_vehicle_is_counted_and_says_what_is_unknown():
    cells, fields = measured()
    none = CONDITIONS.with_columns(control=pl.lit("none"))
    judged = judge(cells, fields, none, DONE, (8, 12))
    assert judged.wells["status"].to_list() == ["done"] * 12
    assert judged.wells["nuclei_count"].null_count() == 0
    assert judged.wells["live_count"].null_count() == judged.wells["survival_fixed"].null_count()
    assert judged.wells["live_count"].null_count() == 12
    notes = judged.checks.filter(pl.col("check") == "pyknosis")
    assert notes["subject"].to_list() == sorted(set(CONDITIONS["line"]))
    assert set(notes["status"]) == {"not_assessable"}
    responses = respond(judged.wells, ["live_density"], pixel_size_um=0.65).table
    assert set(responses["status"]) == {"no_vehicle"}
    assert (
        judge(cells, fields, CONDITIONS, DONE, (8, 12))
        .checks.filter(pl.col("check") == "pyknosis")
        .is_empty()
    )


def test_vehicle_wells_out_of_focus_make_no_other_nucleus_pyknotic():
    cells, fields = measured()
    spoilt = pl.col("well").is_in(["B02", "B03", "C02", "C03"])

    def blurred(name, value):
        return pl.when(spoilt).then(value).otherwise(pl.col(name)).alias(name)

    # Out of focus nuclei are large and dim, and most vehicle wells hold nothing else.
    cells = cells.with_columns(blurred("nucleus_area_um2", 400.0), blurred("nucleus_mean_dna", 300))
    fields = fields.with_columns(blurred("focus_dna", -4.5))
    judged = judge(cells, fields, CONDITIONS, DONE, (8, 12))
    left_out = judged.wells.filter(pl.col("status") == "excluded")
    assert left_out["well"].to_list() == ["B02", "B03", "C02", "C03"]
    assert judged.cells["is_pyknotic"].sum() == 0
    treated = judged.wells.filter(pl.col("control") == "none")
    assert treated["live_count"].to_list() == [30] * len(treated)


def test_calls_reach_the_wells():
    cells, fields = measured()
    found = judge(cells, fields, CONDITIONS, DONE, (8, 12))
    wells = found.wells
    assert set(wells["population"]) == {"motor neurons"}
    assert wells["purity"].to_list() == pytest.approx([0.5] * 12)
    by_line = (
        wells.group_by("line")
        .agg(pl.col("mislocalised_fraction").mean())
        .sort("line")["mislocalised_fraction"]
        .to_list()
    )
    assert by_line[0] < 0.15
    assert by_line[1] > 0.9
    said = {r["check"]: r for r in found.checks.iter_rows(named=True)}
    assert said["identity"]["status"] == said["mislocalisation"]["status"] == "ok"
    assert said["identity"]["value"] > 0
    assert found.tracks.is_empty()
    assert found.hazards.is_empty()


def test_a_blurred_well_is_excluded_with_its_reason_and_the_plate_goes_on():
    cells, fields = measured()
    blurred = fields.with_columns(
        pl.when(pl.col("well") == "B07")
        .then(-6.0)
        .otherwise(pl.col("focus_dna"))
        .alias("focus_dna")
    )
    wells = judge(cells, blurred, CONDITIONS, DONE, (8, 12)).wells
    bad = wells.filter(pl.col("well") == "B07").to_dicts()[0]
    assert bad["status"] == "excluded"
    assert states("checks.fields_in_focus", bad["reason"], sharp=0, of=1)
    assert bad["n_valid_fields"] == 0
    assert bad["live_count"] is None
    assert (wells["status"] == "done").sum() == 11


def test_refused_identity_is_said_and_counts_are_the_neurons():
    cells, fields = measured()
    unclear = cells.with_columns(
        nucleus_mean_identity=pl.Series(np.random.default_rng(1).lognormal(5, 0.4, len(cells)))
    )
    found = judge(unclear, fields, CONDITIONS, DONE, (8, 12))
    assert set(found.wells["population"]) == {"neurons"}
    assert found.wells["purity"].null_count() == 12
    row = found.checks.filter(pl.col("check") == "identity").to_dicts()[0]
    assert row["status"] == "not_assessable"
    assert "identity_not_separable" in row["reason"]


def test_a_plate_without_any_measured_well_is_a_table_of_reasons():
    cells, fields = (t.clear() for t in measured())
    outcomes = dict.fromkeys(WELLS, ("failed", "broken"))
    found = judge(cells, fields, CONDITIONS, outcomes, (8, 12))
    assert set(found.wells["status"]) == {"failed"}
    assert found.wells["live_count"].null_count() == 12


def test_fields_that_are_lost_are_a_warning_with_the_reason_on_the_well_s_row():
    cells, fields = measured()
    first, why = next(iter(WELLS)), "1 of 2 fields: field 2 is lost (AF Error)"
    outcomes = {well: ("done", why if well == first else "") for well in WELLS}
    found = judge(cells, fields, CONDITIONS, outcomes, (8, 12))
    row = found.wells.filter(pl.col("well") == first).to_dicts()[0]
    assert (row["status"], row["reason"]) == ("done", why)
    (check,) = found.checks.filter(pl.col("check") == "scan").to_dicts()
    assert (check["status"], check["n_wells"]) == ("warning", 1)
    assert states("judge.partly_scanned", check["reason"], well=first, why=why)
    whole = judge(cells, fields, CONDITIONS, dict.fromkeys(WELLS, ("done", "")), (8, 12))
    assert whole.checks.filter(pl.col("check") == "scan").is_empty()
