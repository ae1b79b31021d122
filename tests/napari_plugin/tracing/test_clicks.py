"""Tracing in napari's own viewer: clicks as napari hears them, lines as versions."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from napari.utils._proxies import ReadOnlyWrapper
from napari.utils.interactions import mouse_double_click_callbacks as hear_double
from napari.utils.interactions import mouse_move_callbacks as hear_move
from napari.utils.interactions import mouse_press_callbacks as hear_press
from napari.utils.interactions import mouse_release_callbacks as hear_release
from qtpy.QtCore import QPoint, Qt

from imaging_service.errors import ReviewConflict
from napari_plugin.session import ReviewSession
from napari_plugin.tracing.clicks import PREVIEW_LAYER
from tests.messages import says, states


def event(viewer, y, x, kind, modifiers=(), pos=None, *, dragging=False):
    layer = viewer.layers["neurites"]
    heard = SimpleNamespace(
        type=kind,
        position=tuple(layer.data_to_world((y, x))),
        pos=np.array((x, y) if pos is None else pos, float),
        button=1,
        modifiers=modifiers,
        handled=False,
        is_dragging=dragging,
    )
    # As the canvas does: a drag's generator sees each later event through the first.
    return ReadOnlyWrapper(heard, exceptions=("handled",))


def click(viewer, y, x, *, modifiers=(), drag=0.0):
    """Press and release, as napari's canvas hands them on."""
    hear_press(viewer, event(viewer, y, x, "mouse_press", modifiers))
    if drag:
        hear_move(
            viewer, event(viewer, y, x, "mouse_move", modifiers, (x + drag, y), dragging=True)
        )
    hear_release(viewer, event(viewer, y, x, "mouse_release", modifiers, (x + drag, y)))


def free(image):
    """A row without neurites and somas over its middle, as far from both as there is."""
    taken = (image.labels["neurites"] > 0) | (image.labels["somas"] > 0)
    columns = slice(taken.shape[1] // 2 - 30, taken.shape[1] // 2 + 30)
    rows = np.flatnonzero(~taken[:, columns].any(axis=1))
    assert len(rows), "the field is too crowded for this test"
    return int(rows[len(rows) // 2]), columns.start, columns.stop


@pytest.fixture
def tracing(review, run):
    viewer, widget, press = review
    widget.open(run)
    press("E")
    return viewer, widget, press


def test_clicks_become_a_neurite_and_a_version(tracing):
    viewer, widget, press = tracing
    session = widget.session
    assert viewer.layers["neurites"].visible
    assert not viewer.layers["neurite graph"].visible
    assert states("tracing.begun", widget.message.text())
    before = viewer.layers["neurites"].data.copy()
    y, left, right = free(session.shown)
    click(viewer, y, left, modifiers=("Shift",))
    click(viewer, y, right, modifiers=("Shift",))
    assert len(viewer.layers[PREVIEW_LAYER].data) == 1
    assert np.array_equal(viewer.layers["neurites"].data, before)  # nothing is drawn yet
    press("E")
    added = (viewer.layers["neurites"].data > 0) & (before == 0)
    assert added[y, left : right + 1].all()
    assert added.sum(axis=0).max() <= 7
    (version,) = session.run.review.history(session.well, 1)
    assert (version.reason, version.author) == ("traced a neurite", session.author)
    assert {r.compartment for r in version.regions} == {"neurites"}
    assert len(viewer.layers[PREVIEW_LAYER].data) == 0
    stored = session.run.read_field(session.well, 1).labels["neurites"]
    assert np.array_equal(stored, viewer.layers["neurites"].data)
    press("Z")
    assert np.array_equal(viewer.layers["neurites"].data, before)
    press("E")  # nothing is begun: tracing ends
    assert PREVIEW_LAYER not in viewer.layers
    click(viewer, y, left)
    assert len(session.run.review.history(session.well, 1)) == 2


def test_the_line_follows_the_ridge_from_click_to_click(tracing):
    viewer, widget, _ = tracing
    way = []
    widget.session.way = lambda a, b: way.append((a, b)) or np.array([a, (5, 9), b], float)
    click(viewer, 3, 4)
    click(viewer, 8, 12)
    click(viewer, 20, 30)
    assert np.allclose(way, [((3, 4), (8, 12)), ((8, 12), (20, 30))])
    drawn = viewer.layers[PREVIEW_LAYER].data[0]
    assert np.allclose(drawn, [(3, 4), (3, 4), (5, 9), (8, 12), (8, 12), (5, 9), (20, 30)])


def test_z_takes_clicks_back_and_a_drag_moves_the_picture(tracing):
    viewer, widget, press = tracing
    y, left, right = free(widget.session.shown)
    click(viewer, y, left, modifiers=("Shift",))
    click(viewer, y, right, modifiers=("Shift",))
    click(viewer, y, left + 9, drag=30)
    assert viewer.layers[PREVIEW_LAYER].data[0].shape == (2, 2)
    press("Z")
    press("Z")
    assert len(viewer.layers[PREVIEW_LAYER].data) == 0
    press("Z")
    assert states("widget.no_correction_to_take_back", widget.message.text())
    assert widget.session.run.review.history(widget.session.well, 1) == []


def test_a_double_click_ends_the_neurite_and_does_not_zoom(tracing):
    viewer, widget, _ = tracing
    y, left, right = free(widget.session.shown)
    zoom = viewer.camera.zoom
    click(viewer, y, left, modifiers=("Shift",))
    click(viewer, y, right, modifiers=("Shift",))
    hear_double(viewer, event(viewer, y, right, "mouse_double_click"))
    assert viewer.camera.zoom == zoom
    assert len(widget.session.run.review.history(widget.session.well, 1)) == 1


def test_the_line_to_the_cursor_is_shown_before_it_is_set(tracing):
    viewer, widget, _ = tracing
    y, left, right = free(widget.session.shown)
    click(viewer, y, left)
    hear_move(viewer, event(viewer, y, right, "mouse_move", ("Shift",)))
    assert np.allclose(viewer.layers[PREVIEW_LAYER].data[0], [(y, left), (y, right)])
    assert len(widget._keys._tracer.line) == 1


def test_stepping_on_ends_the_neurite_and_draws_it_into_its_own_field(tracing):
    viewer, widget, press = tracing
    well = widget.session.well
    y, left, right = free(widget.session.shown)
    click(viewer, y, left, modifiers=("Shift",))
    click(viewer, y, right, modifiers=("Shift",))
    press("N")
    assert states("session.number_of_field", widget.caption.text(), number=2, of=2)
    assert [v.reason for v in widget.session.run.review.history(well, 1)] == ["traced a neurite"]
    assert widget.session.run.review.history(well, 2) == []
    click(viewer, 2, 2)
    press("P")  # one click alone is no neurite
    assert widget.session.run.review.history(well, 2) == []
    assert PREVIEW_LAYER in viewer.layers  # tracing goes on


def test_a_line_that_another_reviewer_stopped_is_kept_and_drawn_on_the_newest_labels(tracing, run):
    viewer, widget, press = tracing
    well = widget.session.well
    y, left, right = free(widget.session.shown)
    other = ReviewSession.open(run)
    other.image()
    other.trace([(1, 1), (1, 40)])
    other.close()
    click(viewer, y, left, modifiers=("Shift",))
    click(viewer, y, right, modifiers=("Shift",))
    press("E")
    assert states("log.version_not_newest", widget.message.text())
    assert viewer.layers["neurites"].data[1, 1:40].all()
    assert len(viewer.layers[PREVIEW_LAYER].data) == 1
    press("E")
    assert viewer.layers["neurites"].data[y, left:right].all()
    assert widget.session.run.review.head(well, 1) == 3


def test_a_line_that_adds_nothing_is_said_and_forgotten(tracing):
    viewer, widget, press = tracing
    y, left, right = free(widget.session.shown)
    for _ in range(2):
        click(viewer, y, left, modifiers=("Shift",))
        click(viewer, y, right, modifiers=("Shift",))
        press("E")
    assert states("strokes.adds_nothing", widget.message.text())
    press("N")
    assert states("session.number_of_field", widget.caption.text(), number=2, of=2)
    assert len(widget.session.run.review.history(widget.session.well, 1)) == 1


@pytest.mark.parametrize("size", [(700, 900)])
def test_the_mouse_itself_traces(tracing, qtbot, size):
    """Qt's own events on napari's canvas, which say what a double click is made of."""
    viewer, widget, _ = tracing
    window = viewer.window._qt_window
    window.resize(1200, size[0])
    window.show()
    qtbot.waitExposed(window)
    canvas = viewer.window._qt_viewer.canvas
    native = canvas.native
    zoom = viewer.camera.zoom
    middle = QPoint(native.width() // 2, native.height() // 2)
    qtbot.mouseClick(native, Qt.LeftButton, Qt.ShiftModifier, middle - QPoint(60, 0))
    end = middle + QPoint(60, 0)
    qtbot.mouseClick(native, Qt.LeftButton, Qt.ShiftModifier, end)
    assert len(widget._keys._tracer.line) == 2
    qtbot.mouseDClick(native, Qt.LeftButton, Qt.NoModifier, end)
    assert viewer.camera.zoom == zoom
    assert len(widget._keys._tracer.line) == 0
    assert len(widget.session.run.review.history(widget.session.well, 1)) == 1


def test_with_another_layer_or_a_brush_clicks_are_not_for_tracing(tracing):
    viewer, widget, press = tracing
    viewer.layers.selection.active = viewer.layers["nuclei"]
    click(viewer, 5, 5)
    viewer.layers.selection.active = viewer.layers["neurites"]
    viewer.layers["neurites"].mode = "paint"
    click(viewer, 5, 5)
    assert len(widget._keys._tracer.line) == 0
    press("Shift+E")  # the eraser ends tracing
    assert PREVIEW_LAYER not in viewer.layers
    assert viewer.layers["neurites"].mode == "erase"


def test_closing_gives_the_mouse_back(tracing):
    viewer, widget, _ = tracing
    widget.close_session()
    assert PREVIEW_LAYER not in viewer.layers
    assert all("Tracer" not in repr(c) for c in viewer.mouse_drag_callbacks)
    assert [c.__name__ for c in viewer.mouse_double_click_callbacks] == ["double_click_to_zoom"]


def test_thirty_neurites_are_traced_and_each_is_a_version(tracing):
    viewer, widget, press = tracing
    image = widget.session.shown
    taken = (image.labels["neurites"] > 0) | (image.labels["somas"] > 0)
    before = (image.labels["neurites"] > 0).sum()
    drawn = 0
    for y in range(6, taken.shape[0] - 6, 2):
        if drawn < 30 and not taken[y, 10:40].all():
            click(viewer, y, 10, modifiers=("Shift",))
            click(viewer, y, 40, modifiers=("Shift",))
            press("E")
            drawn += widget.message.text() == ""
    assert drawn == 30
    history = widget.session.run.review.history(widget.session.well, 1)
    assert [v.version for v in history] == list(range(2, 32))
    assert (viewer.layers["neurites"].data > 0).sum() > before


def test_a_stale_session_is_refused(own_session):
    session, other = own_session
    session.image()
    other.image()
    other.trace([(1, 1), (1, 40)])
    with pytest.raises(ReviewConflict, match=says("log.version_not_newest")):
        session.trace([(3, 1), (3, 40)])


@pytest.fixture
def own_session(run):
    sessions = [ReviewSession.open(run) for _ in range(2)]
    yield sessions
    for session in sessions:
        session.close()
