"""The dock widget: a thin face of `session`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from imaging_service.errors import ServiceError
from napari_plugin.layers import field_layers
from napari_plugin.session import ReviewSession


class ReviewWidget(QWidget):
    """Open a run's folder, pick wells, step through fields (N and P)."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self.session: ReviewSession | None = None
        self.open_button = QPushButton("Open run folder …")
        self.wells = QComboBox()
        self.previous_button = QPushButton("Previous (P)")
        self.next_button = QPushButton("Next (N)")
        self.caption = QLabel("No run is open.")
        self.caption.setWordWrap(True)
        steps = QHBoxLayout()
        steps.addWidget(self.previous_button)
        steps.addWidget(self.next_button)
        column = QVBoxLayout(self)
        column.addWidget(self.open_button)
        column.addWidget(self.wells)
        column.addLayout(steps)
        column.addWidget(self.caption)
        column.addStretch()
        self.open_button.clicked.connect(self._choose)
        self.wells.textActivated.connect(self._pick)
        self.next_button.clicked.connect(self.next)
        self.previous_button.clicked.connect(self.previous)
        napari_viewer.bind_key("n", lambda _: self.next(), overwrite=True)
        napari_viewer.bind_key("p", lambda _: self.previous(), overwrite=True)

    def open(self, folder: Path) -> None:
        """Open a run's folder and show its first well; says in the panel what is wrong where it cannot."""
        try:
            self.session = ReviewSession.open(folder)
        except ServiceError as error:
            self.caption.setText(str(error))
            return
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

    def previous(self) -> None:
        """The field before."""
        if self.session is not None and self.session.wells and self.session.previous():
            self._show()

    def _choose(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Folder of a run")
        if folder:
            self.open(Path(folder))

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
        first = not self._viewer.layers
        for data, settings, kind in field_layers(image):
            name = settings["name"]
            if name in self._viewer.layers:
                # The layer stays, and with it the contrast and colours that the reviewer chose for the whole plate.
                self._viewer.layers[name].data = data
            else:
                getattr(self._viewer, f"add_{kind}")(data, **settings)
        if first:
            self._viewer.reset_view()
        self.wells.setCurrentText(self.session.well)
        self.caption.setText(self.session.caption())
