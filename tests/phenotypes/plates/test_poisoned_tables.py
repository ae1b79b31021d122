"""Rows that must not count are given absurd values; the answer for all other rows must be exactly
the same.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from phenotypes.columns.dictionary import columns, conform
from phenotypes.plates.calls import mark_mislocalised, mark_motor_neurons, mark_pyknotic
from phenotypes.plates.judge import judge
from phenotypes.plates.normalise import normalised, normalised_to_isogenic
from phenotypes.plates.quality.checks import (
    exclude_unfocused,
    exclude_vehicle_outliers,
    mark_fields,
    plate_checks,
)
from phenotypes.plates.quality.controls import quality_table
from phenotypes.plates.quality.limits import QualityLimits
from phenotypes.plates.quality.position import b_score, correct_positions
from phenotypes.plates.responses import respond
from phenotypes.plates.review_queue import rank_fields
from phenotypes.plates.wells import vehicle_means, well_table

POISONS = [1e9, -1e9, float("nan")]
PERCENT, DIFFERENCE = "live_density", "nc_log2_aggregate"
# No compound moves it: a polish is refused where most wells respond, and a refusal holds no line.
IDLE = "neurite_length_density"
DOSES = [1e-8, 1e-7, 1e-6, 1e-5]
DONE, VEHICLE = pl.col("status") == "done", pl.col("control") == "vehicle"


def conditions():
    """Two lines at random places of a 96-well plate: vehicle, negative and positive wells, two
    compounds at four doses.
    """
    kinds = (
        [("DMSO", 0.0, "vehicle")] * 10
        + [("", None, "negative")] * 2
        + [("ref", 1e-5, "positive")] * 4
    )
    kinds += [(c, d, "none") for c in ("x", "y") for d in DOSES for _ in range(4)]
    places = np.random.default_rng(0).permutation(96)
    rows = [
        {
            "well": f"{'ABCDEFGH'[p // 12]}{p % 12 + 1:02d}",
            "line": line,
            "genotype": genotype,
            "compound": c,
            "dose_molar": d,
            "control": k,
            "batch": "b1",
        }
        for p, (line, genotype, c, d, k) in zip(
            places,
            [(n, g, *kind) for kind in kinds for n, g in (("HC", "healthy"), ("TDP", "TARDBP"))],
            strict=True,
        )
    ]
    return pl.DataFrame(rows)


CONDITIONS = conditions()
# Per line two vehicle wells and one or two wells of every other kind that quality control left out,
# failed or skipped.
GONE = {
    well: status
    for part in CONDITIONS.partition_by("line", "control", "dose_molar", maintain_order=True)
    for well, status in zip(
        part["well"], ("failed", "excluded") if len(part) > 4 else ("skipped",), strict=False
    )
    if len(part) > 2
}


def poisoned(table, where, value, only=None):
    """The table with `value` in every measured real column (or `only` these) of the rows `where`;
    whole numbers get it where they can.
    """
    known = {
        "dose_molar",
        "height_um",
        "width_um",
        *(("area_mm2",) if "line" in table.columns else ()),
    }
    names = only or [
        n for n, dtype in table.schema.items() if dtype == pl.Float64 and n not in known
    ]
    return table.with_columns(
        pl.when(where).then(pl.lit(value, pl.Float64)).otherwise(pl.col(n)).alias(n) for n in names
    )


@cache
def wells():
    """A well table in which all phenotypes have values and the wells of GONE are not done."""
    rng = np.random.default_rng(1)
    dose = CONDITIONS["dose_molar"].fill_null(0.0).to_numpy()
    effect = dose / (dose + 3e-7) * (CONDITIONS["control"] == "none").to_numpy()
    table = CONDITIONS.with_columns(
        pl.lit(100).alias("nuclei_count"),
        pl.lit(90).alias("live_count"),
        pl.lit(2).alias("n_valid_fields"),
        pl.lit("neurons").alias("population"),
        pl.Series("live_density", 200 - 80 * effect + rng.normal(0, 6, 96)),
        pl.Series("nc_log2_aggregate", 0.5 + effect + rng.normal(0, 0.03, 96)),
        pl.Series("neurite_length_density", rng.normal(30, 2, 96)),
        pl.Series("status", [GONE.get(w, "done") for w in CONDITIONS["well"]]),
        pl.lit("").alias("reason"),
    )
    return conform(table, "well")


@cache
def fields():
    rng = np.random.default_rng(2)
    rows = [
        {
            "well": w,
            "field": f,
            "frame": 1,
            "valid": True,
            "qc": "",
            "area_mm2": 0.5,
            "nuclei_count": 50,
            "focus_dna": rng.normal(-2, 0.1),
            "exposed_h": float(i) / 40,
            "neurite_length_um": rng.normal(5000, 100),
            "neurite_area_um2": 9000.0,
            "neurite_fragment_um2": 90.0,
            "attribution_conflict_fraction": 0.1,
            "neurite_width_um": 1.5,
            "neurite_straightness": 0.9,
            "clump_fraction": 0.2,
            "neurite_branch_points": 40,
            "neurite_tips": 30,
            "neurite_beads": 3,
            "background_dna": rng.normal(200, 4),
            "background_aggregate": rng.normal(100, 4),
        }
        for i, w in enumerate(CONDITIONS["well"])
        for f in (1, 2)
    ]
    return conform(pl.DataFrame(rows), "field")


@cache
def cells(n=40):
    """Per well `n` cells, of which some are cut, pyknotic, without soma or with a small one; motor
    neurons are brighter in identity.
    """
    rng = np.random.default_rng(3)
    size = 96 * n
    number = np.tile(np.arange(n), 96)
    reals = {
        name: rng.normal(3, 0.3, size)
        for name, c in columns("cell").items()
        if c.dtype == pl.Float64 and c.name not in ("y_um", "x_um")
    }
    pyknotic = number % 8 == 1
    table = pl.DataFrame(
        reals
        | {
            "well": np.repeat(CONDITIONS["well"].to_numpy(), n),
            "field": number % 2 + 1,
            "frame": 1,
            "label": number + 1,
            "touches_border": number % 25 == 0,
            "is_neuron": number % 4 > 0,
            "nucleus_area_um2": np.where(pyknotic, 30, 100) * rng.normal(1, 0.1, size),
            "nucleus_mean_dna": np.where(pyknotic, 2000, 1000) * rng.normal(1, 0.1, size),
            "soma_area_um2": np.where(number % 7 == 0, 20.0, 200.0),
            "nc_log2_aggregate": rng.normal(1, 0.3, size),
            "nucleus_mean_identity": rng.lognormal(np.where(number % 3 == 0, 7, 4), 0.3),
        }
    )
    return conform(table, "cell")


def values(function):
    return lambda table: table.select("well").with_columns(function(table).alias("value"))


def of_line(function):
    """The answer for line HC only."""
    return lambda table: function(table).join(
        CONDITIONS.filter(pl.col("line") == "HC").select("well"), on="well", how="semi"
    )


def responses(table):
    return respond(table, [PERCENT, DIFFERENCE], pixel_size_um=0.5).table


def ranking(table):
    curves = respond(table, [PERCENT], pixel_size_um=0.5).curves
    return rank_fields(fields(), table, curves, [PERCENT])


OF_WELLS = {
    **{
        f"vehicle_means of {n}": values(lambda t, n=n: vehicle_means(t, n))
        for n in (PERCENT, DIFFERENCE)
    },
    **{f"normalised {n}": values(lambda t, n=n: normalised(t, n)) for n in (PERCENT, DIFFERENCE)},
    **{
        f"normalised_to_isogenic {n}": values(
            lambda t, n=n: normalised_to_isogenic(t, n, {"TDP": "HC"})
        )
        for n in (PERCENT, DIFFERENCE)
    },
    "exclude_vehicle_outliers": (
        lambda t: exclude_vehicle_outliers(t, QualityLimits()).select(
            "well", "status", "reason", "survival_fixed"
        )
    ),
}
OF_PLATE = {
    "plate_checks": lambda t: plate_checks(t, fields(), 8, 12),
    "b_score": values(lambda t: b_score(t, IDLE).score),
    "b_score corrected": values(lambda t: b_score(t, IDLE).corrected),
    "correct_positions": lambda t: correct_positions(t, [IDLE])[0].select("well", IDLE),
    "correct_positions checks": lambda t: pl.DataFrame(correct_positions(t, [IDLE])[1]),
    "respond": responses,
    "rank_fields": ranking,
    "quality_table": lambda t: quality_table(t, [PERCENT, DIFFERENCE]),
}


@cache
def without_what_is_not_done(name):
    return (OF_WELLS | OF_PLATE)[name](poisoned(wells(), ~DONE, None))


def same(clean, spoiled, where=None):
    if where is not None:
        clean, spoiled = clean.filter(where), spoiled.filter(where)
    assert len(clean)
    assert_frame_equal(clean, spoiled, check_exact=True)


def test_the_plate_of_these_tests_is_polished():
    polished = b_score(wells(), IDLE)
    assert polished.status == "ok"
    assert polished.score.null_count() == polished.corrected.null_count() == len(GONE)


@pytest.mark.parametrize("value", POISONS)
@pytest.mark.parametrize("name", [*OF_WELLS, *OF_PLATE])
def test_wells_that_are_not_done_do_not_count(name, value):
    spoiled = (OF_WELLS | OF_PLATE)[name](poisoned(wells(), ~DONE, value))
    clean = without_what_is_not_done(name)
    same(
        clean,
        spoiled,
        (
            ~pl.col("well").is_in(list(GONE))
            if "well" in clean.columns and name != "rank_fields"
            else None
        ),
    )


@pytest.mark.parametrize("value", POISONS)
@pytest.mark.parametrize("name", OF_WELLS)
def test_wells_of_another_line_do_not_count(name, value):
    if "isogenic" in name:
        function = values(lambda t: normalised_to_isogenic(t, PERCENT, {"HC": "HC-edited"}))
        edited = (
            wells()
            .filter(pl.col("line") == "HC")
            .with_columns(pl.lit("HC-edited").alias("line"), ("x" + pl.col("well")).alias("well"))
        )
        table = pl.concat([wells(), edited.with_columns(live_density=pl.col("live_density") * 1.5)])
    else:
        function, table = OF_WELLS[name], wells()
    clean = of_line(function)(table)
    same(clean, of_line(function)(poisoned(table, pl.col("line") == "TDP", value)))


@pytest.mark.parametrize("value", POISONS[:2])
def test_a_response_is_of_its_own_line_and_compound(value):
    """But for the q-value, which is over all rows of a phenotype."""
    clean, spoiled = (
        responses(t).filter((pl.col("line") == "HC") & (pl.col("compound") == "x")).drop("q_value")
        for t in (
            wells(),
            poisoned(
                wells(),
                (pl.col("line") == "TDP") | (pl.col("compound") == "y"),
                value,
                [PERCENT, DIFFERENCE],
            ),
        )
    )
    # V-factor and Z′ stand on all conditions of the line, and are the quality table's.
    same(clean, spoiled)


@pytest.mark.parametrize("value", POISONS)
def test_treated_and_negative_wells_make_no_vehicle(value):
    other = ~VEHICLE
    for name in (
        "vehicle_means of live_density",
        "normalised nc_log2_aggregate",
        "exclude_vehicle_outliers",
    ):
        function = OF_WELLS[name]
        same(
            function(wells()),
            function(poisoned(wells(), other, value)),
            pl.col("well").is_in(CONDITIONS.filter(VEHICLE)["well"].implode()),
        )


@pytest.mark.parametrize("value", POISONS[:2])
def test_the_controls_of_a_line_are_its_own_and_the_treated_make_only_the_v_factor(value):
    clean, other_line, treated = (
        quality_table(t, [PERCENT, DIFFERENCE]).filter(pl.col("line") == "HC")
        for t in (
            wells(),
            poisoned(wells(), pl.col("line") == "TDP", value),
            poisoned(wells(), ~pl.col("control").is_in(["vehicle", "positive"]), value),
        )
    )
    assert clean["status"].to_list() == ["ok", "ok"]
    same(clean, other_line)
    same(*(t.drop("v_factor", "v_factor_low", "v_factor_high") for t in (clean, treated)))


LINE = dict(CONDITIONS.select("well", "line").rows())
OTHER_LINE = pl.col("well").replace_strict(LINE) == "TDP"
CONTROL = pl.col("well").replace_strict(dict(CONDITIONS.select("well", "control").rows()))
PYKNOTIC = ["nucleus_area_um2", "nucleus_mean_dna"]


def motor_neurons(table):
    marked, threshold = mark_motor_neurons(table, CONDITIONS)
    assert threshold is not None
    assert threshold.status == "ok"
    return marked.select("well", "label", "is_motor_neuron")


def mislocalised(table):
    return mark_mislocalised(table, CONDITIONS, ["HC"])[0].select(
        "well", "label", "is_mislocalised"
    )


def pyknotic(table):
    return mark_pyknotic(table, CONDITIONS).select("well", "label", "is_pyknotic")


@pytest.mark.parametrize("value", POISONS)
@pytest.mark.parametrize(
    ("call", "where", "names"),
    [
        (pyknotic, pl.col("touches_border"), PYKNOTIC),
        (pyknotic, CONTROL != "vehicle", PYKNOTIC),
        (pyknotic, OTHER_LINE, PYKNOTIC),
        (motor_neurons, ~pl.col("is_neuron"), ["nucleus_mean_identity"]),
        (motor_neurons, CONTROL == "negative", ["nucleus_mean_identity"]),
        (mislocalised, CONTROL != "vehicle", ["nc_log2_aggregate"]),
        (mislocalised, OTHER_LINE, ["nc_log2_aggregate"]),
        (mislocalised, ~pl.col("is_neuron"), ["nc_log2_aggregate"]),
        (mislocalised, pl.col("is_pyknotic"), ["nc_log2_aggregate"]),
    ],
)
def test_cells_that_are_no_reference_move_no_call(call, where, names, value):
    table = mark_pyknotic(cells(), CONDITIONS)
    counted = table.select((~where).alias("counted"))["counted"]
    same(call(table).filter(counted), call(poisoned(table, where, value, names)).filter(counted))


@pytest.mark.parametrize("value", [1e9, -1e9])
def test_wells_that_are_not_in_the_map_move_no_call(value):
    strangers = poisoned(
        cells().filter(pl.col("well") == "A01"), pl.lit(value=True), value
    ).with_columns(pl.lit("Z99").alias("well"))
    table = cells()
    for call in (pyknotic, motor_neurons, mislocalised):
        same(call(table), call(pl.concat([table, strangers])).head(len(table)))


@cache
def called():
    table, _ = mark_motor_neurons(mark_pyknotic(cells(120), CONDITIONS), CONDITIONS)
    return mark_mislocalised(table, CONDITIONS, ["HC"])[0]


OUTCOMES = dict.fromkeys(CONDITIONS["well"], ("done", "")) | {
    w: (s, "why") for w, s in GONE.items()
}


@cache
def clean_well_table():
    return well_table(called(), fields(), CONDITIONS, OUTCOMES)


ALIVE = pl.col("is_motor_neuron") & ~pl.col("is_pyknotic") & (pl.col("soma_area_um2") >= 40)
SHAPES = [
    "rim_log2_envelope",
    "rim_cv_envelope",
    "primary_neurites",
    "max_process_um",
    "neurite_length_um",
    "sholl_30um",
]


@pytest.mark.parametrize("value", POISONS)
@pytest.mark.parametrize(
    ("where", "names"),
    [
        (
            ~ALIVE,
            [
                n
                for n, c in columns("cell").items()
                if c.dtype == pl.Float64 and n != "soma_area_um2"
            ],
        ),
        (pl.col("touches_border"), [*SHAPES, "nucleus_area_um2"]),
    ],
)
def test_cells_that_are_dead_or_cut_enter_no_mean(where, names, value):
    table = called()
    clean = clean_well_table()
    assert clean.filter(DONE)["soma_area_mean"].null_count() == 0
    same(clean, well_table(poisoned(table, where, value, names), fields(), CONDITIONS, OUTCOMES))


@pytest.mark.parametrize("value", POISONS)
def test_fields_that_are_not_valid_and_their_cells_enter_no_well(value):
    rejected = pl.col("field") == 2
    table, area = called(), fields().with_columns((~rejected).alias("valid"))
    clean = well_table(table, area, CONDITIONS, OUTCOMES)
    spoiled = well_table(
        poisoned(table, rejected, value), poisoned(area, rejected, value), CONDITIONS, OUTCOMES
    )
    same(clean, spoiled)
    assert clean.filter(DONE)["live_density"].null_count() == 0


@pytest.mark.parametrize("value", POISONS)
def test_a_well_is_made_of_its_own_cells_and_fields(value):
    """But for survival, which is against the line's vehicle wells."""
    others = pl.col("well") != "C03"
    clean, spoiled = (
        table.filter(~others).drop("survival_fixed")
        for table in (
            clean_well_table(),
            well_table(
                poisoned(called(), others, value),
                poisoned(fields(), others, value),
                CONDITIONS,
                OUTCOMES,
            ),
        )
    )
    same(clean, spoiled)


@pytest.mark.parametrize("value", [1e9, -1e9])
@pytest.mark.parametrize("where", [CONTROL != "vehicle", pl.col("nuclei_count") < 10])
def test_fields_that_are_no_reference_of_focus_condemn_no_other(where, value):
    table = fields().with_columns(
        pl.when(pl.col("field") == 2)
        .then(pl.int_range(pl.len()) % 20)
        .otherwise(pl.col("nuclei_count"))
        .alias("nuclei_count")
    )
    clean, spoiled = (
        mark_fields(t, CONDITIONS, QualityLimits())
        for t in (table, poisoned(table, where, value, ["focus_dna"]))
    )
    same(clean, spoiled, ~where)
    assert exclude_unfocused(clean.filter(~where), OUTCOMES, QualityLimits()) == exclude_unfocused(
        spoiled.filter(~where), OUTCOMES, QualityLimits()
    )


@pytest.mark.parametrize("value", [1e9, -1e9])
@pytest.mark.parametrize(
    "where",
    [pl.col("well").is_in(list(GONE)), ~pl.col("valid")],
    ids=["of a well that is not done", "that is not valid"],
)
def test_fields_that_do_not_count_enter_no_check(where, value):
    table = fields().with_columns(
        ((pl.col("field") == 1) | (pl.int_range(pl.len()) % 3 > 0)).alias("valid")
    )
    clean, spoiled = (
        plate_checks(wells(), t, 8, 12)
        for t in (table, poisoned(table, where, value, ["background_aggregate", "exposed_h"]))
    )
    same(clean, spoiled)


@pytest.mark.parametrize("value", [1e9, -1e9])
def test_a_rejected_field_reaches_no_table_of_the_plate(value):
    rejected = {("C03", 2): "fibre", ("D05", 1): "debris"}
    where = pl.any_horizontal((pl.col("well") == w) & (pl.col("field") == f) for w, f in rejected)
    clean, spoiled = (
        judge(called(), t, CONDITIONS, OUTCOMES, (8, 12), rejected_fields=rejected)
        for t in (
            fields(),
            poisoned(
                fields(),
                where,
                value,
                ["background_aggregate", "neurite_length_um", "neurite_area_um2"],
            ),
        )
    )
    same(clean.wells, spoiled.wells)
    same(clean.checks, spoiled.checks)
    same(clean.fields, spoiled.fields, ~where)
    assert clean.fields.filter(~pl.col("valid")).select("well", "field").rows() == sorted(
        rejected, key=lambda place: list(LINE).index(place[0])
    )


@pytest.mark.parametrize("value", [1e9, -1e9])
def test_a_plate_is_judged_line_by_line(value):
    """But for the identity threshold, which is the plate's, and the checks of the plate."""
    reals = [
        n
        for n, c in columns("cell").items()
        if c.dtype == pl.Float64 and n != "nucleus_mean_identity"
    ]
    clean, spoiled = (
        judge(c, f, CONDITIONS, OUTCOMES, (8, 12))
        for c, f in (
            (cells(), fields()),
            (
                poisoned(cells(), OTHER_LINE, value, reals),
                poisoned(fields(), OTHER_LINE, value, ["neurite_length_um", "area_mm2"]),
            ),
        )
    )
    same(clean.wells, spoiled.wells, pl.col("line") == "HC")
    same(clean.cells, spoiled.cells, ~OTHER_LINE)
    same(clean.fields, spoiled.fields, ~OTHER_LINE)
