from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from imaging_service.errors import NotFound
from imaging_service.web.pages.pixels import TILE, _halved, outline_tile, pixel_tile, plate_contrast
from tests.messages import says


def read(png):
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)


def levels(height=TILE + 188, width=TILE + 88):
    first = np.zeros((2, height, width), np.uint16)
    first[0, TILE:, TILE:] = 1000
    first[1, :10] = 500
    return [first, first[:, ::2, ::2]]


LIMITS = ((0.0, 1000.0), (0.0, 1000.0))


def test_a_tile_is_a_window_of_its_level_in_the_plate_s_contrast():
    tile = read(pixel_tile(levels(), ("dna", "neurite"), [0], LIMITS, (0, 1, 1)))
    assert tile.shape == (188, 88, 3)
    assert (tile == 255).all()
    tile = read(pixel_tile(levels(), ("dna", "neurite"), [0, 1], LIMITS, (1, 0, 0)))
    assert tile.shape == ((TILE + 188) // 2, (TILE + 88) // 2, 3)
    blue, green, red = tile[-10, -10]
    assert blue > green > red


def test_light_between_the_limits_is_in_proportion():
    tile = read(pixel_tile(levels(), ("dna", "neurite"), [1], LIMITS, (0, 0, 0)))
    assert set(np.unique(tile)) == {0, 128}


def test_a_time_point_is_chosen():
    film = [np.stack([np.zeros((1, 8, 8)), np.full((1, 8, 8), 9)])]
    assert read(pixel_tile(film, (None,), [0], ((0, 9),), (0, 0, 0), 1)).max() == 0
    assert read(pixel_tile(film, (None,), [0], ((0, 9),), (0, 0, 0), 2)).min() == 255


@pytest.mark.parametrize("place", [(2, 0, 0), (-1, 0, 0), (0, 2, 0), (0, 0, 2), (1, 1, 0)])
def test_a_place_outside_of_the_field_is_not_found(place):
    with pytest.raises(NotFound):
        pixel_tile(levels(), ("dna", "neurite"), [0], LIMITS, place)
    with pytest.raises(NotFound):
        outline_tile(Labelled(np.ones((TILE + 188, TILE + 88), int)), "B02", 1, "nuclei", place, 1)


class Labelled:
    """A run of which one field has labels."""

    root = "run"

    def __init__(self, image, version=1):
        self.image, self.version = image, version

    def label_levels(self, well, field):
        return {"nuclei": (self.image, self.image[::2, ::2])}

    def label_version(self, well, field):
        return self.version

    def read_field(self, well, field, frame):
        return SimpleNamespace(labels={"nuclei": self.image})


def squares():
    image = np.zeros((TILE + 20, TILE + 20), np.int32)
    image[10:20, TILE - 5 : TILE + 5] = 1
    return image


@pytest.mark.parametrize("version", [1, 2])
def test_outlines_go_on_over_the_edge_of_a_tile(version):
    run = Labelled(squares(), version)
    left = read(outline_tile(run, "B02", 1, "nuclei", (0, 0, 0), 1))
    right = read(outline_tile(run, "B02", 1, "nuclei", (0, 0, 1), 1))
    whole = np.hstack([left, right])[..., 3] > 0
    assert whole.sum() == 36
    assert not whole[11:19, TILE - 4 : TILE + 4].any()
    assert (left[10, TILE - 1] == (255, 255, 255, 255)).all()
    assert (left[11, TILE - 1] == 0).all()


def test_a_compartment_without_labels_is_not_found():
    with pytest.raises(NotFound, match=says("pages.no_such_labels")):
        outline_tile(Labelled(squares()), "B02", 1, "somas", (0, 0, 0), 1)


def test_a_line_of_one_pixel_stays_a_line_when_it_is_halved():
    edge = np.zeros((7, 9), bool)
    edge[6, 8] = edge[1] = True
    half = _halved(edge, 3)
    assert [h.shape for h in half] == [(7, 9), (4, 5), (2, 3)]
    assert half[1][0].all()
    assert half[2][1, 2]


def test_one_well_of_debris_does_not_darken_the_plate():
    ranges = {f"A{i:02d}": ((10.0 + i, 100.0 + i),) for i in range(1, 24)} | {"B01": ((0.0, 9e9),)}
    run = SimpleNamespace(
        record={"wells": {w: {"status": "done"} for w in ranges} | {"H12": {"status": "failed"}}},
        read_pixels=lambda well, field: SimpleNamespace(contrast=ranges[well]),
    )
    ((low, high),) = plate_contrast(run)
    assert low == pytest.approx(21.5)
    assert 115 < high < 125
    run.record = {"wells": {}}
    with pytest.raises(NotFound):
        plate_contrast(run)
