from __future__ import annotations

import cv2
import numpy as np
import pytest

from phenotypes.cells.measure import MeasureSettings, measure
from segmentation import Field, Segmentation
from tests.messages import says


def disc(shape, centre, radius):
    y, x = np.ogrid[: shape[0], : shape[1]]
    return (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2


@pytest.fixture
def cell():
    """A nucleus of radius 12 px in a soma of radius 24 px: DNA 1000 above 100; reporter 800 and 200
    above 50; 0.5 µm pixels.
    """
    shape = (200, 200)
    nucleus, soma = disc(shape, (100, 90), 12), disc(shape, (100, 90), 24)
    pixels = np.zeros((2, *shape), np.float32)
    pixels[0] = 100 + 1000 * nucleus
    pixels[1] = 50 + 200 * soma + 600 * nucleus
    rng = np.random.default_rng(0)
    pixels += rng.normal(0, 1, pixels.shape).astype(np.float32)
    labels = {"nuclei": nucleus.astype(np.int32), "somas": soma.astype(np.int32)}
    return Field(pixels, ("dna", "aggregate"), 0.5), labels


def test_known_shape_and_intensities(cell):
    field, labels = cell
    row = measure(field, Segmentation(labels, "test")).cells.to_dicts()[0]
    assert row["nucleus_area_um2"] == pytest.approx(np.pi * 6**2, rel=0.03)
    assert row["nucleus_perimeter_um"] == pytest.approx(2 * np.pi * 6, rel=0.03)
    assert row["nucleus_form_factor"] == pytest.approx(1, abs=0.05)
    assert row["nucleus_major_um"] == pytest.approx(12, rel=0.03)
    assert row["nucleus_eccentricity"] < 0.1
    assert (row["y_um"], row["x_um"]) == (pytest.approx(50.25), pytest.approx(45.25))
    assert row["soma_area_um2"] == pytest.approx(np.pi * 12**2, rel=0.02)
    assert row["nucleus_mean_dna"] == pytest.approx(1000, rel=0.01)
    assert row["nucleus_mean_aggregate"] == pytest.approx(800, rel=0.01)
    assert row["cytoplasm_mean_aggregate"] == pytest.approx(200, rel=0.02)
    assert row["nc_log2_aggregate"] == pytest.approx(2.0, abs=0.03)
    assert row["nucleus_sum_dna"] == pytest.approx(1000 * labels["nuclei"].sum(), rel=0.01)
    assert row["is_neuron"]
    assert not row["touches_border"]


def test_a_ratio_to_nothing_is_no_ratio(cell):
    field, labels = cell
    pixels = field.pixels.copy()
    pixels[1] = 50 + 600 * labels["nuclei"] + np.random.default_rng(1).normal(0, 1, pixels[1].shape)
    row = measure(Field(pixels, field.roles, 0.5), Segmentation(labels, "test")).cells.to_dicts()[0]
    assert row["nc_log2_aggregate"] is None


def test_an_ellipse_has_its_axes():
    image = np.zeros((200, 200), np.uint8)
    cv2.ellipse(image, (100, 100), (40, 20), 30, 0, 360, 1, -1)
    field = Field(
        np.random.default_rng(0).normal(100, 1, (1, 200, 200)).astype(np.float32), ("dna",), 0.25
    )
    row = measure(field, Segmentation({"nuclei": image.astype(np.int32)}, "test")).cells.to_dicts()[
        0
    ]
    assert row["nucleus_major_um"] == pytest.approx(20, rel=0.03)
    assert row["nucleus_minor_um"] == pytest.approx(10, rel=0.05)
    assert row["nucleus_eccentricity"] == pytest.approx(np.sqrt(0.75), abs=0.02)
    assert row["is_neuron"] is None if "is_neuron" in row else True


def test_puncta_belong_to_the_soma_they_lie_in(cell):
    field, labels = cell
    puncta = np.zeros(field.shape, np.int32)
    puncta[80:82, 90:92], puncta[118:120, 90:92], puncta[10:12, 10:12] = 1, 2, 3
    row = measure(field, Segmentation({**labels, "puncta": puncta}, "test")).cells.to_dicts()[0]
    assert row["puncta_count"] == 2
    assert row["puncta_area_um2"] == pytest.approx(8 * 0.25)


def test_spots_are_a_share_of_the_soma_and_granules_of_its_cytoplasm(cell):
    field, labels = cell
    spots = np.zeros(field.shape, np.int32)
    spots[80:84, 88:93] = 1
    pixels = np.concatenate([field.pixels, field.pixels[1:]])
    row = measure(
        Field(pixels, ("dna", "aggregate", "granule"), 0.5),
        Segmentation({**labels, "puncta": spots, "granules": spots}, "t"),
    ).cells.to_dicts()[0]
    soma, nucleus = labels["somas"].sum(), labels["nuclei"].sum()
    assert row["puncta_area_fraction"] == pytest.approx(20 / soma, rel=1e-12)
    assert row["granule_area_fraction"] == pytest.approx(20 / (soma - nucleus), rel=1e-12)
    assert row["granule_area_um2"] == 20 * 0.25
    light = field.pixels[1] - row_background(field, "aggregate")
    assert row["puncta_sum"] == pytest.approx(light[spots > 0].sum(), rel=1e-5)


def row_background(field, role):
    """The background that the field table names."""
    empty = np.zeros(field.shape, np.int32)
    return measure(field, Segmentation({"nuclei": empty}, "t")).field[f"background_{role}"][0]


@pytest.mark.parametrize("value", [1e6, -1e6])
def test_light_of_a_neighbour_and_of_a_channel_without_a_role_moves_no_cell(cell, value):
    """The neighbour is far, and covers less than the tenth of the field that the background is read
    from.
    """
    field, labels = cell
    far = disc(field.shape, (30, 170), 12)
    both = {
        "nuclei": labels["nuclei"] + 2 * disc(field.shape, (30, 170), 8),
        "somas": labels["somas"] + 2 * far,
    }
    puncta = np.zeros(field.shape, np.int32)
    puncta[80:82, 90:92], puncta[28:30, 168:170] = 1, 2
    segmentation = Segmentation(
        {k: v.astype(np.int32) for k, v in (both | {"puncta": puncta}).items()}, "t"
    )
    lit = field.pixels + np.float32(500) * far
    spoiled = np.concatenate(
        [
            np.where(far, lit + np.float32(max(value, 0)), lit),
            np.full((1, *field.shape), value, np.float32),
        ]
    )
    clean = measure(Field(lit, field.roles, 0.5), segmentation).cells
    found = measure(Field(spoiled, (*field.roles, None), 0.5), segmentation).cells
    assert clean["label"].to_list() == found["label"].to_list() == [1, 2]
    assert found.row(0) == clean.row(0)
    assert (value < 0) == (found.row(1) == clean.row(1))


def test_neighbours_do_not_share_cytoplasm(cell):
    """Two touching cells of different brightness keep their own ratios."""
    shape = (120, 200)
    nuclei = np.zeros(shape, np.int32)
    somas = np.zeros(shape, np.int32)
    nuclei[disc(shape, (60, 70), 10)], nuclei[disc(shape, (60, 104), 10)] = 1, 2
    somas[disc(shape, (60, 70), 17)] = 1
    somas[disc(shape, (60, 104), 17) & (somas == 0)] = 2
    image = (
        np.full(shape, 20.0)
        + 100 * (somas == 1)
        + 400 * (somas == 2)
        + 300 * (nuclei == 1)
        + 400 * (nuclei == 2)
    )
    field = Field(np.stack([image, image]).astype(np.float32), ("dna", "aggregate"), 0.5)
    ratios = (
        measure(field, Segmentation({"nuclei": nuclei, "somas": somas}, "t"))
        .cells["nc_log2_aggregate"]
        .to_list()
    )
    assert ratios == [pytest.approx(2.0, abs=0.05), pytest.approx(1.0, abs=0.05)]


def test_coarse_pixels_refuse_what_they_cannot_carry(cell):
    field, labels = cell
    puncta = np.zeros(field.shape, np.int32)
    result = measure(
        Field(field.pixels, field.roles, 2.0),
        Segmentation({**labels, "puncta": puncta, "neurites": puncta}, "t"),
    )
    for refused in ("nc_log2_aggregate", "puncta_count", "primary_neurites"):
        assert result.cells[refused].null_count() == len(result.cells), refused
        assert refused in result.field["warnings"][0]
    for refused in ("neurite_length_um", "neurite_width_um", "neurite_beads"):
        assert result.field[refused].null_count() == 1, refused
    assert "pixel_size_too_coarse" in result.field["warnings"][0]
    assert "2 µm" in result.field["warnings"][0]
    assert result.cells["nucleus_area_um2"].null_count() == 0


def test_no_nuclei_is_an_empty_table_and_no_labels_an_error(cell):
    field, _ = cell
    empty = np.zeros(field.shape, np.int32)
    assert (
        len(
            measure(
                field, Segmentation({"nuclei": empty, "somas": empty, "puncta": empty}, "t")
            ).cells
        )
        == 0
    )
    with pytest.raises(ValueError, match=says("measure.nothing_segmented")):
        measure(field, Segmentation({}, "t"))
    with pytest.raises(ValueError, match=says("measure.labels_of_another_shape")):
        measure(field, Segmentation({"nuclei": empty[:5]}, "t"))


def test_field_quality_numbers(cell):
    field, labels = cell
    row = measure(field, Segmentation(labels, "t")).field.to_dicts()[0]
    assert row["background_dna"] == pytest.approx(100, abs=1)
    assert row["saturated_dna"] == 0.0
    blurred = np.stack([cv2.GaussianBlur(p, (0, 0), 4) for p in field.pixels])
    clipped = np.minimum(field.pixels, 900)
    assert (
        measure(Field(blurred, field.roles, 0.5), Segmentation(labels, "t")).field["focus_dna"][0]
        < 0.3 * row["focus_dna"]
    )
    assert (
        measure(Field(clipped, field.roles, 0.5), Segmentation(labels, "t")).field["saturated_dna"][
            0
        ]
        > 0.005
    )


def test_the_background_of_a_crowded_field_is_that_of_its_darkest_tenth():
    """Cells over four fifths of the field: the level between them is still read."""
    image = np.full((320, 320), 100, np.float32)
    image[:, 64:] += 400
    image += np.random.default_rng(0).normal(0, 1, image.shape).astype(np.float32)
    empty = Segmentation({"nuclei": np.zeros(image.shape, np.int32)}, "t")
    assert measure(Field(image[None], ("dna",), 0.5), empty).field["background_dna"][
        0
    ] == pytest.approx(100, abs=1)
    image[:, 16:64] += 400
    assert measure(Field(image[None], ("dna",), 0.5), empty).field["background_dna"][
        0
    ] == pytest.approx(500, abs=1)


def test_ring_width_is_the_protocols(cell):
    field, labels = cell
    wide = measure(
        field, Segmentation({"nuclei": labels["nuclei"]}, "t"), MeasureSettings(ring_um=12.0)
    ).cells["cytoplasm_mean_aggregate"][0]
    narrow = measure(field, Segmentation({"nuclei": labels["nuclei"]}, "t")).cells[
        "cytoplasm_mean_aggregate"
    ][0]
    assert wide < 0.7 * narrow  # beyond the soma there is nothing


def test_the_work_does_not_grow_with_the_number_of_cells():
    """No Python loop over objects: ten times the cells take the same number of calls."""
    import cProfile
    import pstats

    from segmentation.phantoms.render import Culture, Optics, render

    def calls(density):
        phantom = render(Culture(neurons_per_mm2=density), Optics(shape=(640, 640)), 1)
        truth = phantom.truth
        labels = {
            "nuclei": truth.nuclei,
            "somas": truth.somas,
            "neurites": truth.neurite_mask(0.65).astype(np.int32),
            "puncta": (truth.somas * 0).astype(np.int32),
        }
        measure(phantom.field, Segmentation(labels, "t"))
        profile = cProfile.Profile()
        profile.enable()
        measure(phantom.field, Segmentation(labels, "t"))
        profile.disable()
        return int(truth.neuron.sum()), pstats.Stats(profile).total_calls

    (few, little), (many, much) = calls(40), calls(400)
    assert many > 7 * few
    assert much < 1.3 * little
