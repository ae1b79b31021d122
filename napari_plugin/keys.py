"""What the keys do to the labels of the field that is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from imaging_service.errors import ReviewConflict
from imaging_service.review.field_image import FieldImage
from napari_plugin.layers import FieldLayers
from napari_plugin.session import ReviewSession


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
    ) -> None:
        self._viewer, self._layers, self._session = viewer, layers, session
        self._say, self._show, self._describe = say, show, describe
        # The first point of a split: layer, label, place.
        self._first_half: tuple[str, int, tuple[float, float]] | None = None

    @property
    def _shown(self) -> FieldImage | None:
        return self._session.shown

    def field_changed(self) -> None:
        """Forget a split that was begun on the last field: another one is shown."""
        self._first_half = None

    def erase(self) -> None:
        """Erase the object under the cursor from the selected labels layer."""
        layer, label, _ = self.pointed_at()
        if label:
            name = self._layers.name_of(layer)
            self._correct(lambda session: session.erase(name, label))

    def merge(self) -> None:
        """Merge the cell under the cursor into the selected one."""
        layer, label, _ = self.pointed_at()
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
        name = chosen if chosen in self._names() else self._names()[0]
        number = self._session.new_label()
        self._layers.select_number(self._names(), number)
        self._layers.select(name).mode = "paint"
        self._say(
            f"paint {name} {number}, and a neuron's soma with the same number on its own"
            " layer; S saves"
        )

    def save(self) -> None:
        """Save what was painted on the labels layers.

        Raises ValueError where something that was painted would not be saved.
        """
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
        self._layers.laid = self._shown
        if version is not None:
            self._describe()

    def undo(self) -> None:
        """Take back what is painted and not saved yet, or else the field's last correction."""
        shown = self._shown
        if shown is None:
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

    def pointed_at(self) -> tuple[Any, int, tuple[float, float]]:
        """`FieldLayers.under_cursor`, which must be an object once a field is shown.

        Raises ValueError where there is none.
        """
        layer, label, place = self._layers.under_cursor(self._names())
        if not label and self._names():
            named = "the selected layer" if layer is None else layer.name
            raise ValueError(
                f"there is no object of {named} under the cursor; select one of the layers"
                f" {', '.join(self._names())} and point at an object"
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
