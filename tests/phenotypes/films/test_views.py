"""Places of the first frame in the views of the others, and back."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from phenotypes.films.views import from_first, in_view, to_first, turn_matrix

FIELD = (400.0, 600.0)


@pytest.mark.parametrize("turn", [0.0, 2.5, -3.0, 30.0])
def test_a_cell_goes_to_its_place_in_the_first_frame(turn):
    first = np.array([[10.0, 20.0], [200.0, 300.0], [390.0, 580.0]])
    centre, drift = np.array(FIELD) / 2, np.array([12.0, -7.0])
    seen = (first - centre) @ turn_matrix(turn).T + centre + drift
    cells = pl.DataFrame({"y_um": seen[:, 0], "x_um": seen[:, 1]}).with_columns(
        drift_y_um=pl.lit(12.0), drift_x_um=pl.lit(-7.0), turn_deg=pl.lit(turn)
    )
    there = to_first(cells, FIELD)
    back = there.select("y_um", "x_um").to_numpy()
    assert back == pytest.approx(first, abs=1e-9)
    again = from_first(there, FIELD).select("y_um", "x_um").to_numpy()
    assert again == pytest.approx(seen, abs=1e-9)


@pytest.mark.parametrize(
    ("place", "drift", "turn", "seen"),
    [
        ((200.0, 300.0), (0.0, 0.0), 0.0, True),
        ((12.0, 300.0), (0.0, 0.0), 0.0, True),
        ((8.0, 300.0), (0.0, 0.0), 0.0, False),
        ((392.0, 300.0), (0.0, 0.0), 0.0, False),
        ((200.0, 8.0), (0.0, 0.0), 0.0, False),
        ((200.0, 592.0), (0.0, 0.0), 0.0, False),
        ((350.0, 300.0), (60.0, 0.0), 0.0, False),
        ((350.0, 300.0), (-60.0, 0.0), 0.0, True),
        ((200.0, 550.0), (0.0, 60.0), 0.0, False),
        # Counter-clockwise by 3 degrees, the left edge goes down by 280 sin 3 = 15 um.
        ((380.0, 20.0), (0.0, 0.0), 3.0, False),
        ((380.0, 20.0), (0.0, 0.0), -3.0, True),
    ],
)
def test_a_place_is_seen_inside_the_view_less_the_margin(place, drift, turn, seen):
    table = pl.DataFrame(
        {
            "y_um": [place[0]],
            "x_um": [place[1]],
            "drift_y_um": [drift[0]],
            "drift_x_um": [drift[1]],
            "turn_deg": [turn],
        }
    )
    assert table.select(in_view(FIELD, pl.lit(10.0))).item() is seen
