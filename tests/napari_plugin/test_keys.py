"""What the keys do to the labels, pressed in napari's own viewer."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from napari_plugin import places
from napari_plugin.keys import CorrectionKeys
from napari_plugin.session import ReviewSession
from tests.messages import states
from tests.napari_plugin.cursor import point_at


@pytest.mark.parametrize(
    "action",
    ["erase", "merge", "split", "draw", "trace", "wipe", "save", "undo", "load_here", "pointed_at"],
)
def test_before_a_field_is_shown_nothing_is_done(action):
    done = []
    keys = CorrectionKeys(
        SimpleNamespace(),
        SimpleNamespace(laid=None, under_cursor=lambda names: (None, len(names), (0.0, 0.0))),
        SimpleNamespace(shown=None),
        say=done.append,
        show=lambda: done.append("shown"),
        describe=lambda: done.append("described"),
        attempt=lambda act: act(),
    )
    assert getattr(keys, action)() == ((None, 0, (0.0, 0.0)) if action == "pointed_at" else None)
    assert done == []


def test_what_was_painted_is_saved_when_one_steps_on(review, run):
    viewer, widget, press = review
    widget.open(run)
    well = widget.session.well
    press("W")
    layer = viewer.layers.selection.active
    assert (layer.name, layer.mode) == ("nuclei", "paint")
    number = layer.selected_label
    assert viewer.layers["somas"].selected_label == number
    assert number not in layer.data
    layer.paint((10, 10), number)
    assert (layer.data == number).any()
    press("N")
    # a stray click paints nothing on the next field
    assert (layer.mode, layer.selected_label) == ("pan_zoom", 0)
    assert (widget.session.run.read_field(well, 1).labels["nuclei"] == number).any()
    assert [v.reason for v in widget.session.run.review.history(well, 1)] == ["painted"]


def test_two_presses_of_x_split_a_cell_and_m_merges_it_again(review, run):
    viewer, widget, press = review
    widget.open(run)
    nuclei = viewer.layers["nuclei"]
    label = int(np.bincount(nuclei.data[nuclei.data > 0]).argmax())
    places = np.argwhere(nuclei.data == label)
    area = len(places)
    for place in (places[0], places[-1]):
        point_at(viewer, "nuclei", label)
        viewer.cursor.position = tuple(nuclei.data_to_world(place))
        press("X")
    halves = [(nuclei.data == n).sum() for n in (label, int(nuclei.data.max()))]
    assert sum(halves) == area
    assert min(halves) > 0.2 * area
    second = int(nuclei.data.max())
    point_at(viewer, "nuclei", second)
    press("M")
    assert states(
        "edits.cell_to_merge_missing", widget.message.text(), label=0
    )  # nothing was picked yet
    nuclei.selected_label = label
    press("M")
    assert (nuclei.data == label).sum() == area


def test_what_somebody_else_changed_is_shown_and_ones_own_strokes_are_kept(review, run):
    viewer, widget, press = review
    widget.open(run)
    well, first = widget.session.well, int(viewer.layers["nuclei"].data.max())
    viewer.layers["nuclei"].data[:3, :3] = 900
    other = ReviewSession.open(run)
    other.image()
    other.erase("nuclei", first)
    other.close()
    press("S")
    assert states("log.version_not_newest", widget.message.text())
    assert states("widget.refused_paint_kept", widget.message.text())
    assert not (viewer.layers["nuclei"].data == first).any()
    assert not (viewer.layers["nuclei"].data == 900).any()
    assert (viewer.layers[f"nuclei, refused ({well} field 1)"].data == 900).sum() == 9
    assert viewer.layers.selection.active.name == "nuclei"
    assert widget.session.run.review.head(well, 1) == 2
    press("N")  # the reviewer can go on
    assert states("session.number_of_field", widget.caption.text(), number=2, of=2)


def test_paint_that_is_refused_can_be_taken_back(review, run):
    viewer, widget, press = review
    widget.open(run)
    before = viewer.layers["somas"].data.copy()
    viewer.layers["somas"].data[:4, :4] = 700
    press("N")
    assert states("log.soma_without_nucleus", widget.message.text(), label=700)
    assert states("session.number_of_field", widget.caption.text(), number=1, of=2)
    press("Z")
    assert np.array_equal(viewer.layers["somas"].data, before)
    assert states("widget.paint_taken_back", widget.message.text())
    press("N")
    assert states("session.number_of_field", widget.caption.text(), number=2, of=2)
    press("Z")
    assert states("widget.no_correction_to_take_back", widget.message.text())


def test_keys_that_point_at_nothing_say_so(review, run):
    viewer, widget, press = review
    widget.open(run)
    nuclei = viewer.layers["nuclei"]
    viewer.cursor.position = tuple(nuclei.data_to_world(np.argwhere(nuclei.data == 0)[0]))
    for key in ("D", "M", "X"):
        press(key)
        assert states("widget.no_object", widget.message.text(), what="nuclei"), key
    viewer.layers.selection.active = viewer.layers[0]
    press("D")
    assert states("widget.no_object", widget.message.text(), what="dna (1)")


def test_a_cell_that_is_selected_already_is_not_merged_into_itself(review, run):
    viewer, widget, press = review
    widget.open(run)
    label = int(viewer.layers["nuclei"].data.max())
    point_at(viewer, "nuclei", label)
    viewer.layers["nuclei"].selected_label = label
    press("M")
    assert widget.message.text() == ""
    assert widget.session.run.review.history(widget.session.well, 1) == []


def test_a_split_is_begun_anew_on_another_cell_and_on_another_field(review, run):
    viewer, widget, press = review
    widget.open(run)
    log, well = widget.session.run.review, widget.session.well
    first, second = np.unique(viewer.layers["somas"].data)[-2:]
    for label in (first, second, first):
        point_at(viewer, "nuclei", label)
        press("X")
        assert states("widget.split_begun", widget.message.text(), what="nuclei", label=label)
    point_at(viewer, "somas", first)
    press("X")
    assert states("widget.split_begun", widget.message.text(), what="somas", label=first)
    press("N")
    press("P")
    press("X")
    assert states("widget.split_begun", widget.message.text(), what="somas", label=first)
    assert (log.history(well, 1), log.history(well, 2)) == ([], [])


def test_a_correction_of_a_field_that_another_reviewer_changed_shows_the_new_labels(review, run):
    viewer, widget, press = review
    widget.open(run)
    log, well = widget.session.run.review, widget.session.well
    first, second = np.unique(viewer.layers["nuclei"].data)[-2:]
    other = ReviewSession.open(run)
    other.image()
    other.erase("nuclei", int(first))
    other.close()
    point_at(viewer, "nuclei", second)
    press("D")
    assert states("log.version_not_newest", widget.message.text())
    labels = viewer.layers["nuclei"].data
    assert ((labels == first).any(), (labels == second).any()) == (False, True)
    assert log.head(well, 1) == 2
    press("D")  # again, on the labels that are shown now
    assert not (viewer.layers["nuclei"].data == second).any()
    assert log.head(well, 1) == 3


def test_saving_without_a_change_writes_nothing(review, run):
    _, widget, press = review
    widget.open(run)
    press("S")
    assert widget.message.text() == ""
    assert widget.session.run.review.history(widget.session.well, 1) == []


@pytest.mark.parametrize(("selected", "drawn"), [("somas", "somas"), ("dna (1)", "nuclei")])
def test_a_new_cell_is_painted_on_the_selected_labels_or_else_on_the_first(
    review, run, selected, drawn
):
    viewer, widget, press = review
    widget.open(run)
    number = 1 + max(int(viewer.layers[n].data.max()) for n in widget.session.shown.labels)
    viewer.layers.selection.active = viewer.layers[selected]
    press("W")
    layer = viewer.layers.selection.active
    assert (layer.name, layer.mode) == (drawn, "paint")
    cells = [n for n in widget.session.shown.labels if n != "neurites"]
    assert {viewer.layers[n].selected_label for n in cells} == {number}
    assert viewer.layers["neurites"].selected_label == 0
    assert states("widget.paint", widget.message.text(), what=drawn, number=number)


def test_what_was_painted_is_saved_before_an_object_is_erased_and_undone_after_it(review, run):
    viewer, widget, press = review
    widget.open(run)
    log, well = widget.session.run.review, widget.session.well
    nuclei = viewer.layers["nuclei"]
    before = nuclei.data.copy()
    label = int(before.max())
    nuclei.data[:3, :3] = 900
    point_at(viewer, "nuclei", label)
    press("D")
    assert [v.reason for v in log.history(well, 1)] == ["painted", f"erased nuclei {label}"]
    press("Z")
    assert ((nuclei.data == label).any(), (nuclei.data == 900).sum()) == (True, 9)
    press("Z")
    assert np.array_equal(nuclei.data, before)
    assert states("session.label_version", widget.caption.text(), version=5)


def test_of_a_very_large_field_the_labels_around_the_cursor_are_loaded(review, run, monkeypatch):
    viewer, widget, press = review
    monkeypatch.setattr(places, "WHOLE_PX", 200)
    monkeypatch.setattr(places, "WINDOW_PX", 160)
    widget.open(run)
    assert widget.session.shown.origin == (80, 80)
    nuclei = viewer.layers["nuclei"]
    assert nuclei.data.shape == (160, 160)
    nuclei.data[70:73, 70:73] = 900
    whole = widget.session.run.read_field(widget.session.well, 1).labels["nuclei"]
    pixel = widget.session.shown.pixel_size_um
    viewer.cursor.position = (10 * pixel, 300.5 * pixel)
    press("C")
    assert widget.session.shown.origin == (0, 160)
    assert nuclei.translate.tolist() == [0, 160 * pixel]
    assert np.array_equal(nuclei.data, whole[:160, 160:])
    # What was painted on the part that was shown is saved first.
    saved = widget.session.run.read_field(widget.session.well, 1).labels["nuclei"]
    assert (saved[150:153, 150:153] == 900).all()
    assert (saved != whole).sum() == 9


def test_with_neurites_selected_no_key_touches_a_cell(review, run):
    """Neurites are one mask of ones: its 1 is not cell 1."""
    viewer, widget, press = review
    widget.open(run)
    before = {n: viewer.layers[n].data.copy() for n in ("nuclei", "somas", "puncta")}
    numbers = np.unique(before["nuclei"])
    viewer.layers["nuclei"].selected_label = viewer.layers["neurites"].selected_label = numbers[2]
    for key in ("M", "X", "T"):
        point_at(viewer, "neurites", 1)
        press(key)
        assert states("widget.no_object", widget.message.text(), what="neurites") or (key == "X")
    assert all(np.array_equal(viewer.layers[n].data, before[n]) for n in before)
    assert widget.session.run.review.revision() == 1


def test_d_takes_out_one_neurite_and_not_all_of_them(review, run):
    viewer, widget, press = review
    widget.open(run)
    neurites = viewer.layers["neurites"]
    before = neurites.data.copy()
    y, x = point_at(viewer, "neurites", 1)
    press("D")
    gone = (before > 0) & (neurites.data == 0)
    assert gone[y, x]
    assert 0 < gone.sum() < 0.5 * (before > 0).sum()
    assert not ((neurites.data > 0) & (before == 0)).any()
    (version,) = widget.session.run.review.history(widget.session.well, 1)
    assert version.reason == "erased a neurite"
    press("Z")
    assert np.array_equal(neurites.data, before)


def test_neurites_are_painted_and_wiped_with_brushes(review, run):
    viewer, widget, press = review
    widget.open(run)
    neurites, somas = viewer.layers["neurites"], viewer.layers["somas"]
    px = widget.session.shown.pixel_size_um
    before = neurites.data.copy()
    viewer.layers.selection.active = neurites
    press("W")
    assert (neurites.mode, neurites.selected_label) == ("paint", 1)
    assert neurites.brush_size == max(round(1.5 / px), 3)
    y, x = np.argwhere((before == 0) & (somas.data == 0))[500]
    inside = tuple(np.argwhere(somas.data > 0)[9])
    neurites.selected_label = 9  # a mask has no numbers
    neurites.paint((y, x), 9)
    neurites.data[inside] = 9
    press("S")
    assert widget.message.text() == ""
    assert neurites.data[y, x] == 1
    assert neurites.data[inside] == 0  # somas are no neurites
    press("Shift+E")
    assert (neurites.mode, neurites.brush_size) == ("erase", max(3, round(5 / px)))
    neurites.paint((y, x), 0)
    press("S")
    stored = widget.session.run.read_field(widget.session.well, 1).labels["neurites"]
    assert stored[y, x] == 0
    press("Shift+E")
    assert (neurites.mode, widget.message.text()) == ("pan_zoom", "")
    assert [v.version for v in widget.session.run.review.history(widget.session.well, 1)] == [2, 3]


def test_a_run_without_neurites_says_that_none_can_be_traced(review, run):
    _viewer, widget, press = review
    widget.open(run)
    labels = {n: i for n, i in widget.session.shown.labels.items() if n != "neurites"}
    widget.session.shown = replace(widget.session.shown, labels=labels)
    for key in ("E", "Shift+E"):
        press(key)
        assert states("keys.no_neurites", widget.message.text())
