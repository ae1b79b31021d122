"""A plate's picture: each image stands in the row and the column of its well."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from imaging_service.inspection.plate_pictures import plate_picture, small, well_side
from plate_maps import Well, plate_format

MARGIN = 22


def decoded(png):
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE)


@pytest.mark.parametrize("wells", [6, 96, 384, 1536])
def test_a_bright_well_is_bright_in_its_place_only(wells):
    fmt = plate_format(wells)
    side = well_side(fmt)
    bright = Well(2, 3)
    images = {
        Well(r, c): np.full((side, side), 100.0, np.float32)
        for r in range(1, fmt.rows + 1)
        for c in range(1, fmt.columns + 1)
    }
    images[bright] = np.full((side, side), 1000.0, np.float32)
    picture = decoded(plate_picture(fmt, images))
    assert picture.shape == (MARGIN + fmt.rows * side, MARGIN + fmt.columns * side)
    centres = {
        well: int(
            picture[
                MARGIN + (well.row - 1) * side + side // 2,
                MARGIN + (well.column - 1) * side + side // 2,
            ]
        )
        for well in images
    }
    assert centres.pop(bright) == 255
    assert set(centres.values()) == {0}


def test_the_top_left_of_an_image_stays_there_and_its_contrast_is_the_plate_s():
    fmt = plate_format(96)
    side = well_side(fmt)
    image = np.zeros((side, side), np.float32)
    image[: side // 2, : side // 2] = 800
    image[side // 2 :, side // 2 :] = 400
    picture = decoded(plate_picture(fmt, {Well(1, 1): image}))
    part = picture[MARGIN : MARGIN + side, MARGIN : MARGIN + side]
    quarter = side // 4
    assert part[quarter, quarter] == 255
    assert abs(int(part[3 * quarter, 3 * quarter]) - 127) <= 2
    assert (part[quarter, 3 * quarter], part[3 * quarter, quarter]) == (0, 0)


def test_a_well_without_an_image_is_hatched():
    fmt = plate_format(6)
    side = well_side(fmt)
    picture = decoded(plate_picture(fmt, {Well(1, 1): np.zeros((side, side), np.float32)}))
    empty = picture[MARGIN + side : MARGIN + 2 * side - 1, MARGIN : MARGIN + side - 1]
    assert set(np.unique(empty)) == {30, 90}


def test_an_image_is_made_smaller_by_its_mean_and_never_larger():
    image = np.arange(16, dtype=np.uint16).reshape(4, 4)
    assert small(image, 2).tolist() == [[2.5, 4.5], [10.5, 12.5]]
    assert small(image, 9).tolist() == image.tolist()
