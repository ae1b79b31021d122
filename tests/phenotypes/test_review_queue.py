from __future__ import annotations

import numpy as np
import polars as pl

from phenotypes.columns import conform
from phenotypes.responses import respond
from phenotypes.review_queue import SCHEMA, rank_fields

DOSES = np.geomspace(1e-8, 3e-5, 8)


def plate(odd_vehicle=None, odd_treated=None):
    """Eight vehicle wells and a clean curve of two wells a dose; one vehicle or treated well may be moved."""
    rng = np.random.default_rng(0)
    rows = [("vehicle", 0.0, 200 + rng.normal(0, 4)) for _ in range(8)]
    rows += [("none", d, 200 * (1 - 0.6 * d / (d + 1e-6)) + rng.normal(0, 4)) for d in DOSES for _ in range(2)]
    wells = [
        {"well": f"A{i + 1:02d}", "status": "done", "line": "L", "compound": "DMSO" if c == "vehicle" else "x", "dose_molar": d, "control": c, "batch": "b",
         "live_density": v, "nuclei_count": 100, "live_count": 90, "area_mm2": 0.5, "n_valid_fields": 1} for i, (c, d, v) in enumerate(rows)
    ]  # fmt: skip
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
    table = ranked(plate({2: 320.0}, {12: 320.0}), A20={"qc": "saturated dna (0.2)"}, A21={"valid": False, "qc": "out_of_focus"})
    top = {r["well"]: r["why"] for r in table.head(4).iter_rows(named=True)}
    assert set(top) == {"A03", "A13", "A20", "A21"}
    assert "vehicle well unlike the others of its line in live_density" in top["A03"]
    assert "above the curve of x in live_density" in top["A13"]
    assert top["A20"] == "saturated dna (0.2)"
    assert top["A21"] == "left out: out_of_focus"
    assert table["score"].to_list() == sorted(table["score"], reverse=True)


def test_a_well_alone_at_its_dose_is_remarked():
    wells = plate().filter(pl.col("well") != "A24")
    assert "alone at its dose on the curve of x" in ranked(wells).filter(pl.col("well") == "A23")["why"][0]
