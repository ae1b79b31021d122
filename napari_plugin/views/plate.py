"""The plate as a picture to pick wells from: one square per well, coloured by its review."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyqtgraph as pg
from qtpy.QtCore import Signal

from napari_plugin.views.wells import WellMark

# Okabe and Ito's colours and two greys, which colour-blind people can tell apart on black; napari's
# own background is light or dark.
PAPER = "#000000"
COLOURS = {
    "open": "#c8c8c8",
    "begun": "#56b4e9",
    "accepted": "#009e73",
    "mixed": "#f0e442",
    "rejected": "#d55e00",
    "excluded": "#e69f00",
    "failed": "#cc79a7",
    "skipped": "#606060",
}


class PlateView(pg.PlotWidget):
    """The plate: a click opens a well, its tooltip says what it is."""

    picked = Signal(str)

    def __init__(self) -> None:
        super().__init__(background=PAPER)
        self._marks: dict[str, WellMark] = {}
        self.setMinimumHeight(150)
        self.setMouseEnabled(x=False, y=False)
        self.hideButtons()
        self.setMenuEnabled(False)
        self.invertY(True)
        self.getPlotItem().showAxis("top")
        self.getPlotItem().hideAxis("bottom")
        self.setAspectLocked(True)
        self.spots = pg.ScatterPlotItem(pxMode=False, symbol="s", hoverable=True, tip=self._tip)
        self.spots.sigClicked.connect(self._clicked)
        self.here = pg.ScatterPlotItem(
            pxMode=False, symbol="s", size=1.0, brush=None, pen=pg.mkPen("#ffffff", width=2)
        )
        self.addItem(self.spots)
        self.addItem(self.here)

    def show_plate(self, marks: Sequence[WellMark], rows: int, columns: int) -> None:
        """Draw all wells of a plate with its number of rows and columns."""
        self._marks = {m.well: m for m in marks}
        self.spots.setData(
            [
                {
                    "pos": (m.column, m.row),
                    "size": 0.86,
                    "brush": pg.mkBrush(COLOURS[m.state]),
                    "pen": pg.mkPen(None),
                    "data": m.well,
                }
                for m in marks
            ]
        )
        self.setRange(xRange=(0.5, columns + 0.5), yRange=(0.5, rows + 0.5), padding=0.02)
        self.getPlotItem().getAxis("left").setTicks(
            [[(r, _letters(r)) for r in range(1, rows + 1, 1 if rows <= 16 else 2)]]
        )
        self.getPlotItem().getAxis("top").setTicks(
            [[(c, str(c)) for c in range(1, columns + 1, 1 if columns <= 12 else 3)]]
        )

    def mark(self, well: str) -> None:
        """Frame the well that is being looked at."""
        mark = self._marks.get(well)
        self.here.setData([] if mark is None else [{"pos": (mark.column, mark.row)}])

    def _tip(self, x: float, y: float, data: str) -> str:
        del x, y
        return self._marks[data].words + f" · {self._marks[data].state}"

    def _clicked(self, _plot: Any, points: Sequence[Any], _event: Any = None) -> None:
        if len(points):
            self.picked.emit(str(points[0].data()))


def _letters(row: int) -> str:
    return chr(64 + row) if row <= 26 else "A" + chr(38 + row)
