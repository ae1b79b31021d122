from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from phenotypes.columns.dictionary import columns, conform
from phenotypes.plates.responses import lines_to_fit, respond
from phenotypes.plates.wells import WellSettings
from phenotypes.statistics.curves.hill import occupancy
from tests.messages import states

DOSES = [1e-8, 1e-7, 3e-7, 1e-6, 3e-6, 1e-5]


def plate(lines, seed=0):
    """A well table: per line 6 vehicle, 4 positive wells and `rescue` at 6 doses × 3; `lines` maps
    name ► (span, EC50).
    """
    rng = np.random.default_rng(seed)
    rows = []
    for line, (span, ec50) in lines.items():
        wells = (
            [("vehicle", "DMSO", 0.0)] * 6
            + [("positive", "ref", 1e-5)] * 4
            + [("none", "rescue", d) for d in DOSES for _ in range(3)]
        )
        for control, compound, dose in wells:
            effect = (
                span
                if control == "positive"
                else span * float(occupancy(np.array([dose]), np.log10(ec50), 1.2)[0])
            )
            rows.append(
                {
                    "line": line,
                    "genotype": f"{line} genotype",
                    "compound": compound,
                    "dose_molar": dose,
                    "control": control,
                    "batch": "b1",
                    "status": "done",
                    "reason": "",
                    "nuclei_count": 100,
                    "live_density": 200.0 + effect * 200 + rng.normal(0, 6),
                    "nc_log2_aggregate": 0.5 + effect + rng.normal(0, 0.03),
                }
            )
    table = pl.DataFrame(rows).with_columns(pl.Series("well", [f"W{i}" for i in range(len(rows))]))
    return conform(table, "well")


def test_one_row_a_line_compound_and_phenotype_with_everything_on_it():
    responses = respond(
        plate({"L1": (0.8, 4e-7), "L2": (0.0, 1e-6)}),
        ["live_density", "nc_log2_aggregate"],
        pixel_size_um=0.65,
        provenance={"run_id": "r1"},
    )
    table = responses.table
    assert table.columns == list(columns("response"))
    assert table.select("line", "compound", "phenotype").rows() == [
        ("L1", "rescue", "live_density"),
        ("L2", "rescue", "live_density"),
        ("L1", "rescue", "nc_log2_aggregate"),
        ("L2", "rescue", "nc_log2_aggregate"),
    ]
    active = table.filter(
        (pl.col("line") == "L1") & (pl.col("phenotype") == "nc_log2_aggregate")
    ).to_dicts()[0]
    assert active["status"] == "ok"
    assert active["direction"] == "ascending"
    assert active["ec50_low"] < 4e-7 < active["ec50_high"]
    assert (
        active["n_wells"],
        active["n_vehicle"],
        active["n_doses"],
        active["n_plates"],
        active["n_batches"],
    ) == (18, 6, 6, 1, 1)
    assert active["n_cells"] == 2400
    assert active["genotype"] == "L1 genotype"
    assert active["run_id"] == "r1"
    assert active["z_prime"] > 0.5
    assert active["ssmd"] > 10
    assert set(table.filter(pl.col("line") == "L2")["status"]) == {"flat"}
    assert [c.phenotype for c in responses.curves] == table["phenotype"].to_list()
    assert table["q_value"].null_count() == 0
    assert (table["q_value"] >= table["p_value"]).all()


OF_RESPONSE = ("e0", "emax", "effect", "effect_low", "effect_high", "auc", "residual_sd")


@pytest.mark.parametrize("power", [-200, -160, -80, 80, 160, 200])
def test_a_row_is_the_same_in_every_unit_of_its_phenotype(power):
    """A percentage has no unit; a difference has that of its phenotype. No warning, no other row."""
    wells, names = plate({"L1": (0.8, 4e-7)}), ["live_density", "nc_log2_aggregate"]
    scale = 10.0**power
    moved = wells.with_columns(pl.col(name) * scale for name in names)
    tables = [respond(w, names, pixel_size_um=0.65).table for w in (wells, moved)]
    assert tables[0]["status"].to_list() == ["ok", "ok"]
    for plain, row in zip(*(t.iter_rows(named=True) for t in tables), strict=True):
        unit = scale if plain["phenotype"] == "nc_log2_aggregate" else 1.0
        for name, value in plain.items():
            if isinstance(value, float):
                expected = value * (unit if name in OF_RESPONSE else 1.0)
                assert row[name] == pytest.approx(expected, rel=2e-3), name
            else:
                assert row[name] == value, name


def test_auc_is_over_the_range_that_all_lines_were_given():
    wells = plate({"L1": (0.8, 4e-7), "L2": (0.8, 4e-7)})
    short = wells.filter(
        ~((pl.col("line") == "L2") & (pl.col("dose_molar") > 2e-6) & (pl.col("control") == "none"))
    )
    both = respond(short, ["nc_log2_aggregate"], pixel_size_um=0.65).table["auc"].to_list()
    assert both[0] == pytest.approx(both[1], rel=0.1)
    assert both[0] < respond(wells, ["nc_log2_aggregate"], pixel_size_um=0.65).table["auc"][0]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (
            lambda w: w.filter(~((pl.col("line") == "L1") & (pl.col("control") == "vehicle"))),
            "no_vehicle",
        ),
        (
            lambda w: w.filter((pl.col("control") != "none") | (pl.col("dose_molar") < 2e-7)),
            "too_few_doses",
        ),
        (lambda w: w.with_columns(pl.lit(None, pl.Float64).alias("live_density")), "not_measured"),
        (
            lambda w: w.with_columns(
                pl.when(pl.col("control") == "vehicle")
                .then(0.0)
                .otherwise(pl.col("live_density"))
                .alias("live_density")
            ),
            "vehicle_is_zero",
        ),
        (
            lambda w: w.with_columns(
                pl.when(pl.col("control") == "vehicle")
                .then(pl.lit("failed"))
                .otherwise(pl.lit("done"))
                .alias("status")
            ),
            "no_vehicle",
        ),
    ],
)
def test_refusals_are_rows_with_status_and_reason(change, status):
    table = respond(change(plate({"L1": (0.8, 4e-7)})), ["live_density"], pixel_size_um=0.65).table
    assert table["status"].to_list() == [status]
    assert len(table["reason"][0]) > 20
    assert table["ec50_molar"][0] is None


@pytest.mark.parametrize(
    ("done", "failed", "status"), [(200.0, -1e9, "ok"), (0.0, 1e9, "vehicle_is_zero")]
)
def test_vehicle_wells_that_are_not_done_do_not_decide_whether_there_is_a_vehicle(
    done, failed, status
):
    table = plate({"L1": (0.8, 4e-7)})
    lost = pl.col("well").is_in(["W0", "W1"])
    table = table.with_columns(
        pl.when(lost).then(pl.lit("failed")).otherwise("status").alias("status"),
        pl.when(lost)
        .then(failed)
        .when(pl.col("control") == "vehicle")
        .then(done)
        .otherwise("live_density")
        .alias("live_density"),
    )
    assert respond(table, ["live_density"], pixel_size_um=0.65).table["status"].item() == status


def test_pixels_too_coarse_for_a_phenotype_refuse_it_alone():
    table = respond(
        plate({"L1": (0.8, 4e-7)}), ["live_density", "nc_log2_aggregate"], pixel_size_um=1.36
    ).table
    assert table["status"].to_list() == ["ok", "pixel_size_too_coarse"]


def test_no_treated_wells_is_an_empty_table():
    wells = plate({"L1": (0.8, 4e-7)}).filter(pl.col("control") != "none")
    responses = respond(wells, ["live_density"], pixel_size_um=0.65)
    assert len(responses.table) == 0
    assert responses.table.columns == list(columns("response"))
    assert len(responses.quality) == 1


def test_a_whole_plate_that_failed_still_has_its_rows():
    wells = plate({"L1": (0.8, 4e-7)}).with_columns(pl.lit("failed").alias("status"))
    table = respond(wells, ["live_density"], pixel_size_um=0.65).table
    assert table["status"].to_list() == ["no_well_done"]


def test_crossings_that_spoil_attribution_are_a_status_of_their_own():
    wells = plate({"L1": (0.5, 1e-6)}).with_columns(attribution_conflict_fraction=pl.lit(0.6))
    row = respond(wells, ["primary_neurites_mean"], pixel_size_um=0.65).table.to_dicts()[0]
    assert row["status"] == "attribution_conflict"
    assert "60%" in row["reason"]
    sparse = wells.with_columns(attribution_conflict_fraction=pl.lit(0.1))
    assert (
        respond(sparse, ["primary_neurites_mean"], pixel_size_um=0.65).table["status"][0]
        == "not_measured"
    )


def test_rows_say_whom_they_speak_of():
    wells = plate({"L1": (0.5, 1e-6)}).with_columns(population=pl.lit("motor neurons"))
    assert respond(wells, ["live_density"], pixel_size_um=0.65).table["population"].to_list() == [
        "motor neurons"
    ]


NAMES = ["live_density", "nc_log2_aggregate"]


def excluded(wells, which):
    """Wells taken out, as a reviewer's rejection leaves them."""
    gone = pl.col("well").is_in(which)
    return wells.with_columns(
        pl.when(gone).then(pl.lit("excluded")).otherwise(pl.col("status")).alias("status"),
        *(pl.when(gone).then(None).otherwise(pl.col(n)).alias(n) for n in (*NAMES, "nuclei_count")),
    )


def changed(wells, well, **to):
    return wells.with_columns(
        pl.when(pl.col("well") == well).then(pl.lit(v)).otherwise(pl.col(n)).alias(n)
        for n, v in to.items()
    )


TOP = [f"W{i}" for i in (25, 26, 27)]  # line A's wells at the highest dose


@pytest.mark.parametrize(
    ("edit", "lines"),
    [
        (lambda w: w, []),
        (lambda w: changed(w, "W12", live_density=150.0), ["A"]),
        (lambda w: changed(w, "W40", nc_log2_aggregate=2.0), ["B"]),
        # n_cells says so, although no response does
        (lambda w: changed(w, "W12", nuclei_count=99), ["A"]),
        (lambda w: excluded(w, ["W12"]), ["A"]),
        (lambda w: excluded(w, ["W0", "W1", "W2", "W3", "W4", "W5"]), ["A"]),
        (lambda w: excluded(w, TOP), ["A", "B", "C"]),  # the range of `auc` is that of all lines
        (
            lambda w: w.with_columns(pl.lit(None, pl.Float64).alias("nc_log2_aggregate")),
            ["A", "B", "C"],
        ),
    ],
)
def test_what_is_kept_and_what_is_fitted_again_is_what_a_whole_fit_gives(edit, lines):
    before = plate({"A": (0.8, 4e-7), "B": (0.6, 1e-6), "C": (0.0, 1e-6)})
    after = edit(before)
    assert lines_to_fit(before, after, NAMES, pixel_size_um=0.65) == lines
    whole = respond(after, NAMES, pixel_size_um=0.65).table
    kept = respond(before, NAMES, pixel_size_um=0.65).table.filter(~pl.col("line").is_in(lines))
    again = respond(after, NAMES, pixel_size_um=0.65, lines=lines).table if lines else kept.clear()
    keys = ["phenotype", "line", "compound"]
    assert (
        pl.concat([kept, again]).drop("q_value").sort(keys).equals(whole.drop("q_value").sort(keys))
    )


def of(table, **changes):
    """The table with other values in some wells: column ► {well: value}."""
    return table.with_columns(
        pl.col("well")
        .replace_strict(values, default=pl.col(name), return_dtype=pl.Float64)
        .alias(name)
        for name, values in changes.items()
    )


def test_fewer_vehicle_wells_than_the_protocol_asks_for_have_no_response():
    table = plate({"L1": (0.8, 4e-7)})
    three = table.filter(~pl.col("well").is_in(["W0", "W1", "W2"]))
    row = respond(three, ["live_density"], pixel_size_um=0.65).table.row(0, named=True)
    assert (row["status"], row["n_vehicle"]) == ("too_few_vehicles", 3)
    assert (row["ec50_molar"], row["effect"], row["p_value"], row["auc"]) == (None,) * 4
    fewer = WellSettings(min_vehicle_wells=3)
    row = respond(three, ["live_density"], pixel_size_um=0.65, settings=fewer).table.row(
        0, named=True
    )
    assert row["status"] == "ok"


def test_one_bad_vehicle_well_among_few_is_named_and_withholds_the_response():
    table = of(plate({"L1": (-0.8, 4e-7)}), live_density={"W3": 320.0})
    few = table.filter(~pl.col("well").is_in(["W0", "W1"]))
    row = respond(few, ["live_density"], pixel_size_um=0.65).table.row(0, named=True)
    assert (row["status"], row["n_vehicle"], row["effect"]) == ("too_few_vehicles", 4, None)
    assert states("vehicles.far", row["reason"], well="W3 at 1")
    more = respond(table, ["live_density"], pixel_size_um=0.65).table.row(0, named=True)
    assert more["n_vehicle"] == 6
    assert states("vehicles.far", more["reason"], well="W3 at 1")


def test_values_that_are_not_finite_are_no_measurements():
    table = plate({"L1": (0.8, 4e-7)})
    bad = of(table, live_density={"W0": float("nan"), "W12": float("inf")})
    null = of(table, live_density={"W0": None, "W12": None})
    holed, empty = (respond(t, ["live_density"], pixel_size_um=0.65).table for t in (bad, null))
    assert holed["status"].to_list() == ["ok"]
    assert holed.drop("reason").equals(empty.drop("reason"))
    assert states("wells.not_finite", holed["reason"][0], count=2, wells="W0, W12")
    assert lines_to_fit(bad, null, ["live_density"], pixel_size_um=0.65) == []


def test_a_bell_has_the_effect_and_the_mean_response_of_its_wells():
    table = plate({"L1": (0.0, 1e-6)}).with_columns(
        pl.col("live_density")
        * pl.when(pl.col("dose_molar").is_in([3e-7, 1e-6])).then(1.5).otherwise(1.0)
    )
    responses = respond(table, ["live_density"], pixel_size_um=0.65)
    row = responses.table.row(0, named=True)
    curve = responses.curves[0]
    at = {
        d: np.mean([r for x, r in zip(curve.dose, curve.response, strict=True) if x == d])
        for d in set(curve.dose)
    }
    assert (row["status"], row["model"], row["ec50_molar"]) == ("not_monotone", "means", None)
    assert row["effect"] == pytest.approx(at[1e-5] - at[0.0])
    assert row["emax"] == pytest.approx(at[1e-5])
    steps = np.log10(DOSES)
    means = [at[d] for d in DOSES]
    area = np.trapezoid(means, steps) / (steps[-1] - steps[0])
    assert row["auc"] == pytest.approx(area, rel=1e-3)
