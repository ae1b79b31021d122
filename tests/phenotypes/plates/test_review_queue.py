from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from phenotypes.columns.dictionary import conform
from phenotypes.plates.responses import respond
from phenotypes.plates.review_queue import SCHEMA, leverage, rank_fields
from phenotypes.statistics.curves.hill import DoseResponse
from tests.messages import states

DOSES = np.geomspace(1e-8, 3e-5, 8)


def plate(odd_vehicle=None, odd_treated=None):
    """Eight vehicle wells and a clean curve of two wells a dose; one vehicle or treated well may be
    moved.
    """
    rng = np.random.default_rng(0)
    rows = [("vehicle", 0.0, 200 + rng.normal(0, 4)) for _ in range(8)]
    rows += [
        ("none", d, 200 * (1 - 0.6 * d / (d + 1e-6)) + rng.normal(0, 4))
        for d in DOSES
        for _ in range(2)
    ]
    wells = [
        {
            "well": f"A{i + 1:02d}",
            "status": "done",
            "line": "L",
            "compound": "DMSO" if c == "vehicle" else "x",
            "dose_molar": d,
            "control": c,
            "batch": "b",
            "live_density": v,
            "nuclei_count": 100,
            "live_count": 90,
            "area_mm2": 0.5,
            "n_valid_fields": 1,
        }
        for i, (c, d, v) in enumerate(rows)
    ]
    for place, value in (odd_vehicle or {}).items() | (odd_treated or {}).items():
        wells[place]["live_density"] = value
    return conform(pl.DataFrame(wells), "well")


def fields(wells, **marks):
    rows = [{"well": w, "field": 1, "frame": 1, "valid": True, "qc": ""} for w in wells["well"]]
    for well, change in marks.items():
        next(r for r in rows if r["well"] == well).update(change)
    return conform(pl.DataFrame(rows), "field")


def ranked(wells, **marks):
    curves = respond(wells, ["live_density"], pixel_size_um=0.5).curves
    return rank_fields(fields(wells, **marks), wells, curves, ["live_density"])


def test_a_clean_plate_has_nothing_urgent_and_keeps_its_order():
    table = ranked(plate())
    assert dict(table.schema) == SCHEMA
    assert table["score"].max() == 0
    assert table["well"].to_list() == plate()["well"].to_list()


def test_what_is_odd_comes_first_with_its_reason():
    table = ranked(
        plate({2: 320.0}, {12: 320.0}),
        A20={"qc": "saturated dna (0.2)"},
        A21={"valid": False, "qc": "out_of_focus"},
    )
    top = {r["well"]: r["why"] for r in table.head(4).iter_rows(named=True)}
    assert set(top) == {"A03", "A13", "A20", "A21"}
    assert states("queue.odd_vehicle", top["A03"], phenotype="live_density")
    assert states("queue.above_the_curve", top["A13"], compound="x", phenotype="live_density")
    assert top["A20"] == "saturated dna (0.2)"
    assert top["A21"] == "left out: out_of_focus"
    assert table["score"].to_list() == sorted(table["score"], reverse=True)


def test_a_well_that_the_curve_hangs_on_is_remarked():
    """All that is known of the effect is one well at the highest dose: the others are flat."""
    wells = plate()
    top = pl.col("dose_molar") > 9e-6
    low = pl.col("dose_molar").is_between(1e-9, 9e-6)
    wells = wells.with_columns(
        pl.when(low)
        .then(199 + pl.int_range(pl.len()) % 3)
        .when(top)
        .then(100)
        .otherwise(pl.col("live_density"))
        .alias("live_density")
    )
    wells = wells.filter(pl.col("well") != "A24")
    why = dict(ranked(wells).select("well", "why").iter_rows())
    assert states("queue.leverage", why["A23"])
    assert not any(states("queue.leverage", words) for words in ranked(plate())["why"])


def test_leverage_adds_up_to_the_parameters_and_is_one_where_a_well_decides_alone():
    curve = respond(plate(), ["live_density"], pixel_size_um=0.5).curves[0]
    found = leverage(curve.result, np.array(curve.dose))
    assert found.sum() == pytest.approx(4)
    assert ((found > 0) & (found < 1)).all()
    dose = np.array([0.0, 1e-8, 1e-6, 3e-5])  # four wells, four parameters
    assert leverage(curve.result, dose) == pytest.approx(np.ones(4))
    assert leverage(DoseResponse("flat", ""), dose).tolist() == [0, 0, 0, 0]


def test_doubtful_nuclei_are_remarked_where_there_are_enough_to_say_so():
    sure = {"nucleus_confidence": 0.95, "engine_agreement": 0.97, "nuclei_count": 50}
    marks = {
        "A03": sure | {"engine_agreement": 0.55},
        "A04": sure | {"nucleus_confidence": 0.8},
        "A05": sure | {"engine_agreement": 0.0, "nuclei_count": 2},
        "A06": sure,
    }
    why = {r["well"]: r["why"] for r in ranked(plate(), **marks).iter_rows(named=True)}
    assert states("queue.other_engine", why["A03"], agreement="0.55")
    assert states("queue.unsure_engine", why["A04"], probability="0.80")
    assert why["A05"] == why["A06"] == ""
