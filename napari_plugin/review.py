"""The dock widget: a thin face of `session`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QCheckBox, QComboBox, QFileDialog, QHBoxLayout, QInputDialog, QLabel, QPushButton, QVBoxLayout, QWidget

from imaging_service.client import FieldImage
from imaging_service.errors import ServiceError
from imaging_service.schemas import LabelVersion
from napari_plugin.layers import field_layers
from napari_plugin.session import ReviewSession


class ReviewWidget(QWidget):
    """Open a run's folder, pick wells, step through fields, judge and correct them.

    Keys: N and P step, Q goes to the most urgent field; A accepts; R rejects with a reason, Shift-R the whole well; with a labels layer
    selected D erases the object under the cursor, M merges it into the selected one, S saves what was painted, Z takes the last
    correction back.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self.session: ReviewSession | None = None
        self.open_button = QPushButton("Open run folder …")
        self.connect_button = QPushButton("Open run of a service …")
        self.wells = QComboBox()
        self.previous_button = QPushButton("Previous (P)")
        self.next_button = QPushButton("Next (N)")
        self.blinded = QCheckBox("Blinded: hide line, compound and dose")
        self.caption = QLabel("No run is open.")
        self.caption.setWordWrap(True)
        steps = QHBoxLayout()
        steps.addWidget(self.previous_button)
        steps.addWidget(self.next_button)
        column = QVBoxLayout(self)
        column.addWidget(self.open_button)
        column.addWidget(self.connect_button)
        column.addWidget(self.wells)
        column.addLayout(steps)
        column.addWidget(self.blinded)
        column.addWidget(self.caption)
        column.addStretch()
        self.blinded.toggled.connect(self._blind)
        self.open_button.clicked.connect(self._choose)
        self.connect_button.clicked.connect(self._connect)
        self.wells.textActivated.connect(self._pick)
        self.next_button.clicked.connect(self.next)
        self.previous_button.clicked.connect(self.previous)
        self._actions: dict[str, Callable[[], None]] = {
            "n": self.next, "p": self.previous, "a": self.accept, "r": self.reject, "Shift-R": self.reject_well, "d": self.erase,
            "m": self.merge, "s": self.save, "z": self.undo, "q": self.next_ranked,
        }  # fmt: skip
        self._bind(napari_viewer)
        self._image: FieldImage | None = None

    def _bind(self, target: Any) -> None:
        """Bind the keys on the viewer, or on a layer: the selected layer's own keys (P, M and S among them) would come first."""
        for key, action in self._actions.items():
            target.bind_key(key, lambda _, act=action: act(), overwrite=True)

    def open(self, folder: Path) -> None:
        """Open a run's folder and show its first well; says in the panel what is wrong where it cannot."""
        self._begin(lambda: ReviewSession.open(folder))

    def connect_to(self, url: str, run: str) -> None:
        """Open a run of a service and show its first well; says in the panel what is wrong where it cannot."""
        self._begin(lambda: ReviewSession.connect(url, run))

    def _begin(self, make: Callable[[], ReviewSession]) -> None:
        try:
            session = make()
        except ServiceError as error:
            self.caption.setText(str(error))
            return
        if self.session is not None:
            self.session.close()
        self.session = session
        self.wells.clear()
        self.wells.addItems(self.session.wells)
        if self.session.wells:
            self._show()
        else:
            self.caption.setText("No well of this run was analysed:\n" + "\n".join(f"{w}: {r}" for w, r in self.session.unusable.items()))

    def next(self) -> None:
        """The next field."""
        if self.session is not None and self.session.wells and self.session.next():
            self._show()

    def next_ranked(self) -> None:
        """The most urgent field that nobody judged yet (`imaging-service review queue` ranks them)."""
        if self.session is None or not self.session.wells:
            return
        if self.session.next_ranked():
            self._show()
        else:
            self.caption.setText("No ranked field is left to judge; `imaging-service review queue RUN` ranks them.")

    def previous(self) -> None:
        """The field before."""
        if self.session is not None and self.session.wells and self.session.previous():
            self._show()

    def _blind(self, hidden: bool) -> None:
        # The well's name says what is in it to whoever laid out the plate.
        self.wells.setVisible(not hidden)
        if self.session is not None:
            self.session.blinded = hidden
            self._show()

    def _choose(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Folder of a run")
        if folder:
            self.open(Path(folder))

    def _connect(self) -> None:
        url, given = QInputDialog.getText(self, "Service", "Address of the service:", text="http://127.0.0.1:8765")
        run, named = QInputDialog.getText(self, "Run", "The run's id, or its beginning:") if given else ("", False)
        if named and run.strip():
            self.connect_to(url.strip(), run.strip())

    def _pick(self, well: str) -> None:
        if self.session is not None:
            self.session.go_to(well)
            self._show()

    def _show(self) -> None:
        if self.session is None:
            return
        try:
            image = self.session.image()
        except ServiceError as error:
            self.caption.setText(str(error))
            return
        # napari paints into the arrays that it is given; these are what the field was when it was shown.
        self._image = replace(image, labels={name: labels.copy() for name, labels in image.labels.items()})
        first = not self._viewer.layers
        for data, settings, kind in field_layers(image):
            name = settings["name"]
            if name in self._viewer.layers:
                # The layer stays, and with it the contrast and colours that the reviewer chose for the whole plate.
                self._viewer.layers[name].data = data
            else:
                self._bind(getattr(self._viewer, f"add_{kind}")(data, **settings))
        if first:
            self._viewer.reset_view()
        self.wells.setCurrentText(self.session.well)
        self.caption.setText("\n".join(filter(None, (self.session.caption(), self.session.said()))))

    def accept(self) -> None:
        """The field is fine; on to the next."""
        if self.session is not None and self._image is not None:
            self.session.accept()
            self.next()

    def reject(self) -> None:
        """Ask why, and reject the field."""
        self._reject(whole=False)

    def reject_well(self) -> None:
        """Ask why, and reject the whole well."""
        self._reject(whole=True)

    def _reject(self, *, whole: bool) -> None:
        if self.session is None or self._image is None:
            return
        what = f"well {self.session.well}" if whole else f"well {self.session.well}, field {self.session.number}"
        reason, given = QInputDialog.getText(self, "Reject", f"Why is {what} not to be used?")
        if given and reason.strip():
            self.session.reject(reason.strip(), whole=whole)
            self._show()

    def erase(self) -> None:
        """Erase the object under the cursor from the selected labels layer."""
        layer, label = self._under_cursor()
        if label and self.session is not None and self._image is not None:
            image = self._image
            self._correct(lambda session: session.erase(image, layer.name, label))

    def merge(self) -> None:
        """Merge the cell under the cursor into the selected one."""
        layer, label = self._under_cursor()
        if label and self._image is not None and label != layer.selected_label:
            image, into = self._image, int(layer.selected_label)
            self._correct(lambda session: session.merge(image, into, label))

    def save(self) -> None:
        """Save what was painted on the labels layers."""
        if self._image is not None:
            image = self._image
            painted = {n: self._viewer.layers[n].data for n in image.labels if n in self._viewer.layers}
            self._correct(lambda session: session.save(image, painted, "painted"))

    def undo(self) -> None:
        """Take the field's last correction back."""
        self._correct(lambda session: session.undo())

    def _correct(self, act: Callable[[ReviewSession], LabelVersion | None]) -> None:
        """Do it, and show the field as it then is; what is wrong stands in the panel."""
        if self.session is None or self._image is None:
            return
        try:
            act(self.session)
        except (ServiceError, ValueError) as error:
            self.caption.setText(str(error))
            return
        self._show()

    def _under_cursor(self) -> tuple[Any, int]:
        """The selected labels layer and the label under the cursor; 0 without either."""
        layer = self._viewer.layers.selection.active
        if layer is None or self._image is None or layer.name not in self._image.labels:
            return layer, 0
        y, x = (round(v) for v in layer.world_to_data(self._viewer.cursor.position)[-2:])
        height, width = layer.data.shape[-2:]
        return layer, int(layer.data[y, x]) if 0 <= y < height and 0 <= x < width else 0
