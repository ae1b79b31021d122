"""The dock's parts and their order; `widget` gives them their actions."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_plugin.views.curve import CurveView
from napari_plugin.views.plate import COLOURS, PAPER, PlateView


class ReviewPanel(QWidget):
    """The dock's parts, from what to open down to what the well is.

    From top to bottom: what to open, the plate, stepping, how to review, the curve, progress, what
    went wrong, what the well is.
    """

    def __init__(self) -> None:
        super().__init__()
        self.open_button = QPushButton("Open run folder …")
        self.connect_button = QPushButton("Open run of a service …")
        self.apart = QCheckBox("Open as an independent reading")
        self.apart.setToolTip(
            "For agreement between reviewers: it begins with the engine's labels, and the tables"
            " do not follow it."
        )
        self.plate = PlateView()
        self.wells = QComboBox()
        self.previous_button = QPushButton("Previous (P)")
        self.next_button = QPushButton("Next (N)")
        self.urgent_button = QPushButton("Most urgent (Q)")
        self.blinded = QCheckBox("Blinded: hide line, compound and dose")
        self.caption = QLabel("No run is open.")
        self.progress = QLabel("")
        self.message = QLabel("")
        for label in (self.caption, self.progress, self.message):
            label.setWordWrap(True)
        self.legend = QLabel(
            " ".join(
                f'<span style="color:{colour};background:{PAPER}">&nbsp;■&nbsp;</span>&nbsp;{state}'
                for state, colour in COLOURS.items()
            )
        )
        self.legend.setWordWrap(True)
        self.phenotype = QComboBox()
        self.curve = CurveView()
        for box in (self.wells, self.phenotype):
            # Keys and the wheel belong to the picture; here they would choose another well.
            box.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            box.wheelEvent = lambda event: event.ignore()
        # Without a limit the curve and the plate take half of the window.
        self.setMaximumWidth(460)
        column = QVBoxLayout(self)
        for row in (
            (self.open_button, self.connect_button),
            (self.apart,),
            (self.plate,),
            (self.legend,),
            (self.wells, self.previous_button, self.next_button, self.urgent_button),
            (self.blinded,),
            (self.phenotype,),
            (self.curve,),
            (self.progress,),
            (self.message,),
            (self.caption,),
        ):
            line = QHBoxLayout()
            for part in row:
                line.addWidget(part)
            column.addLayout(line)
        column.addStretch()
