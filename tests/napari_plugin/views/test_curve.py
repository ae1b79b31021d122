"""What is drawn of a curve, and where: vehicle beside the doses, this well apart from the others."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
import pytest

from napari_plugin.views.curve import CurveView

CURVE = {
    "line": "L1",
    "compound": "ril",
    "phenotype": "live_density",
    "unit": "1/mm²",
    "status": "fitted",
    "ec50_molar": 3.5e-7,
    "wells": ["B02", "B03", "B04", "B05"],
    "dose_molar": [0.0, 1e-8, 1e-6, 1e-6],
    "response": [100.0, 90.0, 40.0, 50.0],
    "fit_dose_molar": [1e-8, 1e-7, 1e-6],
    "fit_response": [95.0, 70.0, 30.0],
    "fit_low": [80.0, -500.0, 20.0],
    "fit_high": [110.0, 900.0, 60.0],
}
UNFITTED = {
    "ec50_molar": None,
    "fit_dose_molar": [],
    "fit_response": [],
    "fit_low": [],
    "fit_high": [],
}


@pytest.fixture
def view(qtbot):
    view = CurveView()
    qtbot.addWidget(view)
    return view


def points(view, size):
    """(log10 dose, response) of the wells that are drawn with symbols of a size."""
    (item,) = (
        i
        for i in view.getPlotItem().listDataItems()
        if i.opts["symbol"] == "o" and i.opts["symbolSize"] == size
    )
    return [] if item.xData is None else list(zip(item.xData, item.yData, strict=True))


def lines(view):
    return [i for i in view.getPlotItem().listDataItems() if i.opts["symbol"] is None]


def bands(view):
    return [i for i in view.getPlotItem().items if isinstance(i, pg.FillBetweenItem)]


def ticks(view):
    return view.getPlotItem().getAxis("bottom")._tickLevels[0]


def title(view):
    return view.getPlotItem().titleLabel.text


def test_this_well_is_apart_from_the_others_and_vehicle_left_of_the_lowest_dose(view):
    view.show_curve(CURVE, "B04")
    assert points(view, 12) == [(-6.0, 40.0)]
    assert points(view, 6) == [(-8.75, 100.0), (-8.0, 90.0), (-6.0, 50.0)]
    view.show_curve(CURVE, "B02")
    assert points(view, 12) == [(-8.75, 100.0)]
    assert len(points(view, 6)) == 3


def test_a_well_that_is_not_on_the_curve_is_not_marked(view):
    view.show_curve(CURVE, "H12")
    assert points(view, 12) == []
    assert len(points(view, 6)) == 4


def test_the_fit_is_a_line_with_its_band(view):
    view.show_curve(CURVE, "B04")
    (line,) = lines(view)
    assert (line.xData.tolist(), line.yData.tolist()) == ([-8.0, -7.0, -6.0], [95.0, 70.0, 30.0])
    (band,) = bands(view)
    assert [c.yData.tolist() for c in band.curves] == [CURVE["fit_low"], CURVE["fit_high"]]
    view.show_curve({**CURVE, "fit_low": [], "fit_high": []}, "B04")
    assert (len(lines(view)), len(bands(view))) == (1, 0)


def test_the_axis_holds_wells_and_curve_and_not_the_band(view):
    view.show_curve(CURVE, "B04")
    low, high = view.getPlotItem().viewRange()[1]
    assert (low, high) == pytest.approx((30 - 7, 100 + 7))


def test_doses_are_marked_by_decades_and_the_vehicle_by_its_name(view):
    view.show_curve(CURVE, "B04")
    assert ticks(view) == [(-8.75, "veh."), (-8, "10 nM"), (-7, "100 nM"), (-6, "1 µM")]
    doses = {"dose_molar": [0.0, 3e-8, 2e-6, 2e-6]}
    view.show_curve({**CURVE, **doses}, "B04")
    assert [words for _, words in ticks(view)] == ["veh.", "10 nM", "100 nM", "1 µM", "10 µM"]
    assert ticks(view)[0][0] == pytest.approx(np.log10(3e-8) - 0.75)


def test_the_title_names_the_curve_and_its_half_maximal_dose(view):
    view.show_curve(CURVE, "B04")
    assert title(view) == "L1 · ril · fitted, EC50 350 nM"
    assert view.getPlotItem().getAxis("left").labelText == "live_density (1/mm²)"
    view.show_curve({**CURVE, **UNFITTED, "status": "no_response"}, "B04")
    assert title(view) == "L1 · ril · no_response"


def test_wells_without_a_fit_are_drawn_alone(view):
    view.show_curve({**CURVE, **UNFITTED}, "B04")
    assert (len(points(view, 12)), len(points(view, 6))) == (1, 3)
    assert (lines(view), bands(view)) == ([], [])
    assert view.getPlotItem().viewRange()[1] == pytest.approx([40 - 6, 100 + 6])


@pytest.mark.parametrize("nothing", [None, {**CURVE, "dose_molar": [0.0, 0.0, 0.0, 0.0]}])
def test_without_a_curve_or_a_dose_the_plot_is_empty(view, nothing):
    view.show_curve(CURVE, "B04")
    view.show_curve(nothing, "B04")
    assert view.getPlotItem().listDataItems() == []
    assert bands(view) == []
    assert title(view) == ""
