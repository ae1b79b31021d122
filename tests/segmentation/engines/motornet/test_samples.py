from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest

from segmentation.engines.motornet.network import PROBABILITIES
from segmentation.engines.motornet.nuclei import nuclei_pixel_size, part_of, read_nuclei
from segmentation.engines.motornet.samples import SIDE, nuclei_sample, phantom_sample


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
    assert len(list(samples.glob("*.npz"))) == 3
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
