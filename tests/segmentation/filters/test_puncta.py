from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy.ndimage import center_of_mass
from scipy.optimize import linear_sum_assignment
from scipy.special import erfc

from segmentation.filters.noise import CameraNoise, camera_noise
from segmentation.filters.puncta import noise_limit, segment_puncta, spot_scale
from tests.messages import says

QUIET = CameraNoise(1.0, 0.0)
Y, X = np.mgrid[:80, :80].astype(np.float32)


def spots(*places, height=100.0, sigma=2.0):
    return sum(
        height * np.exp(-((Y - y) ** 2 + (X - x) ** 2) / (2 * sigma**2)) for y, x in places
    ).astype(np.float32)


def cells(
    pixel, nuclear, noise, seed, per_soma=0, ratio=5.0, side_um=125.0, blur_um=0.35, clear_um=1.2
):
    """Round cells of 400 (nucleus of `nuclear`) with spots of `ratio` × noise in the cytoplasm.

    Spots lie `clear_um` from both rims. The image (Y, X), the mask of the somas dilated as the
    engines do, the nuclei, the spots (n, 2), the number of cells.
    """
    rng = np.random.default_rng(seed)
    side = round(side_um / pixel)
    y, x = (np.mgrid[:side, :side] + 0.5) * pixel
    image, within = np.zeros((side, side)), np.zeros((side, side), bool)
    nuclei = np.zeros((side, side), np.int32)
    places, count = [], 0
    for cy in np.arange(16.0, side_um - 14, 31):
        for cx in np.arange(16.0, side_um - 14, 31):
            radius, (dy, dx) = rng.uniform(10, 12), rng.uniform(-2, 2, 2)
            away = np.hypot(y - cy - dy, x - cx - dx)
            soma, nucleus = (
                0.5 * erfc((away - r) / (np.sqrt(2) * blur_um)) for r in (radius, radius / 2)
            )
            image += 400 * (soma - nucleus) + nuclear * nucleus
            within |= away < radius + pixel
            nuclei[away < radius / 2] = count + 1
            placed = []
            while len(placed) < per_soma:
                turn, reach = (
                    rng.uniform(0, 2 * np.pi),
                    rng.uniform(radius / 2 + clear_um, radius - clear_um),
                )
                place = np.array([cy + dy + reach * np.sin(turn), cx + dx + reach * np.cos(turn)])
                if all(np.hypot(*(place - other)) > 1.2 for other in placed):
                    placed.append(place)
            places += placed
            count += 1
    width = np.hypot(blur_um, 0.25)
    for py, px in places:
        near = tuple(slice(max(0, int((p - 3) / pixel)), int((p + 3) / pixel)) for p in (py, px))
        away2 = (y[near] - py) ** 2 + (x[near] - px) ** 2
        image[near] += ratio * noise * np.exp(-away2 / (2 * width**2))
    image += noise * rng.standard_normal(image.shape)
    spots = np.array(places).reshape(-1, 2) / pixel - 0.5
    return image.astype(np.float32), within, nuclei, spots, count


def scores(labels, places, pixel):
    """F1 and the number of labels without a spot, within 0.6 µm or 1.5 px."""
    every = range(1, labels.max() + 1)
    marks = np.array(center_of_mass(labels > 0, labels, every)).reshape(-1, 2)
    away = np.hypot(*(places[:, None] - marks[None]).transpose(2, 0, 1))
    near = away <= max(0.6 / pixel, 1.5)
    rows, columns = linear_sum_assignment(np.where(near, away, 1e6))
    hits = int(near[rows, columns].sum())
    return 2 * hits / max(1, len(places) + len(marks)), len(marks) - hits


def test_the_filter_fits_a_disc_of_0_6_um_and_never_goes_under_0_8_px():
    assert spot_scale(0.2) == pytest.approx(0.6 / np.sqrt(2) / 0.2)
    assert spot_scale(0.65) == 0.8


def test_pure_noise_passes_the_limit_as_rarely_as_it_says():
    """The first condition alone: 0.1 maxima in 300 µm², counted over 40,000 µm²."""
    from segmentation.filters.curvature import derivatives, noise_gain

    for pixel, least in ((0.1, 0.0), (0.65, 0.5)):
        sigma, side = spot_scale(pixel), round(200 / pixel)
        counted = 0
        for seed in range(4):
            noise = np.random.default_rng(seed).standard_normal((side, side)).astype(np.float32)
            dyy, dxx, *_ = derivatives(cv2.GaussianBlur(noise, (0, 0), sigma))
            z = -(dyy + dxx) * sigma**2 / 2 / noise_gain(sigma)[0]
            top = z >= cv2.dilate(z, np.ones((3, 3), np.uint8))
            counted += int((top & (z > noise_limit(pixel))).sum())
        expected = 0.1 * 4 * 200**2 / 300
        assert least * expected <= counted < 1.5 * expected


@pytest.mark.parametrize(
    ("pixel", "noise", "nuclear"),
    [
        (0.1, 10.0, 600),
        (0.1, 60.0, 600),
        (0.325, 2.0, 600),
        (0.325, 10.0, 2000),
        (0.325, 30.0, 0),
        (0.325, 60.0, 600),
        (0.5, 30.0, 600),
        (0.65, 2.0, 600),
        (0.65, 10.0, 2000),
        (0.65, 60.0, 600),
    ],
)
@pytest.mark.parametrize("of_known_nuclei", [False, True])
def test_no_puncta_where_none_were_drawn(pixel, noise, nuclear, of_known_nuclei):
    """At rims of bright and of cleared nuclei, at any noise: at most 0.05 a soma."""
    puncta = somas = 0
    for seed in range(2 if pixel == 0.1 else 3):
        image, within, nuclei, _, count = cells(pixel, nuclear, noise, seed)
        camera = CameraNoise(noise, 0.0)
        known = nuclei if of_known_nuclei else None
        puncta += segment_puncta(image, pixel, camera, within, nuclei=known).max()
        somas += count
    assert somas >= 32
    assert puncta / somas <= 0.05


@pytest.mark.parametrize("per_soma", [3, 20, 60])
@pytest.mark.parametrize("pixel", [0.1, 0.2, 0.325])
def test_drawn_puncta_are_found_from_five_times_the_noise(pixel, per_soma):
    image, within, nuclei, places, count = cells(pixel, 0, 30.0, 1, per_soma)
    labels = segment_puncta(image, pixel, CameraNoise(30.0, 0.0), within, nuclei=nuclei)
    f1, wrong = scores(labels, places, pixel)
    assert f1 >= (0.75 if per_soma == 60 and pixel == 0.325 else 0.9)
    assert wrong / count <= 0.1 + 0.02 * per_soma


def test_where_the_pixels_are_coarse_three_times_more_light_is_needed():
    """At 0.65 µm a spot is one pixel: at 5 × noise half of them are lost, at 15 × none."""
    for ratio, least, most in ((5.0, 0.5, 0.9), (15.0, 0.95, 1.0)):
        image, within, _, places, _ = cells(0.65, 0, 30.0, 1, 3, ratio)
        f1, wrong = scores(segment_puncta(image, 0.65, CameraNoise(30, 0), within), places, 0.65)
        assert least <= f1 <= most
        assert wrong <= 3


@pytest.mark.parametrize("nuclear", [0, 400, 1000, 2000])
@pytest.mark.parametrize("pixel", [0.325, 0.5, 0.65])
def test_as_many_spots_are_found_beside_bright_nuclei_as_beside_dark_ones(pixel, nuclear):
    """From 0.9 µm on; counts that follow the nucleus's light would follow the localisation."""
    image, within, nuclei, places, _ = cells(pixel, nuclear, 20.0, 3, 12, ratio=15.0, clear_um=0.9)
    labels = segment_puncta(image, pixel, CameraNoise(20.0, 0.0), within, nuclei=nuclei)
    f1, wrong = scores(labels, places, pixel)
    assert f1 >= 0.94
    assert wrong / len(places) <= 0.03
    assert labels.max() == pytest.approx(len(places), rel=0.06)


def test_neighbours_do_not_hide_a_spot():
    row = spots((40, 24), (40, 32), (40, 40), (40, 48), (40, 56), height=30.0)
    assert segment_puncta(row, 0.2, QUIET, None).max() == 5


def test_a_line_and_a_step_are_no_spots():
    inside = (np.abs(Y - 40) < 34) & (np.abs(X - 40) < 34)
    for tilt in np.deg2rad([0, 10, 22.5, 45, 60, 90]):
        across = (Y - 40) * np.cos(tilt) + (X - 40) * np.sin(tilt)
        for pixel, width in ((0.65, 0.7), (0.2, 2.0)):
            line = 200 * np.exp(-(across**2) / 2 / width**2).astype(np.float32)
            step = 500 * erfc(across / np.sqrt(2) / width).astype(np.float32)
            for image in (line, step):
                assert segment_puncta(image, pixel, QUIET, inside).max() == 0


def test_area_is_that_of_half_the_height_however_bright_the_spot_is():
    """Of the filter's answer to a spot of σ 2 px: 45 px at 0.1 µm/px; at a quarter it is 61."""
    dim, bright = (
        segment_puncta(spots((30, 30), height=h), 0.1, QUIET, None) for h in (40.0, 4000.0)
    )
    assert (dim > 0).sum() == pytest.approx((bright > 0).sum(), rel=0.1)
    assert (bright > 0).sum() == pytest.approx(45, abs=5)
    assert dim.dtype == np.int32


def test_a_spot_must_exceed_the_noise_of_its_place():
    image = spots((20, 20), (60, 60), height=60.0)
    image[40:] += 2000
    away = np.abs(Y - 40) > 12
    for noise, there in ((CameraNoise(1.0, 0.0), True), (CameraNoise(1.0, 4.0), False)):
        labels = segment_puncta(image, 0.2, noise, away)
        assert labels[20, 20] > 0
        assert (labels[60, 60] > 0) == there


def test_touching_spots_are_parted():
    labels = segment_puncta(spots((40, 36), (40, 44)), 0.2, QUIET, None)
    assert labels.max() == 2
    assert labels[40, 36] != labels[40, 44]


def test_only_peaks_inside_the_mask_count():
    within = np.zeros((80, 80), bool)
    within[:40] = True
    labels = segment_puncta(spots((20, 20), (50, 60)), 0.2, QUIET, within)
    assert labels.max() == 1
    assert labels[50, 60] == 0


def test_pixels_over_0_7_um_are_refused():
    assert segment_puncta(spots((20, 20)), 0.7, QUIET, None).max() == 1
    with pytest.raises(ValueError, match=says("puncta.pixels_too_coarse")):
        segment_puncta(spots((20, 20)), 0.71, QUIET, None)


@pytest.mark.parametrize("haze", [0.0, 300.0, 2000.0])
@pytest.mark.parametrize("drawn", [0, 4])
def test_haze_has_noise_and_gives_no_spots(haze, drawn):
    """The same somas under light over the whole field: its photons are no granules."""
    camera, pixel = CameraNoise(4.0, 1.5, background=100.0), 0.325
    # Spots of 8 × the noise of a soma in haze, drawn without noise.
    height = 8 * np.sqrt(camera.dark**2 + camera.shot * (400 + haze))
    scene, within, _, places, count = cells(pixel, 100, 1e-3, 5, drawn, ratio=1e3 * height)
    spread = np.sqrt(camera.dark**2 + camera.shot * np.maximum(scene + haze, 0))
    noise = spread * np.random.default_rng(6).standard_normal(scene.shape)
    over = camera.haze_of(100.0 + haze)
    labels = segment_puncta((scene + noise).astype(np.float32), pixel, camera, within, over)
    f1, wrong = scores(labels, places, pixel)
    assert wrong <= 0.1 * count
    assert f1 >= 0.95 or not drawn


def lamp(shape):
    """What a correction of the illumination multiplies a field by."""
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    return (0.9 + 0.15 * (y**2 + x**2)).astype(np.float32)


@pytest.mark.parametrize("pixel", [0.65, 0.325])
@pytest.mark.parametrize("share", [0.2, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("corrected", [False, True])
def test_few_grey_levels_make_no_puncta(pixel, share, corrected):
    """A camera's noise of `share` of a grey level, as of an export to 8 bits: slopes become steps."""
    counts = []
    for per_soma in (0, 5):
        image, within, _, places, count = cells(pixel, 200, 15.0, 3, per_soma, ratio=10 / share)
        coarse = np.floor((image + 100) * np.float32(share / 15.0)).astype(np.float32)
        coarse *= lamp(coarse.shape) if corrected else np.float32(1)
        noise = camera_noise([coarse], spot_scale(pixel))
        labels = segment_puncta(coarse - np.float32(np.median(coarse)), pixel, noise, within)
        counts.append((labels.max() / count, len(places) / count))
    (none, _), (some, drawn) = counts
    assert none <= 0.05
    assert some == pytest.approx(drawn, rel=0.12 if pixel > 0.5 else 0.05)
