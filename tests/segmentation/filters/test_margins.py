"""Cells beside a wall or a neurosphere are found and measured as without it, by either engine."""

from __future__ import annotations

import numpy as np
import pytest

from phenotypes import measure
from segmentation import Field, load
from segmentation.filters.background import estimate_illumination
from segmentation.filters.margins import clipped, keep_valid, levelled
from segmentation.valid_area import ValidArea
from tests import drawn

SHAPE = (512, 512)


@pytest.fixture(scope="module", params=["classical", "motornet"])
def engine(request):
    vehicles = [drawn.culture(SHAPE, seed=s).photograph(s) for s in range(2)]
    return load(request.param, device="cpu").calibrate(vehicles)


@pytest.fixture(scope="module")
def half() -> Field:
    """16 × 16 pixels of which the left half is valid."""
    inside = np.zeros((16, 16), bool)
    inside[:, :8] = True
    return Field(np.full((1, 16, 16), 50, np.uint16), ("dna",), 1.0, ValidArea(inside, 0.5))


def measured(engine, field):
    segmentation = engine.segment(field)
    table = measure(field, segmentation)
    row = table.field.row(0, named=True)
    neurons = table.cells.filter("is_neuron")
    return {
        "nuclei": len(table.cells),
        "neurons": len(neurons),
        "nc": neurons["nc_log2_aggregate"].mean(),
        "density": len(neurons) / row["valid_area_mm2"],
        "confluence": row["confluence"],
        "row": row,
    }


@pytest.mark.parametrize("fill", [0.0, None])
@pytest.mark.parametrize("kind", ["margin", "round"])
def test_a_dark_margin_moves_no_number(engine, kind, fill):
    inside = drawn.margin(SHAPE, 0.15, "top") if kind == "margin" else drawn.round_well(SHAPE, 0.2)
    scene = drawn.culture(SHAPE, seed=5, within=inside)
    without = measured(engine, scene.photograph(5))
    dark = measured(engine, drawn.outside_dark(scene.photograph(5), inside, fill))
    count = len(scene.centres)
    assert without["neurons"] == pytest.approx(count, rel=0.03)
    assert dark["neurons"] == pytest.approx(count, rel=0.03)
    assert dark["nuclei"] == pytest.approx(count, rel=0.03)
    assert dark["nc"] == pytest.approx(without["nc"], abs=0.02)
    area = inside.sum() * 0.65**2 / 1e6
    assert dark["row"]["valid_area_mm2"] == pytest.approx(area, rel=0.01)
    assert dark["density"] == pytest.approx(count / area, rel=0.03)
    assert dark["confluence"] * area == pytest.approx(
        without["confluence"] * without["row"]["area_mm2"], rel=0.03
    )
    assert dark["row"]["outside_fraction"] == pytest.approx((~inside).mean(), abs=0.01)
    assert "outside_of_culture" in dark["row"]["warnings"]
    assert without["row"]["outside_fraction"] == 0


def test_a_neurosphere_moves_no_other_cell(engine):
    scene, centre = drawn.culture(SHAPE, seed=7, per_mm2=450), (150.0, 170.0)
    without = measured(engine, scene.photograph(7))
    field = drawn.with_sphere(scene, centre).photograph(7)
    sphere = measured(engine, field)
    far, near = drawn.far_from(scene, centre, 95), drawn.far_from(scene, centre, 70)
    assert far * 0.97 <= sphere["neurons"] <= near * 1.03
    assert sphere["nuclei"] <= near * 1.03
    assert sphere["nc"] == pytest.approx(without["nc"], abs=0.05)
    assert sphere["row"]["clump_count"] == 1
    assert sphere["density"] == pytest.approx(without["density"], rel=0.12)
    assert "clump" in sphere["row"]["warnings"]


def test_cells_at_a_wall_touch_the_border(engine):
    inside = drawn.margin(SHAPE, 0.15, "top")
    # Cells all over: the wall cuts some.
    field = drawn.outside_dark(drawn.culture(SHAPE, seed=10).photograph(10), inside, 0)
    cells = measure(field, engine.segment(field)).cells
    wall = 0.15 * 512 * 0.65
    assert (cells["y_um"] > wall).all()
    cut = cells.filter("touches_border")
    assert (cut["y_um"] < wall + 8).any()


def test_the_illumination_does_not_follow_a_margin():
    def field(seed, margin):
        shot = drawn.culture((256, 256), seed=seed, neurites=False, per_mm2=1500).photograph(seed)
        inside = drawn.margin((256, 256), 0.2, "left")
        return drawn.outside_dark(shot, inside, 0) if margin else shot

    with_margin = estimate_illumination([field(s, margin=True) for s in range(8)])
    assert with_margin.applied[0] is False
    corrected = with_margin.correct(field(1, margin=True))
    assert corrected.valid_area.outside == pytest.approx(0.2, abs=0.02)


def test_objects_stay_if_most_of_them_is_valid(half):
    labels = np.zeros((16, 16), np.int32)
    labels[0:4, 0:4], labels[6:8, 5:9], labels[10:12, 7:12] = 1, 2, 3
    kept = keep_valid(labels, half)
    assert np.unique(kept).tolist() == [0, 1, 2]
    assert (kept == 2).sum() == 6
    assert not kept[:, 8:].any()
    assert clipped(labels, half)[:, :8].max() == 3
    assert not clipped(labels, half)[:, 8:].any()


def test_what_is_left_out_is_filled_from_beside_it():
    pixels = np.full((1, 64, 64), 300, np.uint16)
    inside = np.ones((64, 64), bool)
    inside[:, :20] = False
    pixels[0, :, :20] = 0
    filled = levelled(Field(pixels, ("dna",), 1.0, ValidArea(inside, 0.3)), "dna")
    assert filled == pytest.approx(np.full((64, 64), 300), abs=1)
    whole = Field(pixels, ("dna",), 1.0, ValidArea())
    assert (levelled(whole, "dna") == pixels[0]).all()
