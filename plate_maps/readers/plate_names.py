"""Which plate of a map of several a name means: a barcode, or the folder of a scan.

A wrong choice gives every well another compound, and nothing looks wrong. So a plate is taken only
where it is the one plate whose name fits; a name such as 1 or A, which fits many folders, needs the
word plate before it.
"""

from __future__ import annotations

import re

from plate_maps.names import shape

_PLATE_WORD = r"(?:plate|platte|plt)"
# "Plate 02", "plate_2", "P2", "2" ► 2.
_NUMBERED_NAME = re.compile(rf"(?:{_PLATE_WORD}|p)?[\s_#.-]*0*([0-9]{{1,3}})", re.IGNORECASE)
_LEAST_LETTERS = 3
_LEAST_DIGITS = 5


def choose_plate(known: list[str], wanted: str) -> str | None:
    """The plate that is meant by a name, or None where none fits or several do.

    It is the only plate of the map if no name is given; else the plate of that name, or the only
    plate whose name is a whole word of the wanted one (a scan's folder, say). A name inside a
    longer one that fits as well, such as 2 in "plate 2", does not count.
    """
    if not wanted:
        return known[0] if len(known) == 1 else None
    exact = [n for n in known if n == wanted] or [n for n in known if shape(n) == shape(wanted)]
    if exact:
        return exact[0] if len(exact) == 1 else None
    fits = fitting_plates(known, wanted)
    return fits[0] if len(fits) == 1 and _is_distinct(fits[0], wanted) else None


def fitting_plates(known: list[str], wanted: str) -> list[str]:
    """The plates of a map whose names occur in the wanted one, in the map's order."""
    spans = {name: _as_word(name, wanted) + _after_plate(name, wanted) for name in known}
    return [
        name
        for name, places in spans.items()
        if any(
            not any(
                a <= start and end <= b and b - a > end - start
                for other, others in spans.items()
                if other != name
                for a, b in others
            )
            for start, end in places
        )
    ]


def unknown_plate(known: list[str], wanted: str) -> str:
    """Message for a map of several plates where `choose_plate` finds none."""
    shown = ", ".join(known[:12]) + (f" and {len(known) - 12} more" if len(known) > 12 else "")
    same = [n for n in known if shape(n) == shape(wanted)]
    fits = same or fitting_plates(known, wanted)
    if not wanted:
        advice = "name the plate to be read"
    elif len(fits) > 1:
        advice = f"several fit the name {wanted!r}: {', '.join(fits)}; name the plate to be read"
    elif fits:
        advice = (
            f"{fits[0]!r} is too short to be recognised in the name {wanted!r}; name the plate to"
            " be read"
        )
    else:
        advice = f"none of them is called {wanted!r}"
    return f"the map is of plates {shown or '(none named)'}; {advice}"


def _as_word(name: str, wanted: str) -> list[tuple[int, int]]:
    pattern = rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])"
    return [m.span() for m in re.finditer(pattern, wanted, re.IGNORECASE)]


def _after_plate(name: str, wanted: str) -> list[tuple[int, int]]:
    """Places where the word plate is followed by the name, or by its number: "plate 02" for 2."""
    numbered = _NUMBERED_NAME.fullmatch(name)
    last = rf"0*{numbered.group(1)}" if numbered else re.escape(name)
    pattern = rf"{_PLATE_WORD}[\s_#.-]*{last}(?![A-Za-z0-9])"
    return [m.span() for m in re.finditer(pattern, wanted, re.IGNORECASE)]


def _is_distinct(name: str, wanted: str) -> bool:
    """Whether a name that fits can hardly fit by chance."""
    least = _LEAST_DIGITS if name.isdigit() else _LEAST_LETTERS
    return len(name) >= least or bool(_after_plate(name, wanted))
