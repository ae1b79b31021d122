"""Labels and pixels ► tables ► responses.

The stages in their order: `measure` a field, `judge` a plate, `respond` with its curves, and
`fit_screen` over many plates; `fit` is one curve alone. Names are imported on first use, so that a
worker that only measures does not wait for scipy's statistics.

Every column of every table is described in `COLUMNS`, which the package `phenotypes.columns` holds;
`phenotypes.columns.columns(level)` gives those of one table.

Examples
--------
>>> import phenotypes
>>> len({(c.level, c.name) for c in phenotypes.COLUMNS}) == len(phenotypes.COLUMNS)
True
>>> next(iter(phenotypes.columns.columns("response")))
'line'
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from phenotypes import columns as columns
    from phenotypes.cells.measure import FieldMeasurement, measure
    from phenotypes.columns import COLUMNS, Column, phenotype
    from phenotypes.plates.growth_rate import growth_rates
    from phenotypes.plates.judge import PlateJudgement, judge
    from phenotypes.plates.responses import Curve, Responses, respond
    from phenotypes.screens.conditions import plate_effects
    from phenotypes.screens.fit import Screen, fit_screen
    from phenotypes.statistics.curves.dose_response import fit
    from phenotypes.statistics.curves.hill import DoseResponse

__all__ = [
    "COLUMNS",
    "Column",
    "Curve",
    "DoseResponse",
    "FieldMeasurement",
    "PlateJudgement",
    "Responses",
    "Screen",
    "fit",
    "fit_screen",
    "growth_rates",
    "judge",
    "measure",
    "phenotype",
    "plate_effects",
    "respond",
]

_PLATES = "phenotypes.plates.responses"
_MODULES = {
    "COLUMNS": "phenotypes.columns",
    "Column": "phenotypes.columns",
    "Curve": _PLATES,
    "DoseResponse": "phenotypes.statistics.curves.hill",
    "FieldMeasurement": "phenotypes.cells.measure",
    "PlateJudgement": "phenotypes.plates.judge",
    "Responses": _PLATES,
    "Screen": "phenotypes.screens.fit",
    "fit": "phenotypes.statistics.curves.dose_response",
    "fit_screen": "phenotypes.screens.fit",
    "growth_rates": "phenotypes.plates.growth_rate",
    "judge": "phenotypes.plates.judge",
    "measure": "phenotypes.cells.measure",
    "phenotype": "phenotypes.columns",
    "plate_effects": "phenotypes.screens.conditions",
    "respond": _PLATES,
}

# Hidden from type checkers: with a __getattr__ they would accept every misspelt name.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Import a public name on first use (PEP 562)."""
        if name == "columns":
            return import_module("phenotypes.columns")
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = getattr(import_module(_MODULES[name]), name)
        return globals()[name]


def __dir__() -> list[str]:
    """The public names, imported or not, and all other names of the module."""
    return sorted({*globals(), *__all__})
