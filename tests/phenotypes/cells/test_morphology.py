"""All labels at once, against scikit-image one by one."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.measure import regionprops

from phenotypes.cells.morphology import perimeters, place, shapes
from segmentation.field import Pixels
from segmentation.phantoms.render import Culture, Optics, render

NUCLEI = render(Culture(neurons_per_mm2=500), Optics(shape=(300, 300)), 3).truth.nuclei


def test_places_and_shapes_are_scikit_images():
    # scikit-image takes a pixel for a point; ours is a square, which makes axes longer by under 2
    # %.
    pixels = Pixels(NUCLEI)
    where, shape = place(pixels, 0.5), shapes(NUCLEI, pixels, 0.5)
    for region in regionprops(NUCLEI):
        i = region.label - 1
        assert (where["y_um"][i], where["x_um"][i]) == pytest.approx(
            tuple((c + 0.5) * 0.5 for c in region.centroid)
        )
        assert shape["nucleus_area_um2"][i] == pytest.approx(region.area * 0.25)
        assert shape["nucleus_major_um"][i] == pytest.approx(
            region.axis_major_length * 0.5, rel=0.02
        )
        assert shape["nucleus_minor_um"][i] == pytest.approx(
            region.axis_minor_length * 0.5, rel=0.02
        )
        assert shape["nucleus_eccentricity"][i] == pytest.approx(region.eccentricity, abs=0.03)
        edge = (
            region.bbox[0] == 0
            or region.bbox[1] == 0
            or region.bbox[2] == 300
            or region.bbox[3] == 300
        )
        assert where["touches_border"][i] == edge


def test_a_rectangle_has_the_moments_of_its_pixels_squares():
    """A rectangle of h × w pixels has second moments h²/12 and w²/12, whatever its size."""
    labels = np.zeros((20, 30), np.int32)
    labels[5:7, 10:16] = 1
    shape = shapes(labels, Pixels(labels), 0.5)
    assert shape["nucleus_major_um"][0] == pytest.approx(4 * 6 / np.sqrt(12) * 0.5, rel=1e-12)
    assert shape["nucleus_minor_um"][0] == pytest.approx(4 * 2 / np.sqrt(12) * 0.5, rel=1e-12)
    assert shape["nucleus_eccentricity"][0] == pytest.approx(np.sqrt(1 - 1 / 9), rel=1e-12)


@pytest.mark.parametrize(
    ("y", "x", "cut"),
    [(0, 5, True), (9, 5, True), (5, 0, True), (5, 19, True), (1, 1, False), (8, 18, False)],
)
def test_each_of_the_four_edges_cuts(y, x, cut):
    labels = np.zeros((10, 20), np.int32)
    labels[y, x] = 1
    assert place(Pixels(labels), 1.0)["touches_border"].tolist() == [cut]


@pytest.mark.parametrize("radius", [5, 12, 40])
def test_perimeter_of_a_disc(radius):
    yy, xx = np.mgrid[:100, :100]
    disc = (np.hypot(yy - 50, xx - 50) <= radius).astype(np.int32)
    assert perimeters(disc, Pixels(disc))[0] == pytest.approx(2 * np.pi * radius, rel=0.09)


def test_labels_that_are_absent_have_no_size():
    gap = np.where(NUCLEI == 2, 0, NUCLEI)
    shape = shapes(gap, Pixels(gap), 1.0)
    assert shape["nucleus_area_um2"][1] == 0
    assert np.isfinite(shape["nucleus_major_um"]).all()
