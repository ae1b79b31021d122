"""A part of the matrix, measured on small drawn plates; `benchmarks/masks/matrix.py` fills all of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from phenotypes.columns.disturbances import DISTURBANCES, disturbance
from phenotypes.columns.known_faults import KNOWN_FAULTS
from segmentation import available
from tests.matrix.filling import ENGINES, WITHOUT, fill, judge
from tests.matrix.plates import DRAWN
from tests.matrix.runs import Result
from tests.matrix.scenes import Scene, draw

# What the quicker engine measures here; the benchmark measures every level with every engine.
HERE = {"camera offset": (1000,), "glia": (600,), "N:C state": (-1,)}


def test_every_disturbance_is_drawn_and_every_engine_is_measured():
    assert list(DRAWN) == [row.name for row in DISTURBANCES]
    assert {*ENGINES, *WITHOUT} == set(available())
    assert {e for known in KNOWN_FAULTS for e in known.engines} <= set(ENGINES)


@pytest.fixture(scope="module")
def cells():
    return [cell for name, levels in HERE.items() for cell in fill(name, levels, "classical")]


def test_only_what_may_move_moves(cells):
    wrong = [
        f"{c.disturbance} {c.level:g}: {c.column} {c.text}, {c.worst:.1f} × the tolerance, {c.why}"
        for c in cells
        if c.state == "fails" and not c.fault
    ]
    assert wrong == []
    assert sum(c.state == "holds" for c in cells) > 40
    followed = {(c.disturbance, c.group) for c in cells if c.state == "follows the truth"}
    assert followed >= {("glia", "counts"), ("glia", "pyknosis"), ("N:C state", "N:C")}


BEFORE = Result(
    {},
    {"well.nuclei_count": 30.0, "fewest": 25},
    "",
    0.65,
)


def result(words="", truth=None, **values):
    from phenotypes.columns.disturbances import published

    named = {f"{c.level}.{c.name}": None for c in published()}
    named |= {name.replace("__", "."): value for name, value in values.items()}
    return replace(BEFORE, values=named, words=words, truth=BEFORE.truth | (truth or {}))


def cell_of(name, group, before, after, level=1):
    row = disturbance(name)
    return next(c for c in judge(row, level, "classical", before, after) if c.group == group)


def test_a_number_that_moves_without_leave_fails():
    before = result(well__nc_log2_aggregate=1.0)
    held = cell_of("camera offset", "N:C", before, result(well__nc_log2_aggregate=1.09))
    moved = cell_of("camera offset", "N:C", before, result(well__nc_log2_aggregate=0.89))
    assert (held.state, moved.state) == ("holds", "fails")
    assert moved.change == pytest.approx(-0.11)
    assert moved.worst == pytest.approx(1.1)


def test_a_number_that_may_move_follows_what_was_drawn():
    before = result(well__nuclei_count=30)
    drawn = {"well.nuclei_count": 60.0}
    true = cell_of("glia", "counts", before, result(truth=drawn, well__nuclei_count=61))
    short = cell_of("glia", "counts", before, result(truth=drawn, well__nuclei_count=50))
    assert (true.state, short.state) == ("follows the truth", "fails")


def test_a_null_is_right_only_where_the_product_says_why():
    before, words = result(well__nc_log2_aggregate=1.0), "cytoplasm_too_thin: 3 of 4 neurons"
    said = cell_of("cytoplasm width", "N:C", before, result(words))
    silent = cell_of("cytoplasm width", "N:C", before, result())
    elsewhere = cell_of("camera offset", "N:C", before, result(words))
    assert [c.state for c in (said, silent, elsewhere)] == ["withheld", "fails", "fails"]


def test_a_column_that_must_be_withheld_fails_with_a_number():
    before = result(well__live_density=200.0)
    refused = cell_of("all vehicle wells blank", "counts", before, result("no vehicle can"))
    number = cell_of("all vehicle wells blank", "counts", before, result(well__live_density=200.0))
    assert (refused.state, number.state) == ("withheld", "fails")


def test_few_cells_have_no_mean_by_rule():
    before = result(well__nc_log2_aggregate=1.0)
    few = result(truth={"fewest": 12})
    assert cell_of("few neurons", "N:C", before, few).state == "withheld"


def test_equal_scenes_are_equal_and_a_knob_moves_nothing_else():
    scene = Scene(side_um=120.0, neurons=400.0)
    pixels, truth = draw(scene)
    again, _ = draw(scene)
    assert (pixels == again).all()
    assert pixels.shape == (6, 185, 185)
    brighter, same = draw(replace(scene, nuclear_light=2000.0))
    assert same == truth
    assert (brighter[1:] == pixels[1:]).mean() > 0.99
    assert truth.neurons == round(400 * 0.0144)


def test_a_margin_is_drawn_without_cells_and_out_of_the_true_area():
    scene = Scene(side_um=120.0, neurons=600.0, margin=0.25, margin_kind="black")
    pixels, truth = draw(scene)
    assert (pixels[:, :, -40:] == 0).all()
    assert truth.area_mm2 == pytest.approx(0.0144 * 0.75, rel=0.01)
    assert 0 < truth.neurons < draw(replace(scene, margin=0.0, margin_kind=""))[1].neurons
