from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from segmentation import Field, load
from segmentation.engines.classical import UNCALIBRATED
from segmentation.engines.contract import SegmenterContract
from segmentation.phantoms.render import Culture, Optics, empty, render
from tests.messages import states

OPTICS = Optics()


@pytest.fixture(scope="module")
def phantoms():
    return [render(Culture(puncta_per_neuron=2.0), OPTICS, seed) for seed in range(8)]


@pytest.fixture(scope="module")
def calibrated(phantoms):
    return load("classical").calibrate([p.field for p in phantoms])


class TestClassicalKeepsTheContract(SegmenterContract):
    @pytest.fixture
    def engine(self):
        return load("classical")

    @pytest.fixture
    def field(self, phantoms):
        return phantoms[0].field


def matches(true, found, at=0.5):
    """(matched, true, found) objects at an IoU."""
    pairs = np.zeros((true.max() + 1, found.max() + 1))
    np.add.at(pairs, (true.ravel(), found.ravel()), 1)
    inner = pairs[1:, 1:]
    iou = inner / (pairs.sum(1)[1:, None] + pairs.sum(0)[None, 1:] - inner)
    return int((iou > at).sum()), len(np.unique(true)) - 1, len(np.unique(found)) - 1


@pytest.mark.parametrize("compartment", ["nuclei", "somas"])
def test_objects_of_phantoms_are_found(phantoms, calibrated, compartment):
    matched = true = found = 0
    for p in phantoms:
        m, t, f = matches(
            getattr(p.truth, compartment), calibrated.segment(p.field).labels[compartment]
        )
        matched, true, found = matched + m, true + t, found + f
    assert matched / true > 0.97
    assert matched / found > 0.97


def test_nuclei_have_their_true_area(phantoms, calibrated):
    ratios = []
    for p in phantoms:
        found = calibrated.segment(p.field).labels["nuclei"]
        for label in range(1, p.truth.nuclei.max() + 1):
            true = p.truth.nuclei == label
            if p.truth.neuron[label - 1] and true.sum() > 60:
                overlap = np.bincount(found[true])
                if len(overlap) > 1:
                    ratios.append((found == overlap[1:].argmax() + 1).sum() / true.sum())
    assert np.median(ratios) == pytest.approx(1, abs=0.08)


def test_a_field_stained_half_as_bright_has_as_many_nuclei(phantoms, calibrated):
    field = phantoms[0].field
    dark = field.pixels.astype(np.float32)
    dark[0] = 200 + (dark[0] - 200) / 2.5
    whole = calibrated.segment(field).labels["nuclei"].max()
    assert abs(calibrated.segment(replace(field, pixels=dark)).labels["nuclei"].max() - whole) <= 1


def test_neurites_of_phantoms_are_found(phantoms, calibrated):
    recalls, precisions = [], []
    for p in phantoms:
        mask = calibrated.segment(p.field).labels["neurites"] > 0
        centre = np.zeros(p.field.shape, np.uint8)
        for line in p.truth.neurites_yx:
            cv2.polylines(
                centre, [np.round(line[:, ::-1] * 16).astype(np.int32)], False, 1, 1, cv2.LINE_8, 4
            )
        centre &= p.truth.somas == 0
        near_mask = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        near_truth = cv2.dilate(centre, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))) > 0
        recalls.append(near_mask[centre > 0].mean())
        precisions.append(near_truth[mask].mean())
    assert np.mean(recalls) > 0.95
    assert np.mean(precisions) > 0.95


def test_puncta_of_phantoms_are_found(phantoms, calibrated):
    hit = true = found = 0
    for p in phantoms:
        labels = calibrated.segment(p.field).labels["puncta"]
        index = np.round(p.truth.puncta_yx).astype(int)
        inside = ((index >= 0) & (index < p.field.shape)).all(axis=1)
        near = cv2.dilate((labels > 0).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        hit += int(near[tuple(index[inside].T)].sum())
        true += int(inside.sum())
        found += int(labels.max())
    assert hit / true > 0.75
    assert hit / found > 0.9


def test_an_empty_well_is_empty_with_the_plates_thresholds(calibrated):
    labels = calibrated.segment(empty(OPTICS, 5).field).labels
    assert all(image.max() == 0 for image in labels.values())


def test_without_calibration_a_warning_says_so(phantoms, calibrated):
    assert UNCALIBRATED in load("classical").segment(phantoms[0].field).warnings
    assert calibrated.segment(phantoms[0].field).warnings == ()


def test_roles_decide_what_is_labelled(phantoms, calibrated):
    field = phantoms[0].field
    only_dna = replace(field, roles=("dna", None, None))
    assert set(calibrated.segment(only_dna).labels) == {"nuclei"}
    no_dna = calibrated.segment(replace(field, roles=(None, "neurite", None)))
    assert "nuclei" not in no_dna.labels
    assert any(states("engine.no_dna", w) for w in no_dna.warnings)


def test_coarse_pixels_refuse_puncta(phantoms):
    field = phantoms[0].field
    coarse = Field(field.pixels[:, ::2, ::2], field.roles, 1.3)
    result = load("classical").segment(coarse)
    assert "puncta" not in result.labels
    assert any("pixel_size_too_coarse" in w for w in result.warnings)


def cells_with_fibres(lines: int, body: float = 120) -> Field:
    """Flat cells with fibres 20 µm long, round bright ones, and as many long lines as asked for."""
    rng = np.random.default_rng(0)
    image = np.zeros((512, 512), np.float32)
    for y, x in (
        np.mgrid[:6, :6].reshape(2, -1).T * 85 + 40 + rng.uniform(-9, 9, (36, 2))
    ).tolist():
        cv2.circle(image, (round(x), round(y)), 22, body, cv2.FILLED)
        fibres = np.zeros_like(image)
        for n in (-8, 0, 8):
            cv2.line(fibres, (round(x) - 15, round(y) + n), (round(x) + 15, round(y) + n + 3), 200)
        image += fibres
        cv2.circle(image, (round(x) + 42, round(y) + 42), 9, 1500, cv2.FILLED)
    for n in range(lines):
        cv2.line(image, (10, 15 + 30 * n), (500, 45 + 30 * n), 400)
    image = cv2.GaussianBlur(image, (0, 0), 0.8) + rng.normal(200, 6, image.shape)
    return Field(image[None].astype(np.float32), ("neurite",), 0.65)


def test_lines_no_longer_than_cells_are_not_neurites():
    field = cells_with_fibres(0)
    alone = load("classical").segment(field)
    assert "neurites" not in alone.labels
    [warning] = [w for w in alone.warnings if w.startswith("short_lines")]
    assert states("classical.short_lines", warning, least=32)
    # The plate decides, and not the field.
    neuronal = load("classical").calibrate([cells_with_fibres(15)])
    assert neuronal.thresholds.neurite_extent == pytest.approx(68, rel=0.15)
    assert neuronal.segment(cells_with_fibres(4)).labels["neurites"].any()
    granular = load("classical").calibrate([field])
    assert granular.thresholds.neurite_extent == pytest.approx(22, rel=0.15)
    assert "neurites" not in granular.segment(cells_with_fibres(15)).labels


def test_short_lines_that_stand_alone_are_neurites():
    """Young neurons have short neurites, and no cell bodies below them."""
    young = load("classical").segment(cells_with_fibres(0, body=0))
    assert young.labels["neurites"].any()
    assert young.parameters["thresholds"]["neurite_extent"] == pytest.approx(22, rel=0.15)
