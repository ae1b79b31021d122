"""What a frame of a film sees: places of the first frame in its view, and back.

A frame's view is shifted by `drift_y_um`, `drift_x_um` and turned by `turn_deg` about the field's
centre c: a place p of the first frame lies at R(turn) (p − c) + c + drift. A place outside the
view, less a margin, was not seen: absence there is not evidence.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

VIEW = ("drift_y_um", "drift_x_um", "turn_deg")


def turn_matrix(degrees: float) -> NDArray[np.float64]:
    """The rotation of (y, x) by which the y axis turns towards the x axis.

    Examples
    --------
    >>> from phenotypes.films.views import turn_matrix
    >>> (turn_matrix(90.0) @ (1.0, 0.0)).round(3).tolist()
    [0.0, 1.0]
    """
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[c, -s], [s, c]])


def to_first(cells: pl.DataFrame, field_um: tuple[float, float]) -> pl.DataFrame:
    """`cells` with y_um and x_um of the first frame.

    They hold y_um and x_um in their own frame, and its drift_y_um, drift_x_um and turn_deg.
    """
    cy, cx = (side / 2 for side in field_um)
    y = pl.col("y_um") - cy - pl.col("drift_y_um")
    x = pl.col("x_um") - cx - pl.col("drift_x_um")
    cos, sin = _turn()
    return cells.with_columns(
        (cos * y + sin * x + cy).alias("y_um"), (cos * x - sin * y + cx).alias("x_um")
    )


def from_first(places: pl.DataFrame, field_um: tuple[float, float]) -> pl.DataFrame:
    """`places` with y_um and x_um of a frame: the way back of `to_first`.

    They hold y_um and x_um of the first frame, and the frame's drift_y_um, drift_x_um and turn_deg.
    """
    y, x = _seen(field_um)
    return places.with_columns(y.alias("y_um"), x.alias("x_um"))


def in_view(field_um: tuple[float, float], margin: pl.Expr) -> pl.Expr:
    """Whether a place of the first frame (y_um, x_um) lies inside a frame's view.

    It lies at least `margin` from the view's edge; the row also holds the frame's drift and turn.
    """
    y, x = _seen(field_um)
    near = (y < margin) | (x < margin)
    return ~(near | (y > field_um[0] - margin) | (x > field_um[1] - margin))


def _seen(field_um: tuple[float, float]) -> tuple[pl.Expr, pl.Expr]:
    """Where a frame sees a place of the first frame."""
    cy, cx = (side / 2 for side in field_um)
    cos, sin = _turn()
    dy, dx = pl.col("y_um") - cy, pl.col("x_um") - cx
    y = cos * dy - sin * dx + cy + pl.col("drift_y_um")
    x = sin * dy + cos * dx + cx + pl.col("drift_x_um")
    return y, x


def _turn() -> tuple[pl.Expr, pl.Expr]:
    turn = pl.col("turn_deg").radians()
    return turn.cos(), turn.sin()
