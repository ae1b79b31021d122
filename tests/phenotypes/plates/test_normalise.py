from __future__ import annotations

import polars as pl
import pytest

from phenotypes.columns.dictionary import conform
from phenotypes.plates.normalise import normalised_to_isogenic
from phenotypes.statistics.robust import robust_z


def wells(rows):
    table = pl.DataFrame(rows, ["line", "control", "puncta_per_neuron"], orient="row")
    return conform(
        table.with_columns(
            pl.Series("well", [f"W{i}" for i in range(len(rows))]), pl.lit("done").alias("status")
        ),
        "well",
    )


def test_vehicles_without_any_puncta_do_not_divide_by_zero():
    z = robust_z(wells([("A", "vehicle", 0.0)] * 6 + [("A", "none", 0.1)]), "puncta_per_neuron")
    assert z.to_list()[:6] == [0.0] * 6
    assert z.to_list()[6] == pytest.approx(5.0)


def test_the_mad_of_vehicles_that_agree_is_floored_at_a_share_of_their_median():
    nearly = [100.0, 100.0, 100.0, 100.0, 100.1]
    assert robust_z(
        wells([("A", "vehicle", v) for v in nearly] + [("A", "none", 103.0)]), "puncta_per_neuron"
    )[5] == pytest.approx(1.5)
    apart = [90.0, 95.0, 100.0, 105.0, 110.0]
    z = robust_z(
        wells([("A", "vehicle", v) for v in apart] + [("A", "none", 103.0)]), "puncta_per_neuron"
    )[5]
    assert z == pytest.approx(3 / (1.4826 * 5))


@pytest.mark.parametrize("status", ["failed", "skipped", "excluded"])
def test_a_well_that_is_not_done_has_no_relative_value(status):
    table = wells(
        [("A", "vehicle", v) for v in (8.0, 10.0, 12.0)]
        + [("A", "none", 13.0), ("I", "vehicle", 20.0)]
    )
    table = table.with_columns(
        pl.when(pl.col("well") == "W3")
        .then(pl.lit(status))
        .otherwise(pl.col("status"))
        .alias("status")
    )
    name = "puncta_per_neuron"
    assert robust_z(table, name)[3] is None
    assert normalised_to_isogenic(table, name, {"A": "I"})[3] is None


def test_npi_runs_from_disease_to_isogenic_vehicle():
    table = wells(
        [
            ("D", "vehicle", 4.0),
            ("D", "vehicle", 6.0),
            ("I", "vehicle", 1.0),
            ("D", "none", 3.0),
            ("I", "none", 3.0),
        ]
    )
    assert normalised_to_isogenic(
        table, "puncta_per_neuron", {"D": "I"}
    ).to_list() == pytest.approx([25.0, -25.0, None, 50.0, None])
    assert normalised_to_isogenic(table, "puncta_per_neuron", {"D": "X"}).null_count() == 5
    same = wells([("D", "vehicle", 4.0), ("I", "vehicle", 4.0), ("D", "none", 3.0)])
    assert normalised_to_isogenic(same, "puncta_per_neuron", {"D": "I"}).null_count() == 3
