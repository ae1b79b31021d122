"""Labels and pixels ► tables ► responses.

The stages that need scipy's statistics (`phenotypes.plates.responses`, `phenotypes.statistics.dose_response`) are imported from their own
modules, so that a worker which only measures does not wait for them.
"""

from phenotypes.columns.dictionary import COLUMNS, Column, columns, phenotype

__all__ = ["COLUMNS", "Column", "columns", "phenotype"]
