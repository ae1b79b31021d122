from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from imaging_service.errors import StoreError
from imaging_service.jobs.curves import other_curves, write_curves
from phenotypes.plates.responses import Curve
from tests.messages import says


def fitted(model="hill", band=True):
    """A fit that falls by one per decade, with a band of a tenth about it."""

    def predict(doses):
        return -np.log10(np.asarray(doses))

    sides = (
        (lambda doses: (predict(doses) - 0.1, predict(doses) + 0.1)) if band else (lambda _: None)
    )
    return SimpleNamespace(
        status="ok", reason="", ec50=1e-7, model=model, predict=predict, band=sides
    )


def curve(line="L1", compound="x", phenotype="live_density", dose=(0.0, 1e-8, 1e-6), result=None):
    return Curve(
        line,
        compound,
        phenotype,
        "%",
        ("B02", "B03", "B04"),
        dose,
        (1.0, 2.0, 3.0),
        ("b1",) * 3,
        fitted() if result is None else result,
    )


def read(folder):
    return json.loads((folder / "curves.json").read_text(encoding="utf-8"))


def test_a_curve_has_its_wells_and_sixty_points_over_the_tested_doses(tmp_path):
    write_curves(tmp_path, [curve()])
    (row,) = read(tmp_path)
    assert (row["wells"], row["dose_molar"], row["response"]) == (
        ["B02", "B03", "B04"],
        [0.0, 1e-8, 1e-6],
        [1.0, 2.0, 3.0],
    )
    assert (row["status"], row["ec50_molar"], row["unit"]) == ("ok", 1e-7, "%")
    assert row["fit_dose_molar"] == pytest.approx(np.geomspace(1e-8, 1e-6, 60))
    assert row["fit_response"] == pytest.approx(np.linspace(8, 6, 60))
    assert np.subtract(row["fit_response"], row["fit_low"]) == pytest.approx(np.full(60, 0.1))
    assert np.subtract(row["fit_high"], row["fit_response"]) == pytest.approx(np.full(60, 0.1))


@pytest.mark.parametrize("made", [curve(result=fitted(model="")), curve(dose=(0.0, 0.0, 0.0))])
def test_without_model_or_dose_there_is_no_line(tmp_path, made):
    write_curves(tmp_path, [made])
    assert [
        read(tmp_path)[0][name]
        for name in ("fit_dose_molar", "fit_response", "fit_low", "fit_high")
    ] == [[], [], [], []]


def test_a_band_that_is_none_or_not_finite_is_left_out(tmp_path):
    infinite = fitted()
    infinite.band = lambda doses: (np.full(len(doses), -np.inf), np.zeros(len(doses)))
    for result in (fitted(band=False), infinite):
        write_curves(tmp_path, [curve(result=result)])
        (row,) = read(tmp_path)
        assert (len(row["fit_response"]), row["fit_low"], row["fit_high"]) == (60, [], [])


def test_rows_are_in_order_and_those_that_are_kept_stay(tmp_path):
    write_curves(
        tmp_path,
        [curve("L2"), curve("L1", "y"), curve("L1", "x"), curve("L1", "x", "nc_log2_aggregate")],
    )
    key = [(r["phenotype"], r["line"], r["compound"]) for r in read(tmp_path)]
    assert key == sorted(key)
    kept = other_curves(tmp_path, ["L1"])
    assert [r["line"] for r in kept] == ["L2"]
    write_curves(tmp_path, [curve("L1", "z")], kept)
    assert [(r["line"], r["compound"]) for r in read(tmp_path)] == [("L1", "z"), ("L2", "x")]


def test_a_number_that_json_has_not_is_refused(tmp_path):
    with pytest.raises(ValueError, match=says("json.number_that_it_has_not")):
        write_curves(
            tmp_path,
            [Curve("L", "x", "p", "", ("B02",), (float("nan"),), (1.0,), ("b",), fitted(model=""))],
        )


@pytest.mark.parametrize("content", [None, b"[{"])
def test_a_lost_or_damaged_file_is_named(tmp_path, content):
    if content is not None:
        (tmp_path / "curves.json").write_bytes(content)
    with pytest.raises(StoreError, match=says("curves.file_named")):
        other_curves(tmp_path, [])
