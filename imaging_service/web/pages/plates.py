"""What the plate's page shows beside the drawn plate: phenotypes to choose, wells in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from phenotypes.columns.dictionary import columns

Row = Mapping[str, Any]


def measured_phenotypes(wells: Sequence[Row]) -> dict[str, str]:
    """Phenotype ► unit of every well column that is one and has a number in some well."""
    return {
        c.name: c.unit
        for c in columns("well").values()
        if c.scale is not None and any(w.get(c.name) is not None for w in wells)
    }


PER_PAGE = 96


def extreme_wells(wells: Sequence[Row], name: str, most: int = 3) -> dict[str, list[Row]]:
    """The wells with the lowest and highest values of a phenotype; none twice, none without."""
    ranked = [w for w in ranked_wells(wells, name, "low") if w.get(name) is not None]
    most = min(most, len(ranked) // 2)
    return {"Lowest": ranked[:most], "Highest": ranked[::-1][:most]}


def ranked_wells(wells: Sequence[Row], name: str, order: str) -> list[Row]:
    """Wells in plate order, or by a phenotype from the lowest ("low") or highest ("high").

    Wells without a number come last.
    """
    if order not in ("low", "high"):
        return list(wells)
    sign = 1 if order == "low" else -1

    def place(well: Row) -> tuple[bool, float]:
        value = well.get(name)
        return value is None, 0.0 if value is None else sign * value

    return sorted(wells, key=place)
