from __future__ import annotations

import polars as pl
import pytest

from phenotypes.columns.dictionary import conform
from phenotypes.plates.calls import mark_pyknotic
from phenotypes.plates.normalise import normalised, unit_of
from phenotypes.plates.wells import WellSettings, well_table

CONDITIONS = pl.DataFrame(
    [
        {
            "well": w,
            "line": line,
            "genotype": "",
            "compound": c,
            "dose_molar": d,
            "control": k,
            "batch": "b1",
        }
        for w, line, c, d, k in (
            ("A01", "L1", "DMSO", 0.0, "vehicle"),
            ("A02", "L1", "DMSO", 0.0, "vehicle"),
            ("A03", "L1", "ril", 1e-6, "none"),
            ("A04", "L2", "DMSO", 0.0, "vehicle"),
            ("A05", "L2", "ril", 1e-6, "none"),
            ("A06", "L3", "ril", 1e-6, "none"),
        )
    ]
)
DONE = dict.fromkeys(CONDITIONS["well"], ("done", ""))


def cells(counts, **columns):
    """`counts` nuclei a well, area 100 and DNA 1000 unless told otherwise."""
    rows = [
        {
            "well": w,
            "field": 1,
            "label": i + 1,
            "touches_border": False,
            "is_neuron": True,
            "soma_area_um2": 200.0,
            "nucleus_area_um2": 100.0,
            "nucleus_mean_dna": 1000.0,
        }
        for w, n in counts.items()
        for i in range(n)
    ]
    return conform(
        pl.DataFrame(rows).with_columns(**{k: pl.lit(v) for k, v in columns.items()}), "cell"
    )


def fields(wells, length=1000.0):
    return conform(
        pl.DataFrame(
            [{"well": w, "field": 1, "area_mm2": 0.5, "neurite_length_um": length} for w in wells]
        ),
        "field",
    )


def row(table, well):
    return table.filter(pl.col("well") == well).to_dicts()[0]


def test_counts_densities_and_lengths():
    counts = {"A01": 40, "A02": 60, "A03": 25, "A04": 80, "A05": 20, "A06": 30}
    table = well_table(mark_pyknotic(cells(counts), CONDITIONS), fields(counts), CONDITIONS, DONE)
    assert table["well"].to_list() == CONDITIONS["well"].to_list()
    treated = row(table, "A03")
    assert treated["live_count"] == treated["neuron_count"] == 25
    assert treated["live_density"] == 50.0
    assert treated["survival_fixed"] == pytest.approx(25 / 50)  # of its own line's vehicle mean
    assert row(table, "A05")["survival_fixed"] == pytest.approx(20 / 80)
    assert treated["neurite_length_density"] == 2.0
    assert treated["neurite_length_per_neuron"] == 40.0
    assert row(table, "A06")["survival_fixed"] is None  # a line without vehicle has no survival


def test_pyknotic_nuclei_are_judged_by_their_own_lines_vehicle():
    table = cells(dict.fromkeys(CONDITIONS["well"], 40))
    small_bright = (pl.col("well").is_in(["A03", "A05", "A06"])) & (pl.col("label") <= 10)
    table = table.with_columns(
        pl.when(small_bright)
        .then(40.0)
        .otherwise(pl.col("nucleus_area_um2"))
        .alias("nucleus_area_um2"),
        pl.when(small_bright)
        .then(2000.0)
        .otherwise(pl.col("nucleus_mean_dna"))
        .alias("nucleus_mean_dna"),
    )
    # Line L2 is stained twice as bright: there 2000 is nothing special.
    table = table.with_columns(
        pl.when(pl.col("well").is_in(["A04", "A05"]) & ~small_bright)
        .then(2000.0)
        .otherwise(pl.col("nucleus_mean_dna"))
        .alias("nucleus_mean_dna")
    )
    wells = well_table(
        mark_pyknotic(table, CONDITIONS), fields(CONDITIONS["well"]), CONDITIONS, DONE
    )
    assert row(wells, "A03")["pyknotic_fraction"] == 0.25
    assert row(wells, "A03")["live_count"] == 30
    assert row(wells, "A05")["pyknotic_fraction"] == 0.0
    assert row(wells, "A06")["pyknotic_fraction"] is None
    assert row(wells, "A06")["live_count"] is None
    assert row(wells, "A06")["nuclei_count"] == 40


def test_a_well_without_cells_has_a_count_of_zero_and_no_means():
    counts = {"A01": 40, "A02": 60, "A04": 80, "A05": 20, "A06": 30}
    table = well_table(
        mark_pyknotic(cells(counts), CONDITIONS), fields(CONDITIONS["well"], 0.0), CONDITIONS, DONE
    )
    empty = row(table, "A03")
    assert (
        empty["nuclei_count"],
        empty["live_count"],
        empty["live_density"],
        empty["survival_fixed"],
    ) == (0, 0, 0.0, 0.0)
    assert empty["neurite_length_per_neuron"] is None
    assert empty["nucleus_area_mean"] is None


def test_means_over_few_cells_are_withheld_and_counts_are_not():
    counts = dict.fromkeys(CONDITIONS["well"], 40) | {"A03": WellSettings().min_cells - 1}
    table = well_table(mark_pyknotic(cells(counts), CONDITIONS), fields(counts), CONDITIONS, DONE)
    assert row(table, "A03")["nucleus_area_mean"] is None
    assert row(table, "A03")["neurite_length_per_neuron"] is None
    assert row(table, "A03")["live_density"] == 2 * (WellSettings().min_cells - 1)
    assert row(table, "A01")["nucleus_area_mean"] == 100.0


def test_without_a_neurite_channel_nuclei_are_counted_and_neurons_are_unknown():
    counts = dict.fromkeys(CONDITIONS["well"], 40)
    table = cells(counts).with_columns(pl.lit(None, pl.Boolean).alias("is_neuron"))
    wells = well_table(mark_pyknotic(table, CONDITIONS), fields(counts), CONDITIONS, DONE)
    assert row(wells, "A01")["neuron_count"] is None
    assert row(wells, "A01")["live_count"] == 40


def test_failed_wells_keep_their_place_and_have_no_numbers():
    counts = {w: 40 for w in CONDITIONS["well"] if w != "A02"}
    outcomes = DONE | {"A02": ("failed", "field 1: the image of channel '2' is missing")}
    wells = well_table(
        mark_pyknotic(cells(counts), CONDITIONS), fields(counts), CONDITIONS, outcomes
    )
    failed = row(wells, "A02")
    assert (failed["status"], failed["reason"]) == outcomes["A02"]
    assert failed["live_count"] is None
    assert failed["live_density"] is None
    assert row(wells, "A03")["survival_fixed"] == 1.0  # the failed vehicle takes no part


def test_normalisation_is_to_the_same_lines_vehicle():
    counts = {"A01": 40, "A02": 60, "A03": 25, "A04": 80, "A05": 20, "A06": 30}
    wells = well_table(
        mark_pyknotic(cells(counts, nc_log2_aggregate=1.5), CONDITIONS),
        fields(counts),
        CONDITIONS,
        DONE,
    )
    assert normalised(wells, "live_density").to_list() == [80.0, 120.0, 50.0, 100.0, 25.0, None]
    assert normalised(wells, "nc_log2_aggregate").to_list() == [0.0, 0.0, 0.0, 0.0, 0.0, None]
    assert unit_of("live_density") == "% of vehicle"
    assert unit_of("nc_log2_aggregate") == "Δ log2"


@pytest.mark.parametrize("status", ["failed", "skipped", "excluded"])
def test_a_well_that_is_not_done_is_neither_normalised_nor_normalised_to(status):
    counts = {"A01": 40, "A02": 60, "A03": 25, "A04": 80, "A05": 20, "A06": 30}
    wells = well_table(
        mark_pyknotic(cells(counts, nc_log2_aggregate=1.5), CONDITIONS),
        fields(counts),
        CONDITIONS,
        DONE,
    )
    gone = pl.col("well").is_in(["A02", "A05"])
    wells = wells.with_columns(
        pl.when(gone).then(pl.lit(status)).otherwise(pl.col("status")).alias("status")
    )
    assert normalised(wells, "live_density").to_list() == [100.0, None, 62.5, 100.0, None, None]
    assert normalised(wells, "nc_log2_aggregate").to_list() == [0.0, None, 0.0, 0.0, None, None]


def test_the_population_is_as_far_as_the_channels_tell():
    counts = dict.fromkeys(CONDITIONS["well"], 40)
    base = mark_pyknotic(cells(counts), CONDITIONS)
    assert set(well_table(base, fields(counts), CONDITIONS, DONE)["population"]) == {
        "neurons",
        None,
    } - {None}
    motor = base.with_columns((pl.col("label") <= 10).alias("is_motor_neuron"))
    table = well_table(motor, fields(counts), CONDITIONS, DONE)
    first = row(table, "A01")
    assert (
        first["population"],
        first["neuron_count"],
        first["motor_neuron_count"],
        first["live_count"],
    ) == ("motor neurons", 40, 10, 10)
    assert first["purity"] == 0.25
    nuclei = base.with_columns(pl.lit(None, pl.Boolean).alias("is_neuron"))
    assert set(well_table(nuclei, fields(counts), CONDITIONS, DONE)["population"]) == {"nuclei"}


def test_a_soma_too_small_is_not_alive():
    counts = dict.fromkeys(CONDITIONS["well"], 40)
    small = mark_pyknotic(cells(counts), CONDITIONS).with_columns(
        pl.when(pl.col("label") <= 15).then(10.0).otherwise(200.0).alias("soma_area_um2")
    )
    assert row(well_table(small, fields(counts), CONDITIONS, DONE), "A01")["live_count"] == 25
    assert (
        row(
            well_table(small, fields(counts), CONDITIONS, DONE, WellSettings(min_soma_area_um2=5)),
            "A01",
        )["live_count"]
        == 40
    )


def test_cut_cells_enter_counts_and_no_means_of_areas_or_shapes():
    counts = dict.fromkeys(CONDITIONS["well"], 40)
    shapes = {
        "rim_log2_envelope": 1.0,
        "rim_cv_envelope": 0.25,
        "primary_neurites": 3.0,
        "max_process_um": 80.0,
        "sholl_30um": 2.0,
    }
    table = cells(counts, neurite_length_um=150.0, nc_log2_aggregate=1.5, **shapes)
    cut = pl.col("label") <= 10
    table = table.with_columns(
        touches_border=cut,
        soma_area_um2=pl.when(cut).then(90.0).otherwise(200.0),
        nucleus_area_um2=pl.when(cut).then(60.0).otherwise(100.0),
        neurite_length_um=pl.when(cut).then(9e3).otherwise(150.0),
        nc_log2_aggregate=pl.when(cut).then(0.5).otherwise(1.5),
        **{name: pl.when(cut).then(0.0).otherwise(pl.col(name)) for name in shapes},
    )
    found = row(
        well_table(mark_pyknotic(table, CONDITIONS), two_fields(valid=True), CONDITIONS, DONE),
        "A01",
    )
    assert (found["nuclei_count"], found["live_count"]) == (40, 40)
    assert (found["soma_area_mean"], found["nucleus_area_mean"]) == (200.0, 100.0)
    assert (found["rim_log2_mean"], found["rim_cv_mean"]) == (1.0, 0.25)
    assert (
        found["primary_neurites_mean"],
        found["max_process_mean"],
        found["sholl_30um_mean"],
    ) == (3.0, 80.0, 2.0)
    assert found["mean_process_mean"] == 50.0
    # Intensities are those of all living cells, cut ones included.
    assert found["nc_log2_aggregate"] == pytest.approx((10 * 0.5 + 30 * 1.5) / 40)


def two_fields(valid):
    rows = [
        {
            "well": w,
            "field": f,
            "frame": 1,
            "area_mm2": 0.5,
            "valid": valid or f == 1,
            "neurite_length_um": 1000.0 * f,
            "attribution_conflict_fraction": 0.1 * f,
            "neurite_branch_points": 10 * f,
            "neurite_tips": 4,
            "neurite_beads": 0,
            "neurite_area_um2": 100.0,
            "neurite_fragment_um2": 10.0 * f,
            "neurite_width_um": 1.0 * f,
            "nuclei_count": 30,
            "clump_fraction": 0.2 * f,
        }
        for w in CONDITIONS["well"]
        for f in (1, 2)
    ]
    return conform(pl.DataFrame(rows), "field")


def test_fields_that_are_not_valid_take_their_area_and_their_cells_with_them():
    counts = dict.fromkeys(CONDITIONS["well"], 40)
    both = pl.concat([cells(counts), cells(counts).with_columns(field=pl.lit(2, pl.Int64))])
    marked = mark_pyknotic(both, CONDITIONS)
    every, half = (
        row(well_table(marked, two_fields(v), CONDITIONS, DONE), "A01") for v in (True, False)
    )
    assert (every["n_fields"], every["n_valid_fields"], every["area_mm2"], every["live_count"]) == (
        2,
        2,
        1.0,
        80,
    )
    assert (half["n_fields"], half["n_valid_fields"], half["area_mm2"], half["live_count"]) == (
        2,
        1,
        0.5,
        40,
    )
    assert every["live_density"] == half["live_density"]


def test_ratios_of_fields_are_ratios_of_sums():
    counts = dict.fromkeys(CONDITIONS["well"], 40)
    found = row(
        well_table(
            mark_pyknotic(cells(counts), CONDITIONS), two_fields(valid=True), CONDITIONS, DONE
        ),
        "A01",
    )
    assert found["branch_points_per_100um"] == pytest.approx(100 * 30 / 3000)
    assert found["tips_per_100um"] == pytest.approx(100 * 8 / 3000)
    assert found["beads_per_100um"] == 0.0
    assert found["fragmentation_index"] == pytest.approx(30 / 200)
    assert found["attribution_conflict_fraction"] == pytest.approx((0.1 * 1000 + 0.2 * 2000) / 3000)
    assert found["neurite_width_mean"] == pytest.approx((1 * 1000 + 2 * 2000) / 3000)
    assert found["clump_fraction"] == pytest.approx(0.3)


def test_what_is_said_of_single_neurons_is_withheld_where_they_cross():
    counts = dict.fromkeys(CONDITIONS["well"], 40)
    single = mark_pyknotic(
        cells(counts, primary_neurites=3.0, neurite_length_um=150.0, max_process_um=80.0),
        CONDITIONS,
    )
    clear = row(well_table(single, two_fields(valid=True), CONDITIONS, DONE), "A01")
    assert (
        clear["primary_neurites_mean"],
        clear["max_process_mean"],
        clear["mean_process_mean"],
    ) == (3.0, 80.0, 50.0)
    crossed = two_fields(valid=True).with_columns(attribution_conflict_fraction=pl.lit(0.5))
    withheld = row(well_table(single, crossed, CONDITIONS, DONE), "A01")
    assert withheld["primary_neurites_mean"] is None
    assert withheld["mean_process_mean"] is None
    assert withheld["neurite_length_per_neuron"] == pytest.approx(3000 / 40)
