"""The dose-response curve that the well lies on, with this well marked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyqtgraph as pg

from napari_plugin.views.plate import PAPER
from napari_plugin.views.wells import format_dose


class CurveView(pg.PlotWidget):
    """Wells as points, vehicle at the left, the fitted curve with its band, this well in orange."""

    def __init__(self) -> None:
        super().__init__(background=PAPER)
        self.setMinimumHeight(150)
        self.hideButtons()
        self.setMenuEnabled(False)
        self.setMouseEnabled(x=False, y=False)

    def show_curve(self, curve: dict[str, Any] | None, well: str) -> None:
        """Draw a curve of `curves.json`; empty without one."""
        self.clear()
        plot = self.getPlotItem()
        if curve is None:
            plot.setTitle("")
            return
        dose, response = np.array(curve["dose_molar"], float), np.array(curve["response"], float)
        treated = dose[dose > 0]
        if not len(treated):
            plot.setTitle("")
            return
        # Vehicle has no place on a logarithmic axis: it is 0.75 decades left of the lowest dose.
        vehicle_at = np.log10(treated.min()) - 0.75
        x = np.where(dose > 0, np.log10(np.where(dose > 0, dose, 1)), vehicle_at)
        fit = np.log10(np.array(curve["fit_dose_molar"], float))
        if curve["fit_low"]:
            low, high = (
                pg.PlotDataItem(fit, np.array(curve[side])) for side in ("fit_low", "fit_high")
            )
            self.addItem(pg.FillBetweenItem(low, high, brush=(86, 180, 233, 60)))
        if len(fit):
            self.plot(fit, np.array(curve["fit_response"]), pen=pg.mkPen("#56b4e9", width=2))
        here = np.array([w == well for w in curve["wells"]])
        self.plot(
            x[~here],
            response[~here],
            pen=None,
            symbol="o",
            symbolSize=6,
            symbolBrush="#b0b0b0",
            symbolPen=None,
        )
        self.plot(
            x[here],
            response[here],
            pen=None,
            symbol="o",
            symbolSize=12,
            symbolBrush="#e69f00",
            symbolPen="#ffffff",
        )
        # The band may reach values that no response can have: only wells and curve set the axis.
        drawn = np.concatenate([response, np.array(curve["fit_response"], float)])
        plot.setYRange(float(drawn.min()), float(drawn.max()), padding=0.1)
        status = curve["status"] + (
            f", EC50 {format_dose(curve['ec50_molar'])}" if curve["ec50_molar"] else ""
        )
        plot.setTitle(f"{curve['line']} · {curve['compound']} · {status}", size="8pt")
        decades = range(
            int(np.floor(np.log10(treated.min()))), int(np.ceil(np.log10(treated.max()))) + 1
        )
        plot.getAxis("bottom").setTicks(
            [[(vehicle_at, "veh."), *((d, format_dose(10.0**d)) for d in decades)]]
        )
        plot.setLabel("left", f"{curve['phenotype']} ({curve['unit']})")
