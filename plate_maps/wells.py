"""Well names and plate formats: "B03", "b3" and "AA01" name one position each."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAME = re.compile(r"^\s*([A-Za-z]{1,2})\s*[-_]?\s*0*([1-9][0-9]?)\s*$")
# Python refuses to convert 4300 digits and more; no number of a plate, a field or a version has
# nearly as many.
_WHOLE = re.compile(r"[0-9]{1,18}")


def whole_number(text: str) -> int:
    """Read a number written in the digits 0 to 9: "007" ► 7.

    `int` would also take "٣", "+3" and "1_0", and `str.isdigit` says yes to "²", which `int` then
    refuses. Raises ValueError naming the text.
    """
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"{text!r:.40} is not a whole number in the digits 0 to 9")
    return int(text)


def is_whole_number(text: str) -> bool:
    """Whether `whole_number` reads the text."""
    return _WHOLE.fullmatch(text) is not None


def row_letters(row: int) -> str:
    """Letters of a 1-based row: 1 ► "A", 26 ► "Z", 27 ► "AA"."""
    if row < 1:
        raise ValueError(f"plate rows count from 1, got {row}")
    letters = ""
    while row:
        row, rest = divmod(row - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def row_number(letters: str) -> int:
    """1-based row of its letters: "A" ► 1, "AF" or "af" ► 32.

    Mixed case is refused: "Aa" is far more often a slip for A than row 27 of a 1536-well plate.
    """
    # "ß" and "ſ" are letters too, and become "SS" and "S" in upper case.
    if not (letters.isascii() and letters.isalpha()):
        raise ValueError(f"{letters!r:.40} is not a plate row; rows are letters, A to AF")
    if letters not in (letters.upper(), letters.lower()):
        raise ValueError(
            f"{letters!r:.40} mixes upper and lower case and is not a plate row; write one letter,"
            " or AA to AF for the rows after Z"
        )
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - ord("A") + 1
    return number


@dataclass(frozen=True, order=True)
class Well:
    """One position on a plate; `row` and `column` count from 1. Sorts row by row.

    Examples
    --------
    >>> from plate_maps import Well
    >>> Well.parse("b3").name, Well(2, 3) < Well(3, 1)
    ('B03', True)
    """

    row: int
    column: int

    def __post_init__(self) -> None:
        if self.row < 1 or self.column < 1:
            raise ValueError(
                f"rows and columns of a plate count from 1, got row {self.row}, column"
                f" {self.column}"
            )

    @classmethod
    def parse(cls, text: str) -> Well:
        """Read "B3", "b03", "B-03" or "AA01". Raises ValueError naming the text."""
        match = _NAME.match(text)
        if not match:
            raise ValueError(
                f"{text!r} is not a well name; write a row letter and a column number, as in B03"
            )
        return cls(row_number(match.group(1)), int(match.group(2)))

    @property
    def name(self) -> str:
        """Canonical name with a two-digit column: "B03"."""
        return f"{row_letters(self.row)}{self.column:02d}"

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class PlateFormat:
    """Rows × columns of a plate, as in `PlateFormat(8, 12)` for 96 wells.

    Examples
    --------
    >>> from plate_maps import PlateFormat, Well
    >>> str(PlateFormat(8, 12)), Well.parse("P24") in PlateFormat(8, 12)
    ('96-well (8 × 12)', False)
    """

    rows: int
    columns: int

    @property
    def size(self) -> int:
        """Number of wells."""
        return self.rows * self.columns

    def __contains__(self, well: Well) -> bool:
        return 1 <= well.row <= self.rows and 1 <= well.column <= self.columns

    def __str__(self) -> str:
        return f"{self.size}-well ({self.rows} × {self.columns})"


# ANSI/SLAS microplates and the usual culture plates, by number of wells.
FORMATS: dict[int, PlateFormat] = {
    6: PlateFormat(2, 3),
    12: PlateFormat(3, 4),
    24: PlateFormat(4, 6),
    48: PlateFormat(6, 8),
    96: PlateFormat(8, 12),
    384: PlateFormat(16, 24),
    1536: PlateFormat(32, 48),
}


def plate_format(wells: int) -> PlateFormat:
    """Format of a plate with that many wells. Raises ValueError listing the known sizes.

    Examples
    --------
    >>> from plate_maps import plate_format
    >>> plate_format(384).columns
    24
    """
    try:
        return FORMATS[wells]
    except KeyError:
        raise ValueError(
            f"no plate has {wells} wells; known: {', '.join(map(str, FORMATS))}"
        ) from None


def smallest_format(wells: list[Well]) -> PlateFormat:
    """Smallest standard plate that holds all wells given. Raises ValueError if none does."""
    for known in FORMATS.values():
        if all(well in known for well in wells):
            return known
    last = max(wells, key=lambda w: (w.row, w.column))
    raise ValueError(f"well {last} lies outside every standard plate; the largest is {known}")
