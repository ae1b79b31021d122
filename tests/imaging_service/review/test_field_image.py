from __future__ import annotations

from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

from imaging_service.errors import StoreError
from imaging_service.review.field_image import (
    FieldImage,
    FieldPixels,
    Window,
    audit,
    compact,
    read_pixels,
    read_window,
    well_group,
)
from tests.messages import says

FILM = np.arange(3 * 2 * 4 * 6, dtype=np.uint16).reshape(3, 2, 4, 6)


def image(levels, frame=1):
    return FieldImage((levels,), ("a", "b"), ("dna", None), {}, 0.5, frame=frame)


def test_a_film_s_pixels_are_those_of_the_time_point():
    assert (image(FILM).frames, image(FILM[0]).frames) == (3, 1)
    assert image(FILM).shape == image(FILM[0]).shape == (4, 6)
    assert np.array_equal(image(FILM, 3).pixels, FILM[2])
    assert np.array_equal(image(FILM[1]).pixels, FILM[1])


@pytest.mark.parametrize(("well", "path"), [("B03", "B/3"), ("AF48", "AF/48"), ("A10", "A/10")])
def test_a_well_s_group_is_row_and_column(well, path):
    assert well_group(well) == path


@pytest.mark.parametrize(("most", "kind"), [(59_999, np.uint16), (60_000, np.int32)])
def test_labels_are_small_while_there_is_room_for_new_ones(most, kind):
    labels = np.array([[0, most]], np.int32)
    assert compact(labels).dtype == kind
    assert compact(labels).tolist() == [[0, most]]


def test_a_window_is_cut_of_the_time_point():
    assert np.array_equal(read_window(FILM[:, 0], 2, Window(1, 2, 3, 4)), FILM[1, 0, 1:4, 2:6])
    assert np.array_equal(read_window(FILM[0, 0], 1, None), FILM[0, 0])
    assert read_window(FILM[0, 0], 1, Window(0, 0, 1, 1)).dtype == np.int32


@pytest.mark.parametrize(("there", "of", "sound"), [(4, 4, True), (3, 4, False), (0, 4, False)])
def test_a_lost_chunk_is_said(there, of, sound):
    array = SimpleNamespace(nchunks_initialized=there, nchunks=of)
    if sound:
        audit(array, "x")
    else:
        with pytest.raises(
            StoreError, match=says("field_image.chunks_counted", there=there, of=of)
        ):
            audit(array, "x")


@pytest.mark.parametrize(
    ("scale", "hours"), [([1.0, 0.5, 0.5], ()), ([1.0, 1.0, 0.5, 0.5], (0.0, 10.0, 96.0))]
)
def test_what_a_store_says_of_a_field(scale, hours):
    class Group(dict):
        attrs: ClassVar = {
            "ome": {
                "multiscales": [
                    {
                        "datasets": [
                            {"path": p, "coordinateTransformations": [{"scale": scale}]}
                            for p in ("0", "1")
                        ]
                    }
                ],
                "omero": {"channels": [{"label": "dna (1)", "window": {"start": 3, "end": 40}}]},
            },
            "motor_neuron": {"roles": ["dna"]} | ({"hours": list(hours)} if hours else {}),
        }

    found = read_pixels(Group({"0": "large", "1": "small"}))
    assert found == FieldPixels(
        ("large", "small"), ("dna (1)",), ("dna",), 0.5, hours, ((3.0, 40.0),)
    )
