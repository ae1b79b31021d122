from __future__ import annotations

import numpy as np

from imaging_service.review.log import UNATTRIBUTED
from napari_plugin.layers import GRAPH_LAYER, field_layers, get_reader

CHANNELS, LABELS = (
    ["dna (1)", "neurite (2)", "aggregate (3)"],
    [
        "nuclei",
        "somas",
        "neurites",
        "puncta",
    ],
)


def test_layers_hold_pixels_and_labels_in_micrometres(session):
    image = session.image()
    layers = field_layers(image, session.contrast())
    assert [settings["name"] for _, settings, _ in layers] == [*CHANNELS, *LABELS, GRAPH_LAYER]
    assert [kind for _, _, kind in layers] == ["image"] * 3 + ["labels"] * 5
    assert all(settings["scale"] == (0.65, 0.65) for _, settings, _ in layers)
    assert [level.shape for level in layers[0][0]] == [(320, 320), (160, 160)]
    assert np.array_equal(np.asarray(layers[1][0][0]), image.pixels[1])
    assert layers[0][1]["contrast_limits"] == session.contrast()[0]


def test_what_napari_paints_on_is_not_what_the_field_was(session):
    image = session.image()
    layers = {
        settings["name"]: data for data, settings, _ in field_layers(image, session.contrast())
    }
    layers["nuclei"][:] = 0
    assert image.labels["nuclei"].any()


def test_the_graph_lies_on_the_neurites_and_names_their_cells(session):
    image = session.image()
    drawn = {s["name"]: d for d, s, _ in field_layers(image, session.contrast())}[GRAPH_LAYER]
    thin = session.run.read_field(session.well, 1).graph
    cells = set(np.unique(image.labels["somas"]))
    assert set(np.unique(thin)) <= {*cells, UNATTRIBUTED}
    assert (thin > 0).sum() < (drawn > 0).sum() < 4 * (thin > 0).sum()
    assert (image.labels["neurites"][thin > 0] > 0).mean() > 0.99
    known = (thin > 0) & (thin != UNATTRIBUTED)
    assert np.array_equal(drawn[known], thin[known])
    assert len({*np.unique(drawn)} - cells) <= 1  # what is nobody's


def test_the_reader_takes_run_folders_only(analysed, tmp_path):
    assert get_reader(str(tmp_path)) is None
    assert get_reader([str(analysed)]) is None
    assert len(get_reader(str(analysed))(str(analysed))) == 8
