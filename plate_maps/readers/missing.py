"""Columns or blocks that a map lacks: one sentence for each, in place of one for every well."""

from __future__ import annotations

from plate_maps.conditions import ColumnNeeded
from plate_maps.wells import Well

_MOST = 6
# Column ► the words that may stand over it, and what its wells have in common.
_COLUMNS = {
    "compound": (
        "compound, drug, treatment",
        "hold neither a compound nor a control",
        "add it, and mark vehicle wells as controls",
    ),
    "dose": (
        "dose, concentration, dose (µM), …",
        "have a compound, are not a control and have no dose",
        "add it, or mark wells without a dose as controls",
    ),
    "unit": (
        "unit, dose unit",
        "have a dose without a unit",
        "add it, or write the unit over the doses, as in dose (µM)",
    ),
    "control": (
        "control, control type, role",
        "hold a solvent, a dose of 0 or no compound and look like vehicle wells",
        "add it, and write vehicle in it for these wells",
    ),
}


class MissingColumns:
    """Faults of wells, gathered by the column that the map lacks.

    Parameters
    ----------
    place
        File and row (or sheet) that the sentence names.
    names
        The columns, or blocks, that the map has, by our names.
    kind
        What the form of the map has for a property: "column" or "block".
    """

    def __init__(self, place: str, names: set[str], kind: str = "column") -> None:
        self._place, self._names, self._kind = place, names, kind
        self._faults: dict[str, list[tuple[str, str]]] = {}

    def explains(self, place: str, well: Well, fault: ValueError) -> bool:
        """Whether a well's fault is a column that is missing; the fault is then kept."""
        needed = fault.columns if isinstance(fault, ColumnNeeded) else ()
        missing = next((name for name in needed if name not in self._names), None)
        if missing is None:
            return False
        self._faults.setdefault(missing, []).append((well.name, f"{place}, well {well}: {fault}"))
        return True

    def problems(self) -> list[str]:
        """One sentence per missing column but that of lines, which is asked for by itself.

        What one well only lacks stays that well's fault.
        """
        return [
            faults[0][1]
            if len(faults) == 1
            else self._sentence(column, [well for well, _ in faults])
            for column, faults in self._faults.items()
            if column != "line"
        ]

    def _sentence(self, column: str, wells: list[str]) -> str:
        base, _, number = column.partition("_")
        words, share, remedy = _COLUMNS[base]
        title = f"dose of compound {number} (dose{number}, …)" if number else f"{base} ({words})"
        return (
            f"{self._place}: there is no {self._kind} for the {title}; {_named(wells)} {share}:"
            f" {remedy}"
        )


def _named(wells: list[str]) -> str:
    more = f" and {len(wells) - _MOST} more" if len(wells) > _MOST else ""
    return f"{len(wells)} wells ({', '.join(wells[:_MOST])}{more})"
