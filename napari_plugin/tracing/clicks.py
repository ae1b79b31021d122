"""Tracing neurites by clicks, as tracers do: the line follows the neurite from click to click.

A click (without dragging, which moves the picture) sets a point; the line to the cursor is shown
before it is set. The way is `ReviewSession.way`, with Shift a straight line. A neurite is drawn
into the labels once it is ended, as a version of its own, so that each can be taken back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imaging_service.errors import ServiceError
from imaging_service.review.neurites import NEURITES
from napari_plugin.layers import FieldLayers
from napari_plugin.places import Place
from napari_plugin.session import ReviewSession

PREVIEW_LAYER = "neurite being traced"
Point = tuple[float, float]
Line = NDArray[np.float64]

# Between press and release a hand moves so many pixels of the screen without meaning to drag.
_STILL_PX = 4.0
# The line to the cursor is drawn again after so many times as long as drawing it took, and not at
# all over a longer way: the picture must not lag behind the hand.
_PAUSE, _LONGEST_UM = 2.0, 150.0
_PREVIEW_PX = 1.5


class Tracer:
    """The neurite that is being traced, its clicks and its line.

    Parameters
    ----------
    viewer
        napari's viewer.
    layers
        The layers that hold the field.
    session
        The review of the field.
    say
        Writes a line into the panel.
    draw
        Draws a line into the field's neurites, as a version.
    attempt
        Acts, and shows in the panel what went wrong.
    """

    def __init__(
        self,
        viewer: Any,
        layers: FieldLayers,
        session: ReviewSession,
        *,
        say: Callable[[str], None],
        draw: Callable[[Sequence[Point]], None],
        attempt: Callable[[Callable[[], None]], object],
    ) -> None:
        self._viewer, self._layers, self._session = viewer, layers, session
        self._say, self._draw, self._attempt = say, draw, attempt
        self.active = False
        # The line in parts: that of the first click is the click itself.
        self._parts: list[Line] = []
        self._place: Place | None = None
        self._preview: Any = None
        self._zooms: list[Any] = []
        self._next_move = 0.0

    def press(self) -> None:
        """The key: begin tracing, end the neurite, or end tracing where none is begun."""
        if not self.active:
            self._begin()
        elif self._parts:
            self.finish()
        else:
            self.leave()
            self._say("tracing has ended")

    def click(self, point: Point, *, straight: bool = False) -> None:
        """Set a point (y, x) in pixels of the labels."""
        if not self._parts:
            self._place = self._session.place
            self._parts = [np.array([point], float)]
        else:
            self._parts.append(self._to(point, straight=straight))
        self._show(self.line)

    @property
    def line(self) -> Line:
        """The line as it is so far (n, 2)."""
        return np.concatenate(self._parts) if self._parts else np.empty((0, 2))

    def finish(self) -> None:
        """Draw the neurite that was begun into the labels; one click alone is forgotten."""
        parts, self._parts = self._parts, []
        self._show(self.line)
        if len(parts) < 2:
            return
        try:
            self._draw([(float(y), float(x)) for y, x in np.concatenate(parts)])
        except ServiceError:
            # What another reviewer's version stopped may be drawn again, on the newest labels.
            if self._session.place == self._place:
                self._parts = parts
                self._show(self.line)
            raise

    def take_back(self) -> bool:
        """Take the last click back; False where there is none."""
        if not self._parts:
            return False
        self._parts.pop()
        self._show(self.line)
        return True

    def field_changed(self) -> None:
        """Another field, time point or window may be shown: its pixels are others."""
        if self._place != self._session.place:
            self._parts = []
        if self.active:
            self._lay()
            self._show(self.line)

    def leave(self) -> None:
        """End tracing; a neurite that was begun is forgotten."""
        self._parts = []
        if not self.active:
            return
        self.active = False
        viewer = self._viewer
        viewer.mouse_drag_callbacks.remove(self._pressed)
        viewer.mouse_move_callbacks.remove(self._moved)
        viewer.mouse_double_click_callbacks[:] = self._zooms
        if self._preview in viewer.layers:
            viewer.layers.remove(self._preview)
        self._preview = None

    def _begin(self) -> None:
        self.active = True
        viewer = self._viewer
        viewer.mouse_drag_callbacks.append(self._pressed)
        viewer.mouse_move_callbacks.append(self._moved)
        # napari zooms at a double click; a tracer ends a neurite by it.
        self._zooms = list(viewer.mouse_double_click_callbacks)
        viewer.mouse_double_click_callbacks[:] = [self._double_clicked]
        self._lay()
        self._say(
            "click along a neurite; the line follows it (Shift: straight). E or a double click ends"
            " the neurite, Z takes the last click back, E once more ends tracing"
        )

    def _lay(self) -> None:
        """Show the neurites, and lay the line over them."""
        layer = self._layers.show_neurites()
        layer.mode = "pan_zoom"
        if self._preview is None or self._preview not in self._viewer.layers:
            self._preview = self._viewer.add_shapes(
                ndim=2,
                name=PREVIEW_LAYER,
                edge_color="magenta",
                face_color="transparent",
                units=layer.units,
            )
        self._preview.scale, self._preview.translate = layer.scale, layer.translate
        self._layers.select(NEURITES)

    def _show(self, line: Line) -> None:
        if self._preview is None:
            return
        self._preview.data = []
        if len(line):
            # Of a single click, a dot.
            drawn = line if len(line) > 1 else line + np.array([[-0.5, 0.0], [0.5, 0.0]])
            self._preview.add(drawn, shape_type="path", edge_width=_PREVIEW_PX)

    def _to(self, point: Point, *, straight: bool) -> Line:
        y, x = self._parts[-1][-1]
        if straight:
            return np.array([point], float)
        return self._session.way((float(y), float(x)), point)

    def _at(self, event: Any) -> Point | None:
        """Where the cursor is, in pixels of the labels; None where it is not for tracing."""
        layer, shown = self._viewer.layers.selection.active, self._session.shown
        if shown is None or self._layers.name_of(layer) != NEURITES or layer.mode != "pan_zoom":
            return None
        y, x = layer.world_to_data(event.position[-2:])[-2:]
        height, width = layer.data.shape
        return float(np.clip(y, 0, height - 1)), float(np.clip(x, 0, width - 1))

    def _pressed(self, _viewer: Any, event: Any) -> Iterator[None]:
        start = np.array(event.pos, float)
        yield
        while event.type == "mouse_move":
            yield
        point = self._at(event)
        still = np.hypot(*(np.array(event.pos, float) - start)) <= _STILL_PX
        if event.button == 1 and still and point is not None:
            straight = "Shift" in event.modifiers
            self._attempt(lambda: self.click(point, straight=straight))

    def _double_clicked(self, _viewer: Any, event: Any) -> None:
        if self._at(event) is not None:
            self._attempt(self.finish)

    def _moved(self, _viewer: Any, event: Any) -> None:
        now, shown = time.monotonic(), self._session.shown
        if not self._parts or shown is None or now < self._next_move:
            return
        point = self._at(event)
        if point is None or self._away_um(point, shown.pixel_size_um) > _LONGEST_UM:
            return
        straight = "Shift" in event.modifiers
        self._attempt(
            lambda: self._show(np.concatenate([self.line, self._to(point, straight=straight)]))
        )
        self._next_move = time.monotonic() + _PAUSE * (time.monotonic() - now)

    def _away_um(self, point: Point, pixel_size_um: float) -> float:
        return float(np.hypot(*(self._parts[-1][-1] - point))) * pixel_size_um
