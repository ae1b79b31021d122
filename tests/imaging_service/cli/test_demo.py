from __future__ import annotations

import polars as pl
import pytest

from imaging_service.cli import demo
from imaging_service.cli.demo import (
    DOSES,
    LINES,
    beside_truth,
    hill,
    layout,
    quick_optics,
    true_responses,
)


def test_doses_are_eight_over_three_and_a_half_decades():
    assert len(DOSES) == 8
    assert (DOSES[0], DOSES[-1]) == (1e-8, 3e-5)


@pytest.mark.parametrize(
    ("dose", "share"), [(0.0, 0.0), (1e-7, 0.5), (1e-6, 10**1.2 / (1 + 10**1.2))]
)
def test_hill(dose, share):
    assert hill(dose, 1e-7, 1.2) == pytest.approx(share)


def test_the_plate_has_every_condition_once_a_replicate_on_inner_wells():
    wells = layout(3)
    assert layout(3) == wells
    assert layout(4) != wells
    assert len(wells) == len({w.well for w in wells}) == 3 * (8 + 4 + 2 * 8 * 2)
    assert all(2 <= w.well.row <= 15 and 2 <= w.well.column <= 23 for w in wells)
    counts: dict[tuple[str, str], int] = {}
    for w in wells:
        counts[w.line.name, w.control] = counts.get((w.line.name, w.control), 0) + 1
    assert set(counts.values()) == {8, 4, 32}


def test_the_rescuer_moves_the_disease_line_only_and_the_toxin_kills_all(monkeypatch):
    for name in ("DENSITY_SD", "LENGTH_SD", "NC_SD", "PUNCTA_SD"):
        monkeypatch.setattr(demo, name, 0.0)
    drawn = {(w.line.name, w.compound, w.dose): w.culture for w in layout(1)}
    plain, top = (
        {line.name: drawn[line.name, c, d] for line in LINES}
        for c, d in (("DMSO", 0.0), ("rescuer-1", 3e-5))
    )
    assert plain["SOD1-07"].neurite_length_um == pytest.approx(110)
    assert top["SOD1-07"].neurite_length_um == pytest.approx(
        110 + (220 - 110) * hill(3e-5, 4e-7, 1.2)
    )
    assert top["SOD1-07"].nc_log2 == pytest.approx(0.3 + 1.1 * hill(3e-5, 4e-7, 1.2))
    assert top["HC-01"] == plain["HC-01"]
    assert drawn["SOD1-07", "reference-rescuer", 1e-5].neurite_length_um == pytest.approx(220)
    for line in LINES:
        dead = drawn[line.name, "toxic-1", 3e-5]
        assert dead.neurons_per_mm2 == pytest.approx(
            300 * (1 - 0.85 * hill(3e-5, line.toxic_ec50, 1.5))
        )
        assert dead.neurite_length_um == pytest.approx(line.neurite_length_um)


def test_the_truth_is_flat_wherever_nothing_happens():
    truth = true_responses()
    assert truth.height == 3 * 2 * 5
    active = truth.filter(pl.col("true_status") == "ok")
    assert active.select("line", "compound").unique().sort("line", "compound").rows() == [
        ("HC-01", "toxic-1"),
        ("SOD1-07", "rescuer-1"),
        ("SOD1-07", "toxic-1"),
        ("SOD1-07-iso", "toxic-1"),
    ]
    assert active.height == 4 + 3 * 2
    assert (
        truth.filter(pl.col("true_status") == "flat")["true_ec50_molar"].null_count()
        == truth.height - active.height
    )


@pytest.mark.parametrize(
    ("status", "low", "high", "agrees"),
    [
        ("ok", 3e-7, 5e-7, True),
        ("ok", 5e-7, 9e-7, False),
        ("ok", None, 5e-7, True),
        ("not_determined", 1e-7, None, True),
        ("ok", None, None, False),
        ("flat", 3e-7, 5e-7, False),
    ],
)
def test_a_curve_agrees_if_its_interval_holds_the_true_ec50(status, low, high, agrees):
    row = {
        "line": "SOD1-07",
        "compound": "rescuer-1",
        "phenotype": "nc_log2_aggregate",
        "status": status,
        "ec50_low": low,
        "ec50_high": high,
    }
    table = pl.DataFrame([row], schema_overrides={"ec50_low": pl.Float64, "ec50_high": pl.Float64})
    assert beside_truth(table)["agrees"].to_list() == [agrees]
    flat = table.with_columns(phenotype=pl.lit("live_density"))
    assert beside_truth(flat)["agrees"].to_list() == [status == "flat"]


def test_quick_fields_are_small_and_as_sharp():
    assert (quick_optics().shape, quick_optics().pixel_size_um) == ((320, 320), 0.65)
