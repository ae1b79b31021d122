"""The plate's format by the rows and columns that an instrument states."""

from __future__ import annotations

from imaging_service.errors import ScanError
from plate_maps import PlateFormat
from plate_maps.wells import whole_number

# The largest plate has 1,536 wells; more rows or columns are a fault of the file.
_MOST_ROWS, _MOST_COLUMNS = 32, 48


def plate_of(rows: int | str, columns: int | str, place: str) -> PlateFormat | None:
    """The format, or None where rows and columns are 0 or empty.

    Raises ScanError naming the place for text that is not a plate's number of rows and columns.
    """
    try:
        height, width = whole_number(str(rows) or "0"), whole_number(str(columns) or "0")
    except ValueError as error:
        raise ScanError(f"{place}: rows and columns of the plate: {error}") from error
    if height == width == 0:
        return None
    if not (1 <= height <= _MOST_ROWS and 1 <= width <= _MOST_COLUMNS):
        raise ScanError(
            f"{place}: a plate of {height} × {width} wells; the largest has"
            f" {_MOST_ROWS} × {_MOST_COLUMNS}"
        )
    return PlateFormat(height, width)
