"""What the keys do to the labels of the field that is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from imaging_service.errors import ReviewConflict
from napari_plugin.layers import GRAPH_LAYER, FieldLayers
from napari_plugin.panel import ReviewPanel
from napari_plugin.session import ReviewSession


class CorrectingPanel(ReviewPanel):
    """The panel with the keys that correct. Every action raises what is wrong, as ServiceError or ValueError."""

    def __init__(self, napari_viewer: Any, added: Callable[[Any], None]) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._layers = FieldLayers(napari_viewer, added)
        self.session: ReviewSession | None = None
        self._first_half: tuple[str, int, tuple[float, float]] | None = None

    def _show(self) -> None:
        """Show the field that the session is at."""
        raise NotImplementedError

    def _describe(self) -> None:
        """Say what the field is."""
        raise NotImplementedError

    def erase(self) -> None:
        """Erase the object under the cursor from the selected labels layer."""
        layer, label, _ = self._pointed_at()
        if label:
            self._correct(lambda session: session.erase(layer.name, label))

    def merge(self) -> None:
        """Merge the cell under the cursor into the selected one."""
        layer, label, _ = self._pointed_at()
        if label and label != layer.selected_label:
            into = int(layer.selected_label)
            self._correct(lambda session: session.merge(into, label))

    def split(self) -> None:
        """Pressed over one half of a cell and then over the other: cut it between them."""
        layer, label, at = self._pointed_at()
        if not label:
            return
        first = self._first_half
        if first is None or first[:2] != (layer.name, label):
            self._first_half = (layer.name, label, at)
            self.message.setText(f"X again over the other half of {label} splits it")
            return
        self._first_half = None
        self._correct(lambda session: session.split(label, [first[2], at], layer.name))

    def draw(self) -> None:
        """Paint a new cell: a number that no other has, for nuclei and somas alike; S saves it."""
        if self.session is None or self.session.shown is None:
            return
        self.save()
        layer = self._viewer.layers.selection.active
        if layer is None or layer.name not in self._names():
            layer = self._viewer.layers.selection.active = self._viewer.layers[self._names()[0]]
        number = self.session.new_label()
        for name in self._names():
            self._viewer.layers[name].selected_label = number
        layer.mode = "paint"
        self.message.setText(f"paint {layer.name} {number}; a neuron's soma is painted on its own layer with the same number; S saves")

    def save(self) -> None:
        """Save what was painted on the labels layers."""
        if self.session is None or self.session.shown is None:
            return
        if self._layers.laid is not self.session.shown:
            return
        painted = {n: self._viewer.layers[n].data for n in self._names() if n in self._viewer.layers}
        try:
            version = self.session.save(painted)
        except ReviewConflict as error:
            self._layers.keep_aside(self.session.shown, painted, f"{self.session.well} field {self.session.number}")
            self._show()
            raise ReviewConflict(f"{error}. Your labels lie in layers of their own, named “refused”") from error
        self._layers.laid = self.session.shown
        if version is not None:
            self._describe()

    def undo(self) -> None:
        """Take back what was painted and is not saved yet, else the field's last correction."""
        if self.session is None or self.session.shown is None:
            return
        if self._layers.painted(self.session.shown):
            self._layers.relabel(self.session.shown)
            self.message.setText("what was painted and not saved is gone")
            return
        before = self.session.shown.label_version
        self._correct(lambda session: session.undo())
        if self.session.shown.label_version == before:
            self.message.setText("there is no correction of this field to take back")

    def _correct(self, act: Callable[[ReviewSession], Any]) -> None:
        """Save what was painted, do it, and show the labels as they then are."""
        if self.session is None or self.session.shown is None:
            return
        self.save()
        try:
            act(self.session)
        except ReviewConflict:
            self._show()
            raise
        self._layers.relabel(self.session.shown)
        self._describe()

    def _names(self) -> list[str]:
        """Compartments that can be corrected."""
        return [] if self.session is None or self.session.shown is None else list(self.session.shown.labels)

    def outlines(self) -> None:
        """Show the selected labels layer as outlines or as areas."""
        layer = self._viewer.layers.selection.active
        if layer is not None and hasattr(layer, "contour"):
            layer.contour = 0 if layer.contour else 2

    def graph(self) -> None:
        """Hide the neurite graph, or show it."""
        if GRAPH_LAYER in self._viewer.layers:
            self._viewer.layers[GRAPH_LAYER].visible = not self._viewer.layers[GRAPH_LAYER].visible

    def load_here(self) -> None:
        """Load the labels around the cursor of a field that is too large to be loaded whole."""
        if self.session is None or self.session.shown is None:
            return
        self.save()
        px = self.session.shown.pixel_size_um
        y, x = (value / px for value in self._viewer.cursor.position[-2:])
        self.session.move_window(y, x)
        self._show()

    def _pointed_at(self) -> tuple[Any, int, tuple[float, float]]:
        """`FieldLayers.under_cursor`; raises ValueError where there is no object, unless no run is open."""
        found = self._layers.under_cursor(self._names())
        if not found[1] and self._names():
            layer = "the selected layer" if found[0] is None else found[0].name
            raise ValueError(f"no object of {layer} is under the cursor; select {', '.join(self._names())} and point at one")
        return found
