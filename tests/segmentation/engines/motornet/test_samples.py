from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest

from segmentation.engines.motornet.network import PROBABILITIES
from segmentation.engines.motornet.nuclei import nuclei_pixel_size, part_of, read_nuclei
from segmentation.engines.motornet.samples import (
    SIDE,
    UNSURE,
    faint_lines,
    filled,
    harder,
    negative_sample,
    nuclei_sample,
    phantom_sample,
)
from segmentation.phantoms.render import Culture, Optics, render
from segmentation.phantoms.scenery import Clutter


@pytest.fixture
def folder(tmp_path):
    """Three annotated images laid out as DSB2018."""
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    names = [f"{i:08x}" + "ab" * 28 for i in (1, 3, 5)]
    (tmp_path / "manifest.csv").write_text("id,height\n" + "".join(f"{n},64\n" for n in names))
    for n, name in enumerate(names):
        labels = np.zeros((64, 80), np.uint16)
        cv2.circle(labels, (30, 30), 10, 1, -1)
        cv2.circle(labels, (60, 30), 8 + n, 2, -1)
        cv2.imwrite(str(tmp_path / "labels" / f"{name}.png"), labels)
        cv2.imwrite(
            str(tmp_path / "images" / f"{name}.png"), (labels > 0).astype(np.uint8) * 120 + 10
        )
    return tmp_path


def test_parts_are_disjoint_and_follow_from_the_name_alone(folder):
    parts = {
        part: [name for name, _, _ in read_nuclei(folder, part)]
        for part in ("training", "validation", "test")
    }
    assert [len(p) for p in parts.values()] == [1, 1, 1]
    assert part_of("00000001ff") == "test"
    assert part_of("00000003ff") == "validation"
    assert part_of("00000005ff") == "training"


def test_a_missing_image_is_named(folder):
    name = next(name for name, _, _ in read_nuclei(folder, "training"))
    (folder / "images" / f"{name}.png").unlink()
    with pytest.raises(FileNotFoundError, match=name):
        list(read_nuclei(folder, "training"))


def test_the_median_nucleus_is_ten_micrometres_across():
    labels = np.zeros((200, 200), np.int32)
    cv2.circle(labels, (60, 60), 20, 1, -1)
    cv2.circle(labels, (150, 60), 20, 2, -1)
    cv2.circle(labels, (60, 150), 5, 3, -1)
    assert nuclei_pixel_size(labels) == pytest.approx(10 / 41, rel=0.04)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_nuclei_sample_knows_nuclei_only(folder):
    _, image, labels = next(read_nuclei(folder, "training"))
    sample = nuclei_sample(image, labels, np.random.default_rng(0))
    assert sample["image"].shape == (3, SIDE, SIDE)
    assert sample["known"].tolist() == [True, False, False, False]
    inside = (sample["truth"] & 1) > 0
    assert sample["image"][0][inside].mean() > 0.8
    # Also in the mirror images that fill a small picture up: every pixel is drawn somewhere.
    assert np.hypot(*sample["flows"][:2].astype(float))[inside[::2, ::2]].mean() > 0.95


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("number", [0, 3, 4])
def test_a_phantom_sample_has_its_truth_where_its_light_is(number):
    seed = np.random.SeedSequence(5).spawn(5)[number]
    sample = phantom_sample(seed)
    assert sample["truth"].shape == (SIDE, SIDE)
    bits = {name: (sample["truth"] >> i) & 1 for i, name in enumerate(PROBABILITIES)}
    assert not (bits["somas"] & bits["neurites"]).any()
    for name, channel in (("nuclei", 0), ("neurites", 1)):
        if bits[name].sum() > 200:
            assert np.median(sample["image"][channel][bits[name] > 0]) > np.median(
                sample["image"][channel][bits[name] == 0]
            )


def test_a_ring_that_was_annotated_is_filled_and_a_nucleus_is_left_alone():
    labels = np.zeros((80, 120), np.int32)
    cv2.circle(labels, (30, 40), 15, 1, 2)
    cv2.circle(labels, (80, 40), 12, 2, -1)
    mended = filled(labels)
    assert mended[40, 30] == 1
    assert (mended == 1).sum() > 3 * (labels == 1).sum()
    assert np.array_equal(mended == 2, labels == 2)


def test_a_neighbour_inside_a_ring_is_not_painted_over():
    labels = np.zeros((80, 80), np.int32)
    cv2.circle(labels, (40, 40), 20, 1, 2)
    cv2.circle(labels, (40, 40), 6, 2, -1)
    assert np.array_equal(filled(labels) == 2, labels == 2)


def test_harder_pictures_keep_every_nucleus_and_its_place():
    labels = np.zeros((200, 200), np.int32)
    for n, (y, x) in enumerate([(40, 40), (40, 120), (130, 60)], start=1):
        cv2.circle(labels, (x, y), 14, n, -1)
    image = (labels > 0).astype(np.float32)
    crowded = hazy = dimmed = 0
    for seed in range(40):
        picture, found = harder(image, labels, np.random.default_rng(seed))
        assert picture.shape == image.shape
        assert np.array_equal(np.where(found <= 3, found, 0) * (labels > 0), labels)
        crowded += found.max() > 3
        outside = picture[(found == 0)]
        hazy += np.median(outside) > 0.02
        dimmed += picture[labels == 1].mean() < 0.7
        # What was added has light of its own.
        for extra in np.unique(found[found > 3]):
            assert picture[found == extra].mean() > 0.05
    assert 8 < crowded < 24
    assert 8 < hazy < 36
    assert 3 < dimmed < 30
    assert np.array_equal(labels > 0, image > 0)


def test_a_picture_without_neurites_teaches_that_there_are_none():
    """With a DNA channel as often as without: its absence must say nothing of neurites."""
    image = np.random.default_rng(0).normal(100, 3, (300, 300)).astype(np.float32)
    cv2.circle(image, (150, 150), 40, 400.0, -1)
    with_dna, brightest = 0, 0.0
    for seed in range(60):
        sample = negative_sample(image, np.random.default_rng(seed), image[::-1].copy())
        assert sample["known"].tolist() == [False, False, True, False]
        assert sample["present"][1:].tolist() == [True, False]
        assert not sample["truth"].any()
        brightest = max(brightest, float(sample["image"][1].max()))
        assert sample["image"][0].any() == sample["present"][0]
        with_dna += bool(sample["present"][0])
    assert 18 < with_dna < 42
    assert brightest > 0.5


def test_an_empty_dna_channel_is_noise_without_nuclei():
    image = np.random.default_rng(0).normal(100, 3, (300, 300)).astype(np.float32)
    planes = [
        sample["image"][0].astype(float)
        for seed in range(20)
        if (sample := negative_sample(image, np.random.default_rng(seed)))["present"][0]
    ]
    assert len(planes) > 3
    for plane in planes:
        assert 0.01 < plane.std() < 0.1
        assert abs(plane.mean()) < 0.01


def test_neurites_dimmer_than_half_the_median_are_left_open():
    """Brightness of neurites varies two-fold and more; what is faint is neither learnt nor denied."""
    even = Culture(neurons_per_mm2=60, clutter=Clutter(wander=0.05))
    uneven = Culture(neurons_per_mm2=60, clutter=Clutter(wander=0.05, neurite_spread=1.0))
    optics = Optics(shape=(512, 512), pixel_size_um=0.325)
    shares = []
    for culture in (even, uneven):
        phantom = render(culture, optics, 5)
        faint = faint_lines(phantom.field.channel("neurite"), 0.325, phantom.truth)
        length = np.array(phantom.truth.neurite_length_um)
        shares.append(length[faint].sum() / length.sum())
    assert shares[0] < 0.1
    assert 0.1 < shares[1] < 0.5


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_open_pixels_of_a_phantom_are_no_neurites():
    sample = phantom_sample(np.random.SeedSequence(0).spawn(20)[11])
    unsure = (sample["truth"] >> UNSURE) & 1
    neurites = (sample["truth"] >> PROBABILITIES.index("neurites")) & 1
    assert unsure.sum() > 100
    assert not (unsure & neurites).any()


@pytest.mark.slow
def test_samples_and_training_from_the_command_line(folder, tmp_path):
    """The documented commands, small: interrupted training goes on and ends with the same bytes as
    an undisturbed one.
    """
    samples = tmp_path / "samples"

    def run(module, *arguments):
        done = subprocess.run(
            [sys.executable, "-m", f"segmentation.engines.motornet.{module}", *map(str, arguments)],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr

    run("samples", "--nuclei", folder, "--out", samples, "--phantoms", 2, "--crops", 1)
    # Two phantoms, one crop of nuclei, and the same picture as one without neurites.
    assert len(list(samples.glob("*.npz"))) == 4
    made = (samples / "phantom-00000.npz").stat().st_mtime_ns
    run("samples", "--nuclei", folder, "--out", samples, "--phantoms", 2, "--crops", 1)
    assert (samples / "phantom-00000.npz").stat().st_mtime_ns == made
    run(
        "train",
        "--samples",
        samples,
        "--out",
        tmp_path / "model",
        "--steps",
        2,
        "--batch",
        2,
        "--device",
        "cpu",
    )
    from segmentation import load

    assert (
        load(f"motornet:{tmp_path / 'model' / 'motornet.safetensors'}", device="cpu").describe()[
            "device"
        ]
        == "cpu"
    )
