from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from phenotypes.columns.dictionary import conform
from phenotypes.plates.calls import (
    healthy_lines,
    mark_mislocalised,
    mark_motor_neurons,
    mark_pyknotic,
)
from tests.messages import states

CONDITIONS = pl.DataFrame(
    [
        {"well": w, "line": line, "genotype": g, "control": c}
        for w, line, g, c in (
            ("A01", "HC", "healthy donor", "vehicle"),
            ("A02", "HC", "healthy donor", "none"),
            ("A03", "D", "TARDBP p.M337V", "vehicle"),
            ("A04", "D", "TARDBP p.M337V", "none"),
            ("A05", "N", "", "negative"),
        )
    ]
)


def cells(**columns):
    n = len(next(iter(columns.values())))
    return conform(
        pl.DataFrame(
            {"field": [1] * n, "touches_border": [False] * n, "is_neuron": [True] * n, **columns}
        ),
        "cell",
    )


def test_pyknotic_is_small_and_bright_against_its_own_line():
    table = cells(
        well=["A01"] * 3 + ["A02"] * 3 + ["A05"],
        nucleus_area_um2=[100.0] * 3 + [40.0, 40.0, 100.0, 40.0],
        nucleus_mean_dna=[1000.0] * 3 + [1600.0, 1000.0, 1600.0, 1600.0],
    )
    assert mark_pyknotic(table, CONDITIONS)["is_pyknotic"].to_list() == [False] * 3 + [
        True,
        False,
        False,
        None,
    ]


def test_nuclei_that_the_edge_cuts_are_no_reference_of_pyknotic_ones():
    table = cells(
        well=["A01"] * 8 + ["A02"],
        nucleus_area_um2=[100.0] * 3 + [10.0] * 5 + [40.0],
        nucleus_mean_dna=[1000.0] * 3 + [9000.0] * 5 + [1600.0],
    ).with_columns(pl.Series("touches_border", [False] * 3 + [True] * 5 + [False]))
    assert mark_pyknotic(table, CONDITIONS)["is_pyknotic"].to_list() == [False] * 3 + [True] * 6


def test_cells_are_judged_by_those_of_the_reference_only():
    rng = np.random.default_rng(0)
    table = cells(
        well=["A01"] * 600,
        # The second half is out of focus: large, dim, and evenly bright all over.
        nucleus_area_um2=[100.0] * 300 + [400.0] * 300,
        nucleus_mean_dna=[1000.0] * 300 + [300.0] * 300,
        nc_log2_aggregate=np.concatenate([rng.normal(1, 0.1, 300), rng.normal(0, 0.1, 300)]),
    ).with_columns(field=pl.Series([1] * 300 + [2] * 300))
    valid = pl.col("field") == 1
    assert mark_pyknotic(table, CONDITIONS)["is_pyknotic"].sum() == 300
    assert mark_pyknotic(table, CONDITIONS, None, valid)["is_pyknotic"].sum() == 0
    marked, words = mark_mislocalised(table, CONDITIONS, ["HC"], None, valid)
    assert states("calls.reference", words, neurons=300)
    assert marked.filter(pl.col("field") == 1)["is_mislocalised"].mean() == pytest.approx(
        0.05, abs=0.005
    )
    assert marked.filter(pl.col("field") == 2)["is_mislocalised"].all()


def test_motor_neurons_by_the_plates_mixture():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.lognormal(4, 0.3, 600), rng.lognormal(7, 0.3, 400)])
    marked, found = mark_motor_neurons(
        cells(well=["A01"] * 1000, nucleus_mean_identity=values.tolist()), CONDITIONS
    )
    assert found is not None
    assert found.status == "ok"
    assert marked["is_motor_neuron"].sum() == pytest.approx(400, abs=2)


def test_refused_identity_leaves_nobody_called():
    values = np.random.default_rng(0).lognormal(5, 0.5, 1000).tolist()
    marked, found = mark_motor_neurons(
        cells(well=["A01"] * 1000, nucleus_mean_identity=values), CONDITIONS
    )
    assert found is not None
    assert found.status == "refused"
    assert marked["is_motor_neuron"].null_count() == 1000
    assert mark_motor_neurons(cells(well=["A01"], nucleus_area_um2=[1.0]), CONDITIONS)[1] is None


def test_healthy_lines_are_named_or_read_from_the_genotype():
    assert healthy_lines(CONDITIONS) == ["HC"]
    assert healthy_lines(CONDITIONS, ["X", "D"]) == ["D", "X"]
    assert healthy_lines(CONDITIONS, ["hc ", "HC"]) == ["HC"]
    assert healthy_lines(CONDITIONS.filter(pl.col("line") == "D")) == []


def test_five_percent_of_healthy_vehicle_neurons_are_mislocalised_by_definition():
    rng = np.random.default_rng(0)
    ratio = np.concatenate([rng.normal(1, 0.3, 2000), rng.normal(0, 0.3, 500)])
    table = cells(well=["A01"] * 2000 + ["A03"] * 500, nc_log2_aggregate=ratio.tolist())
    marked, words = mark_mislocalised(table, CONDITIONS, ["HC"])
    shares = (
        marked.group_by("well")
        .agg(pl.col("is_mislocalised").mean())
        .sort("well")["is_mislocalised"]
        .to_list()
    )
    assert shares[0] == pytest.approx(0.05, abs=0.001)
    assert shares[1] > 0.9
    assert states("calls.reference_lines", words, neurons=2000, lines="HC")


def test_without_healthy_lines_it_says_so():
    table = cells(well=["A03"] * 10, nc_log2_aggregate=[0.0] * 10)
    for healthy, words in (([], "no healthy or isogenic line"), (["HC"], "have 0 neurons")):
        marked, said = mark_mislocalised(table, CONDITIONS, healthy)
        assert marked["is_mislocalised"].null_count() == 10
        assert words in said


def test_uncorrected_is_not_corrected():
    table = pl.DataFrame(
        {
            "line": ["a", "b", "c", "d"],
            "genotype": ["SOD1 A4V uncorrected", "SOD1 corrected", "Wild-type", "isogenic control"],
        }
    )
    assert healthy_lines(table) == ["b", "c", "d"]


def test_no_part_of_a_genotype_makes_a_line_healthy():
    texts = [
        "C9orf72, not corrected",
        "C9orf72 (no isogenic available)",
        "healthy carrier of SOD1 A4V",
        "WT",
        "CTRL",
        "HC",
        "Healthy donor 3",
    ]
    table = pl.DataFrame({"line": list("abcdefg"), "genotype": texts})
    assert healthy_lines(table) == ["d", "e", "f", "g"]


def test_without_a_healthy_line_those_not_known_are_asked_for():
    carriers = CONDITIONS.with_columns(
        pl.when(pl.col("line") == "HC")
        .then(pl.lit("healthy carrier"))
        .otherwise("genotype")
        .alias("genotype")
    )
    table = cells(well=["A03"] * 10, nc_log2_aggregate=[0.0] * 10)
    _, reason = mark_mislocalised(table, carriers, healthy_lines(carriers))
    assert states("health.line", reason, line="HC", why="genotype 'healthy carrier'")
    assert "D (" not in reason
