"""Images before they are analysed: each fault is named, and honest images are not."""

from __future__ import annotations

import cv2
import numpy as np
import polars as pl
import pytest

from phenotypes.plates.quality.arrival import (
    LEAST_SHARP,
    channel_table,
    judge_images,
    measure_image,
)
from segmentation.phantoms.render import Culture, Optics, render

UM = 0.65


def culture(seed, shape=(256, 256)):
    field = render(Culture(neurons_per_mm2=700), Optics(shape=shape), seed).field
    return np.asarray(field.channel("dna"), np.float32)


@pytest.fixture(scope="module")
def images():
    return [culture(seed) for seed in range(8)]


def table(planes, hours=None, size=UM):
    rows = [
        {
            "well": f"B{n:02}",
            "field": 1,
            "channel": "dna",
            "exposed_h": None if hours is None else hours[n - 1],
            **measure_image(plane, size),
        }
        for n, plane in enumerate(planes, start=1)
    ]
    return judge_images(rows)


def as_jpeg(plane, quality):
    eight = np.clip(plane / plane.max() * 255, 0, 255).astype(np.uint8)
    encoded = cv2.imencode(".jpg", eight, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE).astype(np.float32)


def photograph(clean, seed=0):
    return np.round(np.random.default_rng(seed).normal(clean, 5)).astype(np.float32)


def test_honest_images_are_ok(images):
    judged = table(images)
    assert judged["status"].to_list() == ["ok"] * 8
    assert judged["shows_cells"].all()
    assert judged["saturated"].to_list() == [0.0] * 8
    assert ((judged["background"] > 250) & (judged["background"] < 310)).all()


@pytest.mark.parametrize(
    ("spoil", "status"),
    [
        (lambda p: np.full_like(p, 300), "blank"),
        (lambda p: photograph(np.full(p.shape, 300.0)), "no_cells"),
        (lambda p: photograph(cv2.GaussianBlur(p, (0, 0), 6)), "out_of_focus"),
        (lambda p: np.minimum(p, np.percentile(p, 99)), "clipped"),
        (lambda p: as_jpeg(p, 80), "compressed"),
        (lambda p: np.where(p == p.max(), np.nan, p), "unreadable"),
    ],
)
def test_a_fault_is_named_in_its_well_and_in_no_other(images, spoil, status):
    judged = table([*images[:3], spoil(images[3]).astype(np.float32), *images[4:]])
    assert judged["status"].to_list() == ["ok"] * 3 + [status] + ["ok"] * 4
    assert [bool(r) for r in judged["reason"]] == [False] * 3 + [True] + [False] * 4


def test_a_channel_that_is_empty_almost_everywhere_has_no_fault(images):
    empty = [photograph(np.full((256, 256), 300.0), seed) for seed in range(7)]
    judged = table([images[0], *empty])
    assert judged["status"].to_list() == ["ok"] * 8
    assert judged["shows_cells"].to_list() == [True] + [False] * 7


def test_focus_is_judged_beside_enough_others_only(images):
    blurred = photograph(cv2.GaussianBlur(images[3], (0, 0), 6))
    few = table([*images[: LEAST_SHARP - 2], blurred])
    assert "out_of_focus" not in few["status"].to_list()
    enough = table([*images[: LEAST_SHARP - 1], blurred])
    assert enough["status"].to_list()[-1] == "out_of_focus"


def test_without_a_pixel_size_cells_are_unknown(images):
    judged = table([*images[:2], np.full_like(images[0], 7)], size=None)
    assert judged["shows_cells"].to_list() == [None] * 3
    assert judged["status"].to_list() == ["ok", "ok", "blank"]
    assert channel_table(judged, {}, None)["with_cells"].to_list() == [None]


def test_a_drift_of_the_background_is_its_change_from_first_to_last(images):
    hours = [100.0 + n / 4 for n in range(8)]
    drifting = [p + 10 * n for n, p in enumerate(images)]
    row = channel_table(table(drifting, hours), {}, UM).row(0, named=True)
    assert row["background_drift"] == pytest.approx(70, abs=3)
    assert row["background_drift_low"] < 70 < row["background_drift_high"]
    assert row["background_drift_low"] > 40
    still = channel_table(table(images, hours), {}, UM).row(0, named=True)
    assert still["background_drift_low"] <= 0 <= still["background_drift_high"]
    unknown = channel_table(table(drifting), {}, UM).row(0, named=True)
    assert unknown["background_drift"] is None


def test_the_illumination_and_what_its_correction_leaves(images):
    y, x = np.meshgrid(np.linspace(-1, 1, 256), np.linspace(-1, 1, 256), indexing="ij")
    lamp = np.exp(-0.35 * (x**2 + y**2)).astype(np.float32)
    # The phantom's optics lose light in the corners, too.
    both = lamp * (1 - Optics().vignetting * (x**2 + y**2) / 2)
    shaded = [photograph(200 + (culture(s) - 200) * lamp, s) for s in range(16)]
    judged = table(shaded)
    row = channel_table(judged, {"dna": shaded}, UM).row(0, named=True)
    assert row["profile_depth"] == pytest.approx(both.max() / both.min(), rel=0.17)
    assert row["profile_note"] == ""
    # Of 2.5, by halves of 16 small images with some ten nuclei each.
    assert 1 <= row["profile_residual"] <= 1.35
    few = channel_table(judged, {"dna": shaded[:3]}, UM).row(0, named=True)
    assert (few["profile_depth"], bool(few["profile_note"])) == (1.0, True)
    assert few["profile_residual"] is None


def test_rows_are_in_the_plate_s_order(images):
    measured = measure_image(images[0], UM)
    rows = [
        {"well": well, "field": field, "channel": "dna", **measured}
        for well in ("AA01", "B10", "B02")
        for field in (2, 1)
    ]
    assert judge_images(rows).select("well", "field").rows() == [
        ("B02", 1),
        ("B02", 2),
        ("B10", 1),
        ("B10", 2),
        ("AA01", 1),
        ("AA01", 2),
    ]
    assert judge_images([]).is_empty()
    assert judge_images([]).schema["shows_cells"] == pl.Boolean
