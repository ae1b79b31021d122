"""What the keys do to the labels of the field that is shown."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from imaging_service.errors import ReviewConflict
from imaging_service.review.field_image import FieldImage
from imaging_service.review.neurites import NEURITES
from napari_plugin.edits import CELL
from napari_plugin.layers import FieldLayers
from napari_plugin.session import ReviewSession
from napari_plugin.tracing.clicks import Tracer
from napari_plugin.tracing.strokes import ERASER_UM, stroke_width_px


class CorrectionKeys:
    """The keys that correct, for one session.

    Every action raises ServiceError or ValueError with what is wrong, and does nothing before a
    field is shown.

    Parameters
    ----------
    viewer
        napari's viewer.
    layers
        The layers that hold the field.
    session
        The review of the field that is corrected.
    say
        Writes a line into the panel.
    show
        Shows the session's field again.
    describe
        Describes the field in the panel, after its labels changed.
    attempt
        Acts on a click, and shows in the panel what went wrong.
    """

    def __init__(
        self,
        viewer: Any,
        layers: FieldLayers,
        session: ReviewSession,
        *,
        say: Callable[[str], None],
        show: Callable[[], None],
        describe: Callable[[], None],
        attempt: Callable[[Callable[[], None]], object],
    ) -> None:
        self._viewer, self._layers, self._session = viewer, layers, session
        self._say, self._show, self._describe = say, show, describe
        # The first point of a split: layer, label, place.
        self._first_half: tuple[str, int, tuple[float, float]] | None = None
        self._tracer = Tracer(
            viewer,
            layers,
            session,
            say=say,
            draw=lambda points: self._correct(lambda session: session.trace(points)),
            attempt=attempt,
        )

    @property
    def _shown(self) -> FieldImage | None:
        return self._session.shown

    def field_changed(self) -> None:
        """Forget a split and a line that were begun on the last field: another one is shown."""
        self._first_half = None
        self._tracer.field_changed()

    def close(self) -> None:
        """Give the mouse back to napari."""
        self._tracer.leave()

    def erase(self) -> None:
        """Erase the object under the cursor from the selected labels layer.

        Of the neurites, which are one mask, the piece from one tip or crossing to the next.
        """
        layer, label, place = self.pointed_at()
        if not label:
            return
        name = self._layers.name_of(layer)
        if name == NEURITES:
            self._correct(lambda session: session.erase_neurite(place))
        else:
            self._correct(lambda session: session.erase(name, label))

    def trace(self) -> None:
        """Begin to trace neurites by clicks, end the neurite that is drawn, or end tracing."""
        if self._shown is None:
            return
        self._require_neurites()
        if not self._tracer.active:
            self.save()
        self._tracer.press()

    def wipe(self) -> None:
        """Take a brush that takes neurites out, or lay it down."""
        if self._shown is None:
            return
        self._require_neurites()
        self.save()
        self._tracer.leave()
        # Selecting a layer gives its mouse back to the picture, so the brush is looked at before.
        active = self._viewer.layers.selection.active
        wiping = self._layers.name_of(active) == NEURITES and active.mode == "erase"
        layer = self._layers.show_neurites()
        if wiping:
            layer.mode = "pan_zoom"
            return
        layer.mode = "erase"
        layer.brush_size = max(3, round(ERASER_UM / self._shown.pixel_size_um))
        self._say("drag over neurites to take them out; S saves, Shift-E lays the brush down")

    def _require_neurites(self) -> None:
        if NEURITES not in self._names():
            raise ValueError("the run has no neurites: no channel of it has the role neurite")

    def merge(self) -> None:
        """Merge the cell under the cursor into the selected one."""
        layer, label, _ = self.pointed_at(CELL)
        if label and label != layer.selected_label:
            into = int(layer.selected_label)
            self._correct(lambda session: session.merge(into, label))

    def split(self) -> None:
        """Cut a cell in two: the key is pressed over one half and then over the other."""
        layer, label, place = self.pointed_at()
        if not label:
            return
        first, name = self._first_half, self._layers.name_of(layer)
        if first is None or first[:2] != (name, label):
            self._first_half = (name, label, place)
            self._say(f"point at the other half of {name} {label} and press X to split it")
            return
        self._first_half = None
        self._correct(lambda session: session.split(label, [first[2], place], name))

    def draw(self) -> None:
        """Begin a new cell: select a number that no other has, for nuclei and somas alike."""
        if self._shown is None:
            return
        self.save()
        chosen = self._layers.name_of(self._viewer.layers.selection.active)
        if chosen == NEURITES:
            self._layers.select_number([NEURITES], 1)
            layer = self._layers.show_neurites()
            layer.brush_size = round(stroke_width_px(self._shown.pixel_size_um))
            layer.mode = "paint"
            self._say("paint along neurites; S saves. E traces them by clicks")
            return
        name = chosen if chosen in self._names() else self._names()[0]
        number = self._session.new_label()
        self._layers.select_number([n for n in self._names() if n != NEURITES], number)
        self._layers.select(name).mode = "paint"
        self._say(
            f"paint {name} {number}, and a neuron's soma with the same number on its own"
            " layer; S saves"
        )

    def save(self) -> None:
        """Save what was painted on the labels layers.

        Raises ValueError where something that was painted would not be saved.
        """
        self._tracer.finish()
        shown = self._shown
        if shown is None or self._layers.laid is not shown:
            return
        painted = self._layers.take(shown)
        try:
            version = self._session.save(painted)
        except ReviewConflict as error:
            where = f"{self._session.well} field {self._session.number}"
            self._layers.keep_aside(shown, painted, where)
            self._show()
            raise ReviewConflict(
                f"{error}. Your labels are kept in hidden layers named “refused”"
            ) from error
        if version is None:
            return
        # What was painted under somas, or with another number, is shown as it was saved.
        self._layers.relabel(self._shown)
        self._describe()

    def undo(self) -> None:
        """Take back the last click, what is painted and not saved, or the last correction."""
        shown = self._shown
        if shown is None or self._tracer.take_back():
            return
        if self._layers.painted(shown):
            self._layers.relabel(shown)
            self._say("what was painted and not saved was taken back")
            return
        before = shown.label_version
        self._correct(lambda session: session.undo())
        if self._shown is not None and self._shown.label_version == before:
            self._say("there is no correction of this field to take back")

    def load_here(self) -> None:
        """Load the labels around the cursor of a field that is too large to be loaded whole."""
        shown = self._shown
        if shown is None:
            return
        self.save()
        y, x = (value / shown.pixel_size_um for value in self._viewer.cursor.position[-2:])
        self._session.move_window(y, x)
        self._show()

    def pointed_at(self, of: Collection[str] | None = None) -> tuple[Any, int, tuple[float, float]]:
        """`FieldLayers.under_cursor`, which must be an object once a field is shown.

        It must be of one of the compartments `of`, if they are given. Raises ValueError where there
        is none.
        """
        names = [name for name in self._names() if of is None or name in of]
        layer, label, place = self._layers.under_cursor(names)
        if not label and names:
            named = "the selected layer" if layer is None else layer.name
            raise ValueError(
                f"there is no object of {named} under the cursor; select one of the layers"
                f" {', '.join(names)} and point at an object"
            )
        return layer, label, place

    def _correct(self, act: Callable[[ReviewSession], Any]) -> None:
        """Save what was painted, apply a correction, and show the new labels."""
        if self._shown is None:
            return
        self.save()
        try:
            act(self._session)
        except ReviewConflict:
            self._show()
            raise
        self._layers.relabel(self._shown)
        self._describe()

    def _names(self) -> list[str]:
        """Compartments that can be corrected."""
        return [] if self._shown is None else list(self._shown.labels)
