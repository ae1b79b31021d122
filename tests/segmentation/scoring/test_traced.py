"""The honest metric of benchmarks/masks/neurites.py, on lines of known length and place."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from benchmarks.masks.false_neurites import BODIES, KINDS, kinds
from benchmarks.masks.neurites import (
    Score,
    Skeleton,
    baseline,
    bright_enough,
    false_density,
    score,
    skeleton,
)
from benchmarks.masks.traced import (
    SCALES,
    TRACES,
    drawn,
    read_traces,
    traced_field,
    training_samples,
)
from phenotypes.cells.neurites import trace
from phenotypes.cells.skeleton import skeleton_graph
from segmentation import Field
from segmentation.engines.motornet.samples import UNSURE
from tests.messages import says

SIDE, PX = 300, 0.5
LINE = [(100, 50), (100, 250)]


def blank(pixels=None):
    image = np.zeros((1, SIDE, SIDE), np.float32) if pixels is None else pixels[None]
    return Field(image, ("neurite",), PX)


def found(*lines):
    """A skeleton with its length, as if a mask had been thinned."""
    graph = skeleton_graph(drawn(lines, (SIDE, SIDE)))
    length = np.zeros((SIDE, SIDE))
    length[graph.y, graph.x] = graph.pixel_px * PX
    return Skeleton(length > 0, length)


def scored(truth, lines, **areas) -> Score:
    return score(traced_field("drawn", "tuning", blank(), truth, **areas), found(*lines))


@pytest.mark.parametrize(
    ("offset", "at_2_px", "at_3_px"), [(0, 1, 1), (2, 1, 1), (3, 0, 1), (4, 0, 0)]
)
def test_a_line_beside_the_traced_one_is_right_within_the_tolerance(offset, at_2_px, at_3_px):
    result = scored([LINE], [[(100 + offset, 50), (100 + offset, 250)]])
    assert [lines.f1 for lines in result.lines] == [at_2_px, at_3_px]
    assert result.length_error == pytest.approx(0, abs=1e-9)


def test_lengths_are_those_of_the_estimator_in_micrometres():
    result = scored([LINE, [(10, 10), (90, 90)]], [LINE])
    # 200 px along an axis at 0.980, 80 px along the diagonal at 1.406
    assert result.true_um == pytest.approx((200 * 0.980 + 80 * 1.406) * PX, rel=1e-9)
    assert result.found_um == pytest.approx(200 * 0.980 * PX, rel=1e-9)


def test_a_false_line_costs_precision_and_length_and_a_missed_one_recall():
    false = scored([LINE], [LINE, [(200, 50), (200, 250)]])
    assert (false.lines[1].precision, false.lines[1].recall) == (0.5, 1.0)
    assert false.length_error == pytest.approx(1.0)
    missed = scored([LINE, [(200, 50), (200, 250)]], [LINE])
    assert (missed.lines[1].precision, missed.lines[1].recall) == (1.0, 0.5)
    assert missed.length_error == pytest.approx(-0.5)


def test_every_traced_pixel_counts_also_beside_what_is_unknown():
    unknown = [[(80, 40), (80, 260), (120, 260), (120, 40)]]
    nothing = scored([LINE], [], unknown=unknown)
    assert nothing.lines[1].true == 201
    assert nothing.lines[1].recall == 0
    # 10 px beside the line it is unknown whether there is a neurite; 30 px beside it is not
    assert scored([LINE], [LINE, [(110, 50), (110, 250)]], unknown=unknown).length_error == 0
    wrong = scored([LINE], [LINE, [(130, 50), (130, 250)]], unknown=unknown)
    assert wrong.length_error == pytest.approx(1.0)
    assert wrong.lines[1].precision == 0.5


def test_inside_a_cell_body_nothing_is_judged():
    body = [[(90, 50), (90, 149), (110, 149), (110, 50)]]
    result = scored([LINE], [[(105, 60), (105, 140)], [(100, 150), (100, 250)]], somas=body)
    assert result.lines[1].f1 == 1
    assert result.true_um == pytest.approx(100 * 0.980 * PX, rel=0.01)
    assert result.length_error == pytest.approx(0, abs=0.01)


def test_an_unknown_split_is_refused():
    with pytest.raises(ValueError, match=says("traces.unknown_split", split="validation")):
        traced_field("drawn", "validation", blank(), [LINE])


def stripes(*contrasts, noise=2.0):
    """Lines of 200 px and σ 1.2 px, 60 px apart, each of its contrast."""
    y = np.arange(SIDE)[:, None]
    image = np.full((SIDE, SIDE), 100.0)
    for n, contrast in enumerate(contrasts):
        profile = contrast * np.exp(-((y - 60 * (n + 1)) ** 2) / (2 * 1.2**2))
        image[:, 50:251] += profile
    image += np.random.default_rng(1).normal(0, noise, image.shape)
    return image.astype(np.float32)


def test_the_baseline_finds_drawn_lines_at_their_length():
    image = stripes(200, 200, 200)
    lines = skeleton(trace(baseline(image), None, PX), PX)
    truth = [[(60 * n, 50), (60 * n, 250)] for n in (1, 2, 3)]
    result = score(traced_field("stripes", "tuning", blank(image), truth), lines)
    assert result.lines[0].recall > 0.98
    assert -0.02 < result.length_error < 0.05


@pytest.mark.parametrize(
    ("floor", "rows"), [(0.2, {60, 120, 180, 240}), (0.5, {60, 120, 240}), (1.5, set())]
)
def test_the_floor_drops_what_is_dim_for_its_plate(floor, rows):
    """The median is the plate's: a field with nothing but dim lines loses them."""
    plate = [stripes(200, 200, 60, 200), stripes(60)]
    graphs = [trace(image > 140, None, PX) for image in plate]
    first, second = bright_enough(plate=graphs, images=plate, floor=floor)
    kept = {round(y / 60) * 60 for y in np.flatnonzero(first.sum(axis=1) > 100)}
    assert kept == rows
    assert (second.sum() > 150) == (floor == 0.2)


def test_false_length_is_per_area():
    """Three lines of 100 µm on a field of 150 µm: 0.3 mm on 0.0225 mm²."""
    field = blank(stripes(200, 200, 200))
    (everything,) = false_density("tophat", [field, field], [None])
    assert everything == pytest.approx(0.3 / 0.0225, rel=0.04)
    (nothing,) = false_density("tophat", [field, field], [1.5])
    assert nothing == 0


def test_false_length_has_one_kind_each():
    body = [[(90, 60), (90, 100), (130, 100), (130, 60)]]
    lines = [
        LINE,  # right, but for 41 px inside the body
        [(133, 60), (133, 100)],  # 3 px under the body
        [(106, 120), (106, 160)],  # 6 px beside the traced line
        [(200, 50), (200, 60)],  # alone and short
        [(250, 50), (250, 150)],  # elsewhere
    ]
    lengths = kinds(traced_field("drawn", "tuning", blank(), [LINE], somas=body), found(*lines))
    px = [40, 40, 10, 100, 41]
    for name, expected in zip((*KINDS, BODIES), px, strict=True):
        assert lengths[name] == pytest.approx(expected * 0.980 * PX, abs=0.01), name


def test_the_traced_fields_are_whole_and_small():
    fields = read_traces()
    assert [f.name for f in fields if f.split == "test"] == [
        "film_right_1",
        "film_right_25",
        "film_right_49",
    ]
    assert len(fields) == 9
    for one in fields:
        described = json.loads((TRACES / f"{one.name}.json").read_text())
        assert described["source"]["licence"] == "MIT"
        assert one.field.roles == ("dna", "neurite")
        assert one.field.pixel_size_um == 1.28
        height, width = one.field.shape
        for line in described["neurites"]:
            points = np.array(line)
            assert (points >= 0).all()
            assert (points < (height, width)).all()
        # half a millimetre of neurite at least, and most of the picture is judged
        assert (one.lines & one.judged).sum() > 300
        assert one.judged.mean() > 0.6
    assert sum(p.stat().st_size for p in TRACES.iterdir()) < 4e6
    assert [f.name for f in read_traces("test", dna=False)] == [f.name for f in fields[-3:]]
    assert read_traces("test", dna=False)[0].field.roles == ("neurite",)


def test_only_neurites_of_tuning_fields_are_learnt_and_no_body(tmp_path):
    cv2.imwrite(str(tmp_path / "n.png"), np.arange(60 * 60, dtype=np.uint16).reshape(60, 60))
    body = [(20, 20), (20, 30), (30, 30), (30, 20)]
    for name, split in (("one", "tuning"), ("other", "test")):
        described = {
            "split": split,
            "channels": {"neurite": "n.png", "dna": "n.png"},
            "pixel_size_um": 0.325,
            "neurites": [[(5, 5), (5, 55)], [(25, 25), (25, 50)]],
            "somas": [body],
            "unknown": [],
        }
        (tmp_path / f"{name}.json").write_text(json.dumps(described))
    samples = dict(training_samples(tmp_path))
    assert len(samples) == 2 * len(SCALES)
    assert {n.split("-")[0] for n in samples} == {"one"}
    for name, sample in samples.items():
        assert sample["known"].tolist() == [False, False, True, False]
        assert sample["present"].tolist() == ["dna" in name, True, False]
    truth = samples["one-alone-1.0-0"]["truth"][:60, :60]
    neurite, unsure = ((truth >> bit & 1) > 0 for bit in (2, UNSURE))
    assert neurite[5, 10:50].all()
    assert neurite[25, 40:49].all()
    assert not neurite[21:30, 21:30].any()
    assert unsure[20:31, 20:30].all()
    assert not unsure[5, 10:50].any()
    assert not unsure[45:, :].any()
