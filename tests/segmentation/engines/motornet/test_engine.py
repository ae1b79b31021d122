from __future__ import annotations

from dataclasses import replace
from functools import partial

import cv2
import numpy as np
import pytest
import torch

from phenotypes.cells.morphology import perimeters
from segmentation import Field, load, segment_all
from segmentation.engines.classical import UNCALIBRATED
from segmentation.engines.contract import SegmenterContract
from segmentation.engines.motornet import engine as module
from segmentation.engines.weights import WeightsError
from segmentation.field import Pixels
from segmentation.filters import tiling
from segmentation.phantoms.render import Culture, Optics, empty, render
from segmentation.phantoms.scenery import Clutter
from segmentation.phantoms.scenes import scene
from segmentation.scoring.accuracy import line_counts, object_counts
from tests.messages import says, states

PIXEL = 0.325
SMALL_TILES = partial(tiling.TileRunner, size=544)


def medium(number, shape=(512, 512)):
    seed = np.random.SeedSequence([77, number])
    return render(*scene("medium", seed.spawn(1)[0], shape=shape, pixel_size_um=PIXEL), seed)


@pytest.fixture(scope="module")
def phantoms():
    return [medium(n) for n in range(4)]


@pytest.fixture(scope="module", params=["cpu", *(["cuda"] if torch.cuda.is_available() else [])])
def engine(phantoms, request):
    return load("motornet", device=request.param).calibrate([p.field for p in phantoms])


@pytest.fixture(scope="module")
def large():
    """Of several tiles."""
    return medium(11, (700, 620)).field


@pytest.fixture(scope="module")
def segmentations(engine, phantoms):
    return list(segment_all(engine, [p.field for p in phantoms]))


def same(a, b):
    return set(a.labels) == set(b.labels) and all(
        np.array_equal(a.labels[k], b.labels[k]) for k in a.labels
    )


class TestMotorNetKeepsTheContract(SegmenterContract):
    @pytest.fixture
    def engine(self):
        return load("motornet", device="cpu")

    @pytest.fixture
    def field(self, phantoms):
        return phantoms[0].field


def test_it_finds_what_was_drawn(phantoms, segmentations):
    nuclei = somas = None
    lines = None
    from skimage.morphology import skeletonize

    for phantom, found in zip(phantoms, segmentations, strict=True):
        n = object_counts(phantom.truth.nuclei, found.labels["nuclei"])[0.5]
        s = object_counts(phantom.truth.somas, found.labels["somas"])[0.5]
        c = line_counts(
            skeletonize(phantom.truth.neurite_mask(PIXEL)),
            skeletonize(found.labels["neurites"] > 0),
            3,
        )
        nuclei, somas, lines = (n, s, c) if nuclei is None else (nuclei + n, somas + s, lines + c)
    assert nuclei.average_precision >= 0.9
    assert somas.average_precision >= 0.9
    assert lines.f1 >= 0.93


class TestTheSameLabels:
    """Nothing about how the work is cut up may change a label (one device)."""

    @pytest.fixture(autouse=True)
    def four_tiles(self, monkeypatch):
        monkeypatch.setattr(module, "TileRunner", SMALL_TILES)

    def test_for_any_batch(self, large, engine, monkeypatch):
        expected = engine.segment(large)
        for batch in (2, 3, 16):
            monkeypatch.setitem(module._BATCH, engine.device, batch)
            assert same(engine.segment(large), expected)

    def test_for_any_order_of_the_tiles(self, large, engine, monkeypatch):
        expected = engine.segment(large)
        forwards = tiling.tiles
        monkeypatch.setattr(tiling, "tiles", lambda *a: (forwards(*a)[0], forwards(*a)[1][::-1]))
        assert same(engine.segment(large), expected)

    def test_for_any_number_of_threads(self, large, engine):
        threads, of_opencv = torch.get_num_threads(), cv2.getNumThreads()
        try:
            made = []
            for n in (1, 2):
                torch.set_num_threads(n)
                cv2.setNumThreads(n)
                made.append(engine.segment(large))
        finally:
            torch.set_num_threads(threads)
            cv2.setNumThreads(of_opencv)
        assert same(*made)

    def test_alone_and_among_others(self, engine, phantoms, segmentations):
        for phantom, found in zip(phantoms, segmentations, strict=True):
            assert same(engine.segment(phantom.field), found)


def test_an_empty_well_is_empty(engine):
    labels = engine.segment(empty(Optics(shape=(256, 256), pixel_size_um=PIXEL), 1).field).labels
    assert {name: int(image.max()) for name, image in labels.items()} == {
        "nuclei": 0,
        "somas": 0,
        "neurites": 0,
        "puncta": 0,
    }


@pytest.mark.parametrize(
    "roles",
    [("dna",), ("neurite",), ("dna", "neurite"), ("neurite", "aggregate"), ("dna", "aggregate")],
)
def test_any_subset_of_channels_works_and_says_what_is_missing(engine, phantoms, roles):
    whole = phantoms[0].field
    part = Field(np.stack([whole.channel(r) for r in roles]), roles, PIXEL)
    found = engine.segment(part)
    wanted = {"nuclei"} if "dna" in roles else set()
    wanted |= {"somas", "neurites"} if "neurite" in roles else set()
    wanted |= {"puncta"} if {"neurite", "aggregate"} <= set(roles) else set()
    assert set(found.labels) == wanted
    assert any(states("engine.no_dna", w) for w in found.warnings) == ("dna" not in roles)
    assert any("puncta" in w for w in found.warnings) == (roles == ("dna", "aggregate"))
    if "dna" in roles:
        assert (
            object_counts(phantoms[0].truth.nuclei, found.labels["nuclei"])[0.5].average_precision
            >= 0.8
        )
    if "neurite" in roles:
        assert (
            object_counts(phantoms[0].truth.somas, found.labels["somas"])[0.5].average_precision
            >= 0.7
        )


def roundness(labels):
    """Median of 4π·area / perimeter² of the objects."""
    pixels = Pixels(labels)
    form = 4 * np.pi * pixels.count[1:] / np.maximum(perimeters(labels, pixels), 1) ** 2
    return np.median(form[pixels.count[1:] > 0])


@pytest.mark.parametrize("pixel", [0.16, 0.65, 1.3])
def test_the_scale_is_the_fields_own(pixel):
    side = int(200 / pixel)
    phantom = render(Culture(neurons_per_mm2=300), Optics((side, side + 11), pixel), 3)
    engine = load("motornet", device="cpu").calibrate([phantom.field])
    found = engine.segment(phantom.field)
    assert found.labels["nuclei"].shape == phantom.field.shape
    assert (
        object_counts(phantom.truth.nuclei, found.labels["nuclei"])[0.5].average_precision >= 0.75
    )
    assert ("puncta" in found.labels) == (pixel < 0.7)
    if pixel < 0.3:
        for name, drawn in (("nuclei", phantom.truth.nuclei), ("somas", phantom.truth.somas)):
            around, true = (roundness(labels) for labels in (found.labels[name], drawn))
            # The steps of the network's own pixels would take a fifth off.
            assert around == pytest.approx(true, abs=0.06), name


def test_a_field_smaller_than_any_tile(engine):
    field = Field(
        np.random.default_rng(0).poisson(100, (3, 37, 53)).astype(np.uint16),
        ("dna", "neurite", "aggregate"),
        PIXEL,
    )
    assert engine.segment(field).labels["nuclei"].shape == (37, 53)


def test_without_calibration_it_warns(phantoms):
    assert UNCALIBRATED in load("motornet", device="cpu").segment(phantoms[0].field).warnings


def test_a_dark_well_is_seen_with_the_plates_eyes(engine):
    """What a wholly toxic dose leaves, uneven haze and grains, must not be stretched into neurites."""
    nobody = Culture(
        neurons_per_mm2=0,
        glia_per_mm2=0,
        pyknotic_per_mm2=0,
        clutter=Clutter(haze_texture=0.6, speckle=0.5, debris_per_mm2=100),
    )
    dim = render(nobody, Optics((512, 512), PIXEL, haze=150), 5).field
    labels = engine.segment(dim).labels
    assert labels["neurites"].mean() < 0.002
    assert labels["nuclei"].max() <= 1


def test_out_of_memory_is_retried_with_less_and_told(engine, large, monkeypatch):
    monkeypatch.setattr(module, "TileRunner", SMALL_TILES)
    monkeypatch.setitem(module._BATCH, engine.device, 8)
    evaluate = module.MotorNetSegmenter._evaluate
    sizes = []

    def limited(self, images):
        sizes.append(len(images))
        if len(images) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return evaluate(self, images)

    monkeypatch.setattr(module.MotorNetSegmenter, "_evaluate", limited)
    limit = 2
    assert engine.segment(large).labels["nuclei"].max() > 0
    assert sizes[0] == 4
    assert max(sizes[2:]) <= 2
    limit = 0
    with pytest.raises(MemoryError, match=says("engine.too_little_memory")):
        engine.segment(large)


def test_other_weights_are_taken_by_path_and_pinned(tmp_path):
    from segmentation.engines.motornet.network import MotorNet
    from segmentation.engines.motornet.train import Plan, write_weights
    from segmentation.engines.weights import sha256_of

    path = tmp_path / "mine.safetensors"
    write_weights(MotorNet(), Plan(), path)
    described = load(f"motornet:{path}", device="cpu", sha256=sha256_of(path)).describe()
    assert described["engine"] == f"motornet:{path}"
    assert states("weights.licence_not_stated", described["checkpoint"]["licence"])
    with pytest.raises(WeightsError, match=says("weights.pinned")):
        load(f"motornet:{path}", device="cpu", sha256="0" * 64)


@pytest.mark.parametrize("content", ["garbage", "another network"])
def test_a_file_that_is_not_motornet_is_refused(tmp_path, content):
    from safetensors.torch import save_file

    path = tmp_path / "w.safetensors"
    if content == "garbage":
        path.write_bytes(b"\x00" * 100)
    else:
        save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(WeightsError, match=says("weights.not_of_motornet")):
        load(f"motornet:{path}", device="cpu")


def test_the_record_restores_the_engine(engine):
    described = engine.describe()
    assert described["checkpoint"]["sha256"] == engine.checkpoint.sha256
    assert described["precision"] in {"bfloat16", "float32"}
    assert engine.with_thresholds(described["thresholds"]).thresholds == engine.thresholds
    assert replace(engine, thresholds=module.Ranges()) != engine


@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1)])
def test_at_high_accuracy_a_mirrored_field_has_the_mirrored_answer(phantoms, axes):
    """Flows turn round with the picture; at standard accuracy the two differ by more."""
    field = replace(phantoms[0].field, pixels=phantoms[0].field.pixels[:, :256, :256])
    turned = replace(field, pixels=np.flip(field.pixels, [1 + axis for axis in axes]).copy())
    apart = {}
    for accuracy in ("standard", "high"):
        engine = load("motornet", device="cpu", accuracy=accuracy)
        assert engine.describe()["accuracy"] == accuracy
        (flows, logits), (other_flows, other_logits) = engine.answer(field), engine.answer(turned)
        expected = np.flip(flows, [1 + axis for axis in axes]).astype(np.float32)
        for axis in axes:
            expected[axis::2] *= -1
        apart[accuracy] = (
            float(np.abs(other_flows - expected).mean()),
            float(np.abs(other_logits - np.flip(logits, [1 + axis for axis in axes])).mean()),
        )
    assert apart["high"] == pytest.approx((0, 0), abs=0.01)
    assert 0.02 < apart["standard"][0] < 0.1
    assert 0.3 < apart["standard"][1] < 3


def test_high_accuracy_is_the_mean_of_four_answers(phantoms, monkeypatch):
    field = replace(phantoms[0].field, pixels=phantoms[0].field.pixels[:, :256, :256])
    asked = []
    once = module.MotorNetSegmenter._once
    monkeypatch.setattr(
        module.MotorNetSegmenter, "_once", lambda self, x: asked.append(x) or once(self, x)
    )
    load("motornet", device="cpu", accuracy="high").answer(field)
    assert len(asked) == 4
    assert all(
        (np.flip(asked[0], axes) == x).all()
        for axes, x in zip(((), 3, 2, (2, 3)), asked, strict=True)
    )
