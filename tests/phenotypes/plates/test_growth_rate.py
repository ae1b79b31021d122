from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from phenotypes.columns.dictionary import conform
from phenotypes.columns.statuses import unknown_statuses
from phenotypes.plates.growth_rate import growth_rates


def wells(densities, vehicle=(390.0, 410.0), line="L", **columns):
    """Treated wells with these densities, and vehicle wells."""
    every = [*[("none", d) for d in densities], *[("vehicle", d) for d in vehicle]]
    rows = [
        {
            "well": f"{line}{i}",
            "line": line,
            "genotype": "iPSC",
            "compound": "x" if control == "none" else "DMSO",
            "dose_molar": 1e-6 if control == "none" else 0.0,
            "control": control,
            "status": "done",
            "reason": "",
            "live_density": density,
        }
        | columns
        for i, (control, density) in enumerate(every)
    ]
    return conform(pl.DataFrame(rows, infer_schema_length=None), "well")


DOSING = wells([100.0, 90.0], vehicle=[110.0])


def test_values_of_the_definition():
    """Two doublings of the vehicle from 100 cells: as the vehicle 1, one doubling √2 − 1, none 0,
    half the cells 2^(−1/2) − 1, none left −1.
    """
    table = growth_rates(wells([400.0, 200.0, 100.0, 50.0, 0.0]), DOSING)
    assert set(table["status"]) == {"ok"}
    assert set(table["vehicle_growth"]) == {4.0}
    assert table["gr"].to_list() == pytest.approx([1, np.sqrt(2) - 1, 0, 2**-0.5 - 1, -1])
    assert table["well"].to_list() == ["L0", "L1", "L2", "L3", "L4"]


def test_cells_that_do_not_divide_have_none():
    table = growth_rates(wells([40.0, 20.0], vehicle=[105.0, 108.0]), DOSING)
    assert set(table["status"]) == {"vehicle_does_not_grow"}
    assert table["gr"].null_count() == 2
    assert "1.06 ×" in table["reason"][0] or "1.07 ×" in table["reason"][0]
    # 1.5 × is enough.
    assert growth_rates(wells([100.0], vehicle=[150.0]), DOSING)["status"].to_list() == ["ok"]


def test_each_line_is_judged_by_its_own_vehicle_and_dosing():
    other = wells([105.0], vehicle=[100.0], line="M")
    table = growth_rates(
        pl.concat([wells([400.0]), other, wells([5.0], line="N")]),
        pl.concat([DOSING, wells([100.0], line="M")]),
    )
    assert table.select("line", "status").rows() == [
        ("L", "ok"),
        ("M", "vehicle_does_not_grow"),
        ("N", "no_dosing"),
    ]
    assert table.filter(line="L").equals(growth_rates(wells([400.0]), DOSING))


@pytest.mark.parametrize("value", [1e9, -1e9, 0.0])
def test_wells_that_are_not_done_move_no_growth_rate(value):
    clean, absurd = wells([400.0, 100.0]), wells([value, value], vehicle=[value], status="failed")
    table = growth_rates(
        pl.concat([clean, absurd.with_columns(("x" + pl.col("well")).alias("well"))]),
        pl.concat([DOSING, absurd]),
    )
    assert table.head(2).equals(growth_rates(clean, DOSING))
    assert set(table.tail(2)["status"]) == {"not_measured"}
    assert table.tail(2)["gr"].null_count() == 2


@pytest.mark.parametrize(
    ("end", "dosing", "status"),
    [
        (wells([400.0], vehicle=[]), DOSING, "no_vehicle"),
        (wells([400.0]), wells([0.0], vehicle=[]), "no_dosing"),
        (wells([None]), DOSING, "not_measured"),
    ],
)
def test_what_is_missing_is_a_status(end, dosing, status):
    table = growth_rates(end, dosing)
    assert table["status"].to_list() == [status]
    assert table["gr"].to_list() == [None]
    assert table["reason"][0]
    assert unknown_statuses(table, "growth") == {}


def test_a_plate_without_treated_wells_has_no_row():
    assert growth_rates(wells([]), DOSING).is_empty()
