from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from phenotypes.screens.batches.vehicles import (
    odd_batches,
    tolerance_factor,
    vehicle_levels,
    vehicles_of,
)
from phenotypes.screens.conditions import plate_effects
from phenotypes.screens.fit import fit_screen
from phenotypes.screens.lines import batch_effects


def wells(rng, lines=("L",), batches=3, compounds=12, off=None, level=None, active=0, sd=0.1):
    """Density in log2 about 200; `off` is added to the vehicle of (line, batch)."""
    off, level = off or {}, level or {}
    rows = []
    for line in lines:
        for b in range(batches):
            shift = {"vehicle": off.get((line, b), 0.0), "none": 0.0}
            answers = rng.normal(0, sd, compounds) - 0.8 * (np.arange(compounds) < active)
            conditions = [("vehicle", "DMSO", 0.0, 0.0)] * 8 + [
                ("none", f"c{c:02d}", d, a)
                for c, a in enumerate(answers)
                for d in (1e-8, 1e-6)
                for _ in range(2)
            ]
            for control, compound, dose, answer in conditions:
                effect = answer * (dose > 1e-7) + shift[control] + level.get((line, b), 0.0)
                rows.append(
                    {
                        "plate": f"{line}-{b}",
                        "batch": f"b{b}",
                        "line": line,
                        "genotype": "SOD1",
                        "compound": compound,
                        "dose_molar": dose,
                        "control": control,
                        "status": "done",
                        "nuclei_count": 300,
                        "live_density": 200 * 2 ** (effect + rng.normal(0, 0.1)),
                    }
                )
    return pl.DataFrame(rows)


def table_of(table):
    plates = plate_effects(table, ["live_density"])
    return vehicles_of(vehicle_levels(plates), batch_effects(plates))


def test_a_vehicle_that_is_off_is_named_with_its_size_and_on_the_rows():
    table = wells(np.random.default_rng(0), ("L", "M"), off={("L", 1): 0.5})
    found = {(r["line"], r["batch"]): r for r in table_of(table).to_dicts()}
    assert {k for k, r in found.items() if r["status"] == "odd"} == {("L", "b1")}
    odd = found["L", "b1"]
    assert odd["shift"] == pytest.approx(-0.5, abs=0.12)
    assert odd["shift_low"] < -0.5 < odd["shift_high"]
    assert (odd["n_compounds"], odd["n_wells"]) == (12, 8)
    assert odd["history_status"] == "too_few_batches"
    planned = table.filter(control="none").select("line", "compound", "dose_molar").unique()
    screen = fit_screen(plate_effects(table, ["live_density"]), planned)
    reasons = screen.responses.group_by("line").agg(
        pl.col("reason").str.contains("b1 is odd").mean()
    )
    assert dict(reasons.rows()) == {"L": 1.0, "M": 0.0}


def test_sound_vehicles_are_left_alone_also_where_compounds_work():
    rng = np.random.default_rng(1)
    called = [
        (table_of(wells(rng, ("L", "M"), active=4 * (i % 2)))["status"] == "odd").any()
        for i in range(60)
    ]
    # 5 % of screens by Bonferroni, ± 3 standard errors
    assert sum(called) <= 8


def test_the_interval_of_the_shift_covers():
    rng = np.random.default_rng(2)
    covered = []
    for i in range(80):
        # At the lowest dose nothing works, and the vehicle's own error is most of it.
        table = wells(rng, compounds=8, sd=0.3)
        lowest = 1e-8 if i % 2 else 0.5
        plates = plate_effects(table.filter(pl.col("dose_molar") != lowest), ["live_density"])
        found = vehicles_of(vehicle_levels(plates), batch_effects(plates))
        covered += found.select((pl.col("shift_low") <= 0) & (pl.col("shift_high") >= 0))[
            "shift_low"
        ].to_list()
    assert 0.9 <= np.mean(covered) <= 0.985


def test_few_compounds_say_nothing_of_the_vehicle():
    row = table_of(wells(np.random.default_rng(3), compounds=5, off={("L", 0): 2.0})).to_dicts()[0]
    assert (row["status"], row["shift"], row["shift_low"]) == ("too_few_compounds", None, None)
    assert row["n_compounds"] == 5
    assert row["level"] == pytest.approx(np.log2(200) + 2, abs=0.1)


def test_a_level_outside_of_the_lines_history_is_named():
    rng = np.random.default_rng(4)
    levels = {("L", b): rng.normal(0, 0.1) for b in range(8)} | {("L", 3): 2.0}
    found = {r["batch"]: r for r in table_of(wells(rng, batches=8, level=levels)).to_dicts()}
    assert {b for b, r in found.items() if r["history_status"] == "outside"} == {"b3"}
    # The whole batch moved, so its compounds are beside their vehicle as ever.
    assert found["b3"]["status"] == "ok"
    others = np.array([r["level"] for b, r in found.items() if b != "b3"])
    half = tolerance_factor(7) * others.std(ddof=1)
    assert found["b3"]["history_low"] == pytest.approx(others.mean() - half)
    assert found["b3"]["history_high"] == pytest.approx(others.mean() + half)


@pytest.mark.parametrize(("n", "factor"), [(10, 3.379), (20, 2.752), (50, 2.379)])
def test_the_factor_is_that_of_published_tables(n, factor):
    """Two-sided 95 % / 95 % factors of ISO 16269-6; Howe's are within 1 % of them."""
    assert tolerance_factor(n) == pytest.approx(factor, rel=0.01)


def test_the_band_holds_another_batch_as_often_as_it_says():
    rng = np.random.default_rng(5)
    drawn = rng.normal(size=(4000, 7))
    half = tolerance_factor(6) * drawn[:, :6].std(axis=1, ddof=1)
    held = np.abs(drawn[:, 6] - drawn[:, :6].mean(axis=1)) <= half
    assert 0.97 <= held.mean() <= 1.0


def test_odd_vehicles_are_listed_by_phenotype_and_line():
    found = odd_batches(table_of(wells(np.random.default_rng(0), off={("L", 1): 0.5})))
    assert list(found) == [("live_density", "L")]
    assert len(found["live_density", "L"]) == 1
