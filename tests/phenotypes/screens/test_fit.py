from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import stats

from phenotypes.columns.dictionary import columns
from phenotypes.screens import rows
from phenotypes.screens.conditions import plate_effects, plate_refusals
from phenotypes.screens.fit import LineFacts, ScreenSettings, fit_screen
from tests.messages import states
from tests.phenotypes.drawn_screens import DOSES, ladder_wells, planned_of

NAMES = ["live_density", "nc_log2_aggregate"]
LINES = ["S1", "S1-iso", "S2", "S2-iso", "S3", "S3-iso"]
FACTS = LineFacts(
    donors={n: n[:2] for n in LINES},
    genes={n: "SOD1" for n in LINES if "iso" not in n},
    isogenic={n: f"{n}-iso" for n in ("S1", "S2", "S3")},
    healthy=frozenset(n for n in LINES if "iso" in n),
)


def wells(**more):
    settings = {"gap": 0.6, "isogenic": LINES[1::2], "span": {"nc_log2_aggregate": 0.4}} | more
    return ladder_wells(
        np.random.default_rng(settings.pop("seed", 0)), settings.pop("lines", LINES), **settings
    )


def fitted(table, **more):
    return fit_screen(
        plate_effects(table, NAMES), planned_of(table), facts=more.pop("facts", FACTS), **more
    )


@pytest.fixture(scope="module")
def rescued():
    return fitted(wells())


def row(screen, line, name):
    return screen.responses.filter(
        (pl.col("line") == line) & (pl.col("phenotype") == name)
    ).to_dicts()[0]


def test_one_row_a_line_compound_and_phenotype(rescued):
    assert rescued.responses.columns == list(columns("screen"))
    assert len(rescued.responses) == 12
    assert len(rescued.doses) == 6 * 8 * 2
    assert set(rescued.responses["effect_dose_molar"]) == {DOSES[-1]}
    assert row(rescued, "S1", "live_density")["n_batches"] == 3
    assert row(rescued, "S1", "live_density")["n_plates"] == 3


def test_a_rescue_is_found_where_it_is_and_only_there(rescued):
    """The drug lifts the diseased lines by 0.4 of a gap of 0.6, and does nothing to the corrected
    ones.
    """
    found = row(rescued, "S1", "nc_log2_aggregate")
    assert found["hit"] is True
    assert (found["window_status"], found["rescue_status"], found["responder"]) == (
        "expressed",
        "ok",
        "responder",
    )
    assert found["rescue_low"] < 0.65 < found["rescue_high"]
    assert found["interaction_low"] > 0
    assert found["ec50_molar_low"] < 1e-6 < found["ec50_molar_high"]
    assert found["direction"] == "ascending"
    healthy = row(rescued, "S1-iso", "nc_log2_aggregate")
    assert (healthy["hit"], healthy["rescue_status"], healthy["curve_status"]) == (
        False,
        "no_pair",
        "flat",
    )
    dead = row(rescued, "S1", "live_density")
    assert (dead["window_status"], dead["rescue"], dead["responder"]) == (
        "not_expressed",
        None,
        "phenotype_absent",
    )


def test_donors_are_combined(rescued):
    found = rescued.compounds.filter(
        (pl.col("phenotype") == "nc_log2_aggregate") & (pl.col("group") == "disease lines")
    ).to_dicts()[0]
    assert (found["status"], found["n_donors"]) == ("ok", 3)
    assert found["effect_low"] < 0.39 < found["effect_high"]


def test_a_loss_of_cells_is_flagged_beside_a_rescue():
    """Doses that lose over a fifth of live cells are not asked, unless the screen names one."""
    table = wells(span={"nc_log2_aggregate": 0.4, "live_density": -0.6})
    found = row(fitted(table), "S1", "nc_log2_aggregate")
    assert found["rescue_status"] == "ok"
    assert found["rescue_dose_molar"] < 1e-6
    assert states("rescue.doses_left_out", found["rescue_reason"], count=4)
    named = ScreenSettings(effect_dose={"x": DOSES[-1]})
    found = row(fitted(table, settings=named), "S1", "nc_log2_aggregate")
    assert (found["rescue_status"], found["rescue_dose_molar"]) == ("ok", DOSES[-1])
    assert states("rescue.live_cells_lost", found["rescue_reason"], share="57%")
    toxic = row(fitted(wells(span={"live_density": -0.6})), "S1", "live_density")
    assert toxic["hit"] is True
    assert toxic["direction"] == "descending"
    assert toxic["ec50_absolute_molar"] > 1e-6  # it ends at 40 %, and passes 50 % late


def test_one_batch_is_no_hit():
    found = row(fitted(wells(batches=1)), "S1", "nc_log2_aggregate")
    assert (found["status"], found["hit"], found["p_value"]) == ("one_batch", None, None)
    assert found["rescue_status"] == "too_few_batches"
    assert found["curve_status"] in {"ok", "not_determined"}


def test_an_effect_under_the_floor_is_no_hit_whatever_its_q():
    small = wells(span={"live_density": 0.12}, noise=0.01)
    found = row(fitted(small), "S1", "live_density")
    assert found["q_value"] < 0.05
    assert found["effect"] < found["effect_floor"]
    assert found["hit"] is False
    assert (
        row(
            fitted(small, settings=ScreenSettings(effect_floor={"live_density": 0.05})),
            "S1",
            "live_density",
        )["hit"]
        is True
    )


def test_lines_are_compared_at_a_dose_that_all_were_meant_to_get():
    table = wells()
    short = table.filter(~((pl.col("line") == "S2") & (pl.col("dose_molar") == DOSES[-1])))
    assert set(fitted(short).responses["effect_dose_molar"]) == {DOSES[-2]}
    # A top dose that failed on one line was still meant: the others keep it, and that line says so.
    failed = table.with_columns(
        pl.when((pl.col("line") == "S2") & (pl.col("dose_molar") == DOSES[-1]))
        .then(pl.lit("failed"))
        .otherwise(pl.col("status"))
        .alias("status")
    )
    screen = fitted(failed)
    assert set(screen.responses["effect_dose_molar"]) == {DOSES[-1]}
    assert row(screen, "S2", "live_density")["status"] == "not_measured"
    assert states("screen.not_at_the_dose", row(screen, "S2", "live_density")["reason"])
    chosen = fitted(table, settings=ScreenSettings(effect_dose={"x": DOSES[3]}))
    assert set(chosen.responses["effect_dose_molar"]) == {DOSES[3]}


def test_a_line_without_values_is_a_row_with_a_reason():
    table = wells().with_columns(
        pl.when(pl.col("line") == "S3")
        .then(None)
        .otherwise(pl.col("nc_log2_aggregate"))
        .alias("nc_log2_aggregate")
    )
    found = row(fitted(table), "S3", "nc_log2_aggregate")
    assert (found["status"], found["curve_status"], found["effect"]) == (
        "not_measured",
        "no_value",
        None,
    )
    assert states("screen.no_value", found["reason"], line="S3", compound="x")


def test_adding_a_plate_fits_again_what_it_touches_and_nothing_else(monkeypatch):
    table = wells()
    first = fitted(table)
    assert first.refitted == 12
    more = wells(lines=["S1", "S1-iso"], batches=1, seed=9).with_columns(
        plate=pl.lit("p9"), batch=pl.lit("b9")
    )
    calls = []
    true = rows.fit_batches
    monkeypatch.setattr(rows, "fit_batches", lambda *a, **k: calls.append(1) or true(*a, **k))
    second = fitted(pl.concat([table, more]), known=first.fits)
    assert second.refitted == len(calls) == 4  # two lines × two phenotypes
    afresh = fitted(pl.concat([more, table]))  # in another order, and from nothing
    assert afresh.responses.sort("line", "phenotype").equals(
        second.responses.sort("line", "phenotype")
    )
    assert fitted(table, known=first.fits).refitted == 0


def test_provenance_and_quality_stand_on_the_row():
    table = wells()
    quality = pl.DataFrame(
        {
            "plate": ["p0", "p1", "p2"],
            "line": ["S1"] * 3,
            "phenotype": ["live_density"] * 3,
            "z_prime": [0.5, 0.6, 0.7],
            "ssmd": [5.0, 6, 7],
        }
    )
    origin = pl.DataFrame(
        {
            "plate": ["p0", "p1", "p2"],
            "run_id": ["r0", "r1", "r2"],
            "plate_map_digest": ["m"] * 3,
            "protocol_digest": ["a", "a", "b"],
            "label_version": [1] * 3,
        }
    )
    found = row(
        fitted(table, quality=quality, provenance=origin, software_version="9"),
        "S1",
        "live_density",
    )
    assert (found["z_prime"], found["ssmd"]) == (0.6, 6.0)
    assert (found["run_ids"], found["protocol_digests"], found["software_version"]) == (
        "r0 r1 r2",
        "a b",
        "9",
    )


def test_counts_are_those_of_the_dose_that_is_read():
    table = wells(batches=4)
    lost = (
        (pl.col("dose_molar") == DOSES[-1])
        & pl.col("batch").is_in(["b2", "b3"])
        & (pl.col("line") == "S1")
    )
    found = row(
        fitted(
            table.with_columns(
                pl.when(lost).then(pl.lit("failed")).otherwise("status").alias("status")
            )
        ),
        "S1",
        "nc_log2_aggregate",
    )
    assert (found["n_batches"], found["n_wells"], found["n_plates"]) == (2, 6, 2)
    assert (found["n_curve_batches"], found["n_curve_wells"]) == (4, 90)


def test_plates_without_vehicle_are_named_on_the_row():
    table = wells()
    gone = table.filter(
        ~((pl.col("plate") == "p2") & (pl.col("line") == "S1") & (pl.col("control") == "vehicle"))
    )
    found = row(fitted(gone, refusals=plate_refusals(gone, NAMES)), "S1", "live_density")
    assert found["n_batches"] == 2
    assert states("screen.plates_left_out", found["reason"], count=1, plates="p2")
    never = table.filter(~((pl.col("line") == "S1") & (pl.col("control") == "vehicle")))
    found = row(fitted(never, refusals=plate_refusals(never, NAMES)), "S1", "live_density")
    assert (found["status"], found["n_batches"]) == ("no_vehicle", 0)


def test_phenotypes_without_any_value_are_rows_too():
    screen = fitted(wells(), phenotypes=[*NAMES, "puncta_per_neuron"])
    assert row(screen, "S1", "puncta_per_neuron")["status"] == "not_measured"


def test_mixed_vehicles_are_said():
    table = wells().with_row_index()
    mixed = table.with_columns(
        pl.when((pl.col("control") == "vehicle") & (pl.col("index") % 2 == 0))
        .then(pl.lit("water"))
        .otherwise("compound")
        .alias("compound")
    )
    reason = row(fitted(mixed.drop("index")), "S1", "live_density")["reason"]
    assert states("screen.mixed_vehicles", reason, vehicles="DMSO, water")


def test_a_trophic_drug_is_told_from_a_rescue_also_where_the_isogenic_line_is_missing_in_a_batch():
    table = wells(span={"nc_log2_aggregate": 0.0})
    lift = (
        pl.when(pl.col("control") == "none")
        .then(0.4 * pl.col("dose_molar") / (pl.col("dose_molar") + 1e-6))
        .otherwise(0.0)
    )
    trophic = table.with_columns(pl.col("nc_log2_aggregate") + lift)
    found = row(fitted(trophic), "S1", "nc_log2_aggregate")
    assert states("rescue.trophic", found["rescue_reason"])
    part = trophic.filter(
        ~((pl.col("line") == "S1-iso") & (pl.col("batch") == "b0") & (pl.col("control") == "none"))
    )
    found = row(fitted(part), "S1", "nc_log2_aggregate")
    assert found["interaction"] is not None
    assert states("rescue.interaction_over", found["rescue_reason"], batches=2, of=3)
    idle = row(fitted(table), "S1", "nc_log2_aggregate")
    assert "trophic" not in idle["rescue_reason"]


def test_curves_carry_p_and_q_over_the_rows_of_their_phenotype():
    screen = fitted(wells(span={"live_density": -0.6}))
    table = screen.responses
    for (_,), part in table.group_by("phenotype"):
        known = part.drop_nulls("curve_p_value")
        assert len(known) == len(part) >= 2
        expected = stats.false_discovery_control(known["curve_p_value"].to_numpy())
        assert known["curve_q_value"].to_list() == pytest.approx(expected.tolist())
    active = table.filter(pl.col("phenotype") == "live_density")
    assert active["curve_q_value"].to_numpy().max() < 0.01
