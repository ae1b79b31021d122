"""wellmap's TOML layouts (Kundert, BMC Res. Notes 14:164, 2021), read by wellmap itself."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from plate_maps.plate_map import PlateMapError
from plate_maps.readers.sheets import Sheet, check_size

# What describes wells. [meta] can name other files, and a plate map is the file that was handed
# over and no other.
_TABLES = ("expt", "plate", "block", "row", "col", "irow", "icol", "well")
# wellmap builds every well that is named before anyone can object; a 1536-well plate has 32 rows
# and 48 columns.
_LARGEST, _LONGEST_KEY = 48, 300
_DERIVED = ("well0", "row", "col", "row_i", "col_j")


def read_wellmap(path: Path) -> list[Sheet]:
    """The layout as one sheet in long form: one row per well, its parameters as columns.

    Raises PlateMapError.
    """
    check_size(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PlateMapError(path.name, [f"the file is not valid TOML: {error}"]) from error
    strange = [key for key in content if key not in _TABLES]
    if strange:
        more = "; other files that [meta] names are not followed" if "meta" in strange else ""
        raise PlateMapError(
            path.name,
            [f"unknown table {', '.join(map(repr, strange))}; known: {', '.join(_TABLES)}{more}"],
        )
    foreign = [key for key in _places(content) if not key.isascii()]
    if foreign:
        raise PlateMapError(
            path.name,
            [f"{foreign[0][:40]!r} does not name wells; write letters A to Z and digits 0 to 9"],
        )
    large = [
        key
        for key in _places(content)
        if len(key) > _LONGEST_KEY
        or any(int(n) > _LARGEST for n in re.findall(r"[0-9]+", key)[:99])
    ]
    if large:
        raise PlateMapError(
            path.name,
            [f"{large[0][:40]!r} lies outside every plate; rows and columns end at {_LARGEST}"],
        )
    import wellmap

    try:
        table = wellmap.load(path)
    except (wellmap.LayoutError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise PlateMapError(
            path.name, [f"wellmap cannot read it: {str(error).removeprefix(f'{path}: ')}"]
        ) from error
    names = [name for name in table.columns if name not in _DERIVED]
    rows = [
        names,
        *([_text(value) for value in row] for row in table[names].itertuples(index=False)),
    ]
    return [Sheet(path.name, rows, 0)]


def _places(content: dict[str, object], inside: str = "") -> Iterator[str]:
    """Keys that name wells, rows, columns or block sizes."""
    for key, value in content.items():
        if isinstance(value, dict):
            if inside and inside != "plate":
                yield key
            yield from _places(value, key if key in _TABLES else inside)


def _text(value: object) -> str:
    """A cell; wellmap leaves NaN where a well has no such parameter."""
    if value is None or value != value:  # only NaN differs from itself
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
