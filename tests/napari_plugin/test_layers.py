from __future__ import annotations

import numpy as np
import pytest

from imaging_service.review.local import LocalRun
from imaging_service.review.log import UNATTRIBUTED
from napari_plugin.layers import GRAPH_LAYER, field_layers, get_reader
from tests.messages import states
from tests.napari_plugin.cursor import point_at

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


# ── what a reviewer may do to the layers: nothing that was painted is lost in silence ──


def number_painted(widget, name, number, well):
    """Pixels of a number in the labels as they are stored."""
    return int((LocalRun(widget.session.run.root).read_field(well, 1).labels[name] == number).sum())


@pytest.mark.parametrize("key", ["S", "N", "A"])
def test_a_renamed_layer_is_saved(review, run, key):
    viewer, widget, press = review
    widget.open(run)
    well = widget.session.well
    press("W")
    layer = viewer.layers["nuclei"]
    layer.name = "my nuclei"
    number = layer.selected_label
    layer.data[5:9, 5:9] = number
    press(key)
    assert number_painted(widget, "nuclei", number, well) == 16
    assert [la.name for la in viewer.layers].count("my nuclei") == 1
    assert len(viewer.layers) == 8  # no second layer of nuclei has appeared
    assert ((well, 1, None) in widget.session.run.review.standing()) == (key == "A")


def test_the_keys_act_on_a_renamed_layer(review, run):
    viewer, widget, press = review
    widget.open(run)
    label = int(viewer.layers["nuclei"].data.max())
    viewer.layers["nuclei"].name = "A"
    point_at(viewer, "A", label)
    press("D")
    assert number_painted(widget, "nuclei", label, widget.session.well) == 0
    press("Z")
    assert (viewer.layers["A"].data == label).any()


@pytest.mark.parametrize("key", ["S", "N", "A"])
def test_a_removed_layer_comes_back_with_what_was_painted(review, run, key):
    viewer, widget, press = review
    widget.open(run)
    well, layer = widget.session.well, viewer.layers["nuclei"]
    layer.data[5:9, 5:9] = 900
    viewer.layers.remove(layer)
    press(key)
    assert states("widget.layer_removed", widget.message.text(), what="nuclei")
    assert layer in viewer.layers
    assert widget.session.run.review.standing() == {}
    assert (widget.session.number, widget.session.run.review.head(well, 1)) == (1, 1)
    press(key)
    assert number_painted(widget, "nuclei", 900, well) == 16


def test_a_removed_layer_without_paint_is_no_matter(review, run):
    viewer, widget, press = review
    widget.open(run)
    viewer.layers.remove("somas")
    press("A")
    assert (widget.message.text(), widget.session.number) == ("", 2)
    assert "somas" in viewer.layers


# Each key with one layer, each layer with one key: they meet in one place.
@pytest.mark.parametrize(
    ("how", "key"),
    [
        ("new", "S"),
        ("new", "N"),
        ("new", "A"),
        ("duplicate", "N"),
        ("in its place", "A"),
        ("of the reviewer", "N"),
        ("graph", "S"),
    ],
)
def test_paint_on_a_layer_that_is_not_the_fields_is_named(review, run, key, how):
    viewer, widget, press = review
    painted = viewer.add_labels(np.zeros((160, 160), np.int32), name="mine")
    if how != "of the reviewer":
        viewer.layers.remove(painted)
    widget.open(run)
    well, own = widget.session.well, viewer.layers["nuclei"]
    if how == "new":
        painted = viewer.add_labels(np.zeros_like(own.data), name="Labels")
    elif how == "duplicate":
        painted = viewer.add_labels(own.data.copy(), name="nuclei copy", metadata=own.metadata)
        press("S")
        assert widget.message.text() == ""  # nothing was painted on it yet
    elif how == "in its place":
        viewer.layers.remove(own)
        painted = viewer.add_labels(own.data.copy(), name="nuclei")
    elif how == "graph":
        painted = viewer.layers["neurite graph"]
    painted.data[5:9, 5:9] = 900
    press(key)
    assert states("widget.layer_of_no_field", widget.message.text(), layer=painted.name)
    assert own in viewer.layers
    assert widget.session.run.review.standing() == {}
    assert (widget.session.number, widget.session.run.review.head(well, 1)) == (1, 1)
    press(key)  # once is enough: the layer stays
    assert widget.message.text() == ""
    if how != "graph":
        assert (painted.data[5:9, 5:9] == 900).all()
        assert painted in viewer.layers


def test_a_layer_whose_array_was_replaced_is_saved_or_refused(review, run):
    viewer, widget, press = review
    widget.open(run)
    well, layer = widget.session.well, viewer.layers["nuclei"]
    changed = layer.data.astype(np.int64)
    changed[5:9, 5:9] = 900
    layer.data = changed
    press("S")
    assert number_painted(widget, "nuclei", 900, well) == 16
    wraps = layer.data.astype(np.int64)
    wraps[20:24, 5:9] = 2**32 + 900  # 900 in 32 bits
    layer.data = wraps
    press("S")
    assert states("widget.label_too_high", widget.message.text(), label="4,294,968,196")
    assert number_painted(widget, "nuclei", 900, well) == 16
    press("Z")
    layer.data = np.zeros((50, 60), np.int32)
    press("A")
    assert states("widget.labels_of_another_size", widget.message.text(), size="50 × 60")
    assert widget.session.run.review.standing() == {}
    press("Z")
    press("A")
    assert (well, 1, None) in widget.session.run.review.standing()


def test_a_layer_that_was_moved_is_put_back_before_its_paint_is_saved(review, run):
    """Where it was painted is not where it was seen."""
    viewer, widget, press = review
    widget.open(run)
    well, layer = widget.session.well, viewer.layers["nuclei"]
    for move in ({"translate": (30, 0)}, {"rotate": 20.0}, {"scale": (1.0, 2.0)}):
        for name, value in move.items():
            setattr(layer, name, value)
        layer.data[5:9, 5:9] = 900
        press("S")
        assert states("widget.layer_moved", widget.message.text(), what="nuclei"), move
        assert widget.session.run.review.head(well, 1) == 1
        px = widget.session.shown.pixel_size_um
        assert np.allclose(layer.data_to_world((10, 20)), (10 * px, 20 * px))
        press("Z")
    layer.data[5:9, 5:9] = 900
    press("S")
    assert number_painted(widget, "nuclei", 900, well) == 16


def test_another_run_is_not_opened_over_paint_that_is_refused(review, run, tmp_path):
    viewer, widget, press = review
    mine = viewer.add_labels(np.ones((9, 9), np.int32), name="mine")
    widget.open(run)
    viewer.layers["somas"].data[:4, :4] = 700
    session = widget.session
    widget.open(run)
    assert states("log.soma_without_nucleus", widget.message.text(), label=700)
    assert widget.session is session
    widget.apart.setChecked(True)
    assert states("log.soma_without_nucleus", widget.message.text(), label=700)
    assert not widget.apart.isChecked()
    assert (viewer.layers["somas"].data == 700).sum() == 16
    press("Z")
    widget.open(run)
    assert widget.session is not session
    assert mine in viewer.layers


def test_a_number_in_use_is_not_painted_on_another_cell(review, run):
    viewer, widget, press = review
    widget.open(run)
    well, layer = widget.session.well, viewer.layers["nuclei"]
    label = int(layer.data[80:, 80:].max())
    layer.data[:4, :4] = label
    press("A")
    assert states("pieces.of_one_number", widget.message.text(), what="nuclei", number=label)
    assert widget.session.run.review.standing() == {}
    press("Z")
    layer.data[:4, :4] = 900
    press("A")
    assert number_painted(widget, "nuclei", 900, well) == 16


def test_after_65535_comes_65536(review, run):
    """Shown labels have 16 bits until a number needs more."""
    viewer, widget, press = review
    widget.open(run)
    well, nuclei, somas = widget.session.well, viewer.layers["nuclei"], viewer.layers["somas"]
    assert nuclei.data.dtype == np.uint16
    nuclei.data[2:6, 2:6] = 65_535
    press("W")
    assert [la.selected_label for la in (nuclei, somas)] == [65_536] * 2
    assert number_painted(widget, "nuclei", 65_535, well) == 16
    nuclei.paint((30, 4), 65_536)
    somas.paint((30, 4), 65_536)
    press("S")
    assert widget.message.text() == ""
    assert number_painted(widget, "nuclei", 65_536, well) == (nuclei.data == 65_536).sum() > 0
    assert number_painted(widget, "somas", 65_536, well) == (somas.data == 65_536).sum() > 0
    place = np.argwhere(nuclei.data == 65_536)
    for at in (place[0], place[-1]):
        viewer.layers.selection.active = nuclei
        viewer.cursor.position = tuple(nuclei.data_to_world(at))
        press("X")
    assert number_painted(widget, "nuclei", 65_537, well) > 0
    press("N")
    assert nuclei.data.dtype == np.uint16
    press("P")
    assert int(nuclei.data.max()) == 65_537
    press("W")
    press("Z")
    press("Z")  # back to 65,535
    assert int(nuclei.data.max()) == 65_535
    # past the last number that can be measured, it is said
    nuclei.data[2:6, 2:6] = 1_000_000
    press("W")
    assert states("widget.number_too_high", widget.message.text(), most="1,000,000")
