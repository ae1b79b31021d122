"""Cells with known concentrations and cytoplasm of known width, blurred and exposed."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import polars as pl
import pytest

from phenotypes import measure
from phenotypes.cells import partial_volume
from phenotypes.cells.partial_volume import mixture
from segmentation import Field, Segmentation
from tests.messages import states

OFFSET = 200.0
CENTRES_UM = [(16, 16), (16, 44), (44, 16), (44, 44)]


def draw(
    px,
    width,
    *,
    log2=0.0,
    blur=0.4,
    hollow=False,
    noise=15.0,
    dna_in_cytoplasm=0.0,
    uneven=0.0,
    mask_error_px=0.0,
    nucleus_error_um=0.0,
    soma_error_um=0.0,
    rim=0.0,
    rim_um=0.25,
    cytoplasm=400.0,
    seed=0,
):
    """Four cells: nuclei of 5 µm radius, cytoplasm `width` µm wide of 400 grey levels; and labels.

    `rim` grey levels lie on the nucleus's outline, `rim_um` wide as a standard deviation; the
    nucleus has 2**`log2` of 400 grey levels, whatever its cytoplasm has. Outlines are off by
    `mask_error_px` and `nucleus_error_um` or `soma_error_um`, outwards.

    Drawn at a fifth of a pixel, blurred by a Gaussian of `blur` µm, averaged over the pixel, with
    camera noise. A hollow soma keeps the neurite stain out of its nucleus.
    """
    fine, side = px / 5, 60.0
    pixels = 5 * round(side / px)
    y, x = (np.mgrid[:pixels, :pixels].astype(np.float32) + 0.5) * np.float32(fine)
    away = np.stack([np.hypot(y - cy, x - cx) for cy, cx in CENTRES_UM])
    nucleus, soma = (away < 5).any(0), (away < 5 + width).any(0)
    rng = np.random.default_rng(seed)
    cloud = cv2.GaussianBlur(
        rng.standard_normal(nucleus.shape).astype(np.float32), (0, 0), 1 / fine
    )
    stain = 1 + uneven * cloud / max(float(cloud.std()), 1e-9)
    drawn = [
        1000.0 * nucleus + 1000.0 * dna_in_cytoplasm * (soma & ~nucleus),
        800.0 * stain * np.where(nucleus & hollow, 0.3, soma),
        np.where(nucleus, 400 * 2.0**log2, cytoplasm * soma)
        + rim * np.exp(-(((away.min(0) - 5) / rim_um) ** 2) / 2),
    ]
    shape = (pixels // 5, pixels // 5)
    seen = [
        cv2.resize(
            cv2.GaussianBlur(plane.astype(np.float32), (0, 0), blur / fine),
            shape,
            interpolation=cv2.INTER_AREA,
        )
        + OFFSET
        + noise * rng.standard_normal(shape).astype(np.float32)
        for plane in drawn
    ]
    y, x = (np.mgrid[: shape[0], : shape[1]] + 0.5) * px
    nuclei, somas = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
    for label, (cy, cx) in enumerate(CENTRES_UM, start=1):
        from_centre = np.hypot(y - cy, x - cx)
        nuclei[from_centre < 5 + nucleus_error_um + mask_error_px * px] = label
        somas[from_centre < 5 + width + soma_error_um + mask_error_px * px] = label
    somas[nuclei > 0] = nuclei[nuclei > 0]
    field = Field(np.stack(seen).astype(np.float32), ("dna", "neurite", "aggregate"), px)
    return field, Segmentation({"nuclei": nuclei, "somas": somas}, "drawn")


def ratios(field, labels):
    return measure(field, labels).cells["nc_log2_aggregate"]


@pytest.mark.parametrize("hollow", [False, True])
@pytest.mark.parametrize("log2", [-1.0, 0.0, 1.0])
@pytest.mark.parametrize(
    ("px", "width"), [(0.65, 4), (0.65, 2), (0.65, 1.5), (0.325, 3), (0.325, 1.5), (0.325, 1)]
)
def test_the_ratio_does_not_follow_the_width_of_the_cytoplasm(px, width, log2, hollow):
    seen = ratios(*draw(px, width, log2=log2, hollow=hollow))
    assert seen.null_count() == 0
    assert seen.mean() == pytest.approx(log2, abs=0.06)


@pytest.mark.parametrize("blur", [0.3, 0.5])
@pytest.mark.parametrize("mask_error_px", [-0.5, 0.5])
def test_nor_the_optics_nor_an_outline_that_is_off(blur, mask_error_px):
    seen = ratios(*draw(0.65, 2, log2=-1.0, blur=blur, mask_error_px=mask_error_px))
    assert seen.null_count() == 0
    assert seen.mean() == pytest.approx(-1.0, abs=0.1)


@pytest.mark.parametrize("hollow", [False, True])
@pytest.mark.parametrize(
    ("nucleus", "soma"), [(0, 1), (0, 0.5), (0, -0.5), (-0.5, 0), (-0.5, 1), (-0.5, -0.5)]
)
@pytest.mark.parametrize(
    ("px", "width"), [(0.65, 4), (0.65, 2), (0.65, 1.5), (0.325, 2), (0.325, 1.5), (0.325, 1)]
)
def test_the_ratio_follows_the_stains_where_a_soma_is_outlined_off(
    px, width, nucleus, soma, hollow
):
    """The narrower of the outlines leave a ring that is too thin where the cytoplasm is 1 µm."""
    outlines = {"nucleus_error_um": nucleus, "soma_error_um": soma, "hollow": hollow}
    for log2 in (-1.0, 1.0):
        seen = ratios(*draw(px, width, log2=log2, **outlines))
        told = soma >= 0 or width > 1
        assert seen.null_count() == (0 if told else 4)
        assert seen.drop_nulls().to_list() == pytest.approx([log2] * (4 if told else 0), abs=0.1)


@pytest.mark.parametrize("soma", [0, 1])
@pytest.mark.parametrize("px", [0.65, 0.325])
def test_cytoplasm_inside_a_nucleus_outlined_too_wide_counts(px, soma):
    for width in (2, 1.5):
        seen = ratios(*draw(px, width, log2=-1.0, nucleus_error_um=1, soma_error_um=soma))
        given = seen.drop_nulls().to_list()
        assert len(given) in (3, 4)
        assert given == pytest.approx([-1.0] * len(given), abs=0.2)
        assert seen.mean() == pytest.approx(-1.0, abs=0.12)


@pytest.mark.parametrize("soma", [0, 0.5, 1])
@pytest.mark.parametrize(("px", "width"), [(0.65, 1), (0.325, 0.75)])
def test_a_wide_outline_makes_no_thin_cytoplasm_wider(px, width, soma):
    seen = ratios(*draw(px, width, log2=-1.0, soma_error_um=soma))
    assert seen.null_count() == 4


def test_little_light_of_the_nucleus_is_cytoplasm_in_a_blurred_image():
    """As after smoothing by 1 px: a hundredth of the nucleus's light lies 2 µm away.

    A band that widens with the blur takes that off as well. But edges of flat U2OS nuclei are as
    shallow, and their ratios would scatter more (Z′ of BBBC013 0.82 in place of 0.85).
    """
    cells = measure(*draw(0.65, 4, log2=2.0, blur=0.8)).cells
    assert cells["cytoplasm_mean_dna"].to_list() == pytest.approx([0] * 4, abs=12)
    assert cells["cytoplasm_mean_aggregate"].to_list() == pytest.approx([400] * 4, rel=0.04)


def test_levels_are_those_drawn():
    cells = measure(*draw(0.65, 2, log2=1.0)).cells
    assert cells["nucleus_mean_aggregate"].to_list() == pytest.approx([800] * 4, rel=0.03)
    assert cells["cytoplasm_mean_aggregate"].to_list() == pytest.approx([400] * 4, rel=0.08)


def test_a_cytoplasm_too_thin_for_the_optics_has_no_level_and_the_field_says_so():
    measured = measure(*draw(0.65, 0.5, blur=0.5))
    assert measured.cells["cytoplasm_mean_aggregate"].null_count() == 4
    assert measured.cells["nc_log2_aggregate"].null_count() == 4
    assert measured.cells["nucleus_mean_aggregate"].null_count() == 0
    assert measured.field["warnings"].str.contains("cytoplasm_too_thin.* 4 of 4 neurons").all()
    clear = measure(*draw(0.65, 2, blur=0.5))
    assert not clear.field["warnings"].str.contains("cytoplasm_too_thin").any()


@pytest.mark.parametrize(
    ("px", "width", "given"),
    [(0.65, 1, False), (0.65, 1.5, True), (0.325, 0.75, False), (0.325, 1, True)],
)
def test_the_thinnest_cytoplasm_that_is_measured_depends_on_the_pixels(px, width, given):
    seen = ratios(*draw(px, width, log2=-1.0))
    assert seen.null_count() == (0 if given else 4)
    assert seen.drop_nulls().to_list() == pytest.approx([-1.0] * (4 if given else 0), abs=0.1)


def of_role(role, drawn):
    """The drawn field with its third channel in another role."""
    field, labels = drawn
    return replace(field, roles=("dna", "neurite", role)), labels


@pytest.mark.parametrize(
    ("role", "rim_um"), [("envelope", 0.15), ("envelope", 0.35), ("aggregate", 0.25)]
)
@pytest.mark.parametrize("cytoplasm", [0.0, 200.0])
@pytest.mark.parametrize(
    ("px", "width"),
    [(0.65, 4), (0.65, 2), (0.65, 1.5), (0.325, 4), (0.325, 1.5), (0.2, 2)],
)
def test_light_of_the_rim_is_neither_nucleus_nor_cytoplasm(px, width, cytoplasm, role, rim_um):
    """A lamina five times as bright as the nucleus inside it."""
    stain = {"log2": -1.0, "cytoplasm": cytoplasm, "rim": 1000 * 0.25 / rim_um, "rim_um": rim_um}
    cells = measure(*of_role(role, draw(px, width, **stain))).cells
    nucleus, around = (cells[f"{c}_mean_{role}"] for c in ("nucleus", "cytoplasm"))
    assert nucleus.null_count() + around.null_count() == 0
    assert nucleus.mean() == pytest.approx(200, abs=20)
    assert around.mean() == pytest.approx(cytoplasm, abs=35)


@pytest.mark.parametrize("px", [0.325, 0.2])
def test_behind_a_rim_a_thin_cytoplasm_has_no_level_and_the_field_says_so(px):
    """Cytoplasm that is wide enough for a stain without a rim."""
    lamina = measure(*draw(px, 1, log2=-1.0, cytoplasm=200.0, rim=1000.0))
    assert lamina.cells["cytoplasm_mean_aggregate"].null_count() == 4
    assert lamina.cells["nc_log2_aggregate"].null_count() == 4
    assert lamina.cells["nucleus_mean_aggregate"].to_list() == pytest.approx([200] * 4, abs=20)
    assert lamina.cells["cytoplasm_mean_neurite"].null_count() == 0
    (warnings,) = lamina.field["warnings"]
    assert states("measure.cytoplasm_behind_rim", warnings, cells="4 of 4", role="aggregate")
    plain = measure(*draw(px, 1, log2=-1.0, cytoplasm=200.0))
    assert plain.cells["cytoplasm_mean_aggregate"].null_count() == 0
    assert "cytoplasm_too_thin" not in plain.field["warnings"][0]


@pytest.mark.parametrize("log2", [-2.0, 0.0, 2.0])
@pytest.mark.parametrize("width", [4, 2, 1.5, 0.5])
def test_a_stain_without_a_rim_is_measured_as_without_the_rim(monkeypatch, width, log2):
    drawn = [draw(0.65, width, log2=log2, seed=seed) for seed in range(3)]
    seen = [measure(*one).cells for one in drawn]
    monkeypatch.setattr(partial_volume, "_FAINT_RIM", 1e9)
    for one, cells in zip(drawn, seen, strict=True):
        columns = [c for c in cells.columns if "_mean_" in c or c.startswith("nc_")]
        assert cells.select(columns).equals(measure(*one).cells.select(columns))


def test_a_rim_is_taken_off_without_a_jump():
    """From one stain to the next the rim is a little brighter."""
    seen = [
        measure(*draw(0.65, 2, log2=0.0, rim=rim, noise=1.0)).cells["cytoplasm_mean_aggregate"]
        for rim in range(0, 1200, 40)
    ]
    levels = np.array([s.mean() for s in seen])
    assert np.abs(np.diff(levels)).max() < 12
    assert levels == pytest.approx([400] * len(levels), abs=50)


def test_a_faint_rim_of_an_envelope_stain_is_taken_off_too():
    """A lamina that a compound thins out."""
    drawn = draw(0.65, 1.5, log2=0.0, rim=160.0, cytoplasm=100.0)
    levels = {
        role: measure(*of_role(role, drawn)).cells[f"cytoplasm_mean_{role}"].mean()
        for role in ("aggregate", "envelope")
    }
    assert levels["envelope"] == pytest.approx(100, abs=10)
    # Of another stain a faint rim stays: it may be the stain's own shape.
    assert levels["aggregate"] == pytest.approx(136, abs=6)


def test_a_nucleus_beside_a_cytoplasm_too_thin_for_the_optics_has_its_own_level():
    cells = measure(*draw(0.65, 1, log2=-2.0, noise=5.0)).cells
    assert cells["cytoplasm_mean_aggregate"].null_count() == 4
    assert cells["nucleus_mean_aggregate"].to_list() == pytest.approx([100] * 4, abs=8)


def test_an_uneven_stain_is_not_less_cytoplasm():
    seen = [ratios(*draw(0.65, 4, uneven=0.2, seed=seed)) for seed in range(4)]
    assert pl.concat(seen).mean() == pytest.approx(0.0, abs=0.06)


@pytest.mark.parametrize("soma_error_um", [0, 1])
def test_grains_of_a_stain_are_not_the_end_of_a_soma(soma_error_um):
    drawn = {"uneven": 0.2, "log2": -1.0, "soma_error_um": soma_error_um}
    seen = [ratios(*draw(0.65, 2, seed=seed, **drawn)) for seed in range(4)]
    assert pl.concat(seen).null_count() == 0
    assert pl.concat(seen).mean() == pytest.approx(-1.0, abs=0.1)


def test_dna_stain_in_the_cytoplasm_is_not_nucleus():
    seen = ratios(*draw(0.65, 4, log2=1.0, dna_in_cytoplasm=0.3))
    assert seen.mean() == pytest.approx(1.0, abs=0.06)


def shares(nuclei, somas, ring_um=3.0, px=0.5):
    """Shares in an image whose stains are the labels themselves: nothing is blurred."""
    dna = np.where(nuclei > 0, 1000.0, 0.0).astype(np.float32)
    neurite = None if somas is None else np.where(somas > 0, 800.0, 0.0).astype(np.float32)
    return mixture(dna, neurite, nuclei, somas, ring_um, px)


def disc(shape, y, x, radius):
    yy, xx = np.ogrid[: shape[0], : shape[1]]
    return np.hypot(yy - y, xx - x) <= radius


@pytest.fixture
def cells():
    """Two cells side by side: nuclei of radius 14, somas of radius 25."""
    shape = (80, 160)
    nuclei, somas = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
    for label, x in ((1, 40), (2, 110)):
        somas[disc(shape, 40, x, 25)] = label
        nuclei[disc(shape, 40, x, 14)] = label
    return nuclei, somas


@pytest.mark.parametrize("log2", [-2.0, -0.5, 0.0, 1.5])
def test_without_blur_the_levels_are_exact(cells, log2):
    nuclei, somas = cells
    image = np.where(nuclei > 0, 400 * 2**log2, np.where(somas > 0, 400.0, 0)).astype(np.float32)
    nucleus, cytoplasm = shares(nuclei, somas).levels(image)[:2]
    assert nucleus == pytest.approx([400 * 2**log2] * 2, rel=1e-6)
    assert cytoplasm == pytest.approx([400.0] * 2, rel=1e-6)


def test_a_dark_spot_deep_in_a_soma_is_cytoplasm(cells):
    """A vacuole keeps the neurite stain out, and is not the end of the soma."""
    nuclei, somas = cells
    spot = disc(nuclei.shape, 40, 57.5, 2)
    stain = np.where((somas > 0) & ~spot, 800.0, 0.0).astype(np.float32)
    dna = np.where(nuclei > 0, 1000.0, 0.0).astype(np.float32)
    seen = mixture(dna, stain, nuclei, somas, 3.0, 0.5)
    assert seen.cytoplasm[spot.ravel()[seen.index]] == pytest.approx([1.0] * 12)


def test_the_ring_of_a_nucleus_without_soma_stays_out_of_other_somas(cells):
    """A glial nucleus beside a neuron: the neuron's protein is not its cytoplasm."""
    nuclei, somas = cells
    glia = disc(nuclei.shape, 40, 75, 7) & (somas == 0)
    nuclei = np.where(glia, 3, nuclei).astype(np.int32)
    image = np.where(somas > 0, 900.0, 100.0).astype(np.float32)
    nucleus, cytoplasm = shares(nuclei, somas).levels(image)[:2]
    assert (nucleus[2], cytoplasm[2]) == pytest.approx((100.0, 100.0), rel=1e-6)
    assert cytoplasm[:2] == pytest.approx([900.0] * 2, rel=1e-6)


def test_the_ring_is_as_wide_as_told(cells):
    nuclei, _ = cells
    ring = shares(nuclei, None, ring_um=4.5)
    y, x = np.divmod(ring.index[(ring.of == 1) & (ring.cytoplasm == 1)], nuclei.shape[1])
    away = np.hypot(y - 40, x - 40) - 14
    assert 0.0 < away.min() < 1.0
    assert away.max() == pytest.approx(9.0, abs=0.5)


def test_no_nuclei_and_a_nucleus_without_a_ring():
    empty = shares(np.zeros((20, 20), np.int32), None)
    assert [len(level) for level in empty.levels(np.ones((20, 20), np.float32))] == [0, 0, 0]
    full = np.ones((20, 20), np.int32)
    nucleus, cytoplasm, _ = shares(full, full).levels(np.full((20, 20), 7.0, np.float32))
    assert nucleus == pytest.approx([7.0])
    assert np.isnan(cytoplasm).all()
