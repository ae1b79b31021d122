"""Puncta through whole engines: the same field gives the same, whatever the rest of the plate is."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import pytest

from segmentation import Field, load

ENGINES = ("classical", "motornet")
PIXEL = 0.325


@cache
def plate(nuclear: float, noise: float, per_soma: int = 0, blurred: float = 0.0) -> list[Field]:
    """Two fields of nine round cells: 400 in the cell, `nuclear` more in the nucleus."""
    fields = []
    for seed in range(2):
        rng = np.random.default_rng(seed)
        y, x = np.mgrid[:320, :320] * PIXEL
        cell, nucleus, dots = np.zeros(x.shape), np.zeros(x.shape), np.zeros(x.shape)
        for cy in (18, 52, 86):
            for cx in (18, 52, 86):
                radius, (dy, dx) = rng.uniform(9, 12), rng.uniform(-3, 3, 2)
                away = np.hypot(y - cy - dy, x - cx - dx)
                cell = np.maximum(cell, 1 / (1 + np.exp((away - radius) / 0.3)))
                nucleus = np.maximum(nucleus, 1 / (1 + np.exp((away - radius / 2) / 0.3)))
                for turn in np.linspace(0, 2 * np.pi, per_soma, endpoint=False):
                    py, px = cy + dy, cx + dx
                    py, px = py + 0.75 * radius * np.sin(turn), px + 0.75 * radius * np.cos(turn)
                    dots += np.exp(-((y - py) ** 2 + (x - px) ** 2) / (2 * 0.4**2))
        noises = [rng.standard_normal(x.shape) * sd for sd in (15, 15, noise)]
        light = (1000 * nucleus, 800 * cell, 400 * cell + nuclear * nucleus + 8 * noise * dots)
        planes = [100 + one + sd for one, sd in zip(light, noises, strict=True)]
        if blurred:
            planes = [cv2.GaussianBlur(plane, (0, 0), blurred) for plane in planes]
        pixels = np.stack(planes).astype(np.float32)
        fields.append(Field(pixels, ("dna", "neurite", "aggregate"), PIXEL))
    return fields


def per_soma(engine, fields) -> float:
    every = [engine.segment(field).labels for field in fields]
    puncta = sum(int(labels["puncta"].max()) for labels in every)
    somas = sum(len(np.unique(labels["somas"])) - 1 for labels in every)
    assert somas == 18
    return puncta / somas


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("noise", [10.0, 30.0])
def test_no_puncta_whether_nuclei_are_bright_or_cleared_and_whichever_is_vehicle(name, noise):
    bright, cleared = plate(600, noise), plate(0, noise)
    for vehicle in (bright, cleared):
        engine = load(name).calibrate(vehicle)
        for fields in (bright, cleared):
            assert per_soma(engine, fields) <= 0.05


@pytest.mark.parametrize("name", ENGINES)
def test_the_vehicle_does_not_move_the_count(name):
    treated = plate(0, 20.0, 8)
    counts = [
        per_soma(load(name).calibrate(vehicle), treated)
        for vehicle in (plate(600, 20.0), plate(0, 20.0), plate(600, 20.0, 8), treated)
    ]
    assert counts[0] == pytest.approx(8, rel=0.1)
    assert counts == pytest.approx([counts[0]] * 4, rel=0.05)


@pytest.mark.parametrize("name", ENGINES)
def test_smoothing_by_a_pixel_makes_no_puncta(name):
    """An export that resamples or compresses: noise is shared by neighbours."""
    for count, fields in ((0, plate(600, 20.0, 0, 1.0)), (8, plate(600, 20.0, 8, 1.0))):
        found = per_soma(load(name).calibrate(fields), fields)
        assert found == pytest.approx(count, abs=0.05 + 0.1 * count)


@pytest.mark.parametrize("name", ENGINES)
def test_granules_are_found_as_aggregates_are(name):
    as_granules = [
        Field(field.pixels, ("dna", "neurite", "granule"), PIXEL) for field in plate(0, 20.0, 8)
    ]
    engine, other = load(name).calibrate(as_granules), load(name).calibrate(plate(0, 20.0, 8))
    granules = engine.segment(as_granules[0]).labels["granules"]
    assert granules.max() == pytest.approx(72, rel=0.1)
    assert granules.max() == pytest.approx(
        other.segment(plate(0, 20.0, 8)[0]).labels["puncta"].max(), rel=0.05
    )
