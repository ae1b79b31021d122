"""Places in a run, and the part of a field that is loaded."""

from __future__ import annotations

from imaging_service.review.field_image import Window

# Well, field, time point; both count from 1.
Place = tuple[str, int, int]
# Labels are painted at full resolution in memory. A field up to WHOLE_PX pixels wide is loaded
# whole, of a larger one a window.
WHOLE_PX, WINDOW_PX = 2560, 2048


def window(shape: tuple[int, ...], centre: tuple[int, int] | None) -> Window | None:
    """The window of a large field (Y, X) around a place; None for a field that is loaded whole."""
    height, width = shape
    if max(shape) <= WHOLE_PX:
        return None
    y, x = centre or (height // 2, width // 2)
    size = min(height, WINDOW_PX), min(width, WINDOW_PX)
    return Window(
        max(0, min(y - size[0] // 2, height - size[0])),
        max(0, min(x - size[1] // 2, width - size[1])),
        *size,
    )
