"""Labels and pixels ► tables ► responses."""

from phenotypes.columns import COLUMNS, Column, columns, phenotype
from phenotypes.dose_response import DoseResponse, fit
from phenotypes.measure import FieldMeasurement, MeasureSettings, measure
from phenotypes.responses import Curve, Responses, respond
from phenotypes.wells import mark_pyknotic, well_table

__all__ = [
    "COLUMNS",
    "Column",
    "Curve",
    "DoseResponse",
    "FieldMeasurement",
    "MeasureSettings",
    "Responses",
    "columns",
    "fit",
    "mark_pyknotic",
    "measure",
    "phenotype",
    "respond",
    "well_table",
]
