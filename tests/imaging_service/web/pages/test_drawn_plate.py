from __future__ import annotations

import math

import pytest

from imaging_service.web.pages.drawn_plate import (
    contents_plate,
    phenotype_plate,
    progress_plate,
    viridis,
    why_without,
)
from imaging_service.web.templating import environment
from plate_maps import plate_format
from tests.messages import states

FORMAT = plate_format(96)


def well(name, **more):
    return {
        "well": name,
        "line": "L1",
        "compound": "x",
        "control": "none",
        "dose_molar": 1e-6,
        "status": "done",
        "reason": "",
        "value": 1.0,
    } | more


def test_a_plate_that_is_analysed_has_a_sign_per_end():
    plate = progress_plate(
        "p", FORMAT, ["B02", "A01", "C03"], {"A01": ("done", ""), "B02": ("failed", "blank")}
    )
    assert [(w.name, w.kind, w.sign) for w in plate.wells] == [
        ("A01", "done", ""),
        ("B02", "failed", "×"),
        ("C03", "left", "·"),
    ]
    assert "blank" in plate.wells[1].words
    assert (plate.rows, plate.columns[-1]) == (tuple("ABCDEFGH"), 12)
    assert plate.wells[0].page == ""


def test_one_odd_well_does_not_make_the_others_alike():
    rows = [well(f"A{i:02d}", value=float(i)) for i in range(1, 12)] + [well("A12", value=1e6)]
    plate = phenotype_plate(rows, "value", "µm", FORMAT, "/w/{}".format)
    assert plate.low == pytest.approx(1.22)
    assert plate.wells[0].fill == viridis(0)
    assert plate.wells[-1].fill == viridis(1)
    assert plate.wells[0].page == "/w/A01"
    assert plate.wells[1].words.endswith("value 2 µm")


@pytest.mark.parametrize("value", [None, math.nan, math.inf, True])
def test_a_well_without_a_number_says_why(value):
    plate = phenotype_plate(
        [well("A01", value=value, status="failed", reason="blank"), well("A02")],
        "value",
        "",
        FORMAT,
    )
    first, second = plate.wells
    assert (first.kind, first.sign, first.fill) == ("nothing", "×", "")
    assert first.words.endswith("failed: blank")
    assert second.fill == viridis(0.5)


def test_a_plate_without_numbers_has_no_scale():
    assert phenotype_plate([well("A01", value=None)], "value", "", FORMAT).scale == ()


def test_a_well_that_is_left_out_keeps_its_number_and_carries_a_sign():
    plate = phenotype_plate([well("A01", status="excluded")], "value", "", FORMAT)
    assert (plate.wells[0].kind, plate.wells[0].sign) == ("value", "⊘")


def test_doses_are_numbered_within_their_compound():
    rows = [
        well("A01", dose_molar=1e-5),
        well("A02"),
        well("A03", compound="y", dose_molar=1e-3),
        well("A04", compound="DMSO", control="vehicle", dose_molar=0.0),
        well("A05", compound="z", control="positive", line="L2"),
        well("A06", line="", compound="", control="none", dose_molar=None),
    ]
    plate = contents_plate(rows, FORMAT)
    assert [w.sign for w in plate.wells] == ["2", "1", "1", "V", "P", ""]
    assert [w.kind for w in plate.wells][-2:] == ["line line-1", "nothing"]
    assert next(w for w in plate.wells if w.name == "A01").words == "A01: L1 · x 10 µM"


@pytest.mark.parametrize(("status", "sign"), [("failed", "×"), ("excluded", "⊘"), ("skipped", "–")])
def test_a_well_without_a_result_is_pale_and_says_why_among_what_is_in_each_well(status, sign):
    lost = well("A01", control="vehicle", status=status, reason="blank")
    drawn, kept = contents_plate([lost, well("A02")], FORMAT).wells
    assert (drawn.kind, drawn.sign) == ("line line-0 lost", sign)
    assert drawn.words == f"A01: L1 · x 1 µM; {status}: blank"
    assert kept.kind == "line line-0"


def test_the_signs_of_wells_without_a_result_are_explained_where_there_are_any():
    words = environment().get_template("pages/plate.svg.html").module.signs
    rows = [well("A01", status="failed"), well("A02")]
    assert [words(contents_plate(r, FORMAT)).count("×") for r in (rows, rows[1:])] == [1, 0]


def test_a_plate_map_that_has_not_run_yet_has_no_lost_well():
    row = well("A01")
    del row["status"], row["reason"]
    assert contents_plate([row], FORMAT).wells[0].kind == "line line-0"


def test_each_of_many_lines_has_a_colour_and_the_legend_has_it_too():
    rows = [well(f"A{i:02d}", line=f"L{i:02d}") for i in range(1, 13)]
    plate = contents_plate(rows, FORMAT, line_page="/line/{}".format)
    assert len({w.fill for w in plate.wells}) == 12
    assert [(e.name, e.fill) for e in plate.legend] == [
        (f"L{i:02d}", w.fill) for i, w in enumerate(plate.wells, 1)
    ]
    assert plate.legend[0].page == "/line/L01"
    assert [e.kind for e in contents_plate(rows[:2], FORMAT).legend] == [
        "line line-0",
        "line line-1",
    ]


def test_lightness_rises_with_the_value():
    """By the weights of sRGB's luminance: the order is read without colour vision."""
    colours = [viridis(i / 20) for i in range(21)]
    light = [
        0.2126 * int(c[1:3], 16) + 0.7152 * int(c[3:5], 16) + 0.0722 * int(c[5:], 16)
        for c in colours
    ]
    assert light == sorted(light)


def test_a_well_of_a_film_without_survival_says_how_many_neurons_were_followed():
    few = {"reason": "", "n_tracked": 17}
    assert states("pages.too_few_followed", why_without(few, "rmst_h"), followed=17)
    assert why_without(few | {"reason": "dry"}, "rmst_h") == "dry"
    for row, name in ((few | {"n_tracked": 20}, "rmst_h"), (few, "live_density")):
        assert states("pages.not_measured", why_without(row, name))


def test_a_well_without_a_mean_is_compared_with_the_limits_of_its_protocol():
    row, name = (
        {"reason": "", "live_count": 25, "attribution_conflict_fraction": 0.4},
        "puncta_per_neuron",
    )
    assert states("pages.not_measured", why_without(row, name))
    assert states(
        "well.few_cells",
        why_without(row, name, {"min_cells": 26, "ring_um": 3.0}),
        count=25,
        least=26,
    )
    length = why_without(row, "primary_neurites_mean")
    assert states("well.crossing", length, share="40%")
    crossing = {"max_conflict": 0.5}
    assert states("pages.not_measured", why_without(row, "primary_neurites_mean", crossing))
    plate = phenotype_plate(
        [
            row
            | {
                "well": "A01",
                "line": "",
                "compound": "",
                "control": "",
                "status": "done",
                name: None,
            }
        ],
        name,
        "",
        FORMAT,
        measurement={"min_cells": 26},
    )
    assert states(
        "well.few_cells",
        next(w for w in plate.wells if w.name == "A01").words.split("; done: ")[-1],
        count=25,
        least=26,
    )
