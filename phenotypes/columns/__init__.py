"""Every output column, defined once.

Examples
--------
>>> from phenotypes.columns import columns
>>> columns("response")["ec50_molar"].unit
'mol/L'
"""

from phenotypes.columns.column import Column, Level
from phenotypes.columns.dictionary import COLUMNS, columns, conform, empty_table, phenotype

__all__ = ["COLUMNS", "Column", "Level", "columns", "conform", "empty_table", "phenotype"]
